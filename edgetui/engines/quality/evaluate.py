"""Perplexity, baseline and divergence over chunks of a text: llama-perplexity's procedure on any `LogitSource`.

A text is cut into chunks of the context's length; in each the tokens after its middle are scored, so that each has at
least half a context before it. Where the vocabulary wants a beginning of sequence it stands in place of a chunk's first
token.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy

from edgetui.core.failures import EdgetuiError
from edgetui.core.quality_math import divergence, perplexity
from edgetui.engines.quality.rows import Rows
from edgetui.formats.base_logits import BaseLogitsShape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetui.core.quality import Divergence, Estimate
    from edgetui.engines.logits import LogitSource
    from edgetui.formats.base_logits import BaseLogits, BaseLogitsWriter

    OnChunk = Callable[[int, str], None]
    """Gets the chunks done and the figures so far."""

MOST_PADDING = 1024
"""By so many tokens a vocabulary may be filled up and still be the same one."""
_SAMPLE_CHARACTERS = 4000
_LEAST_SHARED = 0.5
"""Share of the tokens of a sample that two builds of one model agree on whatever their tokenizers' details."""


def tokens_of(source: LogitSource, text: str, context_tokens: int, most_chunks: int, text_name: str) -> list[int]:
    """Tokens of a text's whole chunks, at most `most_chunks` of them (0: all).

    Raises `EdgetuiError("bad_request")` for a text that does not fill one.
    """
    tokens = source.tokenize(text, add_special=True)
    chunks = len(tokens) // context_tokens
    if chunks == 0:
        raise EdgetuiError(
            "bad_request",
            f"{text_name} has {len(tokens)} tokens and a chunk takes {context_tokens}: take a longer text or a smaller"
            " context.",
        )
    return tokens[: context_tokens * (min(chunks, most_chunks) if most_chunks else chunks)]


def measure_perplexity(
    source: LogitSource, tokens: Sequence[int], context_tokens: int, rows: Rows, on_chunk: OnChunk
) -> Estimate:
    """Perplexity over the chunks that `tokens` are; raises `EdgetuiError` as the source and the rows do."""
    shape = BaseLogitsShape(context_tokens, source.vocabulary_size, len(tokens) // context_tokens)
    chunks = _chunks(tokens, context_tokens)
    scored: list[float] = []
    so_far = _Mean()
    for number, logits in enumerate(source.logits(_with_bos(chunks, source.bos), shape.first_scored)):
        targets = chunks[number][shape.first_scored + 1 :]
        scored += rows.negative_log_likelihoods(logits[: len(targets)], targets).tolist()
        on_chunk(number + 1, f"perplexity {so_far.perplexity(scored):.4f}")
    return perplexity(scored)


def write_baseline(
    source: LogitSource,
    writer: BaseLogitsWriter,
    tokens: Sequence[int],
    shape: BaseLogitsShape,
    rows: Rows,
    on_chunk: OnChunk,
) -> Estimate:
    """Write the log-probabilities of every scored token; gives the perplexity on the way."""
    chunks = _chunks(tokens, shape.context_tokens)
    scored: list[float] = []
    so_far = _Mean()
    for number, logits in enumerate(source.logits(_with_bos(chunks, source.bos), shape.first_scored)):
        targets = chunks[number][shape.first_scored + 1 :]
        nll, encoded = rows.encode(logits[: len(targets)], targets, shape.row_words)
        writer.append(memoryview(encoded).cast("B"))
        scored += nll.tolist()
        on_chunk(number + 1, f"perplexity {so_far.perplexity(scored):.4f}")
    return perplexity(scored)


def compare(
    source: LogitSource, base: BaseLogits, bos: int | None, common: int, rows: Rows, on_chunk: OnChunk
) -> tuple[Estimate, Divergence]:
    """Perplexity and divergence of a model from the parent that `base` is of, on the parent's own tokens.

    `bos` is what stood before them, `common` the `common_vocabulary`.
    """
    shape = base.shape
    chunks = [base.chunk_tokens(number) for number in range(shape.chunk_count)]
    nll, kld = _Mean(), _Mean()
    values: dict[str, list[float]] = {name: [] for name in ("nll", "base_nll", "kld", "same_top1", "same_top5")}
    for number, logits in enumerate(source.logits(_with_bos(chunks, bos), shape.first_scored)):
        targets = chunks[number][shape.first_scored + 1 :]
        base_rows = numpy.frombuffer(base.chunk_rows(number), numpy.uint16).reshape(-1, shape.row_words)
        found = rows.compare(logits[: len(targets), :common], base_rows, targets)
        for name, kept in values.items():
            kept += getattr(found, name).tolist()
        told = f"perplexity {nll.perplexity(values['nll']):.4f}, KL divergence {_unsigned(kld.of(values['kld'])):.5f}"
        on_chunk(number + 1, told)
    return perplexity(values["nll"]), divergence(**values)


def common_vocabulary(size: int, base: BaseLogits, name: str) -> int:
    """How many tokens both a model and its parent know.

    Builds fill the vocabulary up to sizes that suit their kernels. Raises `EdgetuiError("unsupported")` for sizes that
    differ by more than that, or by tokens of the text.
    """
    others = base.shape.vocabulary_size
    common = min(size, others)
    if max(size, others) - common > MOST_PADDING or max(base.tokens) >= common:
        raise EdgetuiError(
            "unsupported",
            f"The vocabulary of {name} has {size} tokens and the parent's {others}, so the two do not compare: name the"
            " model that it was made of.",
        )
    return common


def require_same_tokens(source: LogitSource, base: BaseLogits, text: str, name: str) -> None:
    """Raises `EdgetuiError("unsupported")` where a model of the same size cuts text into quite other tokens."""
    own = source.tokenize(text[:_SAMPLE_CHARACTERS], add_special=False)
    others = base.tokens[: len(own)].tolist()
    shared = sum((Counter(own) & Counter(others)).values())
    if shared < _LEAST_SHARED * min(len(own), len(others)):
        raise EdgetuiError(
            "unsupported",
            f"{name} cuts the text into other tokens than the parent, so the two do not compare: name the model that it"
            " was made of.",
        )


def _chunks(tokens: Sequence[int], length: int) -> list[Sequence[int]]:
    return [tokens[begin : begin + length] for begin in range(0, len(tokens), length)]


def _with_bos(chunks: Sequence[Sequence[int]], bos: int | None) -> list[Sequence[int]]:
    return list(chunks) if bos is None else [[bos, *chunk[1:]] for chunk in chunks]


def _unsigned(divergence: float) -> float:
    """Rounding of a baseline may leave a trace below zero."""
    return max(0.0, divergence)


class _Mean:
    """Mean of a list that grows, for notes: each value is added once."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0

    def of(self, values: Sequence[float]) -> float:
        self._sum += math.fsum(values[self._count :])
        self._count = len(values)
        return self._sum / self._count

    def perplexity(self, nll: Sequence[float]) -> float:
        return perplexity([self.of(nll)]).value
