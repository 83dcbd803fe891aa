"""Prefill and decode measured the way llama-bench measures them: same work, same warm-up, no sampling."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.engines import huge_pages
from edgetui.engines.llama_cpp import library
from edgetui.engines.llama_cpp.model import LoadedModel
from edgetui.engines.measuring import RunnerFacts, load_settings
from edgetui.formats.gguf import read_gguf

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.bench import BenchSettings, BenchTest


def open_runner(path: Path, name: str, settings: BenchSettings, test: BenchTest) -> LlamaCppRunner:
    """Load a model for a test, with a context of the test's own size as llama-bench makes it; fails as a load does."""
    header = read_gguf(path)
    if settings.huge_pages and settings.use_mmap is not None and not huge_pages.are_available():
        raise EdgetuiError("unsupported", "This system gives no huge pages to a process that asks: leave them off.")
    began = time.perf_counter()
    model = LoadedModel.load(path, load_settings(settings, test.context_tokens), adjust_context=_keep_windows_small)
    load_s = time.perf_counter() - began
    facts = RunnerFacts(
        engine="llama.cpp",
        engine_version=library.version(),
        backend=library.backend(),
        threads=model.threads,
        batch_tokens=settings.batch_tokens,
        physical_batch_tokens=settings.physical_batch_tokens,
        kv_cache_type=settings.kv_cache_type,
        kv_cache_type_v=settings.kv_cache_type_v or settings.kv_cache_type,
        flash_attention=settings.flash_attention,
        gpu_layers=settings.gpu_layers,
        use_mmap=model.use_mmap,
        huge_pages=model.huge_page_bytes > 0,
        model_size_bytes=model.weights_bytes,
        model_parameter_count=model.parameter_count,
        model_quant_type=header.quant_type or "",
        load_s=load_s,
    )
    return LlamaCppRunner(model, facts, test.depth_tokens)


def _keep_windows_small(params: Any) -> None:
    """Let layers with a sliding window cache no more than the window, as llama-bench does and a chat does not."""
    params.swa_full = False


class LlamaCppRunner:
    """Runs one test again and again over a loaded model."""

    def __init__(self, model: LoadedModel, facts: RunnerFacts, depth_tokens: int) -> None:
        self._lib: Any = library.load()
        self._model = model
        self.facts = facts
        self._vocabulary_size = int(self._lib.llama_vocab_n_tokens(model.vocab))
        # Which tokens are decoded does not change the work; fixed ones make runs alike.
        self._random = random.Random(0)
        self._depth_tokens = depth_tokens
        self._is_filled = False
        self.filled_tokens = self.done_tokens = 0

    def run(self, prompt_tokens: int, generated_tokens: int) -> int:
        """Nanoseconds to compute a prompt of random tokens in batches and then single ones, after the depth."""
        lib, context = self._lib, self._model.context
        self.filled_tokens = self.done_tokens = 0
        arrays = self._batches(prompt_tokens)
        chosen = [self._token() for _ in range(generated_tokens)]
        if arrays:
            self._put_first_token(arrays[0])
        single = (lib.llama_token * 1)(*chosen[:1])
        if chosen:
            self._put_first_token(single)
            chosen[0] = single[0]
        batch = lib.llama_batch_get_one(single, 1)
        self._go_to_depth()
        started = time.perf_counter_ns()
        for array in arrays:
            self._decode(lib.llama_batch_get_one(array, len(array)))
            self.done_tokens += len(array)
        if arrays:
            lib.llama_synchronize(context)
        for token in chosen:
            single[0] = token
            self._decode(batch)
            lib.llama_synchronize(context)
            # Some tens of nanoseconds beside a token's milliseconds; whoever shows progress reads it.
            self.done_tokens += 1
        return time.perf_counter_ns() - started

    def close(self) -> None:
        """Free the model."""
        self._model.close()

    def _token(self) -> int:
        return self._random.randrange(self._vocabulary_size)

    def _put_first_token(self, array: Any) -> None:
        if self._lib.llama_vocab_get_add_bos(self._model.vocab):
            array[0] = self._lib.llama_vocab_bos(self._model.vocab)

    def _batches(self, tokens: int) -> list[Any]:
        """Random tokens in arrays of a batch each."""
        batch_tokens = self._model.batch_tokens
        counts = [min(batch_tokens, tokens - start) for start in range(0, tokens, batch_tokens)]
        return [(self._lib.llama_token * count)(*(self._token() for _ in range(count))) for count in counts]

    def _go_to_depth(self) -> None:
        """Have the depth in the cache and nothing else."""
        memory = self._model.memory
        # A cache that keeps no more than a window cannot take its last tokens back.
        if self._is_filled and self._lib.llama_memory_seq_rm(memory, 0, self._depth_tokens, -1):
            return
        self._lib.llama_memory_clear(memory, False)
        for array in self._batches(self._depth_tokens):
            self._decode(self._lib.llama_batch_get_one(array, len(array)))
            self.filled_tokens += len(array)
        self._lib.llama_synchronize(self._model.context)
        self._is_filled = self._depth_tokens > 0

    def _decode(self, batch: Any) -> None:
        status = self._lib.llama_decode(self._model.context, batch)
        if status != 0:
            raise EdgetuiError(
                "internal", f"llama.cpp stopped with status {status} while measuring {self._model.path.name}."
            )
