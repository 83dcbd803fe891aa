"""What the figures were measured on, in lines for the results page; no names of hosts, people or folders."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
BUSY_SHARE = 0.1
"""Share of the processor's time taken by others above which a measurement is not worth much."""
_LOOK_S = 1.0


def describe() -> list[str]:
    """Processor, memory, system, versions, load."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    return [
        f"{time.strftime('%Y-%m-%d %H:%M')}, commit {commit.strip() or 'unknown'}",
        f"{processor()}, {usable_cores()} cores, {psutil.virtual_memory().total / 1024**3:.1f} GiB",
        f"{platform.system()} {platform.release()} {platform.machine()}, Python {platform.python_version()}",
        f"llama-cpp-python {version('llama-cpp-python')}, Textual {version('textual')}",
        f"one-minute load before the first round: {os.getloadavg()[0]:.2f}",
    ]


def warn_when_busy() -> None:
    """Say so when other work disturbs what is about to be measured.

    Asked of the processor for a second, since the load average still counts the measurement before.
    """
    share = psutil.cpu_percent(_LOOK_S) / 100
    if share > BUSY_SHARE:
        print(f"Other work takes {share:.0%} of the processor; figures measured now say little.", flush=True)


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The processor's own name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
