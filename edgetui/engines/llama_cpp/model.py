"""A loaded model with its context: loading, freeing, and every way that can fail, told in one sentence."""

from __future__ import annotations

import ctypes
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import format_bytes
from edgetui.engines import host
from edgetui.engines.llama_cpp import library
from edgetui.engines.stopping import StopFlag

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.core.run_settings import LoadSettings

DEFAULT_CONTEXT_TOKENS = 8192
"""Context taken when none is asked for and the model knows a longer one: room for a chat, cheap on a board."""

_GGML_TYPES = {
    "f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "iq4_nl": 20, "bf16": 30,
}  # fmt: skip
_CACHE_LINE = re.compile(r"llama_(?:kv_cache|memory_recurrent)\w*: size =\s*([\d.]+) MiB")
_BUFFER_LINE = re.compile(r"(?:compute|output) buffer size\s*=\s*([\d.]+) MiB")
_MIB = 1024 * 1024


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
        self.threads = 0
        self.kv_cache_bytes = 0
        self.memory: Any = None
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
        trained = header.context_length or DEFAULT_CONTEXT_TOKENS
        context_tokens = settings.context_tokens or min(trained, DEFAULT_CONTEXT_TOKENS)
        threads = settings.threads or host.default_threads()
        params = _context_params(lib, settings, context_tokens, threads)
        adjust_context(params)
        _require_memory(lib, path, settings, params)
        stop = stop or StopFlag()
        loaded = cls(lib, _load_weights(lib, path, on_progress, stop), path)
        try:
            loaded._make_context(settings, params)
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

    def _make_context(self, settings: LoadSettings, params: Any) -> None:
        lib = self._lib
        buffers = _BufferSizes()
        with library.capture_log(buffers.read):
            self.context = lib.llama_init_from_model(self.model, params)
        if not self.context:
            raise _context_failure(self.path, settings, params.n_ctx, buffers.text)
        self.context_tokens = int(lib.llama_n_ctx(self.context))
        self.batch_tokens = int(lib.llama_n_batch(self.context))
        self.threads = int(params.n_threads)
        self.kv_cache_bytes = buffers.cache_bytes
        self.memory = lib.llama_get_memory(self.context)


class _BufferSizes:
    """Collects the log of a context's creation and the buffer sizes it states."""

    def __init__(self) -> None:
        self.text = ""

    def read(self, piece: str) -> None:
        self.text += piece

    @property
    def cache_bytes(self) -> int:
        """KV cache, and recurrent state where the architecture has one."""
        return self._sum(_CACHE_LINE)

    @property
    def buffer_bytes(self) -> int:
        """Compute and output buffers."""
        return self._sum(_BUFFER_LINE)

    def _sum(self, line: re.Pattern[str]) -> int:
        return round(sum(float(size) for size in line.findall(self.text)) * _MIB)


def _context_params(lib: Any, settings: LoadSettings, context_tokens: int, threads: int) -> Any:
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


def _require_memory(lib: Any, path: Path, settings: LoadSettings, context_params: Any) -> None:
    """Refuse what cannot fit before anything is allocated.

    llama.cpp simulates the allocation (`no_alloc`), so its own figures for cache and buffers count, not a
    formula. `LLAMA_LOAD_MODE_NONE` is needed with it: any other mode aborts the process.
    """
    params = lib.llama_model_default_params()
    params.no_alloc = True
    params.load_mode = lib.LLAMA_LOAD_MODE_NONE
    context_tokens = int(context_params.n_ctx)
    log = _BufferSizes()
    with library.capture_log(log.read):
        model = lib.llama_model_load_from_file(str(path).encode(), params)
        if not model:
            raise _load_failure(path, log.text)
        try:
            context = lib.llama_init_from_model(model, context_params)
            if not context:
                raise _context_failure(path, settings, context_tokens, log.text)
            lib.llama_free(context)
            weights = int(lib.llama_model_size(model))
        finally:
            lib.llama_model_free(model)
    buffers = log.cache_bytes + log.buffer_bytes
    available = host.available_memory_bytes()
    if weights + buffers > available:
        raise EdgetuiError(
            "out_of_memory",
            f"{path.name} with a context of {context_tokens} tokens needs {format_bytes(weights + buffers)}"
            f" ({format_bytes(weights)} weights, {format_bytes(buffers)} KV cache and buffers) and"
            f" {format_bytes(available)} are free: take a smaller context, a smaller KV-cache type or a smaller model.",
        )


def _load_weights(lib: Any, path: Path, on_progress: Callable[[float], None], stop: StopFlag) -> Any:
    last = 0.0

    def report(fraction: float, _data: object) -> bool:
        nonlocal last
        now = time.monotonic()
        if now - last > 0.05 or fraction >= 1:
            last = now
            on_progress(fraction)
        return not stop.is_set

    params = lib.llama_model_default_params()
    # Kept in a name of its own: the struct holds only its address.
    callback = lib.llama_progress_callback(report)
    params.progress_callback = callback
    log = _BufferSizes()
    with library.capture_log(log.read):
        model = lib.llama_model_load_from_file(str(path).encode(), params)
    if stop.is_set:
        if model:
            lib.llama_model_free(model)
        raise EdgetuiError("cancelled", f"Loading {path.name} was stopped.")
    if not model:
        raise _load_failure(path, log.text)
    return model


def _load_failure(path: Path, log: str) -> EdgetuiError:
    """What llama.cpp's log says of a model that it refused, in one sentence."""
    architecture = re.search(r"unknown model architecture: '([^']*)'", log)
    if architecture:
        return EdgetuiError(
            "unsupported",
            f"{path.name} has the architecture {_printable(architecture[1])}, which the installed llama.cpp"
            f" ({library.version()}) does not know: update llama-cpp-python or take another model.",
            detail=log,
        )
    if re.search(r"(failed|unable) to allocate|bad_alloc", log):
        return EdgetuiError(
            "out_of_memory",
            f"{path.name} does not fit into this machine's memory: take a smaller type of it or a smaller model.",
            detail=log,
        )
    return EdgetuiError(
        "bad_file",
        f"llama.cpp cannot load {path.name} ({_reason(log)}): the file is damaged or not a language model.",
        detail=log,
    )


def _context_failure(path: Path, settings: LoadSettings, context_tokens: int, log: str) -> EdgetuiError:
    if re.search(r"(failed|unable) to allocate|bad_alloc", log):
        return EdgetuiError(
            "out_of_memory",
            f"A context of {context_tokens} tokens for {path.name} does not fit into this machine's memory:"
            " take a smaller context or a smaller KV-cache type.",
            detail=log,
        )
    return EdgetuiError(
        "unsupported",
        f"llama.cpp makes no context of {context_tokens} tokens with a {settings.kv_cache_type} KV cache for"
        f" {path.name} ({_reason(log)}): change these settings.",
        detail=log,
    )


def _reason(log: str) -> str:
    """The log's own words for the fault: its first line that speaks of one, without function names."""
    for line in log.splitlines():
        if re.search(r"error|fail|invalid|unsupported|requires|missing|not found|wrong", line, re.IGNORECASE):
            words = re.sub(r"^\s*(\w+: )+", "", line).strip(" .")
            return _printable(words)[:160]
    return "it gives no reason"


def _printable(text: str) -> str:
    """Text out of a file, without control characters."""
    return "".join(character if character.isprintable() else "?" for character in text)
