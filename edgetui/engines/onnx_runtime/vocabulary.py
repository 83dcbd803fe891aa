"""Text to tokens of an ONNX decoder and back to bytes, by the tokenizer.json beside its graph."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.engines.onnx_runtime.beside import configuration
from edgetui.engines.onnx_runtime.failures import told
from edgetui.engines.onnx_runtime.tokens import first_token, read_tokenizer
from edgetui.formats.model_folder import GENAI_CONFIG

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_BLANK = "\u2581"
"""How SentencePiece writes a blank."""


class Vocabulary:
    """Tokenises text and gives the bytes of single tokens."""

    def __init__(self, path: Path) -> None:
        """Of the graph at `path`; raises `EdgetuiError`: `not_found`, `bad_file`."""
        self._name = path.name
        self._tokenizer = read_tokenizer(path)
        spelling = msgspec.json.decode(self._tokenizer.to_str())
        decoders = {each.get("type") for each in _parts(spelling.get("decoder"), "decoders")}
        self._is_byte_level = "ByteLevel" in decoders
        self._is_sentencepiece = bool(decoders & {"ByteFallback", "Metaspace"})
        added = spelling.get("added_tokens") or ()
        self._special = {each["id"]: each["content"] for each in added if each.get("special")}
        self._written_out = {each["id"]: each["content"] for each in added if not each.get("special")}
        self._pieces: dict[int, bytes] = {}
        self._bos = first_token(self._tokenizer)
        genai = configuration(path, GENAI_CONFIG).get("model", {})
        self._ends = frozenset(
            {*_ids(genai.get("eos_token_id")), *_ids(configuration(path, "generation_config.json").get("eos_token_id"))}
        )
        words = configuration(path, "tokenizer_config.json")
        self.bos_text = _word(words.get("bos_token")) or self.text_of(self._bos)
        """How a template writes the beginning of a sequence; empty when the model has none."""
        self.eos_text = _word(words.get("eos_token")) or self.text_of(min(self._ends, default=None))

    @property
    def adds_bos(self) -> bool:
        """Whether the tokenizer puts a token before each text."""
        return self._bos is not None

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        """Token ids; special tokens written out in the text are taken as such."""
        with told(self._name, "Tokenizing for"):
            # Lone surrogates, as half an emoji leaves them, are no text that a tokenizer takes.
            clean = text.encode("utf-8", "replace").decode()
            return list(self._tokenizer.encode(clean, add_special_tokens=add_special).ids)

    def ends_generation(self, token: int) -> bool:
        """Whether the model says with this token that it is done."""
        return token in self._ends

    def text_of(self, token: int | None) -> str:
        """A token written out, special ones too; U+FFFD for what is part of a character."""
        if token is None:
            return ""
        return self._special.get(token) or self.piece(token).decode("utf-8", "replace")

    def piece(self, token: int) -> bytes:
        """Bytes that a token stands for; none for special ones."""
        if token not in self._pieces:
            self._pieces[token] = self._spelled(token)
        return self._pieces[token]

    def _spelled(self, token: int) -> bytes:
        if token in self._special:
            return b""
        if token in self._written_out:
            return self._written_out[token].encode()  # type: ignore[no-any-return]
        spelled = self._tokenizer.id_to_token(token)
        if spelled is None:
            # Weights may have more rows than the tokenizer has words.
            return b""
        if self._is_byte_level:
            table = _byte_of_character()
            return b"".join(
                bytes((table[character],)) if character in table else character.encode() for character in spelled
            )
        if self._is_sentencepiece:
            if match := _BYTE_TOKEN.fullmatch(spelled):
                return bytes((int(match[1], 16),))
            return str(spelled).replace(_BLANK, " ").encode()
        return str(self._tokenizer.decode([token])).encode()


@functools.cache
def _byte_of_character() -> dict[str, int]:
    """GPT-2's characters for bytes: printable ones stand for themselves, the others for 256 and up in order."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


def _parts(decoder: Any, name: str) -> Iterator[dict[str, Any]]:
    """A decoder, or those that it consists of."""
    if isinstance(decoder, dict):
        yield decoder
        for each in decoder.get(name) or ():
            yield from _parts(each, name)


def _ids(value: object) -> Iterator[int]:
    for each in value if isinstance(value, list) else (value,):
        if isinstance(each, int) and not isinstance(each, bool):
            yield each


def _word(value: object) -> str:
    """A special token as `tokenizer_config.json` writes it: a text, or an object with one."""
    found = value.get("content") if isinstance(value, dict) else value
    return found if isinstance(found, str) else ""
