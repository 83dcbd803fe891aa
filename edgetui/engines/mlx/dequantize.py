"""A quantized MLX model to one whose weights are plain numbers again, by mlx-lm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetui.engines.mlx.failures import told
from edgetui.engines.mlx.folder import load, refuse_unusable_numbers, set_dtype, write

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.workflows.mlx import MlxDequantize
    from edgetui.engines.reporting import Reporter


def make(source: Path, target: Path, settings: MlxDequantize, job: Reporter) -> None:
    """Make the folder `target`; raises `EdgetuiError` as `load` and `write` do."""
    job.progress(0, None, "tensors", "loading")
    loaded = load(source, "Dequantizing", wants_quantized=True)
    refuse_unusable_numbers(loaded, job)
    with told(loaded.name, "Dequantizing"):
        from mlx_lm.utils import dequantize_model

        loaded = loaded._replace(model=dequantize_model(loaded.model))
    forget_quantization(loaded.config)
    set_dtype(loaded, settings.dtype)
    write(loaded, target, job, "Dequantizing")


def forget_quantization(config: dict[str, Any]) -> None:
    """Take what says how weights were packed out of a configuration."""
    for key in ("quantization", "quantization_config"):
        config.pop(key, None)
