"""GPTQ by mlx-lm over a local text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.engines.mlx.calibration import samples
from edgetui.engines.mlx.convert import check_group_size
from edgetui.engines.mlx.failures import told
from edgetui.engines.mlx.folder import floating_type, load, refuse_unusable_numbers, write
from edgetui.engines.mlx.progress import heard

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.workflows.mlx import MlxGptq
    from edgetui.engines.reporting import Reporter


def make(source: Path, target: Path, settings: MlxGptq, job: Reporter) -> None:
    """Make the folder `target`; raises `EdgetuiError` as `load`, `samples` and `write` do."""
    job.progress(0, None, "layers", "loading")
    loaded = load(source, "Quantizing", wants_quantized=False)
    refuse_unusable_numbers(loaded, job)
    check_group_size(loaded, settings.group_size)
    with told(loaded.name, "Quantizing"):
        import mlx.core as mx
        from mlx_lm.quant import gptq

        dtype = floating_type(loaded.model)
        # Sums of activations are inverted, and in 16 bits large channels would drown the rounding of small ones.
        loaded.model.set_dtype(mx.float32)
        data = samples(loaded, settings.data, settings.samples, settings.tokens)
        with heard(gptq, job, "layers", "quantizing"):
            model, quantization = gptq.gptq_quantize(
                loaded.model,
                data,
                settings.bits,
                settings.group_size,
                settings.fallback_bits,
                settings.group_size,
                batch_size=1,
            )
        model.set_dtype(dtype)
        loaded.config["quantization"] = quantization
    write(loaded._replace(model=model), target, job, "Quantizing")
