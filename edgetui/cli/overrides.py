"""Options of a command on top of the settings file."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, get_args, get_type_hints

import msgspec

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T", bound=msgspec.Struct)


def override(settings: T, values: Mapping[str, object], options: Mapping[str, str] | None = None) -> T:
    """The settings with the options that were given; raises `bad_request`, naming the option.

    `options` names those that are not called as the setting is, by the setting's name.
    """
    merged = {
        **msgspec.structs.asdict(settings),
        **{key: value for key, value in values.items() if value is not None},
    }
    try:
        return msgspec.convert(merged, type(settings))
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$.")
        name = where.rstrip("`")
        choices = get_args(get_type_hints(type(settings)).get(name))
        if choices and all(isinstance(choice, str) for choice in choices):
            reason = f"take one of {', '.join(choice for choice in choices if choice)}"
        raise EdgetuiError(
            "bad_request",
            f"The value for --{(options or {}).get(name, name.replace('_', '-'))} cannot be used:"
            f" {reason[:1].lower()}{reason[1:].replace('`', '')}.",
        ) from error
