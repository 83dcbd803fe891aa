"""ONNX files of a few hundred bytes, written by hand so that tests need no onnx package and may lie as they like."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FLOAT, UINT8, INT64, BOOL, FLOAT16 = 1, 2, 7, 9, 10


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def data(field: int, content: bytes | str) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def tensor(
    name: str, code: int, dims: list[int], raw: bytes | None = None, external: dict[str, str] | None = None
) -> bytes:
    out = b"".join(number(1, extent) for extent in dims) + number(2, code) + data(8, name)
    if external is not None:
        return out + b"".join(data(13, data(1, key) + data(2, told)) for key, told in external.items()) + number(14, 1)
    return out + data(9, raw or b"")


def node(kind: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes: int | bytes) -> bytes:
    out = b"".join(data(1, name) for name in inputs) + b"".join(data(2, name) for name in outputs) + data(4, kind)
    for name, value in attributes.items():
        out += data(5, data(1, name) + (number(3, value) if isinstance(value, int) else value))
    return out + (data(7, domain) if domain else b"")


def value(name: str, code: int, shape: list[int | str]) -> bytes:
    dims = b"".join(data(1, number(1, extent) if isinstance(extent, int) else data(2, extent)) for extent in shape)
    return data(1, name) + data(2, data(1, number(1, code) + data(2, dims)))


def model(
    nodes: list[bytes], tensors: list[bytes], inputs: list[bytes], outputs: list[bytes], opset: int = 21
) -> bytes:
    graph = b"".join(data(1, each) for each in nodes) + data(2, "graph") + b"".join(data(5, each) for each in tensors)
    graph += b"".join(data(11, each) for each in inputs) + b"".join(data(12, each) for each in outputs)
    opsets = data(8, number(2, opset)) + data(8, data(1, "com.microsoft") + number(2, 1))
    return number(1, 10) + data(2, "by hand") + data(3, "1") + data(7, graph) + opsets


def matmul(*weights: bytes, opset: int = 21) -> bytes:
    """`y = x @ w`, with the tensors given; by default one of 4 x 3 in 32 bits."""
    tensors = list(weights) or [tensor("w", FLOAT, [4, 3], bytes(48))]
    return model(
        [node("MatMul", ["x", "w"], ["y"])],
        tensors,
        [value("x", FLOAT, ["batch", 4]), value("w", FLOAT, [4, 3])],
        [value("y", FLOAT, ["batch", 3])],
        opset,
    )


def write_onnx(path: Path, content: bytes | None = None) -> Path:
    path.write_bytes(matmul() if content is None else content)
    return path
