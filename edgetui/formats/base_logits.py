"""llama-perplexity's file of a model's log-probabilities over a text (`--kl-divergence-base`), read and written.

`_logits_`, then as 32-bit integers the context, the vocabulary's size, the number of chunks and every token; then for
each scored token of each chunk a row of 16-bit words: scale and least log-probability as two 32-bit floats, and a word
a token of the vocabulary, whose log-probability is scale times word plus least. llama-perplexity reads no further;
edgetui writes behind it what the rows were made of, so that no file is taken for another.
"""

from __future__ import annotations

import array
import errno
import mmap
import os
import struct
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import format_bytes
from edgetui.formats.regular_file import open_regular

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MAGIC = b"_logits_"
_HEADER = struct.Struct("<8s3i")
_TRAILER_MAGIC = b"_edgetui"
_TRAILER = struct.Struct("<I8s")
_MOST_TRAILER_BYTES = 1 << 16
ROW_HEADER_WORDS = 4
"""16-bit words before those of the vocabulary."""


class BaseDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What the rows of a file were made of."""

    base_name: str
    base_fingerprint: str
    engine: str
    engine_version: str
    text_sha256: str
    bos: int | None
    """Token that stood in place of each chunk's first one; None where there was none."""


class BaseLogitsShape(msgspec.Struct, frozen=True):
    """How large everything in a file is."""

    context_tokens: int
    vocabulary_size: int
    chunk_count: int

    @property
    def first_scored(self) -> int:
        """Position in a chunk from which on it is asked what comes next."""
        return self.context_tokens // 2

    @property
    def rows_per_chunk(self) -> int:
        """Scored tokens of a chunk."""
        return self.context_tokens - 1 - self.first_scored

    @property
    def row_words(self) -> int:
        """16-bit words of a row; the vocabulary's are filled up to an even number."""
        return 2 * ((self.vocabulary_size + 1) // 2) + ROW_HEADER_WORDS

    @property
    def chunk_bytes(self) -> int:
        """Of a chunk's rows."""
        return self.rows_per_chunk * self.row_words * 2

    @property
    def rows_offset(self) -> int:
        """Where the rows begin."""
        return _HEADER.size + 4 * self.context_tokens * self.chunk_count

    @property
    def size_bytes(self) -> int:
        """Of a file, without what edgetui writes behind."""
        return self.rows_offset + self.chunk_bytes * self.chunk_count


class BaseLogits:
    """An open file; `close` lets it go."""

    def __init__(self, path: Path) -> None:
        """Raises `EdgetuiError("bad_file")` for one that is no such file, or cut short."""
        self.path = path
        try:
            with open_regular(path) as stream:
                self.shape, self.tokens = _read_header(path, stream)
                self.description = _read_trailer(stream, self.shape)
                self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise EdgetuiError(
                "bad_file", f"The baseline {path.name} cannot be read ({error.strerror}): it has to be made anew."
            ) from error

    def chunk_tokens(self, chunk: int) -> list[int]:
        """The tokens of a chunk, its own first one included."""
        context = self.shape.context_tokens
        return self.tokens[chunk * context : (chunk + 1) * context].tolist()

    def chunk_rows(self, chunk: int) -> memoryview:
        """The rows of a chunk, as bytes in the file."""
        begin = self.shape.rows_offset + chunk * self.shape.chunk_bytes
        return memoryview(self._map)[begin : begin + self.shape.chunk_bytes]

    def require(self, *, text_sha256: str, base_fingerprint: str) -> None:
        """Raises `EdgetuiError("bad_file")` for a file over another text or of another model."""
        told = self.description
        if told is None or told.text_sha256 != text_sha256:
            raise EdgetuiError(
                "bad_file", f"The baseline {self.path.name} is over another text: it has to be made anew."
            )
        if told.base_fingerprint != base_fingerprint:
            raise EdgetuiError("bad_file", f"The baseline {self.path.name} is of another model: make it anew.")

    def close(self) -> None:
        """Let the file go; rows that are still held keep its memory until they go too."""
        try:
            self._map.close()
        except BufferError:
            # The system frees it with the last view.
            return

    def __enter__(self) -> BaseLogits:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class BaseLogitsWriter:
    """Writes a file from its first byte to its last; used as a context."""

    def __init__(
        self, path: Path, shape: BaseLogitsShape, tokens: Sequence[int], description: BaseDescription, name: str
    ) -> None:
        """`name` is what messages call the file. Raises `EdgetuiError`, as all methods: `no_space`, `no_permission`."""
        assert len(tokens) == shape.context_tokens * shape.chunk_count
        self._shape = shape
        self._description = description
        self._name = name
        self._folder = path.parent
        try:
            self._stream = path.open("wb")
        except OSError as error:
            raise self._failure(error) from error
        sizes = (shape.context_tokens, shape.vocabulary_size, shape.chunk_count)
        self.append(_HEADER.pack(_MAGIC, *sizes))
        self.append(struct.pack(f"<{len(tokens)}i", *tokens))

    def append(self, data: bytes | memoryview) -> None:
        """Write what comes next: the rows of a chunk."""
        try:
            self._stream.write(data)
        except OSError as error:
            raise self._failure(error) from error

    def finish(self) -> None:
        """Write what the rows were made of, and have all of it leave this process."""
        told = msgspec.json.encode(self._description)
        self.append(told + _TRAILER.pack(len(told), _TRAILER_MAGIC))
        try:
            self._stream.flush()
        except OSError as error:
            raise self._failure(error) from error

    def __enter__(self) -> BaseLogitsWriter:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._stream.close()
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> EdgetuiError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return EdgetuiError(
                "no_space",
                f"The baseline {self._name} takes {format_bytes(self._shape.size_bytes)} and there is no room for it in"
                f" {self._folder}: free some space, or take fewer chunks.",
            )
        return EdgetuiError(
            "no_permission",
            f"The baseline cannot be written to {self._folder} ({error.strerror}): make that folder writable.",
        )


def _read_header(path: Path, stream: BinaryIO) -> tuple[BaseLogitsShape, array.array[int]]:
    header = stream.read(_HEADER.size)
    if len(header) < _HEADER.size or not header.startswith(_MAGIC):
        raise EdgetuiError("bad_file", f"{path.name} is no baseline of llama-perplexity or edgetui.")
    _, context, vocabulary, chunks = _HEADER.unpack(header)
    shape = BaseLogitsShape(context, vocabulary, chunks)
    size = os.fstat(stream.fileno()).st_size
    if context < 2 or vocabulary < 1 or chunks < 1 or shape.size_bytes > size:
        raise EdgetuiError("bad_file", f"The baseline {path.name} is cut short or damaged: it has to be made anew.")
    tokens = array.array("i", stream.read(4 * context * chunks))
    if min(tokens) < 0 or max(tokens) >= vocabulary:
        raise EdgetuiError(
            "bad_file", f"The baseline {path.name} holds tokens that its vocabulary lacks: it has to be made anew."
        )
    return shape, tokens


def _read_trailer(stream: BinaryIO, shape: BaseLogitsShape) -> BaseDescription | None:
    """None for a file by llama-perplexity, or one whose end was damaged."""
    stream.seek(shape.size_bytes)
    rest = stream.read(_MOST_TRAILER_BYTES)
    if len(rest) < _TRAILER.size:
        return None
    length, magic = _TRAILER.unpack(rest[-_TRAILER.size :])
    if magic != _TRAILER_MAGIC or length != len(rest) - _TRAILER.size:
        return None
    try:
        return msgspec.json.decode(rest[:length], type=BaseDescription)
    except msgspec.DecodeError:
        return None
