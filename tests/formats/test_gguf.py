from __future__ import annotations

import random
import sys
import tracemalloc
from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.formats.gguf import check_loadable, read_gguf
from edgetui.formats.gguf_header import GgufArray
from tests.gguf_files import (
    ARRAY,
    BOOL,
    F32,
    I32,
    SOUND_KEYS,
    SOUND_TENSORS,
    STRING,
    U16,
    U32,
    Key,
    Tensor,
    gguf_bytes,
    with_keys,
    write_gguf,
)

NATIVE = "<" if sys.byteorder == "little" else ">"


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("order", ["<", ">"])
def test_both_versions_and_byte_orders_are_read(tmp_path: Path, version: int, order: str) -> None:
    header = read_gguf(write_gguf(tmp_path / "m.gguf", version=version, order=order))
    assert (header.version, header.byte_order) == (version, "little" if order == "<" else "big")
    assert (header.architecture, header.name, header.context_length) == ("llama", "Tiny", 128)
    assert header.quant_type == "F32"
    assert header.vocabulary_size == 4
    assert header.metadata["tokenizer.ggml.tokens"] == GgufArray("string", 4, ("a", "b", "é", "d"))
    assert [(t.name, t.shape, t.type.name, t.size_bytes) for t in header.tensors] == [
        ("token_embd.weight", (8, 4), "F32", 128),
        ("blk.0.attn_q.weight", (32, 2), "Q4_0", 36),
        ("output_norm.weight", (8,), "F32", 32),
    ]
    assert header.parameter_count == 32 + 64 + 8
    assert header.missing_bytes == 0


def test_the_real_model_agrees_with_what_llama_cpp_says_of_it(demo_model: Path) -> None:
    header = check_loadable(demo_model)
    assert header.parameter_count == 134_515_008
    assert (header.architecture, header.quant_type, header.context_length) == ("llama", "Q4_1", 8192)
    assert sum(share.size_bytes for share in header.shares) == 96_576_768
    assert header.data_offset + 96_576_768 <= header.size_bytes


