"""Values as the struct that they are of, held against its limits; what cannot be is named in a sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from collections.abc import Mapping

_Struct = TypeVar("_Struct", bound=msgspec.Struct)
_IN_WORDS = (
    (r" \| null", " or nothing"),
    (r"\bint\b", "a whole number"),
    (r"\bfloat\b", "a number"),
    (r"\bbool\b", "true or false"),
    (" >= ", " of at least "),
    (" <= ", " of at most "),
    (" > ", " above "),
    (", got str", ""),
)
"""msgspec's terms in a person's."""


def converted(values: Mapping[str, Any], kind: type[_Struct]) -> _Struct:
    """The values as a struct; raises `EdgetuiError("bad_request")` naming the one that cannot be."""
    try:
        # As plain values, so that those of structs within are held against their limits too.
        return msgspec.convert(msgspec.to_builtins(values), kind)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).replace("`", "").partition(" - at $.")
        name = re.sub(r"\[[^]]*\]", "", where).rpartition(".")[2].replace("_", "-")
        raise EdgetuiError("bad_request", f"The value for {name} cannot be used: {in_words(reason)}.") from error


def in_words(reason: str) -> str:
    """What msgspec says of a value, in a person's terms."""
    reason = reason.replace("`", "")
    for pattern, words in _IN_WORDS:
        reason = re.sub(pattern, words, reason)
    return reason[:1].lower() + reason[1:]


def checked(settings: _Struct) -> _Struct:
    """Settings as they are; msgspec looks at limits only where it converts. Raises `EdgetuiError("bad_request")`."""
    return converted(msgspec.structs.asdict(settings), type(settings))
