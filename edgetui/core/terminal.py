"""What a terminal can show, by locale and environment."""

from __future__ import annotations

import locale
import os
import select
from typing import TYPE_CHECKING

import msgspec

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


class TerminalInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the terminal in front of the person says of itself; no address, no name of anybody."""

    term: str
    """TERM, empty when it is not set."""
    colours: int
    unicode: bool
    columns: int
    """0 where there is no terminal."""
    rows: int
    over_ssh: bool
    multiplexer: str
    """`tmux`, `screen`, `zellij`, or empty."""
    no_color: bool
    """Whether NO_COLOR asks for none."""


def terminal_info(environ: Mapping[str, str] | None = None, descriptor: int = 1) -> TerminalInfo:
    """Of the terminal that this process writes to."""
    environ = os.environ if environ is None else environ
    try:
        columns, rows = os.get_terminal_size(descriptor)
    except (OSError, ValueError):
        columns, rows = 0, 0
    marks = (("TMUX", "tmux"), ("STY", "screen"), ("ZELLIJ", "zellij"))
    return TerminalInfo(
        term=environ.get("TERM", ""),
        colours=colour_count(environ),
        unicode=draws_unicode(),
        columns=columns,
        rows=rows,
        over_ssh=any(environ.get(name) for name in ("SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT")),
        multiplexer=next((name for mark, name in marks if environ.get(mark)), ""),
        no_color=bool(environ.get("NO_COLOR")),
    )


def terminal_text(info: TerminalInfo) -> str:
    """`xterm-256color, 24-bit colour, UTF-8, 80x24, over SSH, in tmux`."""
    colours = {0: "no colour", 1 << 24: "24-bit colour"}.get(info.colours, f"{info.colours} colours")
    parts = [info.term or "TERM is not set", colours + (" (NO_COLOR is set)" if info.no_color else "")]
    parts.append("UTF-8" if info.unicode else "no UTF-8")
    parts.append(f"{info.columns}x{info.rows}" if info.columns else "output goes to no terminal")
    parts.append("over SSH" if info.over_ssh else "local")
    if info.multiplexer:
        parts.append(f"in {info.multiplexer}")
    return ", ".join(parts)


def terminal_is_gone(descriptor: int) -> bool:
    """Whether the other end of a terminal was closed; False where that cannot be asked (Windows)."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    # A hang-up is reported whether it is asked for or not.
    poll.register(descriptor, 0)
    return any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0))
