"""The settings of a run as fields of a dialog: how the model is loaded, how tokens are chosen, the system prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from edgetui.config import Settings
from edgetui.core.run_settings import KV_CACHE_TYPES, LoadSettings, SamplingSettings
from edgetui.screens.fields_dialog import Field, FieldsDialog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_Settings = TypeVar("_Settings", LoadSettings, SamplingSettings)


class RunSettings(NamedTuple):
    """Everything the dialog edits."""

    load: LoadSettings
    sampling: SamplingSettings
    system_prompt: str


_LOAD = (
    ("context_tokens", "Context", "tokens; 0: the model's, at most 8192"),
    ("batch_tokens", "Batch", "prompt tokens a decode call"),
    ("threads", "Threads", "0: one a physical core"),
    ("kv_cache_type", "KV cache", " ".join(KV_CACHE_TYPES)),
)
_SAMPLING = (
    ("temperature", "Temperature", "0: greedy"),
    ("top_k", "Top k", "0: off"),
    ("top_p", "Top p", "1: off"),
    ("min_p", "Min p", "0: off"),
    ("repeat_penalty", "Repeat penalty", "1: off"),
    ("repeat_last_tokens", "Repeat window", "tokens the penalty looks back"),
    ("seed", "Seed", "empty: a new one each turn"),
    ("max_tokens", "Most tokens", "0: until the model ends"),
    ("ignore_eos", "Ignore end", "true: go on past the end mark"),
)


def run_settings_dialog(settings: RunSettings) -> FieldsDialog:
    """The dialog; what it gives goes through `run_settings_of`."""
    fields = [
        Field(type(struct), name, label, note, getattr(struct, name))
        for struct, rows in ((settings.load, _LOAD), (settings.sampling, _SAMPLING))
        for name, label, note in rows
    ]
    fields.append(Field(Settings, "system_prompt", "System prompt", "", settings.system_prompt))
    return FieldsDialog("Settings of this run", fields)


def run_settings_of(values: Mapping[str, Any], before: RunSettings) -> RunSettings:
    """The settings out of the dialog's checked values; what it has no field for stays as before."""

    def changed(settings: _Settings, rows: Sequence[tuple[str, str, str]]) -> _Settings:
        return msgspec.structs.replace(settings, **{name: values[name] for name, _, _ in rows})

    return RunSettings(changed(before.load, _LOAD), changed(before.sampling, _SAMPLING), values["system_prompt"])
