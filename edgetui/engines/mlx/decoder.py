"""A model of mlx-lm with its KV cache: tokens in, logits of the last one out, and back to an earlier length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


class Decoder:
    """Knows how many tokens the cache holds; all arrays are mlx's, computed when somebody looks at them."""

    def __init__(self, model: Any) -> None:
        from mlx_lm.models.cache import make_prompt_cache

        self._model = model
        self._new_cache = make_prompt_cache
        self._cache: Any = make_prompt_cache(model)
        self.length = 0
        """Tokens in the cache."""

    def take(self, tokens: Sequence[int]) -> None:
        """Put tokens into the cache, and wait until they are there."""
        import mlx.core as mx

        self._model(mx.array([list(tokens)]), cache=self._cache)
        mx.eval([part.state for part in self._cache])
        self.length += len(tokens)
        # What a long prompt needed would otherwise stay with the process.
        mx.clear_cache()

    def logits(self, token: Any) -> Any:
        """Logits (1, vocabulary) after one more token, an array of one; nothing is computed yet."""
        logits = self._model(token.reshape(1, 1), cache=self._cache)[:, -1, :]
        self.length += 1
        return logits

    def cut_back(self, length: int) -> None:
        """Have at most so many tokens in the cache; one that cannot go back begins anew, with none."""
        from mlx_lm.models.cache import can_trim_prompt_cache, trim_prompt_cache

        if length >= self.length:
            return
        surplus = self.length - length
        if length and can_trim_prompt_cache(self._cache) and trim_prompt_cache(self._cache, surplus) == surplus:
            self.length = length
            return
        self.begin_anew()

    def begin_anew(self) -> None:
        """Have an empty cache, whatever a step that failed half-way has put into it."""
        self._cache = self._new_cache(self._model)
        self.length = 0

    def bytes_per_token(self) -> int:
        """Of a cache that holds something; 0 for one that does not grow with the conversation."""
        arrays: list[Any] = [getattr(part, name, None) for part in self._cache for name in ("keys", "values")]
        grown = [array for array in arrays if getattr(array, "ndim", 0) == 4]
        # (batch, heads, tokens, width)
        return sum(array.shape[1] * array.shape[3] * array.itemsize for array in grown)

    def close(self) -> None:
        """Free cache and weights."""
        import mlx.core as mx

        self._model = self._cache = None
        mx.clear_cache()
