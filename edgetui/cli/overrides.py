"""Options of a command on top of the settings file."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T", bound=msgspec.Struct)


def override(settings: T, values: Mapping[str, object]) -> T:
    """The settings with the options that were given; raises `bad_request`, naming the option."""
    merged = {
        **msgspec.structs.asdict(settings),
        **{key: value for key, value in values.items() if value is not None},
    }
    try:
        return msgspec.convert(merged, type(settings))
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$.")
        raise EdgetuiError(
            "bad_request",
            f"The value for {where.rstrip('`').replace('_', '-')} cannot be used: {reason[:1].lower()}"
            f"{reason[1:].replace('`', '')}.",
        ) from error
