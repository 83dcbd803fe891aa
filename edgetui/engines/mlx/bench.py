"""Prefill and decode of an MLX model by mlx-lm's own model and cache: llama-bench's work, warm-up and random tokens.

Unlike the logits, everything here is what a user of MLX gets: quantized layers, activations as the model has them.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.engines.measuring import RunnerFacts
from edgetui.engines.mlx import device
from edgetui.engines.mlx.failures import told
from edgetui.engines.mlx.folder import load
from edgetui.formats.mlx import mlx_facts
from edgetui.formats.safetensors import read_safetensors

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.bench import BenchSettings, BenchTest

ENGINE = "mlx"
DOING = "Measuring"
_TYPE_NAMES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
"""mlx's in llama.cpp's spelling."""


def open_runner(path: Path, name: str, settings: BenchSettings, test: BenchTest) -> MlxRunner:
    """Load the model of a folder, whose first file `path` is.

    The KV cache has the type of the activations, whatever the settings say, and mlx takes one thread on a processor.
    Raises `EdgetuiError`: `context_overflow`, and as `load` does.
    """
    runner = MlxRunner(path, name, settings, test.depth_tokens)
    runner.require_context(test.context_tokens)
    return runner


class MlxRunner:
    """Runs one test again and again over a loaded model."""

    def __init__(self, path: Path, name: str, settings: BenchSettings, depth_tokens: int) -> None:
        mlx = mlx_facts(read_safetensors(sorted(path.parent.glob("model*.safetensors")) or [path]))
        began = time.perf_counter()
        loaded = load(path, DOING)
        self._name, self._config = loaded.name, loaded.config
        with told(name, DOING):
            import mlx.core as mx
            from mlx.utils import tree_flatten
            from mlx_lm.models.cache import make_prompt_cache

            self._model: Any = loaded.model
            mx.eval(self._model.parameters())
            load_s = time.perf_counter() - began
            weights = [value for _, value in tree_flatten(self._model.parameters())]
            self._new_cache = make_prompt_cache
            self._cache: Any = make_prompt_cache(self._model)
        floating = next((value.dtype for value in weights if mx.issubdtype(value.dtype, mx.floating)), mx.float32)
        cache_type = _TYPE_NAMES.get(str(floating).rpartition(".")[2], "")
        self.facts = RunnerFacts(
            engine=ENGINE,
            engine_version=device.version(),
            backend="GPU" if device.is_accelerated() else "CPU",
            threads=1,
            batch_tokens=settings.batch_tokens,
            kv_cache_type=cache_type,
            kv_cache_type_v=cache_type,
            model_size_bytes=sum(int(value.nbytes) for value in weights),
            model_parameter_count=mlx.parameter_count,
            model_quant_type=mlx.quant_type or "",
            load_s=load_s,
        )
        nested = self._config.get("text_config")
        self._text_config = {**(nested if isinstance(nested, dict) else {}), **self._config}
        self._vocabulary_size = int(self._text_config.get("vocab_size", 1))
        self._depth_tokens = depth_tokens
        self._is_filled = False
        # Which tokens are decoded does not change the work; fixed ones make runs alike.
        self._random = random.Random(0)
        self.filled_tokens = self.done_tokens = 0

    def require_context(self, tokens: int) -> None:
        """Raise `EdgetuiError("context_overflow")` for a test beyond what the model was trained for."""
        trained = self._text_config.get("max_position_embeddings")
        if isinstance(trained, int) and tokens > trained:
            raise EdgetuiError(
                "context_overflow", f"{self._name} takes {trained} tokens, and the test needs {tokens}: ask for fewer."
            )

    def run(self, prompt_tokens: int, generated_tokens: int) -> int:
        """Nanoseconds to compute a prompt of random tokens in batches and then single ones, after the depth."""
        with told(self._name, DOING):
            self.filled_tokens = self.done_tokens = 0
            batches = self._batches(prompt_tokens)
            chosen = [self._array(1) for _ in range(generated_tokens)]
            self._go_to_depth()
            started = time.perf_counter_ns()
            for tokens in (*batches, *chosen):
                self._compute(tokens)
                self.done_tokens += tokens.shape[1]
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
        batch = self.facts.batch_tokens
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
            self.filled_tokens += batch.shape[1]
        self._is_filled = self._depth_tokens > 0
