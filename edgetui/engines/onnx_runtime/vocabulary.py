"""Text to tokens of an ONNX decoder and back to bytes, by the tokenizer.json beside its graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.engines.onnx_runtime.beside import configuration
from edgetui.engines.onnx_runtime.failures import told
from edgetui.engines.onnx_runtime.tokens import read_tokenizer
from edgetui.engines.token_spelling import Spelling, first_token, special_word, token_ids
from edgetui.formats.model_folder import GENAI_CONFIG

if TYPE_CHECKING:
    from pathlib import Path


class Vocabulary(Spelling):
    """Tokenises text and gives the bytes of single tokens."""

    def __init__(self, path: Path) -> None:
        """Of the graph at `path`; raises `EdgetuiError`: `not_found`, `bad_file`."""
        self._name = path.name
        super().__init__(read_tokenizer(path))
        self._bos = first_token(self._tokenizer)
        genai = configuration(path, GENAI_CONFIG).get("model", {})
        generation = configuration(path, "generation_config.json")
        self._ends = frozenset({*token_ids(genai.get("eos_token_id")), *token_ids(generation.get("eos_token_id"))})
        words = configuration(path, "tokenizer_config.json")
        self.bos_text = special_word(words.get("bos_token")) or self.text_of(self._bos)
        """How a template writes the beginning of a sequence; empty when the model has none."""
        self.eos_text = special_word(words.get("eos_token")) or self.text_of(min(self._ends, default=None))

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
