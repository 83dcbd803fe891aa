"""What drawing a streaming answer costs: bytes to the terminal and processor time of the UI, at 80x24.

Both are stated for 100 tok/s, of the demo model's prose and of Markdown with everything in it. Some of the cost goes
with the tokens and some with the frames, which go with time; so for the demo model, which has a rate of its own, a
figure is taken both as a second cost it and as 100 tokens cost it, and the dearer of the two counts. The Markdown comes
from a server on loopback at just that rate.
"""

from __future__ import annotations

import statistics
import sys
import time

from benchmarks.app_session import Answer, ask_once
from benchmarks.machine import usable_cores, warn_when_busy
from benchmarks.paced_server import paced_server
from benchmarks.report import Result, show
from benchmarks.watched_session import watched_session

ROUNDS = 5
TOKENS = 512
RATE_TPS = 100
BYTES_BAR_KIB = 4.0
CPU_BAR_PERCENT = 8.0


def measure() -> list[Result]:
    """Several answers; medians."""
    warn_when_busy()
    answers = [ask_once(TOKENS, usable_cores()) for _ in range(ROUNDS)]
    rate = statistics.median(answer.decode_tps for answer in answers)
    setting = f"{ROUNDS} answers of {TOKENS} tokens at 80x24, median decode {rate:.1f} tok/s"
    return [
        Result(
            f"terminal bytes while streaming at {RATE_TPS} tok/s",
            statistics.median(at_the_rate(answer, answer.terminal_bytes / 1024) for answer in answers),
            "KiB/s",
            BYTES_BAR_KIB,
            "lower",
            (setting, f"{statistics.median(answer.terminal_bytes for answer in answers) / 1024:.1f} KiB an answer"),
        ),
        Result(
            f"UI processor time while streaming at {RATE_TPS} tok/s",
            statistics.median(at_the_rate(answer, answer.ui_cpu_s * 100) for answer in answers),
            "% of a core",
            CPU_BAR_PERCENT,
            "lower",
            (setting, f"{statistics.median(answer.ui_cpu_s for answer in answers):.2f} s an answer"),
        ),
        *_measure_markdown(),
    ]


def _measure_markdown() -> list[Result]:
    """Several answers in one session, the first one for warming up; the median second of each."""
    kib_a_s, percent = [], []
    with paced_server(RATE_TPS) as url, watched_session(TOKENS, usable_cores(), url) as session:
        for number in range(ROUNDS + 1):
            written, cpu_s, begin = len(session.terminal.output), session.cpu_seconds(), time.perf_counter()
            session.say()
            session.wait_for_answer()
            seconds = time.perf_counter() - begin
            # The last tokens are still to be drawn; the frame that shows them belongs to the cost, not to the time.
            session.drain_for(0.5)
            if number:
                kib_a_s.append((len(session.terminal.output) - written) / 1024 / seconds)
                percent.append((session.cpu_seconds() - cpu_s) / seconds * 100)
    setting = f"{ROUNDS} answers of {TOKENS} tokens at 80x24 from a server that sends {RATE_TPS} tok/s"
    return [
        Result(
            f"terminal bytes while streaming Markdown at {RATE_TPS} tok/s",
            statistics.median(kib_a_s),
            "KiB/s",
            BYTES_BAR_KIB,
            "lower",
            (setting, f"{min(kib_a_s):.2f} to {max(kib_a_s):.2f} KiB/s"),
        ),
        Result(
            f"UI processor time while streaming Markdown at {RATE_TPS} tok/s",
            statistics.median(percent),
            "% of a core",
            CPU_BAR_PERCENT,
            "lower",
            (setting, f"{min(percent):.2f} to {max(percent):.2f} % of a core"),
        ),
    ]


def at_the_rate(answer: Answer, cost: float) -> float:
    """Cost a second, or of as many tokens as the rate has in a second, whichever is more."""
    seconds = answer.figures.decode_s
    return max(cost / seconds, cost / answer.figures.generated_tokens * RATE_TPS)


if __name__ == "__main__":
    sys.exit(show(measure()))
