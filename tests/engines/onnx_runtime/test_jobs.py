"""ONNX models by jobs: cancelled without a trace, quantized from the catalog, measured for the history."""

from __future__ import annotations

import os
from contextlib import aclosing
from pathlib import Path

import pytest
from msgspec.structs import replace

from edgetui.core.bench import BenchSettings, BenchTest
from edgetui.core.failures import EdgetuiError
from edgetui.core.models import ModelEntry
from edgetui.core.studies import AbResult, AbSettings
from edgetui.core.workflows.onnx import Onnx4Bit, OnnxBuild, OnnxDynamicInt8
from edgetui.services.bench import side_of
from edgetui.services.lab import Lab
from edgetui.worker.job_events import JobFailed, JobProgress

SMALL = BenchSettings(prompt_tokens=8, generated_tokens=2, repetitions=1, threads=1)


async def ended(lab: Lab, job_id: str) -> str:
    async with aclosing(lab.jobs.watch(job_id)) as events:
        async for event in events:
            if isinstance(event, JobFailed):
                return event.failure.message
    return (await lab.jobs.get(job_id)).state


async def test_a_cancelled_build_leaves_nothing(
    toolchain_lab: Lab, demo_safetensors: Path, onnx_toolchain: Path
) -> None:
    lab = toolchain_lab
    record = await lab.workflows.start(await lab.catalog.find(str(demo_safetensors)), OnnxBuild())
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        async for event in events:
            # From its first word on: on a fast machine the layers are done before a reader has seen them.
            if isinstance(event, JobProgress):
                break
    await lab.jobs.cancel(record.job_id)
    assert (await lab.jobs.get(record.job_id)).state == "cancelled"
    assert os.listdir(lab.paths.models_dir) == []


async def test_a_decoder_is_quantized_by_its_name_and_says_what_it_was_made_of(
    toolchain_lab: Lab, demo_onnx: Path, decoder: Path
) -> None:
    lab = toolchain_lab
    source = await lab.catalog.find(str(decoder))
    assert source.format == "onnx" and source.quant_type == "fp32"
    record = await lab.workflows.start(source, OnnxDynamicInt8())
    assert await ended(lab, record.job_id) == "succeeded"
    made = await lab.catalog.find(lab.workflows.default_target(source, OnnxDynamicInt8()).name)
    assert (made.format, made.parent) == ("onnx", source.name)
    assert made.recipe is not None and "per_channel" in made.recipe
    refused = await lab.workflows.start(await lab.catalog.find(str(demo_onnx)), Onnx4Bit())
    assert "quantized already" in await ended(lab, refused.job_id)
    assert not any("4bit" in name for name in os.listdir(lab.paths.models_dir))


async def test_a_measured_decoder_is_in_the_history(toolchain_lab: Lab, demo_onnx: Path, onnx_toolchain: Path) -> None:
    lab = toolchain_lab
    record = await lab.bench.start(await lab.catalog.find(str(demo_onnx)), SMALL)
    assert await ended(lab, record.job_id) == "succeeded"
    rows = {each.row.test: each.row for each in await lab.bench.history()}
    assert rows["pp"].engine == rows["tg"].engine == "onnxruntime-genai"
    assert rows["tg"].load_s and rows["tg"].memory_bytes and rows["tg"].memory_bytes > rows["tg"].model_size_bytes


async def test_two_engines_are_measured_by_turns(
    toolchain_lab: Lab, demo_onnx: Path, demo_entry: ModelEntry, onnx_toolchain: Path
) -> None:
    lab = toolchain_lab
    a, b = (side_of(entry, SMALL) for entry in (demo_entry, await lab.catalog.find(str(demo_onnx))))
    record = await lab.bench.start_ab(a, b, AbSettings(test=BenchTest(generated_tokens=2), blocks=2))
    assert await ended(lab, record.job_id) == "succeeded"
    (study,) = await lab.bench.studies()
    assert isinstance(study.result, AbResult) and study.result.ratio is not None
    assert len(study.result.a_ns) == len(study.result.b_ns) == 4
    assert [each.row.engine for each in await lab.bench.history()] == ["onnxruntime-genai", "llama.cpp"]


async def test_a_graph_that_is_no_decoder_is_not_measured(lab: Lab, tmp_path: Path) -> None:
    entry = ModelEntry(
        name="graph", path=tmp_path / "model.onnx", parts=(), source="folder", format="onnx", size_bytes=1
    )
    for changed, words in ((entry, "without genai_config.json"), (replace(entry, format="safetensors"), "no engine")):
        with pytest.raises(EdgetuiError, match=words) as caught:
            lab.bench.check(changed, SMALL)
        assert caught.value.failure.kind == "unsupported"


async def test_measuring_without_the_toolchain_names_it(lab: Lab, demo_onnx: Path) -> None:
    entry = await lab.catalog.find(str(demo_onnx))
    with pytest.raises(EdgetuiError, match="edgetui toolchain install onnx") as caught:
        await lab.bench.start(entry, SMALL)
    assert caught.value.failure.kind == "engine_missing"
