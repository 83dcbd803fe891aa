"""Logits of the last decode as arrays over the library's own memory."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetui.engines.llama_cpp.model import LoadedModel


class LogitRows:
    """Views, not copies: each holds until the next decode."""

    def __init__(self, lib: Any, model: LoadedModel) -> None:
        self.size = int(lib.llama_vocab_n_tokens(model.vocab))
        """Of the vocabulary."""
        self._row_type = ctypes.c_float * self.size
        self._context = model.context
        # A prototype of our own, since the binding's makes a pointer object of each answer.
        prototype = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32)
        self._address_of = prototype(("llama_get_logits_ith", lib._lib))
        self._known: dict[int, NDArray[numpy.float32]] = {}

    def row(self, number: int) -> NDArray[numpy.float32]:
        """Logits after the token of this place in the last batch; -1 for its last output."""
        address = self._address_of(self._context, number)
        view = self._known.get(address)
        if view is None:
            if len(self._known) > 64:
                self._known.clear()
            view = self._known[address] = numpy.frombuffer(self._row_type.from_address(address), numpy.float32)
        return view


def probabilities(logits: NDArray[numpy.float32]) -> NDArray[numpy.float32]:
    """Softmax over the whole vocabulary."""
    shifted = numpy.exp(logits - logits.max())
    result: NDArray[numpy.float32] = shifted / shifted.sum(dtype=numpy.float64)
    return result
