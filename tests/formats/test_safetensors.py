from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.formats.safetensors import read_safetensors


def write(path: Path, header: object, data: bytes = b"", length: int | None = None) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + data)
    return path


WEIGHT = {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}


def test_shards_and_configuration_are_read_as_one_model(tmp_path: Path) -> None:
    parts = [
        write(
            tmp_path / "model-00001-of-00002.safetensors", {"__metadata__": {"format": "pt"}, "a": WEIGHT}, bytes(12)
        ),
        write(
            tmp_path / "model-00002-of-00002.safetensors",
            {"b": {"dtype": "F32", "shape": [5], "data_offsets": [0, 20]}},
            bytes(20),
        ),
    ]
    (tmp_path / "config.json").write_text(
        '{"model_type": "gemma3n", "text_config": {"max_position_embeddings": 32768}}'
    )
    model = read_safetensors(parts)
    assert (model.architecture, model.context_length, model.parameter_count) == ("gemma3n", 32768, 11)
    assert [(share.type_name, share.size_bytes) for share in model.shares] == [("F32", 20), ("BF16", 12)]


def test_a_scalar_and_packed_types_have_their_size(tmp_path: Path) -> None:
    header = {
        "scalar": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]},
        "packed": {"dtype": "F4", "shape": [3], "data_offsets": [4, 6]},
    }
    assert read_safetensors([write(tmp_path / "m.safetensors", header, bytes(6))]).parameter_count == 4


@pytest.mark.parametrize(
    ("header", "data", "length", "expected"),
    [
        ({"a": WEIGHT}, bytes(11), None, "cut short"),
        ({"a": {**WEIGHT, "shape": [2, 4]}}, bytes(12), None, "does not fit"),
        ({"a": {**WEIGHT, "shape": [-2, -3]}}, bytes(12), None, "not understood"),
        ({"a": {**WEIGHT, "dtype": "Q9"}}, bytes(12), None, "unknown type 'Q9'"),
        ({"a": WEIGHT, "b": WEIGHT}, bytes(12), None, "over another tensor's bytes"),
        ({"a": {**WEIGHT, "data_offsets": [4, 16]}}, bytes(16), None, "the bytes before 'a' belong to no tensor"),
        ({"a": WEIGHT}, bytes(20), None, "8 bytes at its end"),
        ({"a": 3}, b"", None, "not understood"),
        ([], b"", None, "not a JSON object"),
        (b"{]", b"", None, "not a JSON object"),
        ({}, b"", 2**60, "impossible length"),
    ],
)
def test_a_header_that_does_not_describe_its_file_is_refused(
    tmp_path: Path, header: object, data: bytes, length: int | None, expected: str
) -> None:
    path = write(tmp_path / "m.safetensors", header, data, length)
    with pytest.raises(EdgetuiError, match=expected) as caught:
        read_safetensors([path])
    assert "m.safetensors" in str(caught.value)


def test_a_broken_configuration_only_says_less(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    assert read_safetensors([write(tmp_path / "m.safetensors", {"a": WEIGHT}, bytes(12))]).architecture is None


@pytest.mark.parametrize(
    "header",
    [
        b'{"w\xff":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        b'{"w":' + b"[" * 200_000,
        b'{"w":{"dtype":"F32","shape":[' + b"9000000000000000000," * 100_000 + b'1],"data_offsets":[0,4]}}',
    ],
)
def test_hostile_headers_are_one_sentence(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(EdgetuiError, match=r"model\.safetensors"):
        read_safetensors([path])


@pytest.mark.parametrize("config", [b'{"model_type":"\xff"}', b"[" * 200_000])
def test_a_config_that_is_no_json_is_left_out(tmp_path: Path, config: bytes) -> None:
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    (tmp_path / "config.json").write_bytes(config)
    assert read_safetensors([path]).architecture is None
