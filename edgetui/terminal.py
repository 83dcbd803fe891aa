"""The last step to the terminal: fewer bytes for the same picture, and characters that the terminal can show."""

from __future__ import annotations

import codecs
import locale
import re
from typing import TYPE_CHECKING, Any

from textual.drivers.linux_driver import LinuxDriver

from edgetui.core.terminal import draws_unicode

if TYPE_CHECKING:
    from textual.app import App

_RESET = "\x1b[0m"
_TOKENS = re.compile(r"\x1b\[([0-9;]*)m|\n?(\x1b\[[0-9]+;[0-9]+H)|([^\x1b]+|\x1b[^\x1b]*)")
"""A style; a cursor move, with the useless newline before it; anything else."""

_ASCII_OF = {
    **dict.fromkeys("─━═╌┄╴╶╸╺╼╾", "-"),
    **dict.fromkeys("│┃║╎┆╵╷╹╻╽╿▏▎▍▌▐▕", "|"),
    **dict.fromkeys("█▉▊▋▇▆▅▄▀", "#"),
    **dict.fromkeys("▃▂▁", "_"),
    **dict.fromkeys("▓▒░", ":"),
    **dict.fromkeys("•●○◉·∙", "*"),
    **dict.fromkeys("\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}", "'"),
    **dict.fromkeys("“”", '"'),
    **dict.fromkeys("\N{EN DASH}—\N{MINUS SIGN}", "-"),
    "…": ".",
    "↑": "^",
    "↓": "v",
    "←": "<",
    "→": ">",
    "⏎": "<",
    "\N{MULTIPLICATION SIGN}": "x",
}


class LeanDriver(LinuxDriver):
    """Textual's driver for POSIX terminals, with a thriftier `write`."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        # Asked of the locale: Python makes the stream UTF-8 in some locales that are not.
        self._encoding = None if draws_unicode() else locale.nl_langinfo(locale.CODESET)

    @property
    def backlog(self) -> int:
        """Writes that the terminal has not taken yet."""
        return self._writer_thread._queue.qsize() if self._writer_thread is not None else 0

    def write(self, data: str) -> None:
        """Write data, with control sequences, to the terminal."""
        data = lean(data)
        if self._encoding is not None:
            data = data.encode(self._encoding, "edgetui-ascii").decode(self._encoding)
        super().write(data)


def lean(data: str) -> str:
    """The same output in fewer bytes: a style is not ended and begun again when the next text has it too.

    Every row that Textual writes begins with its full style and ends with a reset; with 24-bit colours that is 40
    bytes a row, as much as its text.
    """
    if _RESET not in data:
        return data
    parts: list[str] = []
    active, ended = "", False
    for match in _TOKENS.finditer(data):
        style, move, other = match.groups()
        if style is not None:
            if style in ("0", ""):
                ended = bool(active) or not parts
            elif style != active or not parts:
                parts.append(f"\x1b[0;{style}m" if ended else match[0])
                active, ended = style, False
            else:
                ended = False
        elif move is not None:
            parts.append(move)
        else:
            if ended:
                parts.append(_RESET)
                active, ended = "", False
            parts.append(other)
    if ended:
        parts.append(_RESET)
    return "".join(parts)


def _to_ascii(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that the terminal's encoding does not have, each as wide as before."""
    assert isinstance(error, UnicodeEncodeError)
    from rich.cells import cell_len

    chars = error.object[error.start : error.end]
    return "".join(_ASCII_OF.get(char) or "+?"[not "─" <= char <= "╿"] * cell_len(char) for char in chars), error.end


codecs.register_error("edgetui-ascii", _to_ascii)
