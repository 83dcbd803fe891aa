"""The settings of a run as fields: which there are, for which engine, and how they are read."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from edgetui.config import Settings
from edgetui.core.run_field_text import (
    adapters_from,
    adapters_text,
    constraint_from,
    constraint_text,
    stops_from,
    stops_text,
)
from edgetui.core.run_settings import KV_CACHE_TYPES, LoadSettings, RunSettings, SamplingSettings
from edgetui.screens.fields_dialog import Field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgetui.core.models import ModelFormat

_Settings = TypeVar("_Settings", LoadSettings, SamplingSettings)


class _Row(NamedTuple):
    name: str
    label: str
    note: str
    group: str
    formats: tuple[ModelFormat, ...] = ("gguf",)
    """Of the models whose engine has it."""


_LOCAL: tuple[ModelFormat, ...] = ("gguf", "onnx", "mlx")
_ALL: tuple[ModelFormat, ...] = ("gguf", "onnx", "mlx", "server")
_CONSTRAINED: tuple[ModelFormat, ...] = ("gguf", "server")
_LOAD_GROUP = "Load"
_ENGINE = "llama.cpp"
_SPECULATION = "Speculative decoding"
_SAMPLING_GROUP = "Sampling"
_LIMITS = "Constraints"

_LOAD = (
    _Row("context_tokens", "Context", "0: the model's, at most 8192", _LOAD_GROUP, _LOCAL),
    _Row("batch_tokens", "Batch", "prompt tokens a decode call", _LOAD_GROUP, _LOCAL),
    _Row("threads", "Threads", "0: one a physical core", _LOAD_GROUP, ("gguf", "onnx")),
    _Row("kv_cache_type", "KV cache", " ".join(KV_CACHE_TYPES), _LOAD_GROUP),
    _Row("gpu_layers", "GPU layers", "-1: all, 0: none", _LOAD_GROUP, ("gguf", "onnx")),
    _Row("kv_cache_type_v", "V cache", "empty: as the K cache", _ENGINE),
    _Row("flash_attention", "Flash attention", "auto on off", _ENGINE),
    _Row("physical_batch_tokens", "Physical batch", "0: as the batch", _ENGINE),
    _Row("threads_prefill", "Prefill threads", "0: as the threads", _ENGINE),
    _Row("use_mmap", "Map the file", "true false; empty: by memory", _ENGINE),
    _Row("huge_pages", "Huge pages", "for weights that are not mapped", _ENGINE),
    _Row("use_mlock", "Lock memory", "true: never page weights out", _ENGINE),
    _Row("numa", "NUMA", "off distribute isolate numactl", _ENGINE),
    _Row("rope_scaling", "RoPE scaling", "model none linear yarn", _ENGINE),
    _Row("rope_freq_base", "RoPE base", "0: the model's", _ENGINE),
    _Row("rope_freq_scale", "RoPE scale", "0: the model's; 0.5: doubled", _ENGINE),
    _Row("prompt_cache", "Prompt cache", "true: kept on disk between loads", _ENGINE),
    _Row("adapters", "LoRA", "", _ENGINE),
    _Row("draft_model", "Draft model", "", _SPECULATION),
    _Row("prompt_lookup", "Prompt lookup", "true: propose from what was said", _SPECULATION),
    _Row("draft_tokens", "Draft tokens", "most proposed at once", _SPECULATION),
)
_SAMPLING = (
    _Row("temperature", "Temperature", "0: greedy", _SAMPLING_GROUP, _ALL),
    _Row("top_k", "Top k", "0: off", _SAMPLING_GROUP, _ALL),
    _Row("top_p", "Top p", "1: off", _SAMPLING_GROUP, _ALL),
    _Row("min_p", "Min p", "0: off", _SAMPLING_GROUP, _ALL),
    _Row("repeat_penalty", "Repeat penalty", "1: off", _SAMPLING_GROUP, _ALL),
    _Row("repeat_last_tokens", "Repeat window", "tokens the penalty looks back", _SAMPLING_GROUP, _ALL),
    _Row("presence_penalty", "Presence", "0: off", _SAMPLING_GROUP, _ALL),
    _Row("frequency_penalty", "Frequency", "0: off", _SAMPLING_GROUP, _ALL),
    _Row("seed", "Seed", "empty: a new one each turn", _SAMPLING_GROUP, _ALL),
    _Row("max_tokens", "Most tokens", "0: until the model ends", _SAMPLING_GROUP, _ALL),
    _Row("ignore_eos", "Ignore end", "true: go on past the end mark", _SAMPLING_GROUP, _ALL),
    _Row("stop", "Stop at", "", _LIMITS, _ALL),
    _Row("grammar", "Grammar", "", _LIMITS, _CONSTRAINED),
    _Row("json_schema", "JSON schema", "", _LIMITS, _CONSTRAINED),
)
_LABELS = {
    "adapters": "LoRA, PATH:SCALE",
    "draft_model": "Draft, its path",
    "stop": r"Stop at, a|b|\n",
    "grammar": "GBNF or @FILE",
    "json_schema": "Schema or @FILE",
}
"""Fields that take the whole line say in their label what they take."""


def run_fields(settings: RunSettings, model_format: ModelFormat | None) -> list[Field]:
    """The fields that the engine of such a model has; all where no model is chosen."""
    chosen = model_format or "gguf"
    fields = [
        _field(type(struct), row, getattr(struct, row.name))
        for struct, rows in ((settings.load, _LOAD), (settings.sampling, _SAMPLING))
        for row in rows
        if chosen in row.formats
    ]
    return [*fields, Field(Settings, "system_prompt", "System prompt", "", settings.system_prompt, "Conversation")]


def run_settings_of(values: Mapping[str, Any], before: RunSettings) -> RunSettings:
    """The settings out of the dialog's checked values; what it has no field for stays as before."""

    def changed(settings: _Settings, rows: tuple[_Row, ...]) -> _Settings:
        return msgspec.structs.replace(settings, **{row.name: values[row.name] for row in rows if row.name in values})

    return RunSettings(changed(before.load, _LOAD), changed(before.sampling, _SAMPLING), values["system_prompt"])


def _field(struct: type[msgspec.Struct], row: _Row, value: Any) -> Field:
    label = _LABELS.get(row.name, row.label)
    field = Field(struct, row.name, label, row.note, value, row.group)
    if row.name == "adapters":
        return field._replace(parse=lambda text: adapters_from(text.split(",")), shown=adapters_text(value))
    if row.name == "stop":
        return field._replace(parse=stops_from, shown=stops_text(value))
    if row.name in ("grammar", "json_schema"):
        what = "grammar" if row.name == "grammar" else "JSON schema"
        return field._replace(parse=partial(constraint_from, what=what), shown=constraint_text(value))
    return field
