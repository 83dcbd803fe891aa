"""Quantization by llama.cpp itself: what each type would make of a model, and making it."""

from __future__ import annotations

import ctypes
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.quant_options import ABORTS_WITHOUT_WEIGHTS, QuantOptions
from edgetui.core.quant_types import Fallback, is_quantized, split_names
from edgetui.engines import host
from edgetui.engines.llama_cpp import gguf_layout, library
from edgetui.engines.llama_cpp.imatrix_weights import ImatrixWeights
from edgetui.engines.llama_cpp.quant_types import known_types
from edgetui.engines.llama_cpp.quantize_failures import quantize_failure
from edgetui.engines.llama_cpp.quantize_log import LoggedTensor, QuantizeLog, Step
from edgetui.engines.llama_cpp.quantize_params import NativeParams, native_params, require_sound
from edgetui.formats.gguf import check_loadable
from edgetui.worker.protocol import QuantizationPlan

if TYPE_CHECKING:
    from edgetui.formats.gguf_header import GgufHeader

USUAL = QuantOptions()
_EMBEDDING, _OUTPUT = "token_embd.weight", "output.weight"


@dataclass(frozen=True)
class Prediction:
    """A dry run's findings."""

    file_bytes: int
    """Of all files together."""
    tensor_bytes: int
    source_tensor_bytes: int
    parameter_count: int
    needs_imatrix: bool
    fallbacks: tuple[Fallback, ...]
    tensors: tuple[LoggedTensor, ...]
    """By the names that they will have."""


def plan(path: Path, type_names: Sequence[str] = (), options: QuantOptions = USUAL) -> Iterator[QuantizationPlan]:
    """Dry-run each type (all that the library knows when none is named) on a model; no tensor data is read.

    Raises `EdgetuiError`: `bad_file`, `not_found`, `bad_request` for a type that does not exist, options that do not
    suit the model, and an importance matrix that is not its own.
    """
    planner = _Planner(path, options)
    for name in type_names or known_types():
        try:
            found = planner.predict(name)
        except EdgetuiError as error:
            # Of all types some do not go with the options; of the named ones that is the answer.
            if error.failure.kind != "unsupported" and (type_names or error.failure.kind != "bad_request"):
                raise
            yield QuantizationPlan(type_name=name, problem=error.failure.message)
        else:
            yield QuantizationPlan(
                type_name=name,
                size_bytes=found.file_bytes,
                bits_per_weight=found.tensor_bytes * 8 / found.parameter_count if found.parameter_count else None,
                needs_imatrix=found.needs_imatrix,
                fallbacks=found.fallbacks,
                product_weights=_product_weights(found.tensors),
                source_tensor_bytes=found.source_tensor_bytes,
                file_count=len(planner.header.parts) if options.keep_split else 1,
            )


def predict(path: Path, type_name: str, options: QuantOptions = USUAL) -> Prediction:
    """One dry run; raises as `plan` does, and `unsupported` when llama.cpp refuses."""
    return _Planner(path, options).predict(type_name)


def quantize(
    path: Path,
    target: Path,
    type_name: str,
    options: QuantOptions = USUAL,
    *,
    allow_requantize: bool = False,
    threads: int = 0,
    name: str = "",
    on_step: Callable[[Step], None] = lambda step: None,
) -> None:
    """Write `target`, byte for byte what llama-quantize writes; an existing file is replaced.

    Where the split is kept, `target` is what stands before the numbers of the files. `name` is what messages call the
    file, when that is not the target's own name. There is no way to stop this but to end the process. On failure a
    part of the file may be left. Raises `EdgetuiError`: `bad_request`, `unsupported`, `no_space`, `out_of_memory`,
    `bad_file`.
    """
    planner = _Planner(path, options)
    if options != USUAL:
        # What the usual rules never do: some combinations end the process.
        planner.predict(type_name)
    native = planner.native(type_name)
    native.params.allow_requantize = allow_requantize
    native.params.nthread = threads or host.usable_threads()
    log = QuantizeLog(on_step, planner.tensor_count)
    if _call(path, target, native, log) != 0:
        written = split_names(str(target), len(planner.header.parts))[0] if options.keep_split else target
        raise quantize_failure(path, written, name or target.name, type_name, log)


