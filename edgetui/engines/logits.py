"""The one way in which quality is measured on every engine: logits of given tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy
    from numpy.typing import NDArray


class LogitSource(Protocol):
    """A loaded model that tells what it expects after each of given tokens; `close` frees it."""

    engine: str
    """`llama.cpp`, `onnxruntime`, `mlx`."""
    engine_version: str
    vocabulary_size: int
    """Of its logits."""

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        """Token ids of a text; `add_special` adds what the model wants before a text. Raises `EdgetuiError`."""

    @property
    def bos(self) -> int | None:
        """The token that stands before a text, None for a model that wants none."""

    def logits(self, chunks: Sequence[Sequence[int]], first: int) -> Iterator[NDArray[numpy.float32]]:
        """For each chunk, in order, the logits after its tokens from position `first` on.

        Each array has the shape (len(chunk) - first, vocabulary_size); it may be overwritten when the next one is
        asked for. Chunks know nothing of each other. Raises `EdgetuiError`: `out_of_memory`, `unsupported`,
        `bad_file` where logits are no numbers.
        """

    def close(self) -> None:
        """Free the model."""
