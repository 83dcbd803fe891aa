"""What is told within a repetition: by the counts of a real runner, and of times that are given."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edgetui.core.bench import BenchSettings, BenchTest
from edgetui.engines.llama_cpp.bench import open_runner
from edgetui.worker.runners.repetition_watch import RepetitionWatch


def test_a_runner_counts_what_it_has_computed(demo_model: Path) -> None:
    test = BenchTest(prompt_tokens=6, generated_tokens=4, depth_tokens=8)
    runner = open_runner(demo_model, "demo", BenchSettings(threads=1, batch_tokens=4), test)
    try:
        runner.run(6, 4)
        assert (runner.filled_tokens, runner.done_tokens) == (8, 10)
        runner.run(0, 1)
        # The depth was there.
        assert (runner.filled_tokens, runner.done_tokens) == (0, 1)
        seen: set[int] = set()
        ended = threading.Event()

        def look() -> None:
            while not ended.is_set():
                seen.add(runner.done_tokens)

        thread = threading.Thread(target=look)
        thread.start()
        runner.run(0, 4)
        ended.set()
        thread.join()
        assert len(seen) > 1
    finally:
        runner.close()


def test_a_long_run_is_told_with_its_share_and_the_time_left() -> None:
    told: list[tuple[float, str]] = []
    watch = RepetitionWatch(lambda share, note: told.append((share, note)))
    watch.look(1.0)
    runner: Any = SimpleNamespace(filled_tokens=0, done_tokens=0)
    watch.follow(runner, BenchTest(generated_tokens=1000, depth_tokens=64))
    watch.expect("tg1000 @ d64 1/5")
    for at, filled, done in ((10.0, 0, 0), (16.0, 32, 0), (18.0, 64, 100), (20.0, 64, 120), (22.0, 64, 120)):
        runner.filled_tokens, runner.done_tokens = filled, done
        watch.look(at)
    assert told == [
        (0.0, "tg1000 @ d64 1/5: filling the depth, 32 of 64 tokens"),
        (0.1, "tg1000 @ d64 1/5: 100 of 1000 tokens"),
        (0.12, "tg1000 @ d64 1/5: 120 of 1000 tokens, 10.00 tok/s so far, about 1m 28s left"),
    ]
    # Of the next run, which is short, nothing is told.
    watch.expect("tg1000 @ d64 2/5")
    for at, done in ((23.0, 10), (25.0, 600)):
        runner.done_tokens = done
        watch.look(at)
    assert len(told) == 3
