"""An adapter that mlx_lm.lora trained, merged into its base by mlx-lm."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.engines.mlx.dequantize import forget_quantization
from edgetui.engines.mlx.failures import told
from edgetui.engines.mlx.folder import load, refuse_unusable_numbers, write
from edgetui.formats.model_folder import read_json
from edgetui.formats.safetensors import read_safetensors

if TYPE_CHECKING:
    from edgetui.core.workflows.mlx import MlxFuse
    from edgetui.engines.mlx.folder import Loaded
    from edgetui.engines.reporting import Reporter

ADAPTER, ADAPTER_CONFIG = "adapters.safetensors", "adapter_config.json"


def make(source: Path, target: Path, settings: MlxFuse, job: Reporter) -> None:
    """Make the folder `target`; raises `EdgetuiError` as `load` and `write` do, and where the adapter does not fit."""
    adapter = _checked_adapter(settings.adapter)
    job.progress(0, None, "tensors", "loading")
    loaded = load(source, "Fusing")
    refuse_unusable_numbers(loaded, job)
    _apply(loaded, adapter)
    with told(loaded.name, "Fusing"):
        from mlx.utils import tree_unflatten
        from mlx_lm.utils import dequantize_model

        fused = [
            (name, module.fuse(dequantize=settings.dequantize))
            for name, module in loaded.model.named_modules()
            if hasattr(module, "fuse")
        ]
        if fused:
            loaded.model.update_modules(tree_unflatten(fused))
        if settings.dequantize:
            loaded = loaded._replace(model=dequantize_model(loaded.model))
            forget_quantization(loaded.config)
    write(loaded, target, job, "Fusing")


def _checked_adapter(typed: str) -> Path:
    if not typed:
        raise EdgetuiError("bad_request", f"Name the adapter's folder: adapter=PATH, which holds {ADAPTER}.")
    adapter = Path(typed).expanduser()
    if not adapter.is_absolute():
        # The job runs elsewhere, so a path must not depend on where it was typed.
        raise EdgetuiError("bad_request", f"Name the adapter's folder by its whole path, not by {plain_line(typed)}.")
    for name in (ADAPTER, ADAPTER_CONFIG):
        if not (adapter / name).is_file():
            raise EdgetuiError("not_found", f"{adapter} holds no {name}: name the folder that mlx_lm.lora wrote.")
    if not read_json(adapter / ADAPTER_CONFIG):
        raise EdgetuiError("bad_file", f"{ADAPTER_CONFIG} in {adapter} is not readable JSON: train the adapter again.")
    if not read_safetensors([adapter / ADAPTER]).tensors:
        raise EdgetuiError("bad_file", f"{ADAPTER} in {adapter} holds no tensors: train the adapter again.")
    return adapter


def _apply(loaded: Loaded, adapter: Path) -> None:
    with told(loaded.name, "Fusing"):
        import mlx.core as mx
        from mlx_lm.utils import load_adapters

        for name, tensor in mx.load(str(adapter / ADAPTER)).items():
            if not mx.all(mx.isfinite(tensor)).item():
                raise EdgetuiError(
                    "bad_file", f"The tensor {name} of {ADAPTER} holds values that are no numbers: train it again."
                )
        try:
            load_adapters(loaded.model, str(adapter))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise EdgetuiError(
                "bad_request",
                f"The adapter in {adapter} does not fit {loaded.name}: it was trained on another model, or by another"
                " tool than mlx_lm.lora.",
                detail=traceback.format_exc(),
            ) from error
        loaded.model.eval()
