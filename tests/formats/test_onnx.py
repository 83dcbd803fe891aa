"""Reading graphs: real ones as the onnx package reads them, and files that are damaged or made to deceive."""

from __future__ import annotations

import json
import random
import subprocess
import time
import tracemalloc
from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.formats import onnx
from edgetui.formats.onnx import check_external_data, read_onnx
from edgetui.formats.onnx_model import KNOWN_OPSET, ExternalData, OnnxValue
from tests.onnx_files import (
    FLOAT,
    FLOAT16,
    INT64,
    UINT8,
    data,
    matmul,
    model,
    node,
    number,
    tensor,
    value,
    varint,
    write_onnx,
)

_BY_THE_PACKAGE = """
import collections, json, pathlib, sys, onnx
told = {}
for path in sorted(pathlib.Path(onnx.__file__).parent.glob("backend/test/data/light/*.onnx")):
    made = onnx.load(path)
    told[str(path)] = {
        "nodes": collections.Counter(each.op_type for each in made.graph.node),
        "tensors": [[each.name, list(each.dims)] for each in made.graph.initializer],
        "outputs": [each.name for each in made.graph.output],
        "opset": made.opset_import[0].version,
    }
print(json.dumps(told))
"""


def test_real_graphs_are_read_as_the_onnx_package_reads_them(onnx_toolchain: Path) -> None:
    command = [str(onnx_toolchain / "bin" / "python"), "-c", _BY_THE_PACKAGE]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
    assert len(told) >= 5
    for path, expected in told.items():
        found = read_onnx(Path(path))
        assert found.nodes == expected["nodes"]
        assert found.opsets["ai.onnx"] == expected["opset"]
        assert [each.name for each in found.outputs] == expected["outputs"]
        names = {each.name: list(each.shape) for each in found.tensors}
        assert all(names[name] == dims for name, dims in expected["tensors"])


def test_a_graph_says_what_goes_in_what_comes_out_and_what_it_weighs(tmp_path: Path) -> None:
    found = read_onnx(write_onnx(tmp_path / "m.onnx"))
    assert (found.producer, found.ir_version, found.opsets) == ("by hand 1", 10, {"ai.onnx": 21, "com.microsoft": 1})
    # The weights are inputs of old graphs too.
    assert found.inputs == [OnnxValue("x", "float32", ("batch", 4))]
    assert found.outputs == [OnnxValue("y", "float32", ("batch", 3))]
    assert (found.parameter_count, found.quant_type, found.shares[0].size_bytes) == (12, "fp32", 48)
    assert found.warnings == ()


def test_packed_weights_are_counted_unpacked_and_scales_are_none(tmp_path: Path) -> None:
    packed = node("MatMulNBits", ["x", "w", "s", "z"], ["y"], "com.microsoft", K=64, N=8, bits=4, block_size=32)
    tensors = [
        tensor("w", UINT8, [8, 2, 16], bytes(256)),
        tensor("s", FLOAT16, [16], bytes(32)),
        tensor("z", UINT8, [8], bytes(8)),
        tensor("norm", FLOAT, [64], bytes(256)),
        tensor("shape", INT64, [2], bytes(16)),
    ]
    found = read_onnx(write_onnx(tmp_path / "m.onnx", model([packed], tensors, [], [value("y", FLOAT, [8])])))
    assert (found.quant_type, found.parameter_count) == ("int4", 64 * 8 + 64)
    assert {share.type_name: share.parameter_count for share in found.shares} == {
        "int4": 512, "fp32": 64, "scales": 0, "int64": 0,
    }  # fmt: skip


def test_weights_in_constants_and_subgraphs_count(tmp_path: Path) -> None:
    inner = data(1, node("Relu", ["c"], ["r"])) + data(5, tensor("deep", FLOAT16, [10], bytes(20)))
    nodes = [
        node("Constant", [], ["c"], value=data(5, tensor("", FLOAT, [5], bytes(20)))),
        node("If", ["c"], ["y"], then_branch=data(6, inner)),
    ]
    found = read_onnx(write_onnx(tmp_path / "m.onnx", model(nodes, [], [], [value("y", FLOAT, [])])))
    assert found.nodes == {"Constant": 1, "If": 1, "Relu": 1}
    assert {each.name: each.shape for each in found.tensors} == {"c": (5,), "deep": (10,)}


def test_a_newer_opset_is_a_warning(tmp_path: Path) -> None:
    (warning,) = read_onnx(write_onnx(tmp_path / "m.onnx", matmul(opset=KNOWN_OPSET + 5))).warnings
    assert f"opset {KNOWN_OPSET + 5}" in warning


def external(location: str, offset: str = "0", length: str = "48") -> bytes:
    return matmul(tensor("w", FLOAT, [4, 3], external={"location": location, "offset": offset, "length": length}))


def test_weights_beside_the_graph_are_found(tmp_path: Path) -> None:
    found = read_onnx(write_onnx(tmp_path / "m.onnx", external("m.bin", "4096")))
    assert found.tensors[0].external == ExternalData("m.bin", 4096, 48)
    (tmp_path / "m.bin").write_bytes(bytes(4096 + 48))
    check_external_data(found)


