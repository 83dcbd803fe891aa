"""What edgetui measures of a real llama-server, beside what the server says of itself and edgetui's own engine.

Decode: the rate by the times of tokens on this side over the rate that llama-server tells. Stop: from the wish to the
last event. Beside them stands edgetui's llama.cpp engine on the same model, settings and prompt, in alternating rounds.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from contextlib import aclosing
from statistics import median

from benchmarks.app_session import demo_model
from benchmarks.llama_server import running
from benchmarks.report import Result, show
from edgetui.core.run_settings import ChatMessage, LoadSettings, SamplingSettings
from edgetui.services.inference import Inference
from edgetui.services.lab import Lab
from edgetui.worker.protocol import Finished, Tokens

ROUNDS, TOKENS, STOPS = 7, 128, 20
THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
CONTEXT = 2048


def measure() -> list[Result]:
    """Alternating rounds of both, then stops."""
    options = ("-c", str(CONTEXT), "-np", "1", "-t", str(THREADS), "--alias", "smollm2", "--jinja")
    with tempfile.TemporaryDirectory() as folder, running(demo_model(), *options) as url:
        os.environ |= {"EDGETUI_HOME": folder, "HF_HOME": f"{folder}/hub"}
        return asyncio.run(_rounds(url))


async def _rounds(url: str) -> list[Result]:
    lab = Lab()
    await lab.servers.add(name="here", url=url)
    settings = LoadSettings(context_tokens=CONTEXT, threads=THREADS)
    served, own = Inference(lab.paths), Inference(lab.paths)
    try:
        await served.load(await lab.find_model("here"), settings)
        await own.load(await lab.catalog.find(demo_model().stem), settings)
        rows: dict[str, list[Finished]] = {"served": [], "own": []}
        for number in range(ROUNDS + 1):
            for name, inference in (("served", served), ("own", own)):
                finished = await _answer(inference, number)
                if number:
                    rows[name].append(finished)
        stops = [await _stop(served) for _ in range(STOPS)]
    finally:
        await served.close()
        await own.close()
        await lab.close()
    return _results(rows["served"], rows["own"], stops)


def _results(served: list[Finished], own: list[Finished], stops: list[float]) -> list[Result]:
    here = [_rate(each) for each in served]
    told = [(each.generated_tokens - 1) / each.server_decode_s for each in served if each.server_decode_s]
    ratios = [ours / theirs for ours, theirs in zip(here, told, strict=True)]
    network = [each.network_s for each in served if each.network_s is not None]
    beside = (
        f"decode by edgetui's clock {median(here):.2f} tok/s, by llama-server's own {median(told):.2f}",
        f"edgetui's llama.cpp engine in alternating rounds {median(_rate(each) for each in own):.2f} tok/s",
        f"TTFT {_ttft_ms(served):.1f} ms from the server, {1e3 * median(network):.2f} ms of it network;"
        f" {_ttft_ms(own):.1f} ms from our engine",
        f"{ROUNDS} rounds of {TOKENS} tokens, {THREADS} threads",
    )
    ordered = sorted(stops)
    return [
        Result("decode by our clock over llama-server's own", median(ratios), "", 0.97, "higher", beside),
        Result("stop of a server's answer, worst", 1e3 * ordered[-1], "ms", 100, "lower", (f"{STOPS} stops",)),
    ]


def _rate(finished: Finished) -> float:
    return (finished.generated_tokens - 1) / finished.decode_s


def _ttft_ms(rows: list[Finished]) -> float:
    return 1e3 * median(each.ttft_s or 0.0 for each in rows)


async def _answer(inference: Inference, number: int) -> Finished:
    sampling = SamplingSettings(temperature=0, max_tokens=TOKENS, ignore_eos=True)
    question = ChatMessage("user", f"{number}. Tell a story of a lighthouse, its keeper, a ship and a storm.")
    async with aclosing(inference.generate([question], sampling=sampling)) as events:
        async for event in events:
            if isinstance(event, Finished):
                return event
    raise AssertionError("an answer ends with Finished or an error")


async def _stop(inference: Inference) -> float:
    """Seconds from the wish to the end."""
    began = 0.0
    sampling = SamplingSettings(temperature=0, ignore_eos=True)
    async with aclosing(inference.generate([ChatMessage("user", "Count.")], sampling=sampling)) as events:
        async for event in events:
            if isinstance(event, Tokens) and not began:
                began = time.perf_counter()
                await inference.stop()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(show(measure()))
