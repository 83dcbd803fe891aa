"""safetensors to MLX, quantized by mlx-lm or as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.workflows.mlx import MlxQuantize
from edgetui.engines.mlx.failures import told
from edgetui.engines.mlx.folder import Loaded, load, refuse_unusable_numbers, set_dtype, write

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.workflows.mlx import MlxConvert
    from edgetui.engines.reporting import Reporter

GROUP_SIZES = (32, 64, 128)
_MODE_GROUPS = {"mxfp4": 32, "mxfp8": 32, "nvfp4": 16}
"""Group sizes of modes that know only one."""


def make(source: Path, target: Path, settings: MlxQuantize | MlxConvert, job: Reporter) -> None:
    """Make the folder `target`; raises `EdgetuiError` as `load` and `write` do, and `bad_request` for settings."""
    is_quantizing = isinstance(settings, MlxQuantize)
    doing = "Quantizing" if is_quantizing else "Converting"
    if isinstance(settings, MlxQuantize) and settings.recipe != "none" and settings.mode != "affine":
        raise EdgetuiError(
            "bad_request",
            f"Mixed recipes exist for the mode affine only, not for {settings.mode}: choose one or the other.",
        )
    job.progress(0, None, "tensors", "loading")
    loaded = load(source, doing, wants_quantized=False)
    refuse_unusable_numbers(loaded, job)
    set_dtype(loaded, settings.dtype)
    if isinstance(settings, MlxQuantize):
        loaded = _quantized(loaded, settings)
    write(loaded, target, job, doing)


def check_group_size(loaded: Loaded, group_size: int) -> None:
    """Raise `EdgetuiError("bad_request")` where a smaller group divides rows that this one does not.

    Rows that no group size divides are left unquantized by mlx-lm, and are no reason to refuse.
    """
    rows = {row for _, row in quantizable_rows(loaded.model)}
    for row in sorted(rows):
        fitting = [size for size in GROUP_SIZES if row % size == 0]
        if row % group_size and fitting:
            sizes = " or ".join(str(size) for size in reversed(fitting))
            raise EdgetuiError(
                "bad_request",
                f"Rows of {row} weights in {loaded.name} do not divide into groups of {group_size}: take groups of"
                f" {sizes}.",
            )
    if rows and all(row % group_size for row in rows):
        raise EdgetuiError(
            "unsupported",
            f"No rows of {loaded.name} divide into groups of {group_size}, so MLX would quantize nothing of it.",
        )


def quantizable_rows(model: Any) -> list[tuple[str, int]]:
    """Layers that mlx can quantize, each with the length of its rows."""
    return [
        (name, module.weight.shape[-1])
        for name, module in model.named_modules()
        if hasattr(module, "to_quantized") and "weight" in module
    ]


def _quantized(loaded: Loaded, settings: MlxQuantize) -> Loaded:
    with told(loaded.name, "Quantizing"):
        from mlx_lm.convert import mixed_quant_predicate_builder
        from mlx_lm.utils import quantize_model

        is_affine = settings.mode == "affine"
        group_size = settings.group_size if is_affine else _MODE_GROUPS[settings.mode]
        check_group_size(loaded, group_size)
        predicate = None
        if settings.recipe != "none":
            predicate = mixed_quant_predicate_builder(settings.recipe, loaded.model, group_size)
        model, config = quantize_model(
            loaded.model,
            loaded.config,
            group_size,
            settings.bits if is_affine else None,
            mode=settings.mode,
            quant_predicate=predicate,
        )
    return loaded._replace(model=model, config=config)
