"""Logits of given tokens by mlx-lm's model of an MLX folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import format_bytes
from edgetui.engines import host
from edgetui.engines.mlx import device
from edgetui.engines.mlx.failures import told
from edgetui.engines.mlx.folder import Loaded, load
from edgetui.engines.mlx.products import attention_by_numpy, multiply_with_numpy, set_threads
from edgetui.engines.mlx.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

DOING = "Measuring"


def open_logits(path: Path, *, context_tokens: int, threads: int) -> MlxLogits:
    """Load a model for chunks of at most `context_tokens` tokens; `threads` 0 takes one a physical core.

    On a GPU the model is run as it is. On a processor, where mlx's quantized products do about one token a second,
    the very weights that they stand for are unpacked to 32 bits once, all activations have 32 bits, and products go
    through numpy: the same sums in another order. Logits then differ from those of mlx's quantized layers with 32-bit
    activations by less than 0.001 (held by a test); a model of 16-bit activations rounds more than that.
    Raises `EdgetuiError` as `load` does, `bad_request` for a context beyond the trained one, `out_of_memory`.
    """
    loaded = load(path, DOING)
    trained = loaded.config.get("max_position_embeddings")
    if isinstance(trained, int) and context_tokens > trained:
        raise EdgetuiError(
            "bad_request",
            f"{loaded.name} was trained for {trained} tokens of context, and beyond that its figures mean nothing: take"
            " a context of at most that.",
        )
    tokens = Tokens(loaded.folder, loaded.config)
    is_native = device.is_accelerated()
    if not is_native:
        set_threads(threads or host.default_threads())
        _unpack(loaded)
    return MlxLogits(loaded, tokens, is_native=is_native)


class MlxLogits:
    """`LogitSource` over a loaded model."""

    engine = "mlx"

    def __init__(self, loaded: Loaded, tokens: Tokens, *, is_native: bool) -> None:
        self._name = loaded.name
        self._model: Any = loaded.model
        self._tokens = tokens
        self._is_native = is_native
        self.engine_version = device.version() + ("" if is_native else ", weights unpacked to 32 bits")
        # Configurations name a vocabulary in several ways; what comes out is what counts.
        self.vocabulary_size = int(self._evaluate([0]).shape[-1])

    @property
    def bos(self) -> int | None:
        """The token that stands before a text, None for a model that wants none."""
        return self._tokens.bos

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        """Token ids of a text; a special token written out in it is text like any other."""
        return self._tokens.encode(text, add_special=add_special)

    def logits(self, chunks: Sequence[Sequence[int]], first: int) -> Iterator[NDArray[numpy.float32]]:
        """Logits of each chunk from position `first` on; see `LogitSource`."""
        for chunk in chunks:
            rows = self._evaluate(chunk)[first:]
            if not numpy.isfinite(rows).all():
                raise EdgetuiError(
                    "bad_file", f"{self._name} gives logits that are no numbers: make it again from its source."
                )
            yield rows

    def close(self) -> None:
        """Free the model."""
        import mlx.core as mx

        self._model = None
        mx.clear_cache()

    def _evaluate(self, chunk: Sequence[int]) -> NDArray[numpy.float32]:
        """All logits of a chunk, (tokens, vocabulary)."""
        import mlx.core as mx

        tokens = mx.array([list(chunk)])
        with told(self._name, DOING):
            if self._is_native:
                result = self._model(tokens)
            else:
                with attention_by_numpy():
                    result = self._model(tokens)
            return numpy.asarray(result[0].astype(mx.float32))


def _unpack(loaded: Loaded) -> None:
    """Weights of 32 bits in memory, and products by numpy."""
    needed = 4 * _parameter_count(loaded.model)
    free = host.available_memory_bytes()
    if needed > free:
        raise EdgetuiError(
            "out_of_memory",
            f"Measuring {loaded.name} on a processor unpacks its weights to {format_bytes(needed)}, and"
            f" {format_bytes(free)} are free: measure it on Apple silicon, or take a smaller model.",
        )
    with told(loaded.name, DOING):
        import mlx.core as mx
        from mlx_lm.utils import dequantize_model

        # Scales first: unpacked in 16 bits the weights would be rounded once more.
        loaded.model.set_dtype(mx.float32)
        dequantize_model(loaded.model)
        # The floating modes have no such scales: theirs unpack to 16 bits, which hold them exactly.
        loaded.model.set_dtype(mx.float32)
        mx.eval(loaded.model.parameters())
        multiply_with_numpy(loaded.model)


def _parameter_count(model: Any) -> int:
    from mlx_lm.utils import get_total_parameters

    return int(get_total_parameters(model))
