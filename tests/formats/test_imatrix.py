"""Reading importance matrices: every hostile file is one sentence that names it."""

from __future__ import annotations

import struct
from array import array
from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.formats.imatrix import ImatrixEntry, read_imatrix, read_summary, write_imatrix
from tests.gguf_files import ARRAY, STRING, U32, Key, Tensor, write_gguf

ENTRIES = {
    "blk.0.attn_q.weight": ImatrixEntry(array("f", [1.0, 2.0, 3.0]), (7,)),
    "blk.0.ffn_down_exps.weight": ImatrixEntry(array("f", [1.0, 2.0, 3.0, 4.0]), (2, 0)),
}
KEYS = (
    Key("general.type", STRING, "imatrix"),
    Key("imatrix.datasets", ARRAY, (STRING, ["words.txt"])),
    Key("imatrix.chunk_count", U32, 3),
    Key("imatrix.chunk_size", U32, 512),
)
SUMS, COUNTS = Tensor("a.in_sum2", (8, 1)), Tensor("a.counts", (1, 1))


def legacy(name: bytes = b"blk.0.attn_q.weight", calls: int = 2, values: int = 3, count: int = 1) -> bytes:
    floats = struct.pack("<3f", 1, 2, 3)
    entry = struct.pack("<i", len(name)) + name + struct.pack("<ii", calls, values) + floats
    return struct.pack("<i", count) + entry


def refusal(path: Path) -> str:
    with pytest.raises(EdgetuiError) as caught:
        read_imatrix(path)
    assert caught.value.failure.kind == "bad_file" and path.name in str(caught.value)
    return str(caught.value)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    write_imatrix(path, ENTRIES, dataset="words.txt", chunk_count=3, chunk_tokens=512)
    found = read_imatrix(path)
    assert found.entries == ENTRIES and found.entries["blk.0.ffn_down_exps.weight"].columns == 2
    assert (found.datasets, found.chunk_count, found.chunk_tokens) == (("words.txt",), 3, 512)
    summary = read_summary(path)
    assert (summary.entry_count, summary.chunk_count, summary.datasets) == (2, 3, ("words.txt",))


def test_the_older_form_is_read_with_and_without_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(legacy())
    found = read_imatrix(path)
    assert found.is_legacy and found.entries == {"blk.0.attn_q.weight": ImatrixEntry(array("f", [1, 2, 3]), (2,))}
    path.write_bytes(legacy() + struct.pack("<ii", 5, 4) + b"text")
    assert (read_imatrix(path).chunk_count, read_imatrix(path).datasets) == (5, ("text",))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cut short"),
        (b"these are only words\n" * 9, "does not begin as one"),
        (legacy(count=2**31 - 1), "does not begin as one"),
        (legacy(count=-1), "does not begin as one"),
        (legacy(count=2), "cut short"),
        (legacy() * 9, None),
        (legacy(name=b"x" * 4000), "with 4000 bytes"),
        (legacy(values=2**31 - 1), "more than the file can hold"),
        (legacy(calls=-3), "more than the file can hold"),
        (legacy()[:-5], "more than the file can hold"),
        (legacy().replace(struct.pack("<f", 2), struct.pack("<f", float("nan"))), "no sums of squares"),
        (legacy().replace(struct.pack("<f", 2), struct.pack("<f", float("inf"))), "no sums of squares"),
        (legacy().replace(struct.pack("<f", 2), struct.pack("<f", -2)), "no sums of squares"),
    ],
)
def test_a_hostile_older_file_is_one_sentence(tmp_path: Path, content: bytes, reason: str | None) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(content)
    if reason is None:
        # What follows a sound entry is taken for the number of chunks and a name, whatever it is.
        assert read_imatrix(path).entries
    else:
        assert reason in refusal(path)


@pytest.mark.parametrize(
    ("keys", "tensors", "reason"),
    [
        (KEYS, (), "no entries"),
        (KEYS, (SUMS,), "the counts of a are missing"),
        (KEYS, (COUNTS,), "the sums of a are missing"),
        (KEYS, (SUMS, Tensor("a.counts", (3, 1))), "8 values for 3 counts"),
        (KEYS, (Tensor("a.in_sum2", (32, 1), 8), COUNTS), "type Q8_0 and not F32"),
        (KEYS[:1], (SUMS, COUNTS), "does not say how it was made"),
        ((*KEYS, Key("general.architecture", STRING, "llama")), (SUMS, COUNTS), "it is a model"),
    ],
)
def test_a_hostile_gguf_is_one_sentence(
    tmp_path: Path, keys: tuple[Key, ...], tensors: tuple[Tensor, ...], reason: str
) -> None:
    assert reason in refusal(write_gguf(tmp_path / "a.gguf", keys, tensors))


def test_a_gguf_that_is_cut_short_is_one_sentence(tmp_path: Path) -> None:
    assert "cut short" in refusal(write_gguf(tmp_path / "a.gguf", KEYS, (SUMS, COUNTS), cut=40))


def test_counts_that_are_no_counts_are_refused(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "a.gguf", KEYS, (COUNTS, SUMS))
    raw = bytearray(path.read_bytes())
    raw[-64:-60] = struct.pack("<f", -1.0)
    path.write_bytes(raw)
    assert "no counts" in refusal(path)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(EdgetuiError, match="There is no file") as caught:
        read_imatrix(tmp_path / "gone.gguf")
    assert caught.value.failure.kind == "not_found"
