"""A terminal for a program under test: a pseudo-terminal, and the screen that its output draws."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING

import pyte

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

KEYS = {
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "shift+tab": "\x1b[Z",
    "space": " ",
    "backspace": "\x7f",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "home": "\x1b[H",
    "end": "\x1b[F",
    "delete": "\x1b[3~",
    "pageup": "\x1b[5~",
    "pagedown": "\x1b[6~",
    **{f"f{number}": code for number, code in enumerate(("\x1bOP", "\x1bOQ", "\x1bOR", "\x1bOS", "\x1b[15~",
                                                          "\x1b[17~", "\x1b[18~"), start=1)},
}  # fmt: skip
DEADLINE_S = 60.0
"""How long a condition may take on a busy machine before the test gives up; never a measure of anything."""

_MODES_OF_FULL_SCREEN_PROGRAMS = (1000, 1002, 1003, 1004, 1006, 1015, 1049, 2004)
"""Mouse reports, focus reports, the alternate screen, bracketed paste."""

_PRIVATE_MODE = re.compile(rb"\x1b\[\?([\d;]+)([hl])")
# Sequences that pyte would draw as letters: mode queries, the keyboard protocol, titles.
_NOT_FOR_PYTE = re.compile(rb"\x1b\[\?[\d;]*\$p|\x1b\[[<>=?][\d;]*u|\x1b\[>[\d;]*q|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_UNFINISHED = re.compile(rb"\x1b(?:\[[\d;?<>=$]*|\][^\x07\x1b]*\x1b?)?$")


class Terminal:
    """Runs a command with a terminal of its own and reads what it draws."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        columns: int = 80,
        rows: int = 24,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        """Start `command`; `environment` comes on top of this process's own."""
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._held_back = b""
        self.output = bytearray()
        """Every byte that the program wrote."""
        self._master, self._slave = pty.openpty()
        self._set_size(columns, rows)
        self._attributes_before = termios.tcgetattr(self._slave)
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            cwd=folder,
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(environment or {})},
            start_new_session=True,
            preexec_fn=_take_terminal,
        )

    # --- what a person does ---------------------------------------------------------------------------------

    def press(self, *keys: str) -> None:
        """Press keys one after the other: names of `KEYS`, `ctrl+x`, or characters."""
        for key in keys:
            if key.startswith("ctrl+"):
                self.type(chr(ord(key[-1]) & 0x1F))
            else:
                self.type(KEYS.get(key, key))

    def type(self, text: str) -> None:
        """Send text as it is."""
        os.write(self._master, text.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Change the window's size; it is empty then, as for a program that must draw everything anew."""
        self._screen.resize(rows, columns)
        self._screen.erase_in_display(2)
        self._set_size(columns, rows)

    def hang_up(self) -> None:
        """Close the window: the program gets SIGHUP and has no terminal any more."""
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1

    # --- what a person sees ---------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """The screen, row by row."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    @property
    def private_modes(self) -> dict[int, bool]:
        """DEC private modes that the program has set (True) or reset, by number: 1049 is the alternate screen."""
        modes = {}
        for numbers, final in _PRIVATE_MODE.findall(self.output):
            for number in numbers.split(b";"):
                modes[int(number)] = final == b"h"
        return modes

    @property
    def is_restored(self) -> bool:
        """Whether the terminal is as it was: its settings, main screen, cursor, no mouse or paste reports."""
        modes = self.private_modes
        switched_off = not any(modes.get(mode, False) for mode in _MODES_OF_FULL_SCREEN_PROGRAMS)
        return termios.tcgetattr(self._slave) == self._attributes_before and switched_off and modes.get(25, True)

    def wait_for(self, wanted: str | Callable[[str], bool], timeout_s: float = DEADLINE_S) -> str:
        """Read until the screen holds a text, or until a condition on it is true; returns the screen."""
        deadline = time.monotonic() + timeout_s
        while not (wanted in self.text if isinstance(wanted, str) else wanted(self.text)):
            if time.monotonic() > deadline or (not self.read(0.05) and self.process.poll() is not None):
                ended = self.process.poll()
                state = "runs" if ended is None else f"ended with {ended}"
                raise AssertionError(f"waited for {wanted!r}; the program {state} and shows:\n{self.text}")
        return self.text

    def wait_for_exit(self, timeout_s: float = DEADLINE_S) -> int:
        """Read until the program has ended; returns its exit status."""
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"the program did not end; it shows:\n{self.text}")
            if self._master >= 0:
                self.read(0.05)
            else:
                select.select([], [], [], 0.02)
        while self._master >= 0 and self.read(0):
            pass
        return self.process.returncode

    def read(self, timeout_s: float) -> bool:
        """Draw what the program has written; waits for the first byte, False if none came in time."""
        data = self.drain(timeout_s)
        if not data:
            return False
        data = self._held_back + data
        unfinished = _UNFINISHED.search(data)
        cut = unfinished.start() if unfinished else len(data)
        self._held_back = data[cut:]
        self._stream.feed(_NOT_FOR_PYTE.sub(b"", data[:cut]))
        return True

    def drain(self, timeout_s: float) -> bytes:
        """Take what the program has written, and draw nothing: a terminal that costs this machine no time."""
        readable, _, _ = select.select([self._master], [], [], max(0.0, timeout_s))
        if not readable:
            return b""
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return b""
        self.output += data
        return data

    def close(self) -> None:
        """End the program if it still runs, and the terminal with it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for descriptor in (self._master, self._slave):
            if descriptor >= 0:
                os.close(descriptor)
        self._master = self._slave = -1

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
