"""What a terminal can show, by locale and environment."""

from __future__ import annotations

import locale
import os
import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def draws_unicode(codeset: str | None = None) -> bool:
    """Whether block characters may be sent; asks the locale: Python makes every stream UTF-8."""
    codeset = codeset or locale.nl_langinfo(locale.CODESET)
    return codeset.replace("-", "").replace("_", "").lower() == "utf8"


def colour_count(environ: Mapping[str, str] | None = None) -> int:
    """Colours of the terminal by its own account: 0, 16, 256 or 16777216; NO_COLOR is a wish and not looked at."""
    environ = os.environ if environ is None else environ
    term = environ.get("TERM", "").lower()
    if environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") or term.endswith("-direct"):
        return 1 << 24
    if "256color" in term:
        return 256
    if term in ("", "dumb", "unknown") or term.startswith(("vt100", "vt102", "vt220")):
        return 0
    return 16


def terminal_is_gone(descriptor: int) -> bool:
    """Whether the other end of a terminal was closed; False where that cannot be asked (Windows)."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    # A hang-up is reported whether it is asked for or not.
    poll.register(descriptor, 0)
    return any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0))
