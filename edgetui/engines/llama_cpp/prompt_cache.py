"""The KV cache of a conversation on disk, so that it goes on after a load without computing its prompt again."""

from __future__ import annotations

import ctypes
import hashlib
import os
import secrets
import struct
import sys
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.engines.llama_cpp import library
from edgetui.engines.token_prefix import common_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.run_settings import LoadSettings
    from edgetui.engines.llama_cpp.conversation import Conversation
    from edgetui.engines.llama_cpp.model import LoadedModel

MOST_FILES = 8
MOST_BYTES = 4 * 1024**3
"""Of all files together; the oldest go first."""
LEAST_TOKENS = 32
"""Computing fewer takes no longer than reading them."""
_SUFFIX = ".kv"
_PARTIAL = ".partial"
_MAGIC = b"edgetui1"
_END = struct.Struct("<II8s")
"""Checksum of everything before it, length of the notes, and what tells such a file from others."""
_HEAD = struct.Struct("<III")
"""llama.cpp's own beginning: magic, version, number of tokens."""
_CHUNK = 1 << 20
_ABANDONED_S = 3600


class _Notes(msgspec.Struct, frozen=True):
    """What stands behind llama.cpp's own state."""

    text: str
    """What the tokens say; empty where that is not known."""
    behind: list[int]
    """Tokens of the conversation that are not in the cache yet."""


class _Kept(msgspec.Struct, frozen=True):
    path: Path
    notes: _Notes
    tokens: list[int]


