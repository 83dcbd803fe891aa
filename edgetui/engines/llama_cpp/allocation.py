"""What a model and a context allocate: simulated by llama.cpp itself before anything is, and read from its log."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.fit import MemoryParts
from edgetui.core.units import format_bytes
from edgetui.engines import host
from edgetui.engines.llama_cpp import library
from edgetui.engines.llama_cpp.failures import context_failure, load_failure
from edgetui.engines.llama_cpp.native_params import context_params, draft_settings, with_load_mode
from edgetui.engines.llama_cpp.repack import repacked_bytes
from edgetui.worker.protocol import MemoryEstimated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgetui.core.run_settings import LoadSettings
    from edgetui.formats.gguf_header import GgufHeader

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
        if with_load_mode(settings, self._header.size_bytes).use_mmap:
            # The whole file is mapped and read once (MAP_POPULATE in llama-mmap.cpp), also what is copied then.
            mapped, copied, read = self._header.size_bytes, repacked_bytes(self._header), 0
        else:
            # Each tensor is read into a buffer of the kind that suits it, once.
            mapped, copied, read = 0, 0, sum(tensor.size_bytes for tensor in self._header.tensors)
        return MemoryParts(
            weights_mapped=mapped,
            weights_copied=copied,
            weights_read=read + _adapter_bytes(settings),
            kv_cache=log.cache_bytes,
            compute=log.compute_bytes,
            output=log.output_bytes,
            runtime=runtime,
        )


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
                parts = simulation.memory(each, context_params(lib, header, each))
                found.append(_with_draft(lib, parts, header, each))
            except EdgetuiError:
                if not found:
                    raise
                found.append(None)
    first = context_params(lib, header, settings[0])
    return MemoryEstimated(
        parts=tuple(found), context_tokens=int(first.n_ctx), available_bytes=host.available_memory_bytes()
    )


def _adapter_bytes(settings: LoadSettings) -> int:
    """Adapters are read into memory whole; one that is not there is said when it is loaded."""
    return sum(path.stat().st_size for each in settings.adapters if (path := Path(each.path)).is_file())


def _with_draft(lib: Any, parts: MemoryParts, header: GgufHeader, settings: LoadSettings) -> MemoryParts:
    """The parts together with those of the draft model, which has a context of the same length."""
    if not settings.draft_model:
        return parts
    from edgetui.formats.gguf import check_loadable

    draft = check_loadable(Path(settings.draft_model))
    of_draft = draft_settings(settings, int(context_params(lib, header, settings).n_ctx))
    # It is loaded when the model has its memory.
    of_draft = with_load_mode(of_draft, draft.size_bytes, parts.total - parts.runtime - parts.weights_mapped)
    with Simulation.of(lib, draft) as simulation:
        more = simulation.memory(of_draft, context_params(lib, draft, of_draft))
    return MemoryParts(
        weights_mapped=parts.weights_mapped + more.weights_mapped,
        weights_copied=parts.weights_copied + more.weights_copied,
        weights_read=parts.weights_read + more.weights_read,
        kv_cache=parts.kv_cache + more.kv_cache,
        compute=parts.compute + more.compute,
        output=parts.output + more.output,
        runtime=more.runtime,
    )


def require_memory(lib: Any, header: GgufHeader, settings: LoadSettings, context_params: Any) -> None:
    """Refuse what cannot fit before anything is allocated; raises `EdgetuiError("out_of_memory")`."""
    with Simulation.of(lib, header) as simulation:
        parts = simulation.memory(settings, context_params)
    weights = parts.weights
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
