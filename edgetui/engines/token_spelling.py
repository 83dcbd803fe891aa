"""What the tokens of a tokenizer.json stand for: the bytes of each, and how it is written out."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_BLANK = "\u2581"
"""How SentencePiece writes a blank."""


class Spelling:
    """Spells the tokens of a `tokenizers.Tokenizer`."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        told = msgspec.json.decode(tokenizer.to_str())
        decoders = {each.get("type") for each in _parts(told.get("decoder"), "decoders")}
        self._is_byte_level = "ByteLevel" in decoders
        self._is_sentencepiece = bool(decoders & {"ByteFallback", "Metaspace"})
        added = told.get("added_tokens") or ()
        self._special = {each["id"]: each["content"] for each in added if each.get("special")}
        self._written_out = {each["id"]: each["content"] for each in added if not each.get("special")}
        self._pieces: dict[int, bytes] = {}
        self._keeps_bytes = self._is_byte_level and told.get("normalizer") is None
        """Whether the tokens spell a text byte for byte."""

    @functools.cached_property
    def longest_token_bytes(self) -> int | None:
        """Most bytes of a text that one token may stand for; None where the tokenizer changes or leaves out some."""
        if not self._keeps_bytes:
            return None
        written = (word.encode() for word in self._special.values())
        tokens = self._tokenizer.get_vocab(with_added_tokens=True).values()
        return max(map(len, (*written, *map(self._spelled, tokens))))

    def encode(self, text: str, *, add_special: bool) -> list[int]:
        """Token ids; special tokens written out in the text are taken as such."""
        # Lone surrogates, as half an emoji leaves them, are no text that a tokenizer takes.
        clean = text.encode("utf-8", "replace").decode()
        return list(self._tokenizer.encode(clean, add_special_tokens=add_special).ids)

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


def first_token(tokenizer: Any) -> int | None:
    """What the tokenizer puts before a text; None where it puts nothing."""
    plain = tokenizer.encode("a", add_special_tokens=False).ids
    special = tokenizer.encode("a", add_special_tokens=True).ids
    return special[0] if special[: len(plain)] != plain else None


def token_ids(value: object) -> Iterator[int]:
    """The ids that a configuration names: one, several, or none."""
    for each in value if isinstance(value, list) else (value,):
        if isinstance(each, int) and not isinstance(each, bool):
            yield each


def special_word(value: object) -> str:
    """A special token as `tokenizer_config.json` writes it: a text, or an object with one; empty for none."""
    found = value.get("content") if isinstance(value, dict) else value
    return found if isinstance(found, str) else ""


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
