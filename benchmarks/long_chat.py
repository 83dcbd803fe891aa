"""Memory of the UI over as many tokens as an hour at 100 tok/s has, in one conversation, and what a huge paste costs.

The tokens come from a server on loopback as fast as the app takes them; all of them go through the worker, the chat,
its store and the screen.
"""

from __future__ import annotations

import sys
import time

from benchmarks.machine import usable_cores, warn_when_busy
from benchmarks.paced_server import paced_server
from benchmarks.report import Result, show
from benchmarks.watched_session import watched_session

TOKENS_AN_ANSWER = 3_000
TURNS = 120
"""With the tokens an answer: one hour at 100 tok/s."""
WARM_TURNS = 2
MEMORY_BAR_MIB = 10.0
PASTED_CHARACTERS = 100 * 1024
FRAME_BAR_MS = 50.0
_PASTE_BEGIN, _PASTE_END = "\x1b[200~", "\x1b[201~"
_SETTLE_S = 0.3


def measure() -> list[Result]:
    """One hour's chat, and a paste after a short one."""
    warn_when_busy()
    with paced_server() as url:
        return [_measure_memory(url), _measure_paste(url)]


def _measure_memory(url: str) -> Result:
    begin = time.perf_counter()
    with watched_session(TOKENS_AN_ANSWER, usable_cores(), url) as session:
        warm = most = 0
        for turn in range(TURNS + WARM_TURNS):
            session.say(f"Go on, part {turn}.")
            session.wait_for_answer()
            session.drain_for(_SETTLE_S)
            if turn < WARM_TURNS:
                warm = session.resident_bytes()
            most = max(most, session.resident_bytes())
    return Result(
        "memory that an hour's chat adds to the UI",
        (most - warm) / 1024**2,
        "MiB",
        MEMORY_BAR_MIB,
        "lower",
        (
            f"{TURNS} answers of {TOKENS_AN_ANSWER} tokens of Markdown after {WARM_TURNS}, as fast as the app took"
            f" them ({time.perf_counter() - begin:.0f} s in all)",
            f"{warm / 1024**2:.1f} MiB resident before, {most / 1024**2:.1f} MiB at most",
        ),
    )


def _measure_paste(url: str) -> Result:
    line = "word " * 12 + "\r"
    pasted = (line * (PASTED_CHARACTERS // len(line) + 1))[:PASTED_CHARACTERS]
    worst = []
    with watched_session(64, usable_cores(), url) as session:
        for _ in range(3):
            session.begin_watch()
            session.terminal.type(_PASTE_BEGIN)
            # A terminal takes a paste in parts, as the program reads it.
            for start in range(0, len(pasted), 2048):
                session.terminal.type(pasted[start : start + 2048])
                session.terminal.drain(0)
            session.terminal.type(_PASTE_END)
            session.drain_for(1.0)
            session.say()
            session.wait_for_answer()
            session.drain_for(_SETTLE_S)
            worst.append(max(session.end_watch()))
    return Result(
        "longest frame while 100 KB are pasted and sent",
        max(worst) * 1000,
        "ms",
        FRAME_BAR_MS,
        "lower",
        (f"{len(worst)} pastes of {PASTED_CHARACTERS:,} characters, each the lateness of a timer at most",),
    )


if __name__ == "__main__":
    sys.exit(show(measure()))
