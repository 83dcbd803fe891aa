"""Prefill and decode of an ONNX decoder by onnxruntime-genai: llama-bench's work, warm-up and random tokens."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.engines import host
from edgetui.engines.measuring import RunnerFacts
from edgetui.engines.onnx_runtime import graph
from edgetui.engines.onnx_runtime.beside import configuration
from edgetui.engines.onnx_runtime.failures import told
from edgetui.engines.onnx_runtime.session import configured_provider, require_provider
from edgetui.formats.model_folder import GENAI_CONFIG

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.bench import BenchSettings, BenchTest
    from edgetui.formats.onnx import OnnxModel

ENGINE = "onnxruntime-genai"
DOING = "Measuring"
_CACHE_TYPES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
"""In llama.cpp's spelling."""


def open_runner(path: Path, name: str, settings: BenchSettings, test: BenchTest) -> GenaiRunner:
    """Load the decoder whose graph `path` is, with a cache of the test's own size.

    The type of the KV cache and where it computes are the folder's, whatever the settings say. Raises `EdgetuiError`:
    `unsupported` for a model that onnxruntime-genai cannot run, `bad_file`, `context_overflow`, `out_of_memory`,
    `engine_missing`.
    """
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
    if isinstance(longest, int) and test.context_tokens > longest:
        raise EdgetuiError(
            "context_overflow",
            f"{name} takes {longest} tokens, and the test needs {test.context_tokens}: ask for fewer.",
        )
    size_bytes = graph.source_bytes(model)
    graph.require_memory(size_bytes, path.name)
    threads = settings.threads or host.default_threads()
    with told(path.name, DOING):
        decoder = _Decoder(path, test.context_tokens, threads)
        return GenaiRunner(
            decoder,
            RunnerFacts(
                engine=ENGINE,
                engine_version=decoder.version,
                backend=provider.upper(),
                threads=threads,
                batch_tokens=settings.batch_tokens,
                kv_cache_type=_cache_type(model),
                kv_cache_type_v=_cache_type(model),
                model_size_bytes=size_bytes,
                model_parameter_count=model.parameter_count,
                model_quant_type=model.quant_type or "",
                load_s=decoder.load_s,
            ),
            path.name,
            test.depth_tokens,
        )


def _cache_type(model: OnnxModel) -> str:
    """How the graph keeps its keys and values; empty for a decoder without a cache."""
    name = next((value.type_name for value in model.inputs if value.name.startswith("past")), "")
    return _CACHE_TYPES.get(name, name)


class _Decoder:
    """A loaded model with its cache."""

    def __init__(self, path: Path, length: int, threads: int) -> None:
        import onnxruntime_genai

        self.version = str(onnxruntime_genai.__version__)
        config = onnxruntime_genai.Config(os.fspath(path.parent))
        session = {"intra_op_num_threads": threads}
        config.overlay(msgspec.json.encode({"model": {"decoder": {"session_options": session}}}).decode())
        began = time.perf_counter()
        self.model: Any = onnxruntime_genai.Model(config)
        params = onnxruntime_genai.GeneratorParams(self.model)
        # A cache of the test's own size, as llama-bench makes it.
        params.set_search_options(max_length=length + 1, batch_size=1)
        self.generator: Any = onnxruntime_genai.Generator(self.model, params)
        self.load_s = time.perf_counter() - began
        self.vocabulary_size = int(configuration(path, GENAI_CONFIG)["model"]["vocab_size"])


class GenaiRunner:
    """Runs one test again and again over a loaded model."""

    def __init__(self, decoder: _Decoder, facts: RunnerFacts, name: str, depth_tokens: int) -> None:
        self._model: Any = decoder.model
        self._generator: Any = decoder.generator
        self.facts = facts
        self._name = name
        self._vocabulary_size = decoder.vocabulary_size
        self._depth_tokens = depth_tokens
        # Which tokens are decoded does not change the work; fixed ones make runs alike.
        self._random = random.Random(0)
        self.filled_tokens = self.done_tokens = 0

    def run(self, prompt_tokens: int, generated_tokens: int) -> int:
        """Nanoseconds to compute a prompt of random tokens in batches and then single ones, after the depth."""
        with told(self._name, DOING):
            self.filled_tokens = self.done_tokens = 0
            batches = self._batches(prompt_tokens)
            chosen = [self._array(1) for _ in range(generated_tokens)]
            self._go_to_depth()
            started = time.perf_counter_ns()
            for batch in batches:
                self._generator.append_tokens(batch)
                self.done_tokens += len(batch)
            if batches:
                # The logits are there when they are read, not before.
                self._generator.get_logits()
            for token in chosen:
                self._generator.append_tokens(token)
                self._generator.get_logits()
                self.done_tokens += 1
            return time.perf_counter_ns() - started

    def close(self) -> None:
        """Free the model."""
        self._generator = self._model = None

    def _array(self, count: int) -> Any:
        import numpy

        return numpy.array([self._random.randrange(self._vocabulary_size) for _ in range(count)], dtype=numpy.int32)

    def _batches(self, tokens: int) -> list[Any]:
        batch = self.facts.batch_tokens
        return [self._array(min(batch, tokens - start)) for start in range(0, tokens, batch)]

    def _go_to_depth(self) -> None:
        """Have the depth in the cache and nothing else."""
        if self._generator.token_count() > self._depth_tokens:
            self._generator.rewind_to(self._depth_tokens)
        elif self._depth_tokens and self._generator.token_count() == 0:
            for batch in self._batches(self._depth_tokens):
                self._generator.append_tokens(batch)
                self.filled_tokens += len(batch)
            self._generator.get_logits()
