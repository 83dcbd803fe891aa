"""Options of a quantization as llama.cpp takes them, checked against the model before the library sees them."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.quant_types import is_quantized
from edgetui.engines.llama_cpp import gguf_layout, library
from edgetui.engines.llama_cpp.quant_types import known_types

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.quant_options import QuantOptions
    from edgetui.engines.llama_cpp.imatrix_weights import ImatrixWeights
    from edgetui.formats.gguf_header import GgufHeader


@dataclass(frozen=True)
class NativeParams:
    """`llama_model_quantize_params`, and what it points to."""

    params: Any
    keys: tuple[tuple[str, str | int], ...]
    """Metadata that is written in addition."""
    kept: tuple[Any, ...]
    """Alive for as long as the params are used."""


def require_sound(header: GgufHeader, options: QuantOptions, type_name: str) -> None:
    """Refuse what llama.cpp would take no notice of, or not survive; raises `EdgetuiError("bad_request")`."""
    types = known_types()
    if type_name not in types:
        raise EdgetuiError(
            "bad_request", f"The installed llama.cpp knows no type {type_name}; it knows {', '.join(types)}."
        )
    name = header.path.name
    names = [tensor.name for tensor in header.tensors]
    if options.tensor_types and not is_quantized(type_name):
        raise EdgetuiError(
            "bad_request",
            f"llama.cpp heeds overrides of tensors only where the type is a quantized one: not {type_name}.",
        )
    for override in options.tensor_types:
        pattern = re.compile(override.pattern)
        if not any(pattern.search(tensor) for tensor in names):
            raise EdgetuiError(
                "bad_request",
                f"The pattern {override.pattern} finds no tensor of {name}: `edgetui tensors` lists their names.",
            )
    if options.keep_split and len(header.parts) == 1:
        raise EdgetuiError("bad_request", f"{name} is one file: there is no split to keep.")
    if options.keep_split and options.prune_layers:
        raise EdgetuiError("bad_request", "Layers cannot be left out of a model whose split is kept: do one of both.")
    if options.leave_output and "output.weight" not in names:
        raise EdgetuiError(
            "bad_request", f"{name} has no output.weight to leave as it is: its embedding stands for it."
        )
    _require_layers(header, options.prune_layers)


def native_params(options: QuantOptions, weights: ImatrixWeights | None, type_name: str) -> NativeParams:
    """The struct for `llama_model_quantize`, without threads and the kind of run."""
    lib = library.load()
    params = lib.llama_model_quantize_default_params()
    params.ftype = known_types()[type_name]
    params.pure = options.pure
    params.quantize_output_tensor = not options.leave_output
    params.keep_split = options.keep_split
    params.max_buf_size = options.buffer_bytes
    if options.output_type:
        params.output_tensor_type = gguf_layout.type_number(options.output_type)
    if options.embedding_type:
        params.token_embedding_type = gguf_layout.type_number(options.embedding_type)
    kept: list[Any] = []
    if options.tensor_types:
        overrides = (lib.llama_model_tensor_override * (len(options.tensor_types) + 1))()
        for native, override in zip(overrides, options.tensor_types, strict=False):
            native.pattern, native.type = override.pattern.encode(), gguf_layout.type_number(override.type_name)
        params.tt_overrides = overrides
        kept.append(overrides)
    if options.prune_layers:
        layers = (ctypes.c_int32 * (len(options.prune_layers) + 1))(*options.prune_layers, -1)
        params.prune_layers = layers
        kept.append(layers)
    keys: tuple[tuple[str, str | int], ...] = ()
    if weights is not None:
        params.imatrix = weights.native()
        keys = weights.keys()
        params.kv_overrides = overridden = _native_keys(lib, keys)
        kept += [weights, overridden]
    return NativeParams(params, keys, tuple(kept))


def _native_keys(lib: Any, keys: Sequence[tuple[str, str | int]]) -> Any:
    """The array that llama.cpp reads up to an empty key."""
    overrides = (lib.llama_model_kv_override * (len(keys) + 1))()
    for native, (name, value) in zip(overrides, keys, strict=False):
        native.key = name.encode()
        if isinstance(value, str):
            native.tag = lib.LLAMA_KV_OVERRIDE_TYPE_STR
            native.value.val_str = value.encode()
        else:
            native.tag = lib.LLAMA_KV_OVERRIDE_TYPE_INT
            native.value.val_i64 = value
    return overrides


def _require_layers(header: GgufHeader, pruned: Sequence[int]) -> None:
    if not pruned:
        return
    layers = header.of_architecture("block_count") or 0
    beyond = [layer for layer in pruned if layer >= layers]
    if beyond:
        raise EdgetuiError(
            "bad_request",
            f"{header.path.name} has no layer {beyond[0]}: its {layers} layers are counted from 0 to {layers - 1}.",
        )
    if len(pruned) == layers:
        raise EdgetuiError("bad_request", f"Without all {layers} layers nothing is left of {header.path.name}.")
