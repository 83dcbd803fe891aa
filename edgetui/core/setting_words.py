"""Settings of a load and of sampling as a person writes them on a command line: `threads=1`, `2:temperature=0`."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.repeat_edgetui import LOAD_OPTIONS, SAMPLING_OPTIONS
from edgetui.core.run_settings import LoadSettings, SamplingSettings

T = TypeVar("T", bound=msgspec.Struct)


class SettingWord(NamedTuple):
    """One setting that was written."""

    column: int | None
    """From 0; None for every column."""
    field: str
    value: str


def read_setting(text: str, columns: int) -> SettingWord:
    """`[COLUMN:]NAME=VALUE`, named as the setting or as its option is; raises `EdgetuiError("bad_request")`."""
    name, equals, value = text.partition("=")
    number, colon, plain = name.rpartition(":")
    if not equals or not plain.strip():
        raise EdgetuiError(
            "bad_request", f"{text!r} is no setting: write it as threads=1, or 2:threads=1 for column 2."
        )
    column = None
    if colon:
        if not number.strip().isdigit() or not 1 <= int(number) <= columns:
            raise EdgetuiError("bad_request", f"{text!r} names no column: there are columns 1 to {columns}.")
        column = int(number) - 1
    field = _FIELDS.get(plain.strip().lstrip("-").replace("_", "-"))
    if field is None:
        known = ", ".join(sorted({*LOAD_OPTIONS, *SAMPLING_OPTIONS}))
        raise EdgetuiError("bad_request", f"There is no setting {plain.strip()!r}: there are {known}.")
    return SettingWord(column, field, value)


def with_settings(
    load: LoadSettings, sampling: SamplingSettings, words: list[SettingWord]
) -> tuple[LoadSettings, SamplingSettings]:
    """The settings with those that were written; raises `EdgetuiError("bad_request")`, naming what is wrong."""
    for word in words:
        if word.field in LOAD_OPTIONS:
            load = _with(load, word)
        else:
            sampling = _with(sampling, word)
    return load, sampling


def _with(settings: T, word: SettingWord) -> T:
    values = msgspec.structs.asdict(settings)
    value: object = word.value
    if isinstance(values[word.field], tuple):
        # A text each for those that may be several; written once each.
        value = [*values[word.field], {"path": word.value} if word.field == "adapters" else word.value]
    try:
        # Not strict: what is written is text, and msgspec reads numbers and booleans out of it.
        return msgspec.convert({**values, word.field: value}, type(settings), strict=False)
    except msgspec.ValidationError as error:
        reason = str(error).partition(" - at `$")[0].replace("`", "")
        raise EdgetuiError(
            "bad_request",
            f"The value for {word.field.replace('_', '-')} cannot be used: {reason[:1].lower()}{reason[1:]}.",
        ) from error


def _names() -> dict[str, str]:
    names = {
        option.lstrip("-"): field for options in (LOAD_OPTIONS, SAMPLING_OPTIONS) for field, option in options.items()
    }
    return names | {field.replace("_", "-"): field for field in (*LOAD_OPTIONS, *SAMPLING_OPTIONS)} | {
        "context": "context_tokens", "batch": "batch_tokens", "max-tokens": "max_tokens",
    }  # fmt: skip


_FIELDS = _names()
