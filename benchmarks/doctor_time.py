"""Wall time of `edgetui doctor` without self-tests, from starting its process to its end."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.first_frame import EDGETUI, summary
from benchmarks.machine import warn_when_busy
from benchmarks.report import Result, show

ROUNDS = 7
BAR_S = 1.5


def measure() -> list[Result]:
    """Once with the hub as it is, once with one that never answers; the slower median counts."""
    warn_when_busy()
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as mute:
        # It takes connections and never answers: the network's lines need all of their limit.
        dead_hub = f"http://127.0.0.1:{mute.getsockname()[1]}"
        environment = {**os.environ, "EDGETUI_HOME": folder, "HF_HOME": f"{folder}/hub"}
        here, dead = (
            [seconds({**environment, **hub}) for _ in range(ROUNDS + 1)][1:]
            for hub in ({}, {"HF_ENDPOINT": dead_hub, "HF_TOKEN": "hf_benchmark"})
        )
    return [
        Result(
            "edgetui doctor without self-tests",
            max(statistics.median(here), statistics.median(dead)),
            "s",
            BAR_S,
            "lower",
            (
                f"{ROUNDS} rounds each, process start to end; the slower of both counts",
                f"hub as it is {summary(here)}",
                f"hub that does not answer {summary(dead)}",
            ),
        )
    ]


def seconds(environment: dict[str, str]) -> float:
    """One run."""
    started = time.perf_counter()
    done = subprocess.run([EDGETUI, "doctor", "--json"], env=environment, stdin=subprocess.DEVNULL, capture_output=True)
    elapsed = time.perf_counter() - started
    if not done.stdout.startswith(b"{"):
        raise SystemExit(f"edgetui doctor does not work: {done.stderr.decode('utf-8', 'replace')}")
    return elapsed


if __name__ == "__main__":
    sys.exit(show(measure()))
