"""An importance matrix as llama.cpp's quantizer takes it, and whether it is one of the model at hand."""

from __future__ import annotations

import ctypes
import re
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp import library
from edgetui.formats.imatrix import read_imatrix

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy
    from numpy.typing import NDArray

    from edgetui.formats.gguf_header import GgufHeader
    from edgetui.formats.imatrix import Imatrix, ImatrixEntry

MOST_VALUE_BYTES = 127
"""llama-quantize cuts a text that it writes into the metadata to this length."""
_LAYER = re.compile(r"^blk\.(\d+)\.")


class ImatrixWeights:
    """Means of squares by matrix, in float32; owns the arrays that llama.cpp is pointed to."""

    def __init__(self, imatrix: Imatrix) -> None:
        self.imatrix = imatrix
        self._means = {name: _means(entry, imatrix.is_legacy) for name, entry in imatrix.entries.items()}
        self._native: Any = None

    @classmethod
    def read(cls, path: Path) -> ImatrixWeights:
        """Read a file; raises `EdgetuiError`: `bad_file`, `not_found`, `no_permission`."""
        return cls(read_imatrix(path))

    def __contains__(self, name: str) -> bool:
        """Whether there is an entry of a weight matrix."""
        return name in self._means

    @property
    def means(self) -> Mapping[str, NDArray[numpy.float32]]:
        """Of a weight matrix: the mean square of each column's input, one matrix of a stack after another."""
        return self._means

    def native(self) -> Any:
        """The array of `llama_model_imatrix_data` that ends with an empty one."""
        if self._native is None:
            lib = library.load()
            self._native = (lib.llama_model_imatrix_data * (len(self._means) + 1))()
            real = ctypes.POINTER(ctypes.c_float)
            for native, (name, means) in zip(self._native, self._means.items(), strict=False):
                native.name, native.data, native.size = name.encode(), means.ctypes.data_as(real), means.size
        return self._native

    def keys(self) -> tuple[tuple[str, str | int], ...]:
        """The metadata that llama-quantize writes; of the path only the name, since the rest is the person's own."""
        imatrix = self.imatrix
        keys: list[tuple[str, str | int]] = [("quantize.imatrix.file", _cut(imatrix.path.name))]
        if imatrix.datasets:
            keys.append(("quantize.imatrix.dataset", _cut(imatrix.datasets[0])))
        keys.append(("quantize.imatrix.entries_count", len(imatrix.entries)))
        if imatrix.chunk_count > 0:
            keys.append(("quantize.imatrix.chunks_count", imatrix.chunk_count))
        return tuple(keys)

    def require_for(self, header: GgufHeader) -> None:
        """Refuse a matrix of another model, or one that lacks entries, and name the first difference.

        Raises `EdgetuiError("bad_request")`.
        """
        name, model = self.imatrix.path.name, header.path.name
        tensors = {tensor.name: tensor for tensor in header.tensors}
        for entry, means in self._means.items():
            tensor = tensors.get(entry)
            if tensor is None:
                raise EdgetuiError(
                    "bad_request",
                    f"The importance matrix {name} is of another model: it has an entry for {_shown(entry)}, which"
                    f" {model} lacks; make one with `edgetui imatrix {model.removesuffix('.gguf')}`.",
                )
            matrices = tensor.shape[2] if len(tensor.shape) > 2 else 1
            if means.size != tensor.shape[0] * matrices:
                raise EdgetuiError(
                    "bad_request",
                    f"The importance matrix {name} is of another model: its entry for {_shown(entry)} has {means.size}"
                    f" values, and {model} takes {tensor.shape[0] * matrices}.",
                )

    def require_entries(self, header: GgufHeader, quantized: Iterable[str]) -> None:
        """Refuse a matrix that lacks an entry for one of these tensors of the model; raises `bad_request`.

        Computing a text leaves one for every matrix of a layer, but not of layers that predict further tokens.
        """
        further = header.of_architecture("nextn_predict_layers") or 0
        layers = (header.of_architecture("block_count") or 0) - further
        for tensor in quantized:
            layer = _LAYER.match(tensor)
            if layer is not None and int(layer[1]) < layers and tensor not in self._means:
                raise EdgetuiError(
                    "bad_request",
                    f"The importance matrix {self.imatrix.path.name} has no entry for {_shown(tensor)} of"
                    f" {header.path.name}: it is of another model, or was cut; make a new one.",
                )


def _means(entry: ImatrixEntry, is_legacy: bool) -> NDArray[numpy.float32]:
    """Sums over counts; a matrix that no row went through weighs all columns alike, as in llama-quantize."""
    import numpy

    sums = numpy.frombuffer(entry.sums, numpy.float32).reshape(len(entry.counts), -1)
    counts = numpy.array(entry.counts, numpy.float32)[:, None]
    means = numpy.array(sums if is_legacy else numpy.ones_like(sums))
    numpy.divide(sums, counts, out=means, where=counts > 0)
    return means.ravel()


def _cut(text: str) -> str:
    """As a C string of llama-quantize's length, at the end of a character."""
    return text.split("\0")[0].encode("utf-8", "replace")[:MOST_VALUE_BYTES].decode("utf-8", "ignore")


def _shown(name: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in name)[:80]
