"""Activation-aware quantization by mlx-lm over a local text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.engines.mlx.calibration import samples
from edgetui.engines.mlx.convert import check_group_size
from edgetui.engines.mlx.failures import told
from edgetui.engines.mlx.folder import load, refuse_unusable_numbers, write
from edgetui.engines.mlx.progress import heard

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.workflows.mlx import MlxAwq
    from edgetui.engines.reporting import Reporter

EMBEDDING_GROUP = 32
"""mlx-lm's own for the table of tokens."""


def make(source: Path, target: Path, settings: MlxAwq, job: Reporter) -> None:
    """Make the folder `target`; raises `EdgetuiError` as `load`, `samples` and `write` do, and `unsupported`."""
    job.progress(0, None, "layers", "loading")
    loaded = load(source, "Quantizing", wants_quantized=False)
    refuse_unusable_numbers(loaded, job)
    check_group_size(loaded, settings.group_size)
    with told(loaded.name, "Quantizing"):
        from mlx_lm.quant import awq

        kind = loaded.config.get("model_type")
        if kind not in awq.AWQ_MODEL_CONFIGS:
            raise EdgetuiError(
                "unsupported",
                f"mlx-lm has no AWQ for the architecture {kind} of {loaded.name}: take mlx-gptq, mlx-dynamic or"
                " mlx-quantize.",
            )
        data = samples(loaded, settings.data, settings.samples, settings.tokens)
        with heard(awq, job, "layers", "searching scales and clips"):
            awq.awq_quantize(
                loaded.model,
                data,
                awq.AWQ_MODEL_CONFIGS[kind],
                group_size=settings.group_size,
                bits=settings.bits,
                embed_group_size=EMBEDDING_GROUP,
                embed_bits=settings.embedding_bits,
                n_grid=settings.grid,
            )
        loaded = loaded._replace(config=awq.update_config(loaded.model, loaded.config))
    write(loaded, target, job, "Quantizing")
