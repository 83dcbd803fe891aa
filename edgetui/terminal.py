"""The last step to the terminal: fewer bytes for the same picture, and characters that the terminal can show."""

from __future__ import annotations

import codecs
import locale
import re
from functools import lru_cache
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
    bytes a row, as much as its text. Of a style that follows another, only what differs is said.
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
                parts.append(_change(active, style) if ended else match[0])
                # A style on top of another is known only after the next reset.
                active, ended = style if ended or not active else f"{active};{style}", False
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


_OFF = {"1": "22", "2": "22", "3": "23", "4": "24", "5": "25", "7": "27", "9": "29"}
"""What ends an attribute; bold and dim end together."""


@lru_cache(maxsize=1024)
def _change(before: str, after: str) -> str:
    """The shortest sequence from one style to another."""
    full = f"\x1b[0;{after}m"
    old, new = _parts_of(before), _parts_of(after)
    if old is None or new is None:
        return full
    ends = dict.fromkeys(_OFF[code] for code in sorted(old[0] - new[0]))
    begins = new[0] - old[0]
    if "22" in ends:
        begins |= new[0] & {"1", "2"}
    codes = [*ends, *sorted(begins)]
    codes += [new_colour for old_colour, new_colour in zip(old[1:], new[1:], strict=True) if new_colour != old_colour]
    short = f"\x1b[{';'.join(codes)}m" if codes else ""
    return min(short, full, key=len)


def _parts_of(style: str) -> tuple[frozenset[str], str, str] | None:
    """Attributes, foreground and background that a style sets after a reset; None for one with anything else."""
    attributes, foreground, background = set(), "39", "49"
    codes = style.split(";")
    while codes:
        code = codes.pop(0)
        colour = code
        if code in ("38", "48"):
            length = {"2": 4, "5": 2}.get(codes[0] if codes else "", 0)
            if not length or len(codes) < length:
                return None
            colour = ";".join([code, *codes[:length]])
            del codes[:length]
        if code in _OFF:
            attributes.add(code)
        elif code == "38" or _FOREGROUND.match(code):
            foreground = colour
        elif code == "48" or _BACKGROUND.match(code):
            background = colour
        else:
            return None
    return frozenset(attributes), foreground, background


_FOREGROUND = re.compile(r"(?:3|9)[0-79]$")
_BACKGROUND = re.compile(r"(?:4|10)[0-79]$")


def _to_ascii(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that the terminal's encoding does not have, each as wide as before."""
    assert isinstance(error, UnicodeEncodeError)
    from rich.cells import cell_len

    chars = error.object[error.start : error.end]
    return "".join(_ASCII_OF.get(char) or "+?"[not "─" <= char <= "╿"] * cell_len(char) for char in chars), error.end


codecs.register_error("edgetui-ascii", _to_ascii)
