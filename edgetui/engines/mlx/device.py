"""What mlx computes on here."""

from __future__ import annotations


def is_accelerated() -> bool:
    """Whether mlx's default device is a GPU: Apple silicon's, or an NVIDIA one with mlx's CUDA build."""
    import mlx.core as mx

    return bool(mx.default_device().type == mx.DeviceType.gpu)


def version() -> str:
    """Of mlx and mlx-lm, such as `mlx 0.32.4, mlx-lm 0.32.2`."""
    from importlib.metadata import version as version_of

    return f"mlx {version_of('mlx')}, mlx-lm {version_of('mlx-lm')}"
