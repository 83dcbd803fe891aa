"""KL divergence of models from their parent, chunk by chunk, by llama-perplexity's definition (`quality.rows`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp.logits import LlamaLogits, open_logits
from edgetui.engines.quality.rows import Rows
from edgetui.formats.base_logits import BaseLogitsShape
from edgetui.formats.text_file import read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy
    from numpy.typing import NDArray

    from edgetui.core.quality import MeasuredText


@dataclass(frozen=True)
class ChunkDivergence:
    """Means over the scored tokens of one chunk."""

    kl: float
    """In nats."""
    same_top1: float
    nll: float
    """Negative log-likelihood of the text's own tokens."""


class Chunks:
    """Chunks of a text as the parent cuts it; those that choose and those that judge are never the same."""

    def __init__(self, parent: LlamaLogits, text: MeasuredText, context_tokens: int, first: int, count: int) -> None:
        """`count` chunks from number `first` on; raises `EdgetuiError("bad_request")` for a text without so many."""
        tokens = parent.tokenize(read_text(Path(text.path)), add_special=True)
        there = len(tokens) // context_tokens
        if there < first + count:
            raise EdgetuiError(
                "bad_request",
                f"{text.name} fills {there} chunks of {context_tokens} tokens and the search takes {first + count}:"
                " take a longer text, fewer chunks or a smaller context.",
            )
        self.shape = BaseLogitsShape(context_tokens, parent.vocabulary_size, count)
        cut = (tokens[at * context_tokens : (at + 1) * context_tokens] for at in range(first, first + count))
        bos = parent.bos
        self.chunks = [chunk if bos is None else [bos, *chunk[1:]] for chunk in cut]

    def targets(self, chunk: int) -> list[int]:
        """The tokens of a chunk that are scored."""
        return list(self.chunks[chunk][self.shape.first_scored + 1 :])

    def encoded(self, parent: LlamaLogits, rows: Rows) -> Iterator[NDArray[numpy.uint16]]:
        """What the parent expects, chunk by chunk."""
        for number, logits in enumerate(parent.logits(self.chunks, self.shape.first_scored)):
            targets = self.targets(number)
            yield rows.encode(logits[: len(targets)], targets, self.shape.row_words)[1]

    def compared(
        self,
        model: LlamaLogits,
        baseline: Iterable[NDArray[numpy.uint16]],
        rows: Rows,
    ) -> Iterator[ChunkDivergence]:
        """How far a model is from it, chunk by chunk."""
        logits_of = model.logits(self.chunks, self.shape.first_scored)
        for number, (base_rows, logits) in enumerate(zip(baseline, logits_of, strict=True)):
            yield self.divergence(number, base_rows, logits, rows)

    def divergence(
        self, number: int, base_rows: NDArray[numpy.uint16], logits: NDArray[numpy.float32], rows: Rows
    ) -> ChunkDivergence:
        """Of one chunk."""
        targets = self.targets(number)
        found = rows.compare(logits[: len(targets)], base_rows, targets)
        return ChunkDivergence(
            kl=float(found.kld.mean(dtype="float64")),
            same_top1=float(found.same_top1.mean(dtype="float64")),
            nll=float(found.nll.mean(dtype="float64")),
        )


def open_model(path: Path, context_tokens: int, threads: int) -> LlamaLogits:
    """Load one; raises `EdgetuiError` as `open_logits`."""
    return open_logits(path, context_tokens=context_tokens, threads=threads)
