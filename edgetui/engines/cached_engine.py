"""What the engines share whose answers come from a `CachedConversation`: all but loading and freeing a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from edgetui.core.failures import EdgetuiError
from edgetui.engines.base import NOTHING_LOADED, lacks
from edgetui.engines.cached_conversation import CachedConversation
from edgetui.worker.protocol import Inspected, Tokenized, TokenPiece

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetui.engines.stopping import StopFlag
    from edgetui.worker.protocol import Embedded, Finished, Generate, SessionEvent

ConversationKind = TypeVar("ConversationKind", bound=CachedConversation)


class CachedEngine(Generic[ConversationKind]):
    """One model and its conversation at a time (see `engines.base.Engine`)."""

    ENGINE: ClassVar[str]
    """Its name in sentences."""

    def __init__(self) -> None:
        self._conversation: ConversationKind | None = None

    def generate(
        self, command: Generate, arrived_ns: int, emit: Callable[[SessionEvent], None], stop: StopFlag
    ) -> Finished:
        """Answer with the loaded model."""
        return self._loaded.generate(command, arrived_ns, emit, stop)

    def tokenize(self, text: str) -> Tokenized:
        """By the model's tokenizer.json."""
        return Tokenized(tokens=tuple(TokenPiece(*each) for each in self._loaded.tokenize(text)))

    def inspect(self, alternatives: int, stop: StopFlag) -> Inspected:
        """Logits of the last answer, computed anew."""
        return Inspected(tokens=self._loaded.inspect(alternatives, stop))

    def embed(self, texts: Sequence[str], stop: StopFlag) -> Embedded:
        """These models give logits, and no hidden states of which it is said how they would be pooled."""
        raise lacks(self.ENGINE, "embed")

    @property
    def _loaded(self) -> ConversationKind:
        if self._conversation is None:
            raise EdgetuiError("bad_request", NOTHING_LOADED)
        return self._conversation
