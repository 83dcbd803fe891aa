"""Two widths by sensitivity: mlx-lm's dynamic quantization over a local text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.engines.mlx.calibration import samples
from edgetui.engines.mlx.convert import check_group_size
from edgetui.engines.mlx.failures import told
from edgetui.engines.mlx.folder import load, refuse_unusable_numbers, write
from edgetui.engines.mlx.progress import heard

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.workflows.mlx import MlxDynamic
    from edgetui.engines.reporting import Reporter


def make(source: Path, target: Path, settings: MlxDynamic, job: Reporter) -> None:
    """Make the folder `target`; raises `EdgetuiError` as `load`, `samples` and `write` do, and `bad_request`."""
    # A scale and a bias of 16 bits each a group.
    scales = 32 / settings.group_size
    least, most = settings.low_bits + scales, settings.high_bits + scales
    if settings.low_bits >= settings.high_bits or not least <= settings.target_bpw <= most:
        raise EdgetuiError(
            "bad_request",
            f"Layers of {settings.low_bits} and {settings.high_bits} bits in groups of {settings.group_size} take"
            f" between {least:.2f} and {most:.2f} bits per weight, and {settings.target_bpw:g} were asked for: change"
            " one of the three.",
        )
    job.progress(0, None, "samples", "loading")
    loaded = load(source, "Quantizing", wants_quantized=False)
    refuse_unusable_numbers(loaded, job)
    check_group_size(loaded, settings.group_size)
    with told(loaded.name, "Quantizing"):
        from mlx_lm.quant import dynamic_quant
        from mlx_lm.utils import quantize_model

        data = samples(loaded, settings.data, settings.samples, settings.tokens)
        widths = (settings.low_bits, settings.group_size, settings.high_bits, settings.group_size)
        with heard(dynamic_quant, job, "samples", "measuring sensitivities"):
            found = dynamic_quant.estimate_sensitivities(loaded.model, data, *widths, batch_size=1)
        sensitivities = dict(found)
        job.progress(0, None, "samples", "choosing bits")
        threshold = dynamic_quant.estimate_threshold(loaded.model, sensitivities, settings.target_bpw, *widths)

        def width(layer: str, module: Any) -> bool | dict[str, int]:
            if not hasattr(module, "to_quantized"):
                return False
            is_high = sensitivities[layer] > threshold
            return {"bits": settings.high_bits, "group_size": settings.group_size} if is_high else True

        model, config = quantize_model(
            loaded.model, loaded.config, settings.group_size, settings.low_bits, quant_predicate=width
        )
    write(loaded._replace(model=model, config=config), target, job, "Quantizing")
