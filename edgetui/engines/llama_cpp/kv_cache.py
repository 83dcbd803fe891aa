"""What a context has computed: the tokens in its KV cache, decoding more of them, and cutting back."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.engines.llama_cpp.model import LoadedModel

_ABORTED = 2
"""`llama_decode`'s status when the abort callback said so."""
_OUT_OF_MEMORY = -2


class KvCache:
    """One sequence of tokens in a model's context."""

    def __init__(self, lib: Any, model: LoadedModel) -> None:
        self._lib = lib
        self._model = model
        size = model.batch_tokens
        self._array = (lib.llama_token * size)()
        self._outputs = (ctypes.c_int8 * size)(*([1] * size))
        self._batch = lib.llama_batch_get_one(self._array, 1)
        self._one_array = (lib.llama_token * 1)()
        self._one = lib.llama_batch_get_one(self._one_array, 1)
        self._llama_decode = lib.llama_decode
        self._window = int(lib.llama_model_n_swa(model.model))
        self.tokens: list[int] = []
        """All that is computed, in order."""

    def decode(self, tokens: Sequence[int], *, every_row: bool = False) -> bool:
        """Compute at most a batch more; logits are there for the last token, or of each with `every_row`.

        Returns False, with nothing added, when stopped. Raises `EdgetuiError`: `out_of_memory`, `internal`.
        """
        count = len(tokens)
        self._array[:count] = tokens
        self._batch.n_tokens = count
        self._batch.logits = self._outputs if every_row else None
        status = self._lib.llama_decode(self._model.context, self._batch)
        if status == 0:
            self._lib.llama_synchronize(self._model.context)
            self.tokens += tokens
            return True
        return self._undone(status)

    def decode_one(self, token: int) -> bool:
        """As `decode` of a single token, for the loop that counts: reading its logits waits for them."""
        self._one_array[0] = token
        status = self._llama_decode(self._model.context, self._one)
        if status == 0:
            self.tokens.append(token)
            return True
        return self._undone(status)

    def _undone(self, status: int) -> bool:
        """Take back what a decode that failed has left; False where it was only stopped."""
        self._lib.llama_memory_seq_rm(self._model.memory, 0, len(self.tokens), -1)
        if status == _ABORTED:
            return False
        if status == _OUT_OF_MEMORY:
            raise EdgetuiError(
                "out_of_memory",
                f"The machine ran out of memory after {len(self.tokens)} tokens: load the model with a smaller context"
                " or batch, or take a smaller model.",
            )
        raise EdgetuiError(
            "internal",
            f"llama.cpp stopped with status {status} after {len(self.tokens)} tokens: begin a new conversation,"
            " or load the model again.",
        )

    def keep(self, count: int) -> int:
        """Cut back to the first `count` tokens, or to none where that cannot be done; returns how many stay."""
        if count >= len(self.tokens):
            return len(self.tokens)
        lib, memory = self._lib, self._model.memory
        oldest = int(lib.llama_memory_seq_pos_min(memory, 0))
        # A sliding-window cache has dropped old positions; going back behind them is not possible.
        lost = self._window > 0 and oldest > max(0, count - self._window)
        if lost or not lib.llama_memory_seq_rm(memory, 0, count, -1):
            lib.llama_memory_clear(memory, True)
            count = 0
        del self.tokens[count:]
        return count