@pytest.mark.parametrize(
    ("location", "there", "expected"),
    [
        ("m.bin", None, r"m\.onnx needs m\.bin, which is missing"),
        ("m.bin", 47, r"m\.bin is cut short \(47 B, and m\.onnx needs 48 B\)"),
        ("../m.bin", 48, "outside its own folder"),
        ("a/../../m.bin", 48, "outside its own folder"),
        ("/etc/passwd", 48, "outside its own folder"),
        ("C:\\\\weights", 48, "outside its own folder"),
        ("", 48, "outside its own folder"),
    ],
)
def test_weights_that_are_not_where_they_should_be(
    tmp_path: Path, location: str, there: int | None, expected: str
) -> None:
    if there is not None:
        (tmp_path / "m.bin").write_bytes(bytes(there))
    with pytest.raises(EdgetuiError, match=expected):
        check_external_data(read_onnx(write_onnx(tmp_path / "m.onnx", external(location))))


DEEP = b"\x0a\x00"
for _ in range(200):
    DEEP = data(1, data(5, data(6, DEEP)))

BAD = {
    "empty": (b"", "not an ONNX model"),
    "text": (b'{"a": 1}\n' * 20, "not an ONNX model"),
    "zip": (b"PK\x03\x04" + bytes(100), "not an ONNX model"),
    "safetensors": ((100).to_bytes(8, "little") + b'{"a":' + b" " * 200, "not an ONNX model"),
    "no graph": (number(1, 10), "holds no graph"),
    "cut short": (matmul()[:-60], "cut short"),
    "a length beyond the file": (number(1, 10) + varint(7 << 3 | 2) + varint(1 << 60), "cut short"),
    "a number without end": (number(1, 10) + b"\x38" + b"\xff" * 40, "more than ten bytes"),
    "a group": (number(1, 10) + b"\x3b", "wire type 3"),
    "graphs in graphs": (number(1, 10) + data(7, DEEP), "deep in each other"),
    "an unknown type": (matmul(tensor("w", 99, [1], b"")), "unknown type 99"),
    "a negative extent": (matmul(tensor("w", FLOAT, [-4], b"")), "impossible shape"),
    "a gigantic extent": (matmul(tensor("w", FLOAT, [1 << 40, 1 << 40], b"")), "impossible shape"),
    "many dimensions": (matmul(tensor("w", FLOAT, [1] * 70, b"")), "more than 64 dimensions"),
    "packed dimensions without end": (matmul(data(1, bytes(1 << 20))), "takes 1048576 bytes"),
    "a long name": (matmul(tensor("w" * (1 << 20), FLOAT, [1], b"")), "takes 1048"),
    "a place that is no number": (external("m.bin", "ten"), "says no number"),
    "a negative place": (external("m.bin", "-1"), "impossible place"),
    "a tensor that is a number": (number(1, 10) + data(7, number(5, 1)), "is no message"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_graph_is_one_sentence(tmp_path: Path, name: str) -> None:
    content, expected = BAD[name]
    with pytest.raises(EdgetuiError, match=expected) as caught:
        read_onnx(write_onnx(tmp_path / "m.onnx", content))
    assert caught.value.failure.kind == "bad_file" and str(caught.value).startswith("m.onnx ")


def test_nothing_but_edgetui_errors_comes_of_any_damage(tmp_path: Path) -> None:
    whole, path, chance = matmul(), tmp_path / "m.onnx", random.Random(7)
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            check_external_data(read_onnx(write_onnx(path, bytes(damaged[: chance.randint(1, len(damaged))]))))
        except EdgetuiError as error:
            assert "m.onnx" in str(error)


def test_more_nodes_than_anyone_has_are_refused_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx, "MOST_NODES", 1000)
    path = write_onnx(tmp_path / "m.onnx", number(1, 10) + data(7, b"\x0a\x00" * 100_000))
    with pytest.raises(EdgetuiError, match="more than 1000 nodes"):
        read_onnx(path)


def test_weights_are_not_read_and_large_graphs_are_read_at_once(tmp_path: Path) -> None:
    nodes = [
        node("MatMulNBits", [f"x{n}", f"w{n}", f"s{n}"], [f"x{n + 1}"], "com.microsoft", K=64, N=8, bits=4)
        for n in range(10_000)
    ]
    path = write_onnx(
        tmp_path / "m.onnx", model(nodes, [tensor("w", FLOAT, [1 << 24], bytes(1 << 26))], [], [value("y", FLOAT, [])])
    )
    tracemalloc.start()
    began = time.perf_counter()
    try:
        found = read_onnx(path)
        took, peak = time.perf_counter() - began, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (found.node_count, found.parameter_count) == (10_000, 1 << 24)
    # 64 MiB of weights lie in the file; names of 30,000 values take a few.
    assert peak < 16 << 20
    # Traced on a busy machine it takes ten times as long as otherwise.
    assert took < 30


def test_inputs_that_number_rows_of_a_table_say_how_many_there_are(tmp_path: Path) -> None:
    nodes = [
        node("Gather", ["table", "ids"], ["found"]),
        node("Gather", ["table", "columns"], ["other"], axis=1),
        node("Gather", ["found", "mask"], ["third"]),
    ]
    content = model(
        nodes,
        [tensor("table", FLOAT, [11, 2], bytes(88))],
        [value(name, INT64, ["batch"]) for name in ("ids", "columns", "mask")],
        [value("found", FLOAT, ["batch", 2])],
    )
    read = read_onnx(write_onnx(tmp_path / "a.onnx", content))
    assert [read.rows_numbered_by(name) for name in ("ids", "columns", "mask", "nothing")] == [11, None, None, None]
