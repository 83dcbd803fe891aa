"""Text to tokens of an MLX model and back to bytes, by its folder's tokenizer.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetui.engines.mlx.failures import told
from edgetui.engines.mlx.tokens import TOKENIZER_CONFIG, read_tokenizer
from edgetui.engines.token_spelling import Spelling, first_token, special_word, token_ids
from edgetui.formats.model_folder import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Vocabulary(Spelling):
    """Tokenises text and gives the bytes of single tokens."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Of a model's folder and its configuration; raises `EdgetuiError("bad_file")`."""
        self._name = folder.name
        super().__init__(read_tokenizer(folder))
        self._bos = first_token(self._tokenizer)
        words = read_json(folder / TOKENIZER_CONFIG)
        generation = read_json(folder / "generation_config.json")
        named = special_word(words.get("eos_token"))
        self._ends = frozenset(
            {
                *token_ids(config.get("eos_token_id")),
                *token_ids(generation.get("eos_token_id")),
                *token_ids(self._tokenizer.token_to_id(named) if named else None),
            }
        )
        self.bos_text = special_word(words.get("bos_token")) or self.text_of(self._bos)
        """How a template writes the beginning of a sequence; empty when the model has none."""
        self.eos_text = named or self.text_of(min(self._ends, default=None))

    @property
    def adds_bos(self) -> bool:
        """Whether the tokenizer puts a token before each text."""
        return self._bos is not None

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        """Token ids; special tokens written out in the text are taken as such."""
        with told(self._name, "Tokenizing for"):
            return self.encode(text, add_special=add_special)

    def ends_generation(self, token: int) -> bool:
        """Whether the model says with this token that it is done."""
        return token in self._ends
