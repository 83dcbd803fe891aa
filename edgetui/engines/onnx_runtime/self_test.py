"""Proof that ONNX Runtime works here: a graph made by hand, run on every execution provider there is."""

from __future__ import annotations

import struct

from edgetui.core.failures import EdgetuiError

_FLOAT = 1
"""`TensorProto.DataType.FLOAT`"""
_IR_VERSION, _OPSET = 8, 13
_WEIGHTS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
"""A matrix of 3 rows and 2 columns."""
_INPUT = (0.5, -1.0, 2.0)


def prove_providers() -> str:
    """Run `y = x W` on each provider; says the version and what worked. Raises `EdgetuiError`.

    Kinds: `engine_missing`, and `internal` when the CPU fails; another provider that fails is told and no error, since
    ONNX Runtime lists what it was built for, also where there is no such device.
    """
    try:
        import numpy
        import onnxruntime
    except ImportError as error:
        raise EdgetuiError("engine_missing", f"ONNX Runtime does not load ({error}).") from error

    onnxruntime.set_default_logger_severity(4)
    expected = [sum(x * w for x, w in zip(_INPUT, _WEIGHTS[column::2], strict=True)) for column in range(2)]
    words = []
    for provider in onnxruntime.get_available_providers():
        if provider == "AzureExecutionProvider":
            # It computes in a cloud.
            continue
        short = provider.removesuffix("ExecutionProvider")
        try:
            session = onnxruntime.InferenceSession(product_model(), providers=[provider])
            taken = session.get_providers()[0] == provider
            (found,) = session.run(None, {"x": numpy.array([_INPUT], dtype=numpy.float32)})
            right = taken and [float(value) for value in found[0]] == expected
            reason = "computes wrong" if taken else "is not taken up"
        except Exception as error:
            # What it raises has no common base, and another provider may still work.
            right, reason = False, f"fails ({str(error).splitlines()[0][:80]})"
        if not right and short == "CPU":
            raise EdgetuiError("internal", f"ONNX Runtime's CPU provider {reason}: install it anew.")
        words.append(short if right else f"{short} {reason}")
    return f"onnxruntime {onnxruntime.__version__}: a product is exact on {', '.join(words)}"


def product_model() -> bytes:
    """An ONNX model with one MatMul, encoded by hand (onnx.proto3): the onnx package is not needed for it."""
    weights = (
        b"".join(_number(1, extent) for extent in (3, 2))
        + _number(2, _FLOAT)
        + _bytes(8, b"w")
        + _bytes(9, struct.pack("<6f", *_WEIGHTS))
    )
    node = _bytes(1, b"x") + _bytes(1, b"w") + _bytes(2, b"y") + _bytes(4, b"MatMul")
    graph = (
        _bytes(1, node)
        + _bytes(2, b"product")
        + _bytes(5, weights)
        + _bytes(11, _value("x", 3))
        + _bytes(12, _value("y", 2))
    )
    opset = _bytes(1, b"") + _number(2, _OPSET)
    return _number(1, _IR_VERSION) + _bytes(7, graph) + _bytes(8, opset)


def _value(name: str, width: int) -> bytes:
    """`ValueInfoProto` of a float tensor of one row."""
    shape = b"".join(_bytes(1, _number(1, extent)) for extent in (1, width))
    tensor = _number(1, _FLOAT) + _bytes(2, shape)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
