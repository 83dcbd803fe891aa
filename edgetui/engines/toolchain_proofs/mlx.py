"""A matrix quantized to 4 bits by MLX, whose product is compared with that of the dequantized matrix."""

from __future__ import annotations

from pathlib import Path

from edgetui.core.failures import EdgetuiError

_ROWS, _COLUMNS, _GROUP = 64, 128, 64


def prove(_folder: Path) -> str:
    """Quantize, multiply, compare."""
    from importlib.metadata import version

    import mlx.core as mx
    import mlx_lm
    import numpy

    mx.random.seed(0)
    weights, x = mx.random.normal((_ROWS, _COLUMNS)), mx.random.normal((4, _COLUMNS))
    packed, scales, biases = mx.quantize(weights, group_size=_GROUP, bits=4)
    kept = mx.dequantize(packed, scales, biases, group_size=_GROUP, bits=4)
    found = mx.quantized_matmul(x, packed, scales, biases, transpose=True, group_size=_GROUP, bits=4)
    dequantized = numpy.array(kept)
    expected = numpy.array(x) @ dequantized.T
    error = float(numpy.abs(numpy.array(found) - expected).max() / numpy.abs(expected).max())
    lost = float(numpy.linalg.norm(dequantized - numpy.array(weights)) / numpy.linalg.norm(numpy.array(weights)))
    if not error < 1e-3:
        raise EdgetuiError("internal", f"a 4-bit product is wrong by {error:.1%} of its largest number")
    if not 0.01 < lost < 0.2:
        raise EdgetuiError("internal", f"4 bits lose {lost:.1%} of a matrix, where about a tenth is right")
    return (
        f"mlx {version('mlx')} (mlx-lm {mlx_lm.__version__}) on {mx.default_device().type.name} multiplies by a"
        f" matrix of {_ROWS}x{_COLUMNS} numbers in 4 bits, within {error:.1e} of the same dequantized (numpy);"
        f" it loses {lost:.1%} by them"
    )
