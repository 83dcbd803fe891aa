"""Perplexity and KL divergence by edgetui beside llama-perplexity: the figures, and the wall time, in turn.

Both work on the same model, text, chunks and threads. edgetui's time is that of the whole job, with the start of its
two processes, the loading and the history; llama-perplexity's that of the whole command.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.app_session import EDGETUI, demo_model
from benchmarks.llama_tools import llama_perplexity, llama_quantize
from benchmarks.machine import usable_cores, warn_when_busy
from benchmarks.quantize_ratio import run, summary
from benchmarks.report import Result, show
from edgetui.worker.texts import topics

ROUNDS = 3
CHUNKS = 8
CONTEXT_TOKENS = 512
TYPE = "Q4_K_M"
TIME_BAR = 1.15
AGREEMENT_BAR = 0.1
"""Per cent."""
FIGURES = {
    r"Mean PPL\(Q\)": "perplexity.value",
    r"Mean PPL\(base\)": "divergence.base_perplexity.value",
    r"Mean ln\(PPL\(Q\)/PPL\(base\)\)": "divergence.ln_perplexity_ratio.value",
    "Mean    KLD": "divergence.mean.value",
    "Median  KLD": "divergence.median",
    r"99\.0%   KLD": "divergence.p99",
    "Maximum KLD": "divergence.maximum",
    "RMS Δp": "divergence.rms_dp.value",
    "Same top p": "divergence.same_top1.value",
}
"""llama-perplexity's labels, and edgetui's names."""
PERCENT = ("RMS Δp", "Same top p")


def measure() -> list[Result]:
    """Make an F16 model of the demo and a type of that, then measure by both in turn."""
    tool, threads = llama_perplexity(), usable_cores()
    warn_when_busy()
    ours: dict[str, list[float]] = {"perplexity": [], "divergence": []}
    theirs: dict[str, list[float]] = {"perplexity": [], "divergence": []}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        parent, model, text, base = (home / name for name in ("parent.gguf", "model.gguf", "text.txt", "base"))
        run([llama_quantize(), "--allow-requantize", demo_model(), parent, "F16", str(threads)], home)
        run([llama_quantize(), parent, model, TYPE, str(threads)], home)
        text.write_text(topics(), encoding="utf-8")
        of_text = ["-f", text, "-c", str(CONTEXT_TOKENS), "--chunks", str(CHUNKS), "-t", str(threads)]
        told([tool, "-m", parent, *of_text, "--kl-divergence-base", base])
        asked: list[str | Path] = [
            "--text",
            text,
            "--context",
            str(CONTEXT_TOKENS),
            "--chunks",
            str(CHUNKS),
            "--no-tasks",
        ]
        quality: list[str | Path] = [EDGETUI, "quality", model, *asked, "--threads", str(threads), "--json", "--base"]
        # Makes and keeps the parent's baseline, as llama-perplexity's is kept.
        run([*quality, parent], home)
        for _ in range(ROUNDS):
            began = time.perf_counter()
            told([tool, "-m", model, *of_text])
            theirs["perplexity"].append(time.perf_counter() - began)
            (alone,) = msgspec.json.decode(run([*quality, "none"], home))
            ours["perplexity"].append(alone["duration_s"])
            began = time.perf_counter()
            output = told([tool, "-m", model, "-t", str(threads), "--kl-divergence-base", base, "--kl-divergence"])
            theirs["divergence"].append(time.perf_counter() - began)
            (compared,) = msgspec.json.decode(run([*quality, parent], home))
            ours["divergence"].append(compared["duration_s"])
    how = (
        f"{ROUNDS} rounds in turn, {demo_model().stem} as {TYPE}, {CHUNKS} chunks of {CONTEXT_TOKENS} tokens of topics"
    )
    differences = disagreements(output, compared)
    return [
        *(
            Result(
                f"{what} wall time over llama-perplexity",
                statistics.median(ours[what]) / statistics.median(theirs[what]),
                "",
                TIME_BAR,
                "lower",
                (
                    f"{how}, {threads} threads",
                    f"edgetui's job {summary(ours[what])}",
                    f"llama-perplexity, whole command, {summary(theirs[what])}",
                ),
            )
            for what in ours
        ),
        Result(
            "quality figures against llama-perplexity, largest difference",
            max(differences.values()),
            "%",
            AGREEMENT_BAR,
            "lower",
            (how, *(f"{label}: {difference:.4f} %" for label, difference in differences.items())),
        ),
    ]


def told(command: list[Any]) -> str:
    """What llama-perplexity prints."""
    done = subprocess.run([str(each) for each in command], check=True, capture_output=True, text=True)
    return done.stdout + done.stderr


def disagreements(output: str, row: dict[str, Any]) -> dict[str, float]:
    """Per cent by which each figure differs from llama-perplexity's."""
    found = {}
    for label, name in FIGURES.items():
        (*_, theirs) = re.findall(rf"{label}\s*:\s+(-?[\d.]+)", output)
        ours: Any = row
        for key in name.split("."):
            ours = ours[key]
        if label in PERCENT:
            ours *= 100
        found[label.replace("\\", "")] = abs(ours / float(theirs) - 1) * 100
    return found


if __name__ == "__main__":
    sys.exit(show(measure()))
