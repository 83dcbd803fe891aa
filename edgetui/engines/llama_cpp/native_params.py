"""The settings of a load as llama.cpp's own parameters, and which of them cannot be had here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.engines import host, huge_pages
from edgetui.engines.llama_cpp import library

if TYPE_CHECKING:
    from edgetui.core.run_settings import LoadSettings
    from edgetui.formats.gguf_header import GgufHeader

DEFAULT_CONTEXT_TOKENS = 8192
"""Context taken when none is asked for and the model knows a longer one: room for a chat, cheap on a board."""
ROOM_TO_READ = 2
"""Times a file's size that must be free for its weights to be read into memory of our own."""
OUTPUT_ROWS = 8
"""Tokens of one batch whose logits may be read: so many are inspected at a time. Room for a whole batch of logits would
cost vocabulary x batch x 4 bytes, more than a small model's weights."""

_GGML_TYPES = {
    "f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "iq4_nl": 20, "bf16": 30,
}  # fmt: skip
_UNQUANTIZED = ("f32", "f16", "bf16")
_NUMA_STRATEGIES = {"off": 0, "distribute": 1, "isolate": 2, "numactl": 3}
_numa_of_this_process = "off"


def context_params(lib: Any, header: GgufHeader, settings: LoadSettings) -> Any:
    """Native parameters of a context for these settings; raises `EdgetuiError("unsupported")` where they disagree."""
    value_type = settings.kv_cache_type_v or settings.kv_cache_type
    if value_type not in _UNQUANTIZED and settings.flash_attention == "off":
        raise EdgetuiError(
            "unsupported",
            f"A V cache of {value_type} needs flash attention, which is switched off: set it to auto or on,"
            " or take f16 for the V cache.",
        )
    trained = header.context_length or DEFAULT_CONTEXT_TOKENS
    context_tokens = settings.context_tokens or min(trained, DEFAULT_CONTEXT_TOKENS)
    threads = settings.threads or host.default_threads()
    params = lib.llama_context_default_params()
    params.n_ctx = context_tokens
    params.n_batch = min(settings.batch_tokens, context_tokens)
    params.n_ubatch = min(settings.physical_batch_tokens or params.n_batch, params.n_batch)
    params.n_threads = threads
    params.n_threads_batch = settings.threads_prefill or threads
    params.type_k = _GGML_TYPES[settings.kv_cache_type]
    params.type_v = _GGML_TYPES[value_type]
    params.flash_attn_type = {
        "auto": lib.LLAMA_FLASH_ATTN_TYPE_AUTO,
        "on": lib.LLAMA_FLASH_ATTN_TYPE_ENABLED,
        "off": lib.LLAMA_FLASH_ATTN_TYPE_DISABLED,
    }[settings.flash_attention]
    params.rope_scaling_type = {
        "model": lib.LLAMA_ROPE_SCALING_TYPE_UNSPECIFIED,
        "none": lib.LLAMA_ROPE_SCALING_TYPE_NONE,
        "linear": lib.LLAMA_ROPE_SCALING_TYPE_LINEAR,
        "yarn": lib.LLAMA_ROPE_SCALING_TYPE_YARN,
    }[settings.rope_scaling]
    params.rope_freq_base = settings.rope_freq_base
    params.rope_freq_scale = settings.rope_freq_scale
    params.no_perf = True
    speculates = settings.draft_model or settings.prompt_lookup
    params.n_outputs_max = min(max(OUTPUT_ROWS, 1 + settings.draft_tokens if speculates else 1), int(params.n_ubatch))
    return params


def with_load_mode(settings: LoadSettings, size_bytes: int, taken_bytes: int = 0) -> LoadSettings:
    """The settings, with `use_mmap` decided for a file of such a size where they leave it open.

    `taken_bytes` are those of what is free that something else is going to take.

    Weights in huge pages decode faster; but memory of the process's own cannot be dropped under pressure as a mapped
    file can, and while it is filled the system holds the file as well. What an accelerator computes it copies anyway.
    """
    if settings.use_mmap is not None:
        return settings
    on_processor = settings.gpu_layers == 0 or library.backend() == "CPU"
    gains = on_processor and settings.huge_pages and huge_pages.are_available()
    reads = gains and ROOM_TO_READ * size_bytes <= host.available_memory_bytes() - taken_bytes
    return msgspec.structs.replace(settings, use_mmap=not reads)


def model_params(lib: Any, settings: LoadSettings) -> Any:
    """Native parameters for reading the weights; `use_mmap` is decided (`with_load_mode`)."""
    params = lib.llama_model_default_params()
    params.n_gpu_layers = settings.gpu_layers
    if settings.use_mlock:
        params.load_mode = lib.LLAMA_LOAD_MODE_MMAP_MLOCK if settings.use_mmap else lib.LLAMA_LOAD_MODE_MLOCK
    elif not settings.use_mmap:
        params.load_mode = lib.LLAMA_LOAD_MODE_NONE
    return params


def draft_settings(settings: LoadSettings, context_tokens: int) -> LoadSettings:
    """What a draft model is loaded with: it sees the same text, and neither proposes nor adapts anything itself."""
    return msgspec.structs.replace(
        settings,
        context_tokens=context_tokens,
        adapters=(),
        draft_model="",
        prompt_lookup=False,
        prompt_cache=False,
        rope_scaling="model",
        rope_freq_base=0.0,
        rope_freq_scale=0.0,
    )


def prepare_process(lib: Any, settings: LoadSettings) -> None:
    """Lay this process over the NUMA nodes as the settings say; once in its life, before any model."""
    global _numa_of_this_process
    if settings.numa != _numa_of_this_process == "off":
        lib.llama_numa_init(_NUMA_STRATEGIES[settings.numa])
        _numa_of_this_process = settings.numa


def remarks(settings: LoadSettings, weights_log: str, context_log: str) -> tuple[str, ...]:
    """What of the settings could not be had, by what llama.cpp logged while it loaded; one sentence each."""
    found = []
    if settings.gpu_layers > 0 and library.backend() == "CPU":
        found.append("This build of llama.cpp knows no accelerator, so all layers are computed by the processor.")
    if settings.use_mlock and ("failed to mlock" in weights_log or "mlock not supported" in weights_log):
        found.append(
            "The system refuses to lock so much memory, so weights may be paged out: raise the limit (ulimit -l)."
        )
    if settings.numa != _numa_of_this_process:
        found.append(f"NUMA stays at {_numa_of_this_process} until the model is loaded in a new process.")
    elif settings.numa != "off" and len(list(Path("/sys/devices/system/node").glob("node[0-9]*"))) < 2:
        found.append("This machine has one NUMA node, so that setting changes nothing.")
    if settings.flash_attention != "off" and "set to disabled" in context_log:
        found.append("Flash attention cannot be computed for this model here and is off.")
    return tuple(found)
