"""GGUF to a safetensors folder by transformers, which knows how to unpack ggml's quantization types."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import format_bytes
from edgetui.engines.convert.failures import require_room, told, unsupported_architecture
from edgetui.engines.convert.finite import require_finite
from edgetui.formats.gguf import check_loadable
from edgetui.formats.model_folder import check_convertible, shards
from edgetui.formats.safetensors import read_safetensors

if TYPE_CHECKING:
    from edgetui.core.workflows.conversion import ToSafetensors
    from edgetui.engines.reporting import Reporter
    from edgetui.formats.gguf_header import GgufHeader

_WIDTHS = {"bf16": 2, "f16": 2, "f32": 4}
"""Bytes a weight."""
_TORCH_NAMES = {"bf16": "bfloat16", "f16": "float16", "f32": "float32"}
_LIBRARIES_BYTES = 400 * 1024 * 1024
"""torch and transformers themselves, and the vocabulary as their reader holds it."""
_TOOL = "transformers"


def make(source: Path, target: Path, settings: ToSafetensors, job: Reporter) -> None:
    """Unpack the file `source` into the folder `target`.

    Raises `EdgetuiError`: `bad_file`, `unsupported`, `no_space`, `out_of_memory`, `engine_missing`.
    """
    header = check_loadable(source)
    if len(header.parts) > 1:
        raise EdgetuiError(
            "unsupported",
            f"{source.name} is one of {len(header.parts)} parts, and transformers reads single files: quantize or merge"
            " it into one first.",
        )
    _require_memory(header, settings)
    require_room(target, header.parameter_count * _WIDTHS[settings.dtype])
    job.progress(0, len(header.tensors), "tensors", f"needs about {format_bytes(needed_memory(header, settings))}")
    with told(source.name, _TOOL):
        _unpack(header, target, settings, job)
    check_convertible(target)
    read_safetensors([target / name for name in shards(target, [path.name for path in target.iterdir()])])


def needed_memory(header: GgufHeader, settings: ToSafetensors) -> int:
    """Bytes at the peak: the unpacked weights twice, since transformers gathers them before the model takes them.

    One tensor more is held as 32-bit numbers, and again while its rows are put in another order.
    """
    largest = max((math.prod(tensor.shape) for tensor in header.tensors), default=0)
    return header.parameter_count * _WIDTHS[settings.dtype] * 2 + largest * 8 + _LIBRARIES_BYTES


def _require_memory(header: GgufHeader, settings: ToSafetensors) -> None:
    import psutil

    needed, free = needed_memory(header, settings), psutil.virtual_memory().available
    if needed > free:
        advice = (
            "take bf16, or close something" if settings.dtype == "f32" else "close something, or take a smaller one"
        )
        raise EdgetuiError(
            "out_of_memory",
            f"Unpacking {header.path.name} takes about {format_bytes(needed)} of memory and {format_bytes(free)} are"
            f" free: {advice}.",
        )


def _unpack(header: GgufHeader, target: Path, settings: ToSafetensors, job: Reporter) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, modeling_gguf_pytorch_utils

    folder, name = os.path.split(header.path)
    total = len(header.tensors)
    modeling_gguf_pytorch_utils.tqdm = _counting(job, total)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            gguf_file=name,
            dtype=getattr(torch, _TORCH_NAMES[settings.dtype]),
            quantization_config=GgufConfig(dequantize=True),
        )
    except ValueError as error:
        if "architecture" not in str(error):
            raise
        known = modeling_gguf_pytorch_utils.GGUF_SUPPORTED_ARCHITECTURES
        raise unsupported_architecture(name, header.architecture or "", known, _TOOL) from error
    require_finite(model.state_dict().items(), name)
    job.progress(total, total, "tensors", "carrying over tokenizer and chat template")
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    # The library's own placeholder for "unknown" is no number that other tools take.
    tokenizer.model_max_length = header.context_length or tokenizer.model_max_length
    # What was unpacked is no longer quantized, and must not say that it is.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    job.progress(total, total, "tensors", "writing")
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    for path in target.iterdir():
        # The library writes weights for their owner alone.
        path.chmod(0o644)


def _counting(job: Reporter, total: int) -> Any:
    """Takes the place of the library's progress bar over tensors."""

    def count(tensors: Any, **_look: Any) -> Any:
        for done, tensor in enumerate(tensors):
            job.progress(done, total, "tensors", str(getattr(tensor, "name", "")))
            yield tensor

    return count
