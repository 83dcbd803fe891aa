"""Text to tokens and back over the native vocabulary."""

from __future__ import annotations

import ctypes
import functools
from typing import Any


class Vocabulary:
    """Tokenises text and gives the bytes of single tokens."""

    def __init__(self, lib: Any, vocab: Any) -> None:
        self._lib = lib
        self._vocab = vocab
        self._buffer = ctypes.create_string_buffer(256)
        self._pieces: dict[int, bytes] = {}
        self._ends: dict[int, bool] = {}
        self.adds_bos = bool(lib.llama_vocab_get_add_bos(vocab))
        self.size = int(lib.llama_vocab_n_tokens(vocab))

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool = True) -> list[int]:
        """Token ids of `text`; special tokens written out in it are taken as such, unless they are text like any."""
        raw = text.encode("utf-8", "replace")
        if not raw and not add_special:
            return []
        size = len(raw) + 8
        while True:
            tokens = (self._lib.llama_token * size)()
            count = self._lib.llama_tokenize(self._vocab, raw, len(raw), tokens, size, add_special, parse_special)
            if count >= 0:
                return list(tokens[:count])
            size = -count

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """Bytes of one token; empty for control tokens unless `special`."""
        if special:
            return self._ask_for_piece(token, special)
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._ask_for_piece(token, special)
        return piece

    def _ask_for_piece(self, token: int, special: bool) -> bytes:
        length = self._lib.llama_token_to_piece(self._vocab, token, self._buffer, len(self._buffer), 0, special)
        if length < 0:
            self._buffer = ctypes.create_string_buffer(-length)
            return self._ask_for_piece(token, special)
        return self._buffer.raw[:length]

    def special_text(self, token: int) -> str:
        """How a template writes a special token; empty when the model has none."""
        return "" if token < 0 else self.piece(token, special=True).decode("utf-8", "replace")

    @property
    def bos_text(self) -> str:
        """Beginning of sequence, as text."""
        return self.special_text(self._lib.llama_vocab_bos(self._vocab))

    @property
    def eos_text(self) -> str:
        """End of sequence, as text."""
        return self.special_text(self._lib.llama_vocab_eos(self._vocab))

    @functools.cached_property
    def longest_token_bytes(self) -> int | None:
        """Most bytes of a text that one token may stand for; None where the tokenizer leaves blanks or marks out."""
        if self._lib.llama_vocab_type(self._vocab) not in (
            self._lib.LLAMA_VOCAB_TYPE_SPM,
            self._lib.LLAMA_VOCAB_TYPE_BPE,
        ):
            return None
        return max(len(self.piece(token, special=True)) for token in range(self.size))

    def ends_generation(self, token: int) -> bool:
        """Whether the model says with this token that it is done."""
        ends = self._ends.get(token)
        if ends is None:
            ends = self._ends[token] = bool(self._lib.llama_vocab_is_eog(self._vocab, token))
        return ends
