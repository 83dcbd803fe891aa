"""How far quantized weights are from their parent's: of a model that is there, and of types that one might take.

Weights are read, quantized and turned back by ggml's own code; differences are summed in numbers of 64 bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgetui.core.ggml import TENSOR_TYPES, TensorType
from edgetui.core.tensor_errors import TensorError
from edgetui.engines.llama_cpp.tensor_codec import needs_importance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy
    from numpy.typing import NDArray

    from edgetui.engines.llama_cpp.tensor_codec import TensorCodec
    from edgetui.engines.llama_cpp.tensor_file import TensorFile
    from edgetui.formats.gguf_header import GgufTensor

TYPES = {kind.name: kind for kind in TENSOR_TYPES.values()}
_PLAIN_NUMBERS = frozenset({"I8", "I16", "I32", "I64", "F64"})
"""Types that hold no weights, or that ggml turns into none."""


@dataclass
class _Sums:
    """Sums over the weights of a tensor so far."""

    count: int = 0
    squares: float = 0.0
    """Of the parent's weights."""
    differences: float = 0.0
    """Squared."""
    weighted: float = 0.0
    largest: float = 0.0
    not_finite: int = 0

    def add(
        self,
        parent: NDArray[numpy.float32],
        rows: NDArray[numpy.float32],
        importance: NDArray[numpy.float32] | None,
    ) -> None:
        """Take a block of both, of the same shape."""
        import numpy

        self.count += parent.size
        finite = numpy.isfinite(parent) & numpy.isfinite(rows)
        if not finite.all():
            self.not_finite += int(parent.size - numpy.count_nonzero(finite))
            return
        difference = rows - parent
        columns = numpy.einsum("ij,ij->j", difference, difference, dtype=numpy.float64)
        self.squares += float(numpy.einsum("ij,ij->", parent, parent, dtype=numpy.float64))
        self.differences += float(columns.sum())
        self.weighted += float(columns.sum() if importance is None else columns @ importance.astype(numpy.float64))
        self.largest = max(self.largest, float(numpy.abs(difference).max(initial=0.0)))

    def result(self, tensor: GgufTensor, type_name: str) -> TensorError:
        """The figures; none where a weight is no number."""
        weights = math.prod(tensor.shape)
        share = min(1.0, self.count / weights)
        if self.not_finite or not self.count:
            return TensorError(tensor=tensor.name, type_name=type_name, not_finite=self.not_finite, share_read=share)
        size = math.sqrt(self.squares / self.count)
        rmse = math.sqrt(self.differences / self.count)
        return TensorError(
            tensor=tensor.name,
            type_name=type_name,
            rmse=rmse,
            relative=rmse / size if size else (0.0 if rmse == 0 else None),
            max_abs=self.largest,
            output_error=self.weighted * weights / self.count,
            share_read=share,
        )


def model_errors(
    model: TensorFile, parent: TensorFile, importance: Mapping[str, NDArray[numpy.float32]], names: Sequence[str] = ()
) -> Iterator[TensorError]:
    """The error of each tensor of a model (those named, else all) against the parent's of the same name.

    `importance` has for a tensor the mean squares of what its columns are multiplied with: (columns,), or
    (matrices, columns) for a stack of matrices.
    """
    wanted = set(names)
    for tensor in model.header.tensors:
        if not wanted or tensor.name in wanted:
            yield _compared(model, parent, tensor, importance.get(tensor.name))


def type_errors(
    parent: TensorFile,
    tensor: GgufTensor,
    kinds: Sequence[TensorType],
    codec: TensorCodec,
    importance: NDArray[numpy.float32] | None,
    most_weights: int | None = None,
) -> tuple[TensorError, ...]:
    """The error that a tensor would have in each of these types; those that it cannot take are left out.

    Of a tensor with more than `most_weights`, so many are measured and stand for the rest.
    """
    import numpy

    kinds = [kind for kind in kinds if takes(tensor, kind, has_importance=importance is not None)]
    sums = [_Sums() for _ in kinds]
    for columns, block in with_importance(parent, tensor, importance, most_weights):
        for kind, so_far in zip(kinds, sums, strict=True):
            if so_far.not_finite or not numpy.isfinite(block).all():
                # ggml ends the process over what is no number.
                so_far.not_finite += int(block.size - numpy.count_nonzero(numpy.isfinite(block)))
                continue
            made = codec.quantize(kind, block, columns)
            so_far.add(block, codec.dequantize(kind, made.data, tensor.shape[0]), columns)
    return tuple(so_far.result(tensor, kind.name) for kind, so_far in zip(kinds, sums, strict=True))


def takes(tensor: GgufTensor, kind: TensorType, *, has_importance: bool) -> bool:
    """Whether a tensor's rows divide into a type's blocks, and ggml can quantize to it with what there is."""
    return tensor.shape[0] % kind.block_elements == 0 and (has_importance or not needs_importance(kind))


def _compared(
    model: TensorFile, parent: TensorFile, tensor: GgufTensor, importance: NDArray[numpy.float32] | None
) -> TensorError:
    other = parent.tensors.get(tensor.name)
    problem = ""
    if other is None:
        problem = f"{parent.header.path.name} has no tensor of this name"
    elif other.shape != tensor.shape:
        problem = f"in {parent.header.path.name} its shape is {'x'.join(map(str, other.shape))}"
    elif {tensor.type.name, other.type.name} & _PLAIN_NUMBERS:
        problem = f"{tensor.type.name} holds no weights that were quantized"
    if problem or other is None:
        return TensorError(tensor=tensor.name, type_name=tensor.type.name, problem=problem)
    sums = _Sums()
    pairs = zip(with_importance(parent, other, importance), model.blocks(tensor), strict=True)
    for (columns, before), (_, after) in pairs:
        sums.add(before, after, columns)
    return sums.result(tensor, tensor.type.name)


def with_importance(
    file: TensorFile,
    tensor: GgufTensor,
    importance: NDArray[numpy.float32] | None,
    most_weights: int | None = None,
) -> Iterator[tuple[NDArray[numpy.float32] | None, NDArray[numpy.float32]]]:
    """Blocks of rows in order, each with the importance of its columns; of a stack of matrices each has its own."""
    row, matrix = tensor.shape[0], tensor.shape[1] if len(tensor.shape) > 1 else 1
    per_matrix = None
    if importance is not None and importance.size in (row, row * math.prod(tensor.shape[2:])):
        per_matrix = importance.reshape(-1, row)
    for first, block in file.blocks(tensor, most_weights):
        columns = None
        if per_matrix is not None:
            columns = per_matrix[first // matrix if len(per_matrix) > 1 else 0]
        yield columns, block