class _Planner:
    """Dry runs of one model with one set of options; its files are read once."""

    def __init__(self, path: Path, options: QuantOptions) -> None:
        self.header: GgufHeader = check_loadable(path)
        self._path = path
        self._options = options
        self._weights = ImatrixWeights.read(Path(options.imatrix)) if options.imatrix else None
        self._header_bytes: int | None = None
        if self._weights is not None:
            self._weights.require_for(self.header)
        self._names = {
            new: tensor.name
            for tensor in self.header.tensors
            if (new := gguf_layout.pruned_name(tensor.name, options.prune_layers)) is not None
        }

    @property
    def tensor_count(self) -> int:
        """Tensors that are written."""
        return len(self._names)

    def native(self, type_name: str) -> NativeParams:
        """The library's own parameters; raises `bad_request` for what it must not be told."""
        require_sound(self.header, self._options, type_name)
        return native_params(self._options, self._weights, type_name)

    def predict(self, type_name: str) -> Prediction:
        """One dry run."""
        native = self.native(type_name)
        native.params.dry_run = True
        native.params.allow_requantize = True
        native.params.nthread = 1
        log = QuantizeLog()
        if _call(self._path, Path(), native, log) != 0:
            raise quantize_failure(self._path, Path(), "", type_name, log)
        self._require_weights(type_name, log.tensors)
        if self._header_bytes is None:
            self._header_bytes = gguf_layout.written_header_bytes(self.header, self._options, native.keys)
        sizes = [gguf_layout.tensor_bytes(tensor.new_type, tensor.shape) for tensor in log.tensors]
        return Prediction(
            file_bytes=self._header_bytes + sum(gguf_layout.padded(size) for size in sizes),
            tensor_bytes=sum(sizes),
            source_tensor_bytes=log.source_bytes,
            parameter_count=sum(math.prod(tensor.shape) for tensor in log.tensors),
            needs_imatrix="will require an imatrix" in log.text,
            fallbacks=log.fallbacks,
            tensors=tuple(log.tensors),
        )

    def _require_weights(self, type_name: str, tensors: Sequence[LoggedTensor]) -> None:
        """Raises `unsupported` where ggml would end the process, `bad_request` where the matrix has a hole."""
        changed = [
            (self._names[tensor.name], tensor.new_type.upper())
            for tensor in tensors
            if tensor.new_type != tensor.old_type and is_quantized(tensor.new_type)
        ]
        for name, new_type in changed:
            is_table = name in (_EMBEDDING, _OUTPUT)
            if is_table and new_type in ABORTS_WITHOUT_WEIGHTS and (self._weights is None or name not in self._weights):
                raise EdgetuiError(
                    "unsupported",
                    f"{type_name} would put {name} into {new_type}, for which there are no importances: take another"
                    f" {'output' if name == _OUTPUT else 'embedding'} type.",
                )
        if self._weights is not None:
            self._weights.require_entries(self.header, [name for name, _ in changed])


def _call(path: Path, target: Path, native: NativeParams, log: QuantizeLog) -> int:
    """llama.cpp's status, 0 for done."""
    lib = library.load()
    with library.capture_log(log.read):
        return int(lib.llama_model_quantize(os.fsencode(path), os.fsencode(target), ctypes.byref(native.params)))


def _product_weights(tensors: Sequence[LoggedTensor]) -> tuple[tuple[str, int], ...]:
    """Weights by type of what a token is multiplied with: the embedding only where it stands for the output too."""
    tied = all(tensor.name != _OUTPUT for tensor in tensors)
    counts: Counter[str] = Counter()
    for tensor in tensors:
        is_matrix = sum(length > 1 for length in tensor.shape) > 1
        if is_matrix and (tied or not tensor.name.endswith(_EMBEDDING)):
            counts[tensor.new_type.upper()] += math.prod(tensor.shape)
    return tuple(counts.most_common())
