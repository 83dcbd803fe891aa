"""Prefill and decode measured the way llama-bench measures them: same work, same warm-up, no sampling."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.bench import PHYSICAL_BATCH_TOKENS, BenchRow, Repetition, tests_of
from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import LoadSettings
from edgetui.engines import host
from edgetui.engines.llama_cpp import library
from edgetui.engines.llama_cpp.model import LoadedModel
from edgetui.formats.gguf import read_gguf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgetui.core.bench import BenchSettings


def measure(
    path: Path, name: str, settings: BenchSettings, on_repetition: Callable[[Repetition], None]
) -> Iterator[BenchRow]:
    """Measure what the settings ask for, a row a test as soon as it is complete.

    Raises `EdgetuiError` as a load does, and `bad_request` when there is nothing to measure.
    """
    tests = tests_of(settings)
    header = read_gguf(path)
    for test, tokens in tests:
        # A context of the test's own size, as llama-bench makes it.
        load = LoadSettings(
            context_tokens=tokens + settings.depth_tokens,
            batch_tokens=settings.batch_tokens,
            threads=settings.threads,
            kv_cache_type=settings.kv_cache_type,
        )
        host.forget_peak_memory()
        began = time.perf_counter()
        model = LoadedModel.load(path, load, adjust_context=_as_llama_bench)
        load_s = time.perf_counter() - began
        try:
            load_average = host.load_average()
            bench = _Bench(model, settings.depth_tokens)
            run = bench.prefill if test == "pp" else bench.decode
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
                threads=model.threads,
                batch_tokens=settings.batch_tokens,
                kv_cache_type=settings.kv_cache_type,
                model_name=name,
                model_path=str(path),
                model_size_bytes=model.weights_bytes,
                model_parameter_count=model.parameter_count,
                model_quant_type=header.quant_type or "",
                engine="llama.cpp",
                engine_version=library.version(),
                measured_at=time.time(),
                load_average=load_average,
                backend=library.backend(),
                depth_tokens=settings.depth_tokens,
                load_s=load_s,
                memory_bytes=host.peak_resident_bytes(),
            )
        finally:
            model.close()


def _as_llama_bench(params: Any) -> None:
    """Change a context's native parameters to what llama-bench takes where a chat takes something else."""
    params.n_ubatch = min(params.n_ubatch, PHYSICAL_BATCH_TOKENS)
    # Layers with a sliding window then cache no more than the window.
    params.swa_full = False


class _Bench:
    """Runs one test once over a loaded model."""

    def __init__(self, model: LoadedModel, depth_tokens: int = 0) -> None:
        self._lib: Any = library.load()
        self._model = model
        self._vocabulary_size = int(self._lib.llama_vocab_n_tokens(model.vocab))
        # Which tokens are decoded does not change the work; fixed ones make runs alike.
        self._random = random.Random(0)
        self._depth_tokens = depth_tokens
        self._is_filled = False

    def prefill(self, tokens: int) -> int:
        """Nanoseconds to decode `tokens` random tokens in batches, after the depth."""
        lib, context = self._lib, self._model.context
        arrays = self._batches(tokens)
        self._put_first_token(arrays[0])
        self._go_to_depth()
        started = time.perf_counter_ns()
        for array in arrays:
            self._decode(lib.llama_batch_get_one(array, len(array)))
        lib.llama_synchronize(context)
        return time.perf_counter_ns() - started

    def decode(self, tokens: int) -> int:
        """Nanoseconds to decode `tokens` random tokens one by one, after the depth."""
        lib, context = self._lib, self._model.context
        chosen = [self._token() for _ in range(tokens)]
        array = (lib.llama_token * 1)(chosen[0])
        self._put_first_token(array)
        batch = lib.llama_batch_get_one(array, 1)
        self._go_to_depth()
        started = time.perf_counter_ns()
        for token in (array[0], *chosen[1:]):
            array[0] = token
            self._decode(batch)
            lib.llama_synchronize(context)
        return time.perf_counter_ns() - started

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
        self._lib.llama_synchronize(self._model.context)
        self._is_filled = self._depth_tokens > 0

    def _decode(self, batch: Any) -> None:
        status = self._lib.llama_decode(self._model.context, batch)
        if status != 0:
            raise EdgetuiError(
                "internal", f"llama.cpp stopped with status {status} while measuring {self._model.path.name}."
            )
