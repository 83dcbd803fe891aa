"""How soon a key is answered while every core decodes: from the key to its character on the terminal, and how late
the event loop comes meanwhile.
"""

from __future__ import annotations

import statistics
import sys
import time

from benchmarks.machine import usable_cores, warn_when_busy
from benchmarks.report import Result, show
from benchmarks.watched_session import WatchedSession, percentile, watched_session

TOKENS = 1536
ANSWERS = 2
BETWEEN_KEYS_S = 0.08
KEY_BAR_MS = 50.0
LAG_BAR_MS = 16.0
_PROMPT = "Tell a long story about a lighthouse keeper and the sea."
_LETTERS = [chr(code) for code in range(0x100, 0x250)]
"""Letters that no answer and no figure has, so that their bytes in the output are the key's own."""
_FIRST_TEXT_S = 1.0
_GIVE_UP_S = 5.0


def measure() -> list[Result]:
    """Type into the prompt while answers stream."""
    warn_when_busy()
    threads = usable_cores()
    keys_s: list[float] = []
    lateness_s: list[float] = []
    with watched_session(TOKENS, threads) as session:
        for _ in range(ANSWERS):
            session.say(_PROMPT)
            session.drain_for(_FIRST_TEXT_S)
            session.begin_watch()
            keys_s += _type(session)
            lateness_s += session.end_watch()
            session.wait_for_answer()
            session.terminal.press("ctrl+u", "ctrl+u", "ctrl+u", "ctrl+u")
            session.drain_for(0.5)
    setting = f"{ANSWERS} answers of {TOKENS} tokens on {threads} threads, all cores, at 80x24"
    return [
        Result(
            "key press to repaint while decoding, p99",
            percentile(keys_s, 99) * 1000,
            "ms",
            KEY_BAR_MS,
            "lower",
            (
                setting,
                f"{len(keys_s)} keys, median {statistics.median(keys_s) * 1000:.1f} ms,"
                f" most {max(keys_s) * 1000:.1f} ms",
            ),
        ),
        Result(
            "event-loop lag while decoding, p99",
            percentile(lateness_s, 99) * 1000,
            "ms",
            LAG_BAR_MS,
            "lower",
            (
                setting,
                f"{len(lateness_s)} timers, median {statistics.median(lateness_s) * 1000:.2f} ms,"
                f" most {max(lateness_s) * 1000:.1f} ms",
            ),
        ),
    ]


def _type(session: WatchedSession) -> list[float]:
    """Seconds from each key to its letter in the output, while the answer lasts."""
    seconds = []
    for letter in _LETTERS:
        if session.is_answered():
            break
        seen = len(session.terminal.output)
        wanted = letter.encode()
        pressed = time.perf_counter()
        session.terminal.type(letter)
        while wanted not in session.terminal.output[seen:]:
            session.terminal.drain(0.02)
            if time.perf_counter() - pressed > _GIVE_UP_S:
                raise SystemExit(f"The letter {letter} never came back.")
        seconds.append(time.perf_counter() - pressed)
        session.drain_for(BETWEEN_KEYS_S)
    return seconds


if __name__ == "__main__":
    sys.exit(show(measure()))
