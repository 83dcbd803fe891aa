"""A loaded model with its context: loading, freeing, and every way that can fail, told in one sentence."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.engines.huge_pages import HugePages
from edgetui.engines.llama_cpp import library
from edgetui.engines.llama_cpp.adapters import load_adapters
from edgetui.engines.llama_cpp.allocation import BufferSizes, require_memory
from edgetui.engines.llama_cpp.failures import context_failure, load_failure
from edgetui.engines.llama_cpp.native_params import (
    context_params,
    model_params,
    prepare_process,
    remarks,
    with_load_mode,
)
from edgetui.engines.stopping import StopFlag

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.core.run_settings import LoadSettings


class LoadedModel:
    """Owns a native model and context; `close` frees both."""

    def __init__(self, lib: Any, model: Any, path: Path) -> None:
        self._lib = lib
        self.model = model
        self.path = path
        self.vocab = lib.llama_model_get_vocab(model)
        self.context: Any = None
        self.context_tokens = 0
        self.batch_tokens = 0
        self.output_rows = 0
        """Most tokens of one batch whose logits may be read."""
        self.threads = 0
        self.kv_cache_bytes = 0
        self.memory: Any = None
        self.use_mmap = True
        """Whether the weights are mapped, or read into memory of our own."""
        self.huge_page_bytes = 0
        """How much of that lies in huge pages."""
        self.remarks: tuple[str, ...] = ()
        """What of the settings could not be had."""
        # The context keeps the address of these for its whole life.
        self._stop = StopFlag()
        self._stop_data = ctypes.c_void_p(self._stop.native_data)

    @classmethod
    def load(
        cls,
        path: Path,
        settings: LoadSettings,
        *,
        on_progress: Callable[[float], None] = lambda fraction: None,
        stop: StopFlag | None = None,
        adjust_context: Callable[[Any], None] = lambda params: None,
    ) -> LoadedModel:
        """Read the weights and make a context; `adjust_context` may change its native parameters before.

        Raises `EdgetuiError`: `bad_file`, `unsupported`, `out_of_memory`, `cancelled`, `not_found`.
        """
        from edgetui.formats.gguf import check_loadable

        header = check_loadable(path)
        lib = library.load()
        params = context_params(lib, header, settings)
        adjust_context(params)
        settings = with_load_mode(settings, header.size_bytes)
        require_memory(lib, header, settings, params)
        prepare_process(lib, settings)
        stop, log = stop or StopFlag(), BufferSizes()
        pages = HugePages() if settings.huge_pages else None
        with library.capture_log(log.read):
            model = _load_weights(lib, path, settings, on_progress, stop, pages)
        loaded = cls(lib, model, path)
        loaded.use_mmap = settings.use_mmap is True
        loaded.huge_page_bytes = pages.gained_bytes() if pages is not None else 0
        try:
            buffers = loaded._make_context(settings, params)
            load_adapters(lib, loaded.model, loaded.context, settings.adapters)
            loaded.remarks = remarks(settings, log.text, buffers.text)
        except BaseException:
            loaded.close()
            raise
        return loaded

    @property
    def trained_context_tokens(self) -> int:
        """Context the model was trained for, in tokens."""
        return int(self._lib.llama_model_n_ctx_train(self.model))

    @property
    def weights_bytes(self) -> int:
        """Size of all tensors, in bytes."""
        return int(self._lib.llama_model_size(self.model))

    @property
    def parameter_count(self) -> int:
        """Number of weights."""
        return int(self._lib.llama_model_n_params(self.model))

    @property
    def description(self) -> str:
        """llama.cpp's own line for the model: architecture, size class, type."""
        buffer = ctypes.create_string_buffer(256)
        self._lib.llama_model_desc(self.model, buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace")

    @property
    def chat_template(self) -> str | None:
        """Source of the template in the file, None when it has none."""
        source = self._lib.llama_model_chat_template(self.model, None)
        return source.decode("utf-8", "replace") if source else None

    def watch(self, stop: StopFlag) -> None:
        """Let `stop` abort native computation from now on."""
        self._stop = stop
        self._stop_data = ctypes.c_void_p(stop.native_data)
        callback = self._lib.ggml_abort_callback(stop.native_callback)
        self._lib.llama_set_abort_callback(self.context, callback, self._stop_data)

    def warm_up(self, stop: StopFlag) -> None:
        """Run every weight once, so that the first answer does not pay for reading the file."""
        lib = self._lib
        self.watch(stop)
        token = lib.llama_vocab_bos(self.vocab)
        if token < 0:
            token = 0
        lib.llama_set_warmup(self.context, True)
        array = (lib.llama_token * 1)(token)
        status = lib.llama_decode(self.context, lib.llama_batch_get_one(array, 1))
        lib.llama_set_warmup(self.context, False)
        lib.llama_memory_clear(self.memory, True)
        lib.llama_synchronize(self.context)
        if stop.is_set:
            raise EdgetuiError("cancelled", f"Loading {self.path.name} was stopped.")
        if status != 0:
            raise EdgetuiError("unsupported", f"llama.cpp loads {self.path.name} but cannot run it (status {status}).")

    def close(self) -> None:
        """Free the context and the weights; a second call does nothing."""
        if self.context:
            self._lib.llama_free(self.context)
            self.context = None
        if self.model:
            self._lib.llama_model_free(self.model)
            self.model = None

    def _make_context(self, settings: LoadSettings, params: Any) -> BufferSizes:
        lib = self._lib
        buffers = BufferSizes()
        with library.capture_log(buffers.read):
            self.context = lib.llama_init_from_model(self.model, params)
        if not self.context:
            raise context_failure(self.path, settings, params.n_ctx, buffers.text)
        self.context_tokens = int(lib.llama_n_ctx(self.context))
        self.batch_tokens = int(lib.llama_n_batch(self.context))
        self.output_rows = int(params.n_outputs_max) or self.batch_tokens
        self.threads = int(params.n_threads)
        self.kv_cache_bytes = buffers.cache_bytes
        self.memory = lib.llama_get_memory(self.context)
        return buffers


def _load_weights(
    lib: Any,
    path: Path,
    settings: LoadSettings,
    on_progress: Callable[[float], None],
    stop: StopFlag,
    pages: HugePages | None,
) -> Any:
    last = 0.0

    def report(fraction: float, _data: object) -> bool:
        nonlocal last
        if pages is not None:
            # The first call comes with the buffers allocated, and nothing in them yet.
            pages.ask()
        now = time.monotonic()
        if now - last > 0.05 or fraction >= 1:
            last = now
            on_progress(fraction)
        return not stop.is_set

    params = model_params(lib, settings)
    # Kept in a name of its own: the struct holds only its address.
    callback = lib.llama_progress_callback(report)
    params.progress_callback = callback
    log = BufferSizes()
    with library.capture_log(log.read):
        model = lib.llama_model_load_from_file(str(path).encode(), params)
    if stop.is_set:
        if model:
            lib.llama_model_free(model)
        raise EdgetuiError("cancelled", f"Loading {path.name} was stopped.")
    if not model:
        raise load_failure(path, log.text)
    return model
