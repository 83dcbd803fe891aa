"""Importance matrices of the real model, held against llama-imatrix on the same text and chunks."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import numpy
import pytest

from benchmarks.llama_tools import llama_imatrix
from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp.imatrix import collect
from edgetui.formats.gguf import read_gguf
from edgetui.formats.imatrix import Imatrix, read_imatrix, write_imatrix
from edgetui.worker.texts import topics
from tests.gguf_files import write_gguf
from tests.mixture_gguf import EXPERTS, write_mixture

CHUNKS = 2
TOLERANCE = 1e-4
"""llama-imatrix sums up in floats, one square after another: that alone is a few parts in a million."""


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "topics.txt"
    path.write_text(topics()[:40_000], encoding="utf-8")
    return path


def by_llama_imatrix(model: Path, text: Path, folder: Path, *arguments: str) -> Imatrix:
    target = folder / "theirs.gguf"
    # One sequence a batch: of several, llama-imatrix drops the rows that do not fill a physical batch.
    options: list[str | Path] = ["--chunks", str(CHUNKS), "-b", "512", "--no-ppl", "-t", "1", *arguments]
    subprocess.run([llama_imatrix(), "-m", model, "-f", text, "-o", target, *options], check=True, capture_output=True)
    return read_imatrix(target)


def assert_agree(model: Path, text: Path, folder: Path) -> Imatrix:
    theirs = by_llama_imatrix(model, text, folder)
    found = collect(model, text.read_text(encoding="utf-8"), chunks=CHUNKS, threads=1)
    path = folder / "ours.gguf"
    write_imatrix(path, found.entries, dataset=str(text), chunk_count=found.chunk_count, chunk_tokens=512)
    ours = read_imatrix(path)
    assert (ours.datasets, ours.chunk_count, ours.chunk_tokens) == (
        theirs.datasets,
        theirs.chunk_count,
        theirs.chunk_tokens,
    )
    assert ours.entries.keys() == theirs.entries.keys()
    for name, entry in theirs.entries.items():
        assert ours.entries[name].counts == entry.counts
        expected = numpy.array(entry.sums)
        difference = numpy.linalg.norm(numpy.array(ours.entries[name].sums) - expected)
        assert difference <= TOLERANCE * numpy.linalg.norm(expected), name
    return ours


def test_it_agrees_with_llama_imatrix(short_model: Path, text: Path, tmp_path: Path) -> None:
    found = assert_agree(short_model, text, tmp_path)
    assert len(found.entries) == 3 * 7 and "blk.2.ffn_down.weight" in found.entries


def test_experts_are_told_apart(demo_model: Path, text: Path, tmp_path: Path) -> None:
    found = assert_agree(write_mixture(demo_model, tmp_path / "mixture.gguf"), text, tmp_path)
    entry = found.entries["blk.0.ffn_down_exps.weight"]
    assert len(entry.counts) == EXPERTS and min(entry.counts) > 0 and entry.columns == 1536


def test_the_same_bytes_as_llama_imatrix_where_the_sums_are_the_same(
    short_model: Path, text: Path, tmp_path: Path
) -> None:
    theirs = by_llama_imatrix(short_model, text, tmp_path)
    written = tmp_path / "again.gguf"
    write_imatrix(written, theirs.entries, dataset=theirs.datasets[0], chunk_count=theirs.chunk_count, chunk_tokens=512)
    assert written.read_bytes() == theirs.path.read_bytes()


def test_the_older_form_says_the_same(short_model: Path, text: Path, tmp_path: Path) -> None:
    newer = by_llama_imatrix(short_model, text, tmp_path)
    older = by_llama_imatrix(short_model, text, tmp_path, "--output-format", "dat")
    assert older.is_legacy and older.chunk_count == CHUNKS and older.datasets == newer.datasets
    for name, entry in newer.entries.items():
        legacy = older.entries[name]
        means = numpy.array(legacy.sums) / legacy.counts[0]
        assert numpy.allclose(means, numpy.array(entry.sums) / entry.counts[0], rtol=1e-5), name


def test_a_text_that_is_too_short_is_refused(short_model: Path) -> None:
    with pytest.raises(EdgetuiError, match="too short for an importance matrix") as caught:
        collect(short_model, "a few words", threads=1)
    assert caught.value.failure.kind == "bad_request"


def test_activations_that_are_no_numbers_are_found(short_model: Path, text: Path, tmp_path: Path) -> None:
    header = read_gguf(short_model)
    damaged = tmp_path / "damaged.gguf"
    raw = bytearray(short_model.read_bytes())
    norm = next(tensor for tensor in header.tensors if tensor.name == "blk.1.ffn_norm.weight")
    struct.pack_into("<f", raw, header.data_offset + norm.offset, float("nan"))
    damaged.write_bytes(raw)
    with pytest.raises(EdgetuiError, match=r"blk\.1\.ffn_\w+\.weight of damaged\.gguf are no numbers") as caught:
        collect(damaged, text.read_text(encoding="utf-8"), chunks=1, threads=1)
    assert caught.value.failure.kind == "bad_file"


def test_a_model_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgetuiError, match="words"):
        (tmp_path / "words.gguf").write_text("these are only words " * 9)
        collect(tmp_path / "words.gguf", "text")
    with pytest.raises(EdgetuiError):
        collect(write_gguf(tmp_path / "tiny.gguf"), "text " * 9999)