class PromptCache:
    """Files of one model and the settings that decide what its cache holds, in a folder shared with others."""

    def __init__(self, folder: Path, model: LoadedModel, settings: LoadSettings) -> None:
        self._lib = library.load()
        self._folder = folder
        self._model = model
        self._key = _key(model, settings)
        self._path: Path | None = None
        """Where the conversation under way was taken from."""

    def take_up(self, conversation: Conversation, text: str, prompt: Sequence[int]) -> bool:
        """Give an empty conversation what a file holds of this prompt; False when none holds enough to matter.

        `prompt` is the text in tokens. A damaged file is removed and counts as none.
        """
        best, best_tokens = None, LEAST_TOKENS - 1
        for kept in self._all():
            if len(kept.tokens) >= self._model.context_tokens:
                continue
            is_continued = bool(kept.notes.text) and text.startswith(kept.notes.text)
            shared = len(kept.tokens) if is_continued else common_prefix(kept.tokens, prompt)
            if shared > best_tokens:
                best, best_tokens = kept, shared
        if best is None:
            return False
        if not _is_whole(best.path) or not self._read(best):
            _remove(best.path)
            return False
        os.utime(best.path)
        self._path = best.path
        conversation.adopt(best.tokens, best.notes.behind, best.notes.text)
        return True

    def save(self, conversation: Conversation) -> None:
        """Keep what the conversation has computed; what cannot be kept is only logged, since nothing is lost by it."""
        computed = conversation.cache.tokens
        size = int(self._lib.llama_state_seq_get_size(self._model.context, 0))
        if len(computed) < LEAST_TOKENS or size > MOST_BYTES:
            return
        path = self._path or self._folder / f"{self._key}-{secrets.token_hex(6)}{_SUFFIX}"
        partial = path.with_name(f".{path.name}{_PARTIAL}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # What was said is nobody else's business.
            os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
            array = (self._lib.llama_token * len(computed))(*computed)
            written = self._lib.llama_state_seq_save_file(
                self._model.context, str(partial).encode(), 0, array, len(computed)
            )
            if not written:
                raise OSError("llama.cpp wrote nothing")
            behind = conversation.tokens[len(computed) :]
            _append(partial, msgspec.json.encode(_Notes(conversation.text, behind)))
            partial.replace(path)
        except OSError as error:
            print(f"The prompt cache {path.name} is not kept: {error}", file=sys.stderr, flush=True)
            _remove(partial)
            return
        self._path = path
        self._make_room()

    def _all(self) -> list[_Kept]:
        """What is kept of this model and these settings, the newest first; a file that says nonsense is removed."""
        found = []
        for path in sorted(self._folder.glob(f"{self._key}-*{_SUFFIX}"), key=_changed_ns, reverse=True):
            try:
                found.append(_notes_of(path))
            except (OSError, ValueError, struct.error):
                _remove(path)
        return found

    def _read(self, kept: _Kept) -> bool:
        room = self._model.context_tokens
        tokens, count = (self._lib.llama_token * room)(), ctypes.c_size_t(0)
        read = self._lib.llama_state_seq_load_file(
            self._model.context, str(kept.path).encode(), 0, tokens, room, ctypes.byref(count)
        )
        if read and list(tokens[: count.value]) == kept.tokens:
            return True
        self._lib.llama_memory_clear(self._model.memory, True)
        return False

    def _make_room(self) -> None:
        files = sorted(self._folder.glob(f"*{_SUFFIX}"), key=_changed_ns, reverse=True)
        total = 0
        for number, path in enumerate(files):
            with suppress(OSError):
                total += path.stat().st_size
            if number >= MOST_FILES or (total > MOST_BYTES and number):
                _remove(path)
        for partial in self._folder.glob(f".*{_SUFFIX}{_PARTIAL}"):
            # Of a process that was killed while it wrote; another one may be at it now.
            if time.time() - _changed_ns(partial) / 1e9 > _ABANDONED_S:
                _remove(partial)


def _key(model: LoadedModel, settings: LoadSettings) -> str:
    """Names the file of weights and all that decides what its cache means and how it lies in memory."""
    from edgetui.formats.fingerprint import fingerprint
    from edgetui.formats.gguf import read_gguf

    adapters = [(each.scale, fingerprint((Path(each.path),))) for each in settings.adapters]
    meaning = (
        fingerprint(read_gguf(model.path).parts),
        library.version(),
        settings.kv_cache_type,
        settings.kv_cache_type_v,
        settings.flash_attention,
        settings.rope_scaling,
        settings.rope_freq_base,
        settings.rope_freq_scale,
        adapters,
    )
    return hashlib.sha256(repr(meaning).encode()).hexdigest()[:32]


def _append(path: Path, notes: bytes) -> None:
    with path.open("r+b") as stream:
        checksum = 0
        while chunk := stream.read(_CHUNK):
            checksum = zlib.crc32(chunk, checksum)
        checksum = zlib.crc32(notes, checksum)
        stream.write(notes + _END.pack(checksum, len(notes), _MAGIC))
        stream.flush()
        os.fsync(stream.fileno())


def _notes_of(path: Path) -> _Kept:
    """Raises `OSError`, `ValueError` (also msgspec's), `struct.error` for what is no such file."""
    with path.open("rb") as stream:
        _, _, count = _HEAD.unpack(stream.read(_HEAD.size))
        size = os.fstat(stream.fileno()).st_size
        if count * 4 > size:
            raise ValueError("more tokens than the file has room for")
        tokens = list(struct.unpack(f"<{count}i", stream.read(count * 4)))
        stream.seek(-_END.size, os.SEEK_END)
        _, length, magic = _END.unpack(stream.read(_END.size))
        if magic != _MAGIC or length + _END.size > size:
            raise ValueError("not a prompt cache")
        stream.seek(-_END.size - length, os.SEEK_END)
        return _Kept(path, msgspec.json.decode(stream.read(length), type=_Notes), tokens)


def _is_whole(path: Path) -> bool:
    """Whether the checksum fits: llama.cpp believes what a state says of itself."""
    checksum = 0
    try:
        with path.open("rb") as stream:
            left = os.fstat(stream.fileno()).st_size - _END.size
            while left > 0 and (chunk := stream.read(min(_CHUNK, left))):
                checksum = zlib.crc32(chunk, checksum)
                left -= len(chunk)
            expected = _END.unpack(stream.read(_END.size))[0]
    except (OSError, struct.error):
        return False
    return left == 0 and checksum == expected


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
