"""Text to tokens of a tokenizer.json and back to bytes, with what begins and ends a text of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetui.engines.token_spelling import Spelling, first_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager


class TokenizerVocabulary(Spelling):
    """Tokenises text and gives the bytes of single tokens."""

    def __init__(
        self,
        name: str,
        tokenizer: Any,
        told: Callable[[str, str], AbstractContextManager[None]],
        *,
        ends: Iterable[int],
        bos_word: str,
        eos_word: str,
    ) -> None:
        """`name` is what sentences call the model, `told` makes them of what is raised for (name, what was being done).

        `ends` are the tokens by which the model says that it is done; the words are empty where none is named.
        """
        super().__init__(tokenizer)
        self._name = name
        self._told = told
        self._bos = first_token(tokenizer)
        self._ends = frozenset(ends)
        self.bos_text = bos_word or self.text_of(self._bos)
        """How a template writes the beginning of a sequence; empty when the model has none."""
        self.eos_text = eos_word or self.text_of(min(self._ends, default=None))
        """How it writes the end."""

    @property
    def adds_bos(self) -> bool:
        """Whether the tokenizer puts a token before each text."""
        return self._bos is not None

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        """Token ids; special tokens written out in the text are taken as such."""
        with self._told(self._name, "Tokenizing for"):
            return self.encode(text, add_special=add_special)

    def ends_generation(self, token: int) -> bool:
        """Whether the model says with this token that it is done."""
        return token in self._ends
