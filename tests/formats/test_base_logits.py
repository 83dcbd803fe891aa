"""llama-perplexity's file of log-probabilities: what is written is read, and no other file is taken for it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.formats.base_logits import BaseDescription, BaseLogits, BaseLogitsShape, BaseLogitsWriter

SHAPE = BaseLogitsShape(context_tokens=8, vocabulary_size=5, chunk_count=2)
TOKENS = [0, 1, 2, 3, 4, 0, 1, 2] * 2
TOLD = BaseDescription(
    base_name="parent", base_fingerprint="f", engine="llama.cpp", engine_version="1", text_sha256="t", bos=1
)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "parent.logits"
    with BaseLogitsWriter(path, SHAPE, TOKENS, TOLD, "parent") as writer:
        for chunk in range(SHAPE.chunk_count):
            writer.append(bytes([chunk + 1]) * SHAPE.chunk_bytes)
        writer.finish()
    return path


def test_what_is_written_is_read(written: Path) -> None:
    with BaseLogits(written) as base:
        assert (base.shape, base.description) == (SHAPE, TOLD)
        assert base.chunk_tokens(1) == TOKENS[8:]
        assert bytes(base.chunk_rows(0)) == b"\1" * SHAPE.chunk_bytes
        assert bytes(base.chunk_rows(1)) == b"\2" * SHAPE.chunk_bytes
        base.require(text_sha256="t", base_fingerprint="f")


def test_an_odd_vocabulary_is_filled_up_to_an_even_one() -> None:
    assert (SHAPE.row_words, SHAPE.rows_per_chunk, SHAPE.first_scored) == (6 + 4, 3, 4)


def test_a_file_by_llama_perplexity_lacks_only_what_it_was_made_of(written: Path) -> None:
    written.write_bytes(written.read_bytes()[: SHAPE.size_bytes])
    with BaseLogits(written) as base:
        assert base.description is None and base.chunk_tokens(0) == TOKENS[:8]
        with pytest.raises(EdgetuiError, match="another text"):
            base.require(text_sha256="t", base_fingerprint="f")


@pytest.mark.parametrize("kept", [0, 7, 19, 60, SHAPE.size_bytes - 1])
def test_a_file_that_is_cut_short_is_refused(written: Path, kept: int) -> None:
    written.write_bytes(written.read_bytes()[:kept])
    with pytest.raises(EdgetuiError, match=r"cut short|no baseline") as caught:
        BaseLogits(written)
    assert caught.value.failure.kind == "bad_file"


def test_tokens_beyond_the_vocabulary_are_refused(written: Path) -> None:
    raw = bytearray(written.read_bytes())
    raw[20:24] = struct.pack("<i", 5)
    written.write_bytes(raw)
    with pytest.raises(EdgetuiError, match="its vocabulary lacks"):
        BaseLogits(written)


def test_absurd_sizes_are_refused_without_reading_them(written: Path) -> None:
    raw = bytearray(written.read_bytes())
    raw[8:20] = struct.pack("<3i", 2**30, 2**30, 2**30)
    written.write_bytes(raw)
    with pytest.raises(EdgetuiError, match="cut short or damaged"):
        BaseLogits(written)


def test_a_file_over_another_text_or_of_another_model_is_refused(written: Path) -> None:
    with BaseLogits(written) as base:
        with pytest.raises(EdgetuiError, match="another text"):
            base.require(text_sha256="other", base_fingerprint="f")
        with pytest.raises(EdgetuiError, match="another model"):
            base.require(text_sha256="t", base_fingerprint="other")
