"""Matrix products and attention of an mlx model by numpy, for machines without a GPU that mlx can use.

mlx's CPU build for Linux comes with a BLAS that does one or two billion operations a second; numpy's does a hundred
times as many. Everything else of the model is computed by mlx as ever.
"""

from __future__ import annotations

import ctypes
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


def multiply_with_numpy(model: Any) -> None:
    """Replace plain linear layers, and tables of tokens that are output layers too; weights must be of 32 bits."""
    import mlx.core as mx
    import mlx.nn as nn
    from mlx.utils import tree_unflatten

    def product(x: Any, weight: NDArray[numpy.float32], bias: NDArray[numpy.float32] | None) -> Any:
        rows = numpy.asarray(x.astype(mx.float32)).reshape(-1, x.shape[-1])
        result = rows @ weight.T
        if bias is not None:
            result += bias
        return mx.array(result.reshape(*x.shape[:-1], len(weight)))

    class Linear(nn.Module):  # type: ignore[misc]
        def __init__(self, layer: Any) -> None:
            super().__init__()
            # Kept as mlx arrays too, whose memory numpy's share.
            self.weight = layer.weight
            if "bias" in layer:
                self.bias = layer.bias
            self._shared = numpy.asarray(layer.weight)
            self._shared_bias = numpy.asarray(layer.bias) if "bias" in layer else None

        def __call__(self, x: Any) -> Any:
            return product(x, self._shared, self._shared_bias)

    class Embedding(nn.Embedding):  # type: ignore[misc]
        def __init__(self, layer: Any) -> None:
            nn.Module.__init__(self)
            self.weight = layer.weight
            self._shared = numpy.asarray(layer.weight)

        def as_linear(self, x: Any) -> Any:
            return product(x, self._shared, None)

    replacements = {nn.Linear: Linear, nn.Embedding: Embedding}
    layers = [
        (name, replacements[type(module)](module))
        for name, module in model.named_modules()
        if type(module) in replacements
    ]
    model.update_modules(tree_unflatten(layers))


@contextmanager
def attention_by_numpy() -> Iterator[None]:
    """Inside, mlx's attention is numpy's where it is the plain one; with sinks it stays mlx's."""
    import mlx.core as mx

    original = mx.fast.scaled_dot_product_attention

    def attention(q: Any, k: Any, v: Any, *, scale: float, mask: Any = None, **others: Any) -> Any:
        if any(value is not None for value in others.values()):
            return original(q, k, v, scale=scale, mask=mask, **others)
        if isinstance(mask, mx.array) and mask.dtype != mx.bool_:
            mask = mask.astype(mx.float32)
        query, keys, values = (numpy.asarray(part.astype(mx.float32)) for part in (q, k, v))
        return mx.array(_attention(query, keys, values, scale, mask))

    mx.fast.scaled_dot_product_attention = attention
    try:
        yield
    finally:
        mx.fast.scaled_dot_product_attention = original


def set_threads(threads: int) -> None:
    """Threads of numpy's own library, where numpy came with one (OpenBLAS, on Linux and Windows)."""
    for path in Path(numpy.__file__).parent.parent.glob("numpy.libs/libscipy_openblas64_*"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(str(path)).scipy_openblas_set_num_threads64_(threads)


def _attention(
    q: NDArray[numpy.float32], k: NDArray[numpy.float32], v: NDArray[numpy.float32], scale: float, mask: Any
) -> NDArray[numpy.float32]:
    """softmax(q k^T * scale + mask) v of (batch, heads, tokens, width); several heads may share one of k and v."""
    batch, heads, tokens, width = q.shape
    shared, known = k.shape[1], k.shape[2]
    # Heads that share keys go through one product.
    together = (q * numpy.float32(scale)).reshape(batch, shared, heads // shared * tokens, width)
    scores = (together @ k.swapaxes(-1, -2)).reshape(batch, heads, tokens, known)
    if isinstance(mask, str):
        seen: NDArray[numpy.bool_] = numpy.tri(tokens, known, known - tokens, dtype=numpy.bool_)
        scores += numpy.where(seen, numpy.float32(0), numpy.float32(-numpy.inf))
    elif mask is not None:
        given = numpy.asarray(mask)
        scores += numpy.where(given, numpy.float32(0), numpy.float32(-numpy.inf)) if given.dtype == bool else given
    scores -= scores.max(axis=-1, keepdims=True)
    numpy.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    weighed: NDArray[numpy.float32] = scores.reshape((*together.shape[:-1], known)) @ v
    return weighed.reshape(batch, heads, tokens, v.shape[-1])