def test_a_large_vocabulary_is_stepped_over(tmp_path: Path) -> None:
    words = [f"token{number}" for number in range(262_144)]
    path = write_gguf(
        tmp_path / "big.gguf",
        with_keys(
            Key("tokenizer.ggml.tokens", ARRAY, (STRING, words)),
            without=["tokenizer.ggml.token_type", "tokenizer.ggml.scores"],
        ),
    )
    tracemalloc.start()
    try:
        header = check_loadable(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert header.vocabulary_size == 262_144
    assert peak < 1024 * 1024


def split_set(folder: Path, count: int = 3) -> list[Path]:
    paths = []
    for number in range(count):
        keys = (
            *(SOUND_KEYS if number == 0 else ()),
            Key("split.no", U16, number),
            Key("split.count", U16, count),
            Key("split.tensors.count", I32, count),
        )
        path = folder / f"tiny-{number + 1:05d}-of-{count:05d}.gguf"
        paths.append(write_gguf(path, keys, [Tensor(f"t{number}", (32,))]))
    return paths


def test_a_split_model_is_read_as_one(tmp_path: Path) -> None:
    parts = split_set(tmp_path)
    for named in parts:
        header = check_loadable(named)
        assert header.parts == tuple(parts)
        assert [(tensor.name, tensor.part) for tensor in header.tensors] == [("t0", 0), ("t1", 1), ("t2", 2)]
        assert header.size_bytes == sum(part.stat().st_size for part in parts)
        assert header.architecture == "llama"


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    parts = split_set(tmp_path)
    parts[1].unlink()
    with pytest.raises(EdgetuiError, match=parts[1].name):
        read_gguf(parts[0])


def test_a_part_without_its_name_is_not_taken_for_a_whole_model(tmp_path: Path) -> None:
    renamed = split_set(tmp_path)[0].rename(tmp_path / "whole.gguf")
    with pytest.raises(EdgetuiError, match="one of 3 files"):
        read_gguf(renamed)


T = SOUND_TENSORS
REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "tensor data cut short": ({"cut": 40}, "cut short"),
    "header cut short": ({"cut": 300}, "cut short"),
    "absurd number of tensors": ({"tensor_count": 2**60}, "claims"),
    "absurd number of keys": ({"key_count": 2**61}, "claims"),
    "no tensors": ({"tensors": ()}, "no tensors"),
    "version 1": ({"version": 1}, "version 1"),
    "version 99": ({"version": 99}, "version 99"),
    "no architecture": ({"keys": with_keys(without=["general.architecture"])}, "no architecture"),
    "architecture of another type": ({"keys": with_keys(Key("general.architecture", U32, 3))}, "no architecture"),
    "architecture with controls": ({"keys": with_keys(Key("general.architecture", STRING, "\x1b[2J"))}, "architecture"),
    "more layers than tensors": ({"keys": with_keys(Key("llama.block_count", U32, 4_000_000))}, "4000000 layers"),
    "negative layers": ({"keys": with_keys(Key("llama.block_count", I32, -1))}, "block_count"),
    "no heads": ({"keys": with_keys(Key("llama.attention.head_count", U32, 0))}, "head_count is 0"),
    "layers as text": ({"keys": with_keys(Key("llama.block_count", STRING, "1"))}, "block_count"),
    "layers as truth": ({"keys": with_keys(Key("llama.block_count", BOOL, True))}, "block_count"),
    "alignment 3": ({"keys": with_keys(Key("general.alignment", U32, 3))}, "alignment"),
    "alignment 0": ({"keys": with_keys(Key("general.alignment", U32, 0))}, "alignment"),
    "alignment as text": ({"keys": with_keys(Key("general.alignment", STRING, "32"))}, "alignment"),
    "key twice": ({"keys": (*SOUND_KEYS, SOUND_KEYS[0])}, "twice"),
    "unknown value type": ({"keys": with_keys(Key("x", 77, b""))}, "unknown value type 77"),
    "array of arrays": ({"keys": with_keys(Key("x", ARRAY, (ARRAY, [])))}, "element type"),
    "tensor twice": ({"tensors": (*T, T[0])}, "twice"),
    "five dimensions": ({"tensors": (*T, Tensor("x", (1, 1, 1, 1, 1)))}, "5 dimensions"),
    "no dimensions": ({"tensors": (*T, Tensor("x", ()))}, "0 dimensions"),
    "empty dimension": ({"tensors": (*T, Tensor("x", (8, 0)))}, "shape"),
    "overflowing dimensions": ({"tensors": (*T, Tensor("x", (2**33, 2**33)))}, "shape"),
    "unknown tensor type": ({"tensors": (*T, Tensor("x", (32,), 200))}, "type 200"),
    "rows that do not divide": ({"tensors": (*T, Tensor("x", (33, 2), 2))}, "divide"),
    "offset outside": ({"tensors": (*T, Tensor("x", (8,), 0, 2**40))}, "cut short"),
    "impossible offset": ({"tensors": (*T, Tensor("x", (8,), 0, 2**63))}, "impossible"),
    "offset between": ({"tensors": (*T, Tensor("x", (8,), 0, 210))}, "aligned"),
    "overlapping tensors": ({"tensors": (T[0], Tensor("x", (8,), 0, 0))}, "overlaps"),
    "vocabulary of numbers": ({"keys": with_keys(Key("tokenizer.ggml.tokens", ARRAY, (I32, [1])))}, "vocabulary"),
    "no vocabulary entries": ({"keys": with_keys(Key("tokenizer.ggml.tokens", ARRAY, (STRING, [])))}, "vocabulary"),
    "scores as texts": ({"keys": with_keys(Key("tokenizer.ggml.scores", ARRAY, (STRING, ["a"] * 4)))}, "scores"),
    "too few scores": ({"keys": with_keys(Key("tokenizer.ggml.scores", ARRAY, (F32, [1.0])))}, "1 entries"),
    "merges as numbers": ({"keys": with_keys(Key("tokenizer.ggml.merges", ARRAY, (I32, [1])))}, "merges"),
    "end mark as text": ({"keys": with_keys(Key("tokenizer.ggml.eos_token_id", STRING, "</s>"))}, "eos_token_id"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_crafted_or_damaged_file_is_refused_in_one_sentence(tmp_path: Path, case: str) -> None:
    changes, expected = REFUSED[case]
    path = write_gguf(tmp_path / "bad.gguf", order=NATIVE, **changes)  # type: ignore[arg-type]
    with pytest.raises(EdgetuiError) as caught:
        check_loadable(path)
    sentence = str(caught.value)
    assert caught.value.failure.kind in ("bad_file", "unsupported")
    assert "bad.gguf" in sentence and expected in sentence
    assert "\n" not in sentence and sentence.isprintable()


def test_a_file_for_the_other_byte_order_is_refused(tmp_path: Path) -> None:
    other = ">" if NATIVE == "<" else "<"
    with pytest.raises(EdgetuiError, match="endian") as caught:
        check_loadable(write_gguf(tmp_path / "m.gguf", order=other))
    assert caught.value.failure.kind == "unsupported"


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"", "0 bytes"), (b"GGUF", "4 bytes"), (b"Once upon a time there was a text file.\n" * 9, "it is text")],
)
def test_what_is_no_gguf_at_all_says_what_it_is(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "note.gguf"
    path.write_bytes(content)
    with pytest.raises(EdgetuiError, match=expected):
        check_loadable(path)


def test_paths_that_are_no_files_are_one_sentence(tmp_path: Path) -> None:
    link = tmp_path / "link.gguf"
    link.symlink_to(tmp_path / "gone.gguf")
    for path in (tmp_path / "none.gguf", link, tmp_path):
        with pytest.raises(EdgetuiError) as caught:
            check_loadable(path)
        assert str(path) in str(caught.value)


def test_no_damage_ends_in_anything_but_a_header_or_a_sentence(tmp_path: Path) -> None:
    sound = gguf_bytes()
    draw = random.Random(7)
    path = tmp_path / "m.gguf"
    read = refused = 0
    for _ in range(3000):
        damaged = bytearray(sound)
        for _ in range(draw.randint(1, 6)):
            place = draw.randrange(4, len(damaged))
            damaged[place] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
        if draw.random() < 0.3:
            del damaged[draw.randrange(len(damaged)) :]
        path.write_bytes(damaged)
        try:
            check_loadable(path)
            read += 1
        except EdgetuiError as error:
            assert "\n" not in str(error)
            refused += 1
    assert read and refused > 1000
