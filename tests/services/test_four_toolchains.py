"""The real model goes through all four toolchains in one sweep, and what lost nothing is found to have lost nothing."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import pytest

from edgetui.core.bench import BenchSettings
from edgetui.core.quality import QualitySettings
from edgetui.services.lab import Lab
from edgetui.worker.job_events import JobFailed, JobSucceeded

LOSSLESS = ("ONNX fp32", "MLX convert")
LOSSY = ("Q4_0", "ONNX int4", "Olive int4", "MLX 4bit")


async def ended(lab: Lab, job_id: str) -> JobSucceeded:
    async with aclosing(lab.jobs.watch(job_id)) as events:
        last = [event async for event in events][-1]
    if isinstance(last, JobFailed):
        pytest.fail(f"{last.failure.message}\n" + "\n".join(await lab.jobs.log_tail(job_id, 60)), pytrace=False)
    assert isinstance(last, JobSucceeded)
    return last


@pytest.mark.timeout(900, func_only=True)
async def test_every_toolchain_makes_builds_whose_quality_and_speed_stand_side_by_side(
    toolchain_lab: Lab,
    gguf_toolchain: Path,
    onnx_toolchain: Path,
    olive_toolchain: Path,
    mlx_toolchain: Path,
) -> None:
    lab = toolchain_lab
    demo = await lab.catalog.find("SmolLM2-135M-Instruct.Q4_1")
    job = await lab.quantizer.start(demo, "F16", allow_requantize=True)
    await ended(lab, job.job_id)
    parent = await lab.catalog.find("SmolLM2-135M-Instruct.F16")
    assert parent.recovered_from == "Q4_1"
    plan = await lab.frontier.plan(
        [parent],
        (
            "Q4_0",
            "onnx-build:precision=fp32",
            "onnx-build:precision=int4",
            "olive-int4",
            "mlx-convert",
            "mlx-quantize:bits=4",
        ),
        quality=QualitySettings(context_tokens=96, chunks=1, tasks=False),
        bench=BenchSettings(prompt_tokens=8, generated_tokens=2, repetitions=2),
    )
    last = await ended(lab, (await lab.frontier.start(plan)).job_id)
    assert "8 of 8 builds measured" in last.summary, [row.problem for row in await lab.frontier.rows()]
    rows = {row.label: row for row in await lab.frontier.rows()}
    # What the parent was recovered from stands beside it: it is smaller, and has lost nothing more.
    assert rows["Q4_1 (its origin)"].loss is not None and rows["Q4_1 (its origin)"].loss < 0.01
    losses = {label: row.loss for label, row in rows.items() if row.loss is not None}
    for label in LOSSLESS:
        assert losses[label] < 0.002, (label, losses)
    for label in LOSSY:
        assert 0.01 < losses[label] < 2, (label, losses)
    for row in rows.values():
        assert row.decode_tps and row.memory_bytes and row.load_s, row.label
        # Without Apple silicon MLX takes seconds a token, so a prefill is not waited for.
        assert row.prefill_tps or row.toolchain == "mlx", row.label
    engines = {row.decode.engine for row in rows.values() if row.decode is not None}
    assert engines == {"llama.cpp", "onnxruntime-genai", "mlx"}
    # The same model twice is not made twice, whichever toolchain made it.
    again = await lab.frontier.plan(
        [parent], ("Q4_0", "onnx-build:precision=int4", "olive-int4", "mlx-quantize:bits=4"), quality=None,
        bench=BenchSettings(),
    )  # fmt: skip
    assert all(not cell.makes for cell in again.request.cells), [cell.makes for cell in again.request.cells]
    # What is made of weights that passed through Q4_1, and is wider, says so in every format.
    made = {entry.name: entry for entry in await lab.catalog.scan() if entry.parent is not None}
    wide = {entry.format for entry in made.values() if entry.recovered_from == "Q4_1"}
    assert wide == {"gguf", "safetensors", "onnx", "mlx"} and len(made) >= 8
    # By what each was made of, quality finds the parent that an engine runs.
    for entry in made.values():
        if entry.name != parent.name and entry.format != "safetensors":
            base = await lab.quality.base_of(entry)
            assert base is not None, entry.name
            # What was made of an ONNX model is compared with that one, if it lost nothing itself.
            assert base.name == ("SmolLM2-135M-Instruct.onnx-fp32" if "olive" in entry.name else parent.name)
