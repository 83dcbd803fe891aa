"""Reading the weights of a GGUF model tensor by tensor, in blocks of rows, so that no tensor is in memory whole."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.formats.gguf import check_loadable, read_gguf_file
from edgetui.formats.regular_file import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    import numpy
    from numpy.typing import NDArray

    from edgetui.engines.llama_cpp.tensor_codec import TensorCodec
    from edgetui.formats.gguf_header import GgufTensor

BLOCK_ELEMENTS = 4 * 1024**2
"""Weights held at once, 16 MiB as numbers of 32 bits; a longer row is one block."""
SAMPLES = 16
"""Blocks that stand for a tensor which is not read whole."""


class TensorFile:
    """The tensors of a model, split or not; used as a context. Raises `EdgetuiError` as `check_loadable`."""

    def __init__(self, path: Path, codec: TensorCodec) -> None:
        self.header = check_loadable(path)
        self.tensors = {tensor.name: tensor for tensor in self.header.tensors}
        self._codec = codec
        self._stack = ExitStack()
        self._offsets = [read_gguf_file(part).data_offset for part in self.header.parts]
        self._streams = [self._stack.enter_context(open_regular(part)) for part in self.header.parts]

    def __enter__(self) -> TensorFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def place(self, tensor: GgufTensor) -> tuple[Path, int]:
        """The file that holds a tensor, and where in it its data begins."""
        return self.header.parts[tensor.part], self._offsets[tensor.part] + tensor.offset

    def blocks(
        self, tensor: GgufTensor, most_weights: int | None = None
    ) -> Iterator[tuple[int, NDArray[numpy.float32]]]:
        """Its rows in order: the first one's number, and an array (rows, shape[0]) within one matrix of a stack.

        Of a tensor with more than `most_weights`, about as many, in blocks spread evenly over it. Raises
        `EdgetuiError`: `unsupported` for a type that is no weights, `bad_file` for a file that changed.
        """
        row = tensor.shape[0]
        row_bytes = row // tensor.type.block_elements * tensor.type.block_bytes
        path, offset = self.place(tensor)
        stream = self._streams[tensor.part]
        for first, count in row_spans(tensor.shape, most_weights):
            stream.seek(offset + first * row_bytes)
            data = stream.read(count * row_bytes)
            if len(data) < count * row_bytes:
                raise EdgetuiError("bad_file", f"{path.name} became shorter while it was read: copy it again.")
            yield first, self._codec.dequantize(tensor.type, data, row)


def row_spans(shape: Sequence[int], most_weights: int | None) -> Iterator[tuple[int, int]]:
    """First row and number of rows of each block to read of a tensor of this shape."""
    row, rows = shape[0], math.prod(shape[1:])
    matrix = shape[1] if len(shape) > 1 else 1
    total = row * rows
    if most_weights is None or total <= most_weights:
        done = 0
        while done < rows:
            count = min(max(1, BLOCK_ELEMENTS // row), matrix - done % matrix)
            yield done, count
            done += count
        return
    count = min(matrix, max(1, most_weights // SAMPLES // row))
    samples = max(1, min(SAMPLES, most_weights // row))
    for sample in range(samples):
        first = sample * (rows - count) // max(1, samples - 1)
        yield min(first, first // matrix * matrix + matrix - count), count
