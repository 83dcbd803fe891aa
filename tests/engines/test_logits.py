"""Logits by llama.cpp: the same whatever goes together, and a sentence for every model that gives none."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp import logits as of_logits
from edgetui.engines.llama_cpp.logits import open_logits
from edgetui.formats.gguf import read_gguf

TEXT = "The quick brown fox jumps over the lazy dog, and the dog sleeps on in the sun of an early afternoon in May."


@pytest.fixture
def copy(demo_model: Path, tmp_path: Path) -> Path:
    """A copy of the model, to be damaged."""
    return Path(shutil.copyfile(demo_model, tmp_path / "copy.gguf"))


def test_chunks_know_nothing_of_each_other(demo_model: Path) -> None:
    source = open_logits(demo_model, context_tokens=32, threads=1)
    try:
        tokens = source.tokenize(TEXT, add_special=True)[:20]
        chunks = [tokens, tokens[::-1], tokens[5:], [*tokens[:10], *tokens[:5]]]
        together = [found.copy() for found in source.logits(chunks, 4)]
        assert [found.shape for found in together] == [(len(chunk) - 4, source.vocabulary_size) for chunk in chunks]
        for chunk, found in zip(chunks, together, strict=True):
            (alone,) = source.logits([chunk], 4)
            assert abs(found - alone).max() < 0.2 and (found.argmax(axis=1) == alone.argmax(axis=1)).all()
    finally:
        source.close()


def test_a_shared_beginning_is_computed_once_and_changes_nothing(
    demo_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_logits(demo_model, context_tokens=64, threads=1)
    try:
        tokens = source.tokenize(TEXT, add_special=True)
        chunks = [[*tokens[:16], token] for token in tokens[:40]]
        alone = [next(source.logits([chunk], 15)).copy() for chunk in chunks[::13]]
        calls: list[int] = []
        decode = source._lib.llama_decode

        def counted(context: object, batch: object) -> object:
            calls.append(batch.n_tokens)  # type: ignore[attr-defined]
            return decode(context, batch)

        monkeypatch.setattr(source._lib, "llama_decode", counted)
        together = [found.copy() for found in source.logits(chunks, 15)]
        assert calls[0] == 15 and sum(calls) == 15 + 2 * len(chunks)
        for found, expected in zip(together[::13], alone, strict=True):
            assert abs(found - expected).max() < 0.2
    finally:
        source.close()


def test_a_chunk_longer_than_a_batch_is_computed_in_parts(demo_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = open_logits(demo_model, context_tokens=48, threads=1)
    tokens = (whole.tokenize(TEXT, add_special=True) * 2)[:48]
    (expected,) = (found.copy() for found in whole.logits([tokens], 20))
    whole.close()
    monkeypatch.setattr(of_logits, "BATCH_TOKENS", 16)
    parts = open_logits(demo_model, context_tokens=48, threads=1)
    try:
        (found,) = parts.logits([tokens], 20)
        assert found.shape == expected.shape and abs(found - expected).max() < 0.2
    finally:
        parts.close()


def test_special_tokens_written_out_in_a_text_are_text(demo_model: Path) -> None:
    source = open_logits(demo_model, context_tokens=32, threads=1)
    try:
        assert len(source.tokenize("<|im_end|>", add_special=False)) > 1
    finally:
        source.close()


def test_a_context_beyond_the_trained_one_is_refused(demo_model: Path) -> None:
    with pytest.raises(EdgetuiError, match="trained for 8192 tokens of context") as caught:
        open_logits(demo_model, context_tokens=8193, threads=1)
    assert caught.value.failure.kind == "bad_request"


def test_a_model_without_a_tokenizer_is_refused(copy: Path) -> None:
    raw = bytearray(copy.read_bytes())
    at = raw.index(b"tokenizer.ggml.model") + len(b"tokenizer.ggml.model") + 4 + 8
    assert raw[at : at + 4] == b"gpt2"
    raw[at : at + 4] = b"none"
    copy.write_bytes(raw)
    with pytest.raises(EdgetuiError) as caught:
        open_logits(copy, context_tokens=32, threads=1)
    assert "copy.gguf" in str(caught.value) and caught.value.failure.kind in ("unsupported", "bad_file")


def test_weights_that_are_no_numbers_are_told(copy: Path) -> None:
    header = read_gguf(copy)
    # llama.cpp rounds single NaNs away when it quantizes activations; infinity it cannot.
    norm = next(tensor for tensor in header.tensors if tensor.name == "output_norm.weight")
    with copy.open("r+b") as stream:
        stream.seek(header.data_offset + norm.offset)
        stream.write(numpy.full(576, numpy.inf, numpy.float32).tobytes())
    from edgetui.engines.quality.evaluate import measure_perplexity
    from edgetui.engines.quality.rows import Rows

    source = open_logits(copy, context_tokens=32, threads=1)
    try:
        tokens = source.tokenize(TEXT * 2, add_special=True)[:32]
        with pytest.raises(EdgetuiError, match=r"copy.gguf are no numbers"):
            measure_perplexity(source, tokens, 32, Rows("copy.gguf", 1), lambda done, note: None)
    finally:
        source.close()
