"""Prefill and decode of an MLX model by mlx-lm's own model and cache: llama-bench's work, warm-up and random tokens.

Unlike the logits, everything here is what a user of MLX gets: quantized layers, activations as the model has them.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from edgetui.core.bench import BenchRow, Repetition, tests_of
from edgetui.core.failures import EdgetuiError
from edgetui.engines import host
from edgetui.engines.mlx import device
from edgetui.engines.mlx.failures import told
from edgetui.engines.mlx.folder import load
from edgetui.formats.mlx import mlx_facts
from edgetui.formats.safetensors import read_safetensors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edgetui.core.bench import BenchSettings

ENGINE = "mlx"
DOING = "Measuring"
_TYPE_NAMES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
"""mlx's in llama.cpp's spelling."""


def measure(
    path: Path, name: str, settings: BenchSettings, on_repetition: Callable[[Repetition], None]
) -> Iterator[BenchRow]:
    """Measure what the settings ask for, a row a test as soon as it is complete; `path` is the first file of a folder.

    The KV cache has the type of the activations, whatever the settings say, and mlx takes one thread on a processor.
    Raises `EdgetuiError`: `bad_request` when there is nothing to measure, `context_overflow`, and as `load` does.
    """
    tests = tests_of(settings)
    facts = mlx_facts(read_safetensors(sorted(path.parent.glob("model*.safetensors")) or [path]))
    for test, tokens in tests:
        host.forget_peak_memory()
        decoder = _Decoder(path, settings)
        decoder.require_context(tokens + settings.depth_tokens)
        with told(name, DOING):
            load_average = host.load_average()
            run = decoder.prefill if test == "pp" else decoder.decode
            # llama-bench warms prefill up with the whole prompt, decode with one token.
            run(tokens if test == "pp" else 1)
            samples = []
            for number in range(1, settings.repetitions + 1):
                samples.append(run(tokens))
                on_repetition(Repetition(test, tokens, number, samples[-1]))
        yield BenchRow(
            test=test,
            tokens=tokens,
            samples_ns=tuple(samples),
            threads=1,
            batch_tokens=settings.batch_tokens,
            kv_cache_type=decoder.cache_type,
            model_name=name,
            model_path=str(path),
            model_size_bytes=decoder.size_bytes,
            model_parameter_count=facts.parameter_count,
            model_quant_type=facts.quant_type or "",
            engine=ENGINE,
            engine_version=device.version(),
            measured_at=time.time(),
            load_average=load_average,
            backend="GPU" if device.is_accelerated() else "CPU",
            depth_tokens=settings.depth_tokens,
            load_s=decoder.load_s,
            memory_bytes=host.peak_resident_bytes(),
        )
        decoder.close()


class _Decoder:
    """Runs one test once over a loaded model."""

    def __init__(self, path: Path, settings: BenchSettings) -> None:
        began = time.perf_counter()
        loaded = load(path, DOING)
        self._name, self._config = loaded.name, loaded.config
        with told(loaded.name, DOING):
            import mlx.core as mx
            from mlx.utils import tree_flatten
            from mlx_lm.models.cache import make_prompt_cache

            self._model: Any = loaded.model
            mx.eval(self._model.parameters())
            self.load_s = time.perf_counter() - began
            weights = [value for _, value in tree_flatten(self._model.parameters())]
            self._new_cache = make_prompt_cache
            self._cache: Any = make_prompt_cache(self._model)
        self.size_bytes = sum(int(value.nbytes) for value in weights)
        floating = next((value.dtype for value in weights if mx.issubdtype(value.dtype, mx.floating)), mx.float32)
        self.cache_type = _TYPE_NAMES.get(str(floating).rpartition(".")[2], "")
        nested = self._config.get("text_config")
        self._text_config = {**(nested if isinstance(nested, dict) else {}), **self._config}
        self._vocabulary_size = int(self._text_config.get("vocab_size", 1))
        self._batch_tokens = settings.batch_tokens
        self._depth_tokens = settings.depth_tokens
        self._is_filled = False
        # Which tokens are decoded does not change the work; fixed ones make runs alike.
        self._random = random.Random(0)

    def require_context(self, tokens: int) -> None:
        """Raise `EdgetuiError("context_overflow")` for a test beyond what the model was trained for."""
        trained = self._text_config.get("max_position_embeddings")
        if isinstance(trained, int) and tokens > trained:
            raise EdgetuiError(
                "context_overflow", f"{self._name} takes {trained} tokens, and the test needs {tokens}: ask for fewer."
            )

    def prefill(self, tokens: int) -> int:
        """Nanoseconds to compute `tokens` random tokens in batches, after the depth."""
        batches = self._batches(tokens)
        self._go_to_depth()
        started = time.perf_counter_ns()
        for batch in batches:
            self._compute(batch)
        return time.perf_counter_ns() - started

    def decode(self, tokens: int) -> int:
        """Nanoseconds to compute `tokens` random tokens one by one, after the depth; none is sampled."""
        chosen = [self._array(1) for _ in range(tokens)]
        self._go_to_depth()
        started = time.perf_counter_ns()
        for token in chosen:
            self._compute(token)
        return time.perf_counter_ns() - started

    def close(self) -> None:
        """Free the model."""
        import mlx.core as mx

        self._model = self._cache = None
        mx.clear_cache()

    def _compute(self, tokens: Any) -> None:
        """mlx computes when it is told to, and then waits."""
        import mlx.core as mx

        # Logits of the last token alone, as generating takes them.
        mx.eval(self._model(tokens, cache=self._cache)[:, -1, :], [part.state for part in self._cache])

    def _array(self, count: int) -> Any:
        import mlx.core as mx

        return mx.array([[self._random.randrange(self._vocabulary_size) for _ in range(count)]])

    def _batches(self, tokens: int) -> list[Any]:
        batch = self._batch_tokens
        return [self._array(min(batch, tokens - start)) for start in range(0, tokens, batch)]

    def _go_to_depth(self) -> None:
        """Have the depth in the cache and nothing else."""
        from mlx_lm.models.cache import can_trim_prompt_cache, trim_prompt_cache

        if self._is_filled and can_trim_prompt_cache(self._cache):
            trim_prompt_cache(self._cache, self._cache[0].offset - self._depth_tokens)
            return
        self._cache = self._new_cache(self._model)
        for batch in self._batches(self._depth_tokens):
            self._compute(batch)
        self._is_filled = self._depth_tokens > 0
