"""What drawing a streaming answer costs: bytes to the terminal and processor time of the UI, at 80x24.

Both are stated for 100 tok/s. Some of the cost goes with the tokens and some with the frames, which go with time; so
a figure is taken both as a second cost it and as 100 tokens cost it, and the dearer of the two counts.
"""

from __future__ import annotations

import statistics
import sys

from benchmarks.app_session import Answer, ask_once
from benchmarks.machine import usable_cores, warn_when_busy
from benchmarks.report import Result, show

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
    ]


def at_the_rate(answer: Answer, cost: float) -> float:
    """Cost a second, or of as many tokens as the rate has in a second, whichever is more."""
    seconds = answer.figures.decode_s
    return max(cost / seconds, cost / answer.figures.generated_tokens * RATE_TPS)


if __name__ == "__main__":
    sys.exit(show(measure()))
