"""Log-softmax of rows of logits and what follows of it, in blocks that stay small whatever the vocabulary."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy

from edgetui.core.failures import EdgetuiError
from edgetui.formats.base_logits import ROW_HEADER_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

T = TypeVar("T")
BLOCK_BYTES = 4 * 1024**2
"""Of logits that a thread works on at a time: what fits a processor's caches."""
SPAN = 16.0
"""Natural logarithms below the likeliest token beyond which a baseline tells no differences."""
LEAST_LOG_PROBABILITY = -16.0
"""Tokens that are less likely to the parent count nothing in the divergence."""
NEAREST = 5
_MOST_WORD = 65535


@dataclass(frozen=True)
class Compared:
    """One value a row: a model beside its parent."""

    nll: NDArray[numpy.float32]
    base_nll: NDArray[numpy.float32]
    kld: NDArray[numpy.float32]
    same_top1: NDArray[numpy.float32]
    same_top5: NDArray[numpy.float32]


class Rows:
    """Works on the rows of a chunk with several threads; `close` ends them.

    numpy computes outside of Python's lock, and the engine rests meanwhile: on a small board its threads and ours
    would only wait for each other.
    """

    def __init__(self, name: str, threads: int) -> None:
        """`name` is what messages call the model."""
        self._name = name
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def negative_log_likelihoods(
        self, logits: NDArray[numpy.float32], targets: Sequence[int]
    ) -> NDArray[numpy.float32]:
        """-ln of the probability of each row's target, shape (rows,); raises `EdgetuiError("bad_file")`."""
        wanted = numpy.asarray(targets)
        return numpy.concatenate(self._blocks(logits, lambda part, rows: _score(part, wanted[rows])))

    def encode(
        self, logits: NDArray[numpy.float32], targets: Sequence[int], row_words: int
    ) -> tuple[NDArray[numpy.float32], NDArray[numpy.uint16]]:
        """The same, and the rows of a baseline, shape (rows, row_words)."""
        wanted = numpy.asarray(targets)
        encoded: NDArray[numpy.uint16] = numpy.zeros((len(logits), row_words), numpy.uint16)
        found = self._blocks(logits, lambda part, rows: _encode(part, wanted[rows], encoded[rows]))
        return numpy.concatenate(found), encoded

    def compare(
        self, logits: NDArray[numpy.float32], base_rows: NDArray[numpy.uint16], targets: Sequence[int]
    ) -> Compared:
        """A model's rows beside its parent's; columns beyond the logits' are left out of the parent's."""
        wanted = numpy.asarray(targets)
        found = self._blocks(logits, lambda part, rows: _compare(part, base_rows[rows], wanted[rows]))
        return Compared(*(numpy.concatenate(columns) for columns in zip(*found, strict=True)))

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def _blocks(self, logits: NDArray[numpy.float32], work: Callable[[Any, slice], T]) -> list[T]:
        size = max(1, BLOCK_BYTES // (4 * logits.shape[1]))
        slices = [slice(begin, begin + size) for begin in range(0, len(logits), size)]
        run = map if self._pool is None else self._pool.map
        # What is no number is told in words below.
        try:
            return list(run(lambda rows: _quietly(work, logits[rows], rows), slices))
        except FloatingPointError as error:
            raise no_numbers(self._name) from error


def no_numbers(name: str) -> EdgetuiError:
    """What is said of a model whose logits are NaN or infinite."""
    return EdgetuiError(
        "bad_file",
        f"The logits of {name} are no numbers (NaN or infinite), so nothing can be measured: its weights are damaged,"
        " or its type does not suit it.",
    )


def _quietly(work: Callable[[Any, slice], T], part: Any, rows: slice) -> T:
    with numpy.errstate(all="ignore"):
        return work(part, rows)


def top_tokens(values: NDArray[Any], count: int, worked: NDArray[Any]) -> NDArray[numpy.intp]:
    """The `count` largest of each row, largest first and the first of equals first, shape (rows, count).

    `worked` is a copy of `values` that is spoiled. A few passes for the largest are faster than any partial sort.
    """
    rows = numpy.arange(len(values))
    least = 0 if values.dtype == numpy.uint16 else -numpy.inf
    found: NDArray[numpy.intp] = numpy.empty((len(values), count), numpy.intp)
    for place in range(count):
        found[:, place] = worked.argmax(axis=1)
        worked[rows, found[:, place]] = least
    return found


def _log_softmax(part: NDArray[numpy.float32]) -> NDArray[numpy.float32]:
    """A new array of the same shape."""
    shifted = part - part.max(axis=1, keepdims=True)
    total = numpy.log(numpy.exp(shifted).sum(axis=1, keepdims=True))
    if not numpy.isfinite(total).all():
        raise FloatingPointError
    shifted -= total
    return shifted


def _score(part: NDArray[numpy.float32], targets: NDArray[numpy.intp]) -> NDArray[numpy.float32]:
    largest = part.max(axis=1)
    total = numpy.log(numpy.exp(part - largest[:, None]).sum(axis=1))
    nll = total + largest - part[numpy.arange(len(part)), targets]
    if not numpy.isfinite(nll).all():
        raise FloatingPointError
    return nll


def _encode(
    part: NDArray[numpy.float32], targets: NDArray[numpy.intp], into: NDArray[numpy.uint16]
) -> NDArray[numpy.float32]:
    largest = part.max(axis=1, keepdims=True)
    least = numpy.maximum(part.min(axis=1, keepdims=True), largest - numpy.float32(SPAN))
    total = numpy.log(numpy.exp(part - largest).sum(axis=1, keepdims=True))
    nll = (total + largest)[:, 0] - part[numpy.arange(len(part)), targets]
    if not numpy.isfinite(nll).all():
        raise FloatingPointError
    scale = (largest - least) / numpy.float32(_MOST_WORD)
    words = numpy.maximum(part - least, 0)
    # A row in which all tokens are equally likely has no scale.
    words *= numpy.where(scale > 0, 1 / numpy.where(scale > 0, scale, 1), 0)
    header = numpy.concatenate([scale, least - largest - total], axis=1, dtype=numpy.float32)
    into[:, :ROW_HEADER_WORDS] = header.view(numpy.uint16)
    numpy.rint(words, out=words)
    into[:, ROW_HEADER_WORDS : ROW_HEADER_WORDS + part.shape[1]] = words
    return nll


def _compare(
    part: NDArray[numpy.float32], base_rows: NDArray[numpy.uint16], targets: NDArray[numpy.intp]
) -> tuple[NDArray[numpy.float32], ...]:
    rows = numpy.arange(len(part))
    log_q = _log_softmax(part)
    words = base_rows[:, ROW_HEADER_WORDS : ROW_HEADER_WORDS + part.shape[1]]
    scale, least = numpy.ascontiguousarray(base_rows[:, :ROW_HEADER_WORDS]).view(numpy.float32).T[:, :, None]
    log_p = words.astype(numpy.float32)
    log_p *= scale
    log_p += least
    nll, base_nll = -log_q[rows, targets], -log_p[rows, targets]
    probability = numpy.exp(log_p)
    probability[log_p <= LEAST_LOG_PROBABILITY] = 0
    log_p -= log_q
    log_p *= probability
    kld = log_p.sum(axis=1)
    if not numpy.isfinite(kld).all():
        # A token that is impossible to both is no difference.
        log_p[probability == 0] = 0
        kld = log_p.sum(axis=1)
    if not (numpy.isfinite(nll).all() and numpy.isfinite(base_nll).all() and numpy.isfinite(kld).all()):
        raise FloatingPointError
    count = min(NEAREST, part.shape[1])
    own = top_tokens(log_q, count, log_q)
    others = top_tokens(words, count, words.copy())
    shared = (own[:, :, None] == others[:, None, :]).any(axis=2).mean(axis=1, dtype=numpy.float32)
    return nll, base_nll, kld, (own[:, 0] == others[:, 0]).astype(numpy.float32), shared
