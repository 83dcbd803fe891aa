"""What is asked becomes a model's tokens: by its chat template or as it is, going on from what is known already."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from edgetui.core.failures import EdgetuiError
from edgetui.engines.chat_template import ChatTemplate, render_plain
from edgetui.engines.deaf_call import DeafCalls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.engines.stopping import StopFlag
    from edgetui.worker.protocol import Generate


_SURELY_TOKENIZED = 16
"""Characters to a token of the context up to which a text is tokenized without asking whether it can fit."""


_SOON_TOKENIZED = 65_536
"""Characters that are tokenized in far less time than a person notices."""


class PromptVocabulary(Protocol):
    """What of an engine's vocabulary a prompt needs."""

    @property
    def adds_bos(self) -> bool:
        """Whether the tokenizer puts a token before each text."""

    @property
    def bos_text(self) -> str:
        """Beginning of sequence, as a template writes it; empty when the model has none."""

    @property
    def eos_text(self) -> str:
        """End of sequence, likewise."""

    @property
    def longest_token_bytes(self) -> int | None:
        """Most bytes of a text that one token may stand for; None where that has no limit, or none that is known."""

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        """Token ids of a text."""


class PromptWriter:
    """Writes the prompts of one loaded model."""

    def __init__(self, vocabulary: PromptVocabulary, template: str, context_tokens: int) -> None:
        """`template` is the model's chat template, empty for none."""
        self._vocabulary = vocabulary
        self._template_source = template
        self._template: ChatTemplate | None = None
        self._context_tokens = context_tokens
        self._calls = DeafCalls()

    def text(self, command: Generate) -> str:
        """What is asked, as the model reads it; raises `EdgetuiError`: `bad_file`, `unsupported` (chat template)."""
        if command.prompt is not None:
            return command.prompt
        if not self._template_source:
            return render_plain(command.messages)
        if self._template is None:
            self._template = ChatTemplate(
                self._template_source, bos_token=self._vocabulary.bos_text, eos_token=self._vocabulary.eos_text
            )
        return self._template.render(command.messages)

    def tokens(
        self, text: str, known_text: str, known_tokens: Sequence[int], stop: StopFlag | None = None
    ) -> list[int]:
        """Tokens of `text`, continuing `known_tokens` where the text begins with what they say.

        Tokenising an answer anew need not give the tokens that the model chose, and each that differs would throw the
        cache away from there on; so only the text after the known part is tokenised.

        Raises `EdgetuiError`: `context_overflow` for a text so long that tokenising it is idle, `cancelled` when `stop`
        is set before the tokens of a long text are there.
        """
        vocabulary = self._vocabulary
        if known_text and text.startswith(known_text):
            fresh = text[len(known_text) :]
            self._require_possible(fresh, len(known_tokens))
            return [*known_tokens, *self._tokenized(fresh, stop, add_special=False)]
        self._require_possible(text, 0)
        bos = vocabulary.bos_text
        if vocabulary.adds_bos and bos and text.startswith(bos):
            # The template wrote it out and the tokenizer adds it too; one is right.
            text = text.removeprefix(bos)
        return self._tokenized(text, stop, add_special=True)

    def close(self) -> None:
        """Wait until nothing reads the vocabulary any more."""
        self._calls.close()

    def _tokenized(self, text: str, stop: StopFlag | None, *, add_special: bool) -> list[int]:
        """Cut into pieces a text need not give the same tokens, so a long one is tokenised whole, in a thread."""
        work = partial(self._vocabulary.tokenize, text, add_special=add_special)
        if stop is None or (len(text) <= _SOON_TOKENIZED and not self._calls.is_busy):
            return work()
        # Behind one that was left, too: computing beside it would be measured as the model's own time.
        return self._calls.call(work, stop)

    def require_room(self, prompt: Sequence[int]) -> None:
        """Raises `EdgetuiError`: `bad_request` for no tokens, `context_overflow` for too many."""
        if not prompt:
            raise EdgetuiError("bad_request", "The prompt is empty: write something for the model to go on from.")
        if len(prompt) >= self._context_tokens:
            raise self._overflow(str(len(prompt)))

    def _require_possible(self, text: str, known: int) -> None:
        """Refuse a text that cannot fit whatever its tokens are."""
        if len(text) <= _SURELY_TOKENIZED * self._context_tokens:
            return
        longest = self._vocabulary.longest_token_bytes
        if longest is None:
            return
        least = known + len(text.encode("utf-8", "replace")) // longest
        if least >= self._context_tokens:
            raise self._overflow(f"at least {least}")

    def _overflow(self, tokens: str) -> EdgetuiError:
        return EdgetuiError(
            "context_overflow",
            f"The prompt has {tokens} tokens and the context {self._context_tokens}: shorten it, begin a new"
            " conversation, or load the model with a larger context.",
        )
