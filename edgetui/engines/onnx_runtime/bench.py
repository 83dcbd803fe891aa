"""Prefill and decode of an ONNX decoder by onnxruntime-genai: llama-bench's work, warm-up and random tokens."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.core.bench import BenchRow, Repetition, tests_of
from edgetui.core.failures import EdgetuiError
from edgetui.engines import host
from edgetui.engines.onnx_runtime import graph
from edgetui.engines.onnx_runtime.beside import configuration
from edgetui.engines.onnx_runtime.failures import told
from edgetui.engines.onnx_runtime.session import configured_provider, require_provider
from edgetui.formats.model_folder import GENAI_CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edgetui.core.bench import BenchSettings
    from edgetui.formats.onnx import OnnxModel

ENGINE = "onnxruntime-genai"
_CACHE_TYPES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
"""In llama.cpp's spelling."""


def measure(
    path: Path, name: str, settings: BenchSettings, on_repetition: Callable[[Repetition], None]
) -> Iterator[BenchRow]:
    """Measure what the settings ask for, a row a test as soon as it is complete; `path` is the decoder's graph.

    The type of the KV cache is the graph's, whatever the settings say. Raises `EdgetuiError`: `bad_request` when
    there is nothing to measure, `unsupported` for a model that onnxruntime-genai cannot run, `bad_file`,
    `context_overflow`, `out_of_memory`, `engine_missing`.
    """
    tests = tests_of(settings)
    if not (path.parent / GENAI_CONFIG).is_file():
        raise EdgetuiError(
            "unsupported",
            f"{path.name} has no {GENAI_CONFIG} beside it, so onnxruntime-genai cannot run it: build it with"
            " onnx-build.",
        )
    model = graph.inspect(path)
    provider = configured_provider(path)
    require_provider(provider)
    longest = configuration(path, GENAI_CONFIG).get("model", {}).get("context_length")
    for test, tokens in tests:
        length = tokens + settings.depth_tokens
        if isinstance(longest, int) and length > longest:
            raise EdgetuiError(
                "context_overflow", f"{name} takes {longest} tokens, and the test needs {length}: ask for fewer."
            )
        graph.require_memory(graph.source_bytes(model), path.name)
        host.forget_peak_memory()
        threads = settings.threads or host.default_threads()
        with told(path.name, "Measuring"):
            decoder = _Decoder(path, length, settings, threads)
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
            threads=threads,
            batch_tokens=settings.batch_tokens,
            kv_cache_type=_cache_type(model),
            model_name=name,
            model_path=str(path),
            model_size_bytes=graph.source_bytes(model),
            model_parameter_count=model.parameter_count,
            model_quant_type=model.quant_type or "",
            engine=ENGINE,
            engine_version=decoder.version,
            measured_at=time.time(),
            load_average=load_average,
            backend=provider.upper(),
            depth_tokens=settings.depth_tokens,
            load_s=decoder.load_s,
            memory_bytes=host.peak_resident_bytes(),
        )
        decoder.close()


def _cache_type(model: OnnxModel) -> str:
    """How the graph keeps its keys and values; empty for a decoder without a cache."""
    name = next((value.type_name for value in model.inputs if value.name.startswith("past")), "")
    return _CACHE_TYPES.get(name, name)


class _Decoder:
    """Runs one test once over a loaded model."""

    def __init__(self, path: Path, length: int, settings: BenchSettings, threads: int) -> None:
        import onnxruntime_genai

        self.version = str(onnxruntime_genai.__version__)
        config = onnxruntime_genai.Config(os.fspath(path.parent))
        session = {"intra_op_num_threads": threads}
        config.overlay(msgspec.json.encode({"model": {"decoder": {"session_options": session}}}).decode())
        began = time.perf_counter()
        self._model: Any = onnxruntime_genai.Model(config)
        params = onnxruntime_genai.GeneratorParams(self._model)
        # A cache of the test's own size, as llama-bench makes it.
        params.set_search_options(max_length=length + 1, batch_size=1)
        self._generator: Any = onnxruntime_genai.Generator(self._model, params)
        self.load_s = time.perf_counter() - began
        self._vocabulary_size = int(configuration(path, GENAI_CONFIG)["model"]["vocab_size"])
        self._batch_tokens = settings.batch_tokens
        self._depth_tokens = settings.depth_tokens
        # Which tokens are decoded does not change the work; fixed ones make runs alike.
        self._random = random.Random(0)

    def prefill(self, tokens: int) -> int:
        """Nanoseconds to compute `tokens` random tokens in batches, after the depth."""
        batches = self._batches(tokens)
        self._go_to_depth()
        started = time.perf_counter_ns()
        for batch in batches:
            self._generator.append_tokens(batch)
        # The logits are there when they are read, not before.
        self._generator.get_logits()
        return time.perf_counter_ns() - started

    def decode(self, tokens: int) -> int:
        """Nanoseconds to compute `tokens` random tokens one by one, after the depth; none is sampled."""
        chosen = [self._array(1) for _ in range(tokens)]
        self._go_to_depth()
        started = time.perf_counter_ns()
        for token in chosen:
            self._generator.append_tokens(token)
            self._generator.get_logits()
        return time.perf_counter_ns() - started

    def close(self) -> None:
        """Free the model."""
        self._generator = self._model = None

    def _array(self, count: int) -> Any:
        import numpy

        return numpy.array([self._random.randrange(self._vocabulary_size) for _ in range(count)], dtype=numpy.int32)

    def _batches(self, tokens: int) -> list[Any]:
        batch = self._batch_tokens
        return [self._array(min(batch, tokens - start)) for start in range(0, tokens, batch)]

    def _go_to_depth(self) -> None:
        """Have the depth in the cache and nothing else."""
        if self._generator.token_count() > self._depth_tokens:
            self._generator.rewind_to(self._depth_tokens)
        elif self._depth_tokens and self._generator.token_count() == 0:
            for batch in self._batches(self._depth_tokens):
                self._generator.append_tokens(batch)
            self._generator.get_logits()
