"""What a model and a context allocate: simulated by llama.cpp itself before anything is, and read from its log."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.fit import MemoryParts
from edgetui.core.units import format_bytes
from edgetui.engines import host
from edgetui.engines.llama_cpp import library
from edgetui.engines.llama_cpp.failures import context_failure, load_failure
from edgetui.engines.llama_cpp.repack import repacked_bytes
from edgetui.worker.protocol import MemoryEstimated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edgetui.core.run_settings import LoadSettings
    from edgetui.formats.gguf_header import GgufHeader

DEFAULT_CONTEXT_TOKENS = 8192
"""Context taken when none is asked for and the model knows a longer one: room for a chat, cheap on a board."""

_GGML_TYPES = {
    "f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "iq4_nl": 20, "bf16": 30,
}  # fmt: skip
_CACHE_LINE = re.compile(r"llama_(?:kv_cache|memory_recurrent)\w*: size =\s*([\d.]+) MiB")
_COMPUTE_LINE = re.compile(r"compute buffer size\s*=\s*([\d.]+) MiB")
_OUTPUT_LINE = re.compile(r"output buffer size\s*=\s*([\d.]+) MiB")
_MIB = 1024 * 1024


class BufferSizes:
    """Collects the log of a context's creation and the buffer sizes it states."""

    def __init__(self) -> None:
        self.text = ""

    def read(self, piece: str) -> None:
        """Take a piece of the log."""
        self.text += piece

    @property
    def cache_bytes(self) -> int:
        """KV cache, and recurrent state where the architecture has one."""
        return self._sum(_CACHE_LINE)

    @property
    def compute_bytes(self) -> int:
        """Buffers for the intermediate results of one batch."""
        return self._sum(_COMPUTE_LINE)

    @property
    def output_bytes(self) -> int:
        """Buffer for logits."""
        return self._sum(_OUTPUT_LINE)

    def _sum(self, line: re.Pattern[str]) -> int:
        return round(sum(float(size) for size in line.findall(self.text)) * _MIB)


class Simulation:
    """A model without weights (`no_alloc`), on which contexts are made without allocating their buffers.

    `LLAMA_LOAD_MODE_NONE` is needed with it: any other mode aborts the process.
    """

    def __init__(self, lib: Any, model: Any, header: GgufHeader) -> None:
        self._lib = lib
        self._model = model
        self._header = header

    @classmethod
    @contextmanager
    def of(cls, lib: Any, header: GgufHeader) -> Iterator[Simulation]:
        """Load the header's model without weights; raises `EdgetuiError`: `bad_file`, `unsupported`."""
        params = lib.llama_model_default_params()
        params.no_alloc = True
        params.load_mode = lib.LLAMA_LOAD_MODE_NONE
        log = BufferSizes()
        with library.capture_log(log.read):
            model = lib.llama_model_load_from_file(str(header.path).encode(), params)
        if not model:
            raise load_failure(header.path, log.text)
        try:
            yield cls(lib, model, header)
        finally:
            lib.llama_model_free(model)

    def memory(self, settings: LoadSettings, context_params: Any) -> MemoryParts:
        """What loading with these settings would take; raises `EdgetuiError("unsupported")`.

        `runtime` is what this process holds now, with vocabulary and graph but without weights and buffers.
        """
        lib, log = self._lib, BufferSizes()
        with library.capture_log(log.read):
            context = lib.llama_init_from_model(self._model, context_params)
        if not context:
            raise context_failure(self._header.path, settings, int(context_params.n_ctx), log.text)
        try:
            runtime = host.resident_bytes()
        finally:
            lib.llama_free(context)
        return MemoryParts(
            # The whole file is mapped and read once (MAP_POPULATE in llama-mmap.cpp), also what is copied then.
            weights_mapped=self._header.size_bytes,
            weights_copied=repacked_bytes(self._header),
            kv_cache=log.cache_bytes,
            compute=log.compute_bytes,
            output=log.output_bytes,
            runtime=runtime,
        )


def context_params(lib: Any, header: GgufHeader, settings: LoadSettings) -> Any:
    """Native parameters of a context for these settings."""
    trained = header.context_length or DEFAULT_CONTEXT_TOKENS
    context_tokens = settings.context_tokens or min(trained, DEFAULT_CONTEXT_TOKENS)
    threads = settings.threads or host.default_threads()
    params = lib.llama_context_default_params()
    params.n_ctx = context_tokens
    params.n_batch = params.n_ubatch = min(settings.batch_tokens, context_tokens)
    params.n_threads = params.n_threads_batch = threads
    params.type_k = params.type_v = _GGML_TYPES[settings.kv_cache_type]
    params.no_perf = True
    # Only the last token's logits are ever read; room for a whole batch of them would cost vocabulary x batch x 4
    # bytes, more than a small model's weights.
    params.n_outputs_max = 1
    return params


def estimate_memory(path: Path, settings: Sequence[LoadSettings]) -> MemoryEstimated:
    """Simulate a load with each of the settings, in a process that holds no model.

    None stands for settings that llama.cpp refuses. Raises `EdgetuiError`: `bad_file`, `unsupported`, `not_found`; also
    when it refuses the first of the settings.
    """
    from edgetui.formats.gguf import check_loadable

    lib, header = library.load(), check_loadable(path)
    found: list[MemoryParts | None] = []
    with Simulation.of(lib, header) as simulation:
        for each in settings:
            try:
                found.append(simulation.memory(each, context_params(lib, header, each)))
            except EdgetuiError:
                if not found:
                    raise
                found.append(None)
    first = context_params(lib, header, settings[0])
    return MemoryEstimated(
        parts=tuple(found), context_tokens=int(first.n_ctx), available_bytes=host.available_memory_bytes()
    )


def require_memory(lib: Any, header: GgufHeader, settings: LoadSettings, context_params: Any) -> None:
    """Refuse what cannot fit before anything is allocated; raises `EdgetuiError("out_of_memory")`."""
    with Simulation.of(lib, header) as simulation:
        parts = simulation.memory(settings, context_params)
    weights = parts.weights_mapped + parts.weights_copied
    buffers = parts.kv_cache + parts.compute + parts.output
    available = host.available_memory_bytes()
    if weights + buffers > available:
        raise EdgetuiError(
            "out_of_memory",
            f"{header.path.name} with a context of {context_params.n_ctx} tokens needs"
            f" {format_bytes(weights + buffers)} ({format_bytes(weights)} weights, {format_bytes(buffers)} KV cache and"
            f" buffers) and {format_bytes(available)} are free: take a smaller context, a smaller KV-cache type or a"
            " smaller model.",
        )
