"""Runs pip and shows what a person wants to see of it; every line of it goes to a log.

A terminal gets one line that moves, anything else (CI) a line now and then.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

NINJA_STEP = re.compile(r"^\s*\[(\d+)/(\d+)\]\s+(.*)")
MAKE_STEP = re.compile(r"^\s*\[\s*(\d+)%\]\s+(.*)")
DOWNLOAD_STEP = re.compile(r"^\s*Progress (\d+) of (\d+)")
DOWNLOAD_NAME = re.compile(r"^\s*Downloading (\S+)(?: \((.*)\))?")
FOUND_BUILT = re.compile(r"^\s*Using cached (llama_cpp_python\S+\.whl)")
FAULT = re.compile(r"(^\s*(ERROR|error:)|\b(fatal )?error:|CMake Error|No space left|Killed)")
INSTALLED = re.compile(r"^Successfully installed (.*)")
SMALL_DOWNLOAD_BYTES = 4_000_000
LINES_BETWEEN_REPORTS_S = 15.0
REDRAW_INTERVAL_S = 0.1
FAULT_LINES = 40
LINES_AFTER_FAULT = 5
"""CMake and the compilers say why on the lines below the word error."""


def run_with_progress(command: list[str], environment: dict[str, str], log: Path) -> int:
    """Run `command`, append its output to `log`, and return its exit code."""
    display = Display()
    faults: deque[str] = deque(maxlen=FAULT_LINES)
    wanted = 0
    with log.open("a", encoding="utf-8") as record:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            text=True,
            errors="replace",
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                record.write(line)
                wanted = LINES_AFTER_FAULT if FAULT.search(line) else wanted - 1
                if wanted > 0:
                    faults.append(line.rstrip())
                display.take(line.rstrip())
            code = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        finally:
            display.close()
    if code:
        print("\n".join(faults), file=sys.stderr, flush=True)
    return code


class Display:
    """Turns pip's lines into one moving line, or into a few that stay."""

    def __init__(self) -> None:
        self.moves = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.started = time.monotonic()
        self.shown_at = 0.0
        self.line_open = False
        self.downloading = ""
        self.building = False

    def take(self, line: str) -> None:
        """Show what `line` says, if it is worth showing."""
        ninja, make = NINJA_STEP.match(line), MAKE_STEP.match(line)
        download, name = DOWNLOAD_STEP.match(line), DOWNLOAD_NAME.match(line)
        built, installed = FOUND_BUILT.match(line), INSTALLED.match(line)
        if ninja:
            done, total = int(ninja[1]), int(ninja[2])
            self.build_step(done / total, f"{done}/{total}", ninja[3])
        elif make:
            self.build_step(int(make[1]) / 100, f"{make[1]} %", make[2])
        elif download:
            self.download_step(int(download[1]), int(download[2]))
        elif name:
            self.downloading = name[1].rsplit("/", 1)[-1]
        elif built:
            self.say(f"llama-cpp-python was built before: {built[1]} from pip's cache")
        elif installed:
            names = installed[1].split()
            self.say(f"Installed {', '.join(names) if len(names) < 4 else f'{len(names)} packages'}")

    def build_step(self, share: float, count: str, what: str) -> None:
        """One file of llama.cpp compiled; estimates the rest from the time so far."""
        if not self.building:
            self.building = True
            self.started = time.monotonic()
            self.say("Building llama.cpp for this machine; this happens once, then pip's cache has it")
        elapsed = time.monotonic() - self.started
        left = f", about {clock(elapsed / share - elapsed)} left" if 0.1 < share < 1 else ""
        bar = "#" * round(share * 20)
        text = f"llama.cpp [{bar:<20}] {count:>8}  {clock(elapsed)}{left}"
        self.show(f"{text}  {source_name(what)}" if self.moves and share < 1 else text, last=share >= 1)

    def download_step(self, done_bytes: int, total_bytes: int) -> None:
        """Part of a file has arrived; small files pass without a word."""
        if total_bytes < SMALL_DOWNLOAD_BYTES:
            return
        package = self.downloading.split("-", 1)[0]
        share = f"{done_bytes / 1e6:.0f} of {total_bytes / 1e6:.0f} MB"
        if done_bytes == 0:
            self.shown_at = time.monotonic()
        self.show(f"Downloading {package}  {share}", last=done_bytes >= total_bytes)

    def show(self, text: str, *, last: bool) -> None:
        """Draw a line that the next one replaces; the last of its kind stays."""
        now = time.monotonic()
        interval = REDRAW_INTERVAL_S if self.moves else LINES_BETWEEN_REPORTS_S
        if not last and now - self.shown_at < interval:
            return
        self.shown_at = 0.0 if last else now
        if not self.moves:
            print(text, flush=True)
            return
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\x1b[K{text[:width]}", end="\n" if last else "", flush=True)
        self.line_open = not last

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self.close()
        print(text, flush=True)

    def close(self) -> None:
        """Leave the cursor at the start of a line of its own."""
        if self.line_open:
            print()
            self.line_open = False


def source_name(command: str) -> str:
    """The file that a compiler's command line is about."""
    source = re.search(r" -c (\S+)", command)
    if source:
        return source[1].rsplit("/", 1)[-1]
    made = re.search(r" -o (\S+)", command) or re.search(r"(\S+)$", command)
    return made[1].rsplit("/", 1)[-1] if made else ""


def clock(seconds: float) -> str:
    """`75` -> `1:15`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
