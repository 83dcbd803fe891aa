"""Quality as jobs on the real model: the row, the baseline that is kept, and every way it can fail."""

from __future__ import annotations

import os
import signal
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.jobs import JobRecord
from edgetui.core.models import ModelEntry
from edgetui.core.quality import QualitySettings
from edgetui.services.lab import Lab
from edgetui.services.quality import unquantized_parent
from edgetui.store.job_folder import JobFolder
from edgetui.worker.job_events import JobProgress, JobStarted, JobSucceeded

SMALL = QualitySettings(context_tokens=32, chunks=2, threads=1, tasks=False)


def entry(name: str, *, parent: str | None = None, kind: str = "Q4_0", form: str = "gguf") -> ModelEntry:
    return ModelEntry(
        name=name,
        path=Path(f"/m/{name}"),
        parts=(Path(f"/m/{name}"),),
        source="folder",
        format=form,  # type: ignore[arg-type]
        size_bytes=1,
        quant_type=kind,
        parent=parent,
    )


async def ended(lab: Lab, record: JobRecord) -> JobRecord:
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        async for _ in events:
            pass
    return await lab.jobs.get(record.job_id)


async def test_a_model_is_measured_beside_a_parent_whose_baseline_is_kept(lab: Lab, demo_entry: ModelEntry) -> None:
    told: list[None] = []
    lab.quality.changed.subscribe(told.append)
    record = await lab.quality.start(demo_entry, demo_entry, SMALL)
    last = await lab.quality.follow(record.job_id)
    assert isinstance(last, JobSucceeded) and "perplexity" in last.summary and len(told) >= 2
    (kept,) = await lab.quality.history()
    row = kept.row
    assert (kept.job_id, row.base_name, row.engine) == (record.job_id, demo_entry.name, "llama.cpp")
    assert (row.chunks, row.context_tokens, row.scored_tokens, row.text_name[:6]) == (2, 32, 30, "topics")
    assert row.model_fingerprint == row.base_fingerprint != "" and len(row.text_sha256) == 64
    assert row.divergence is not None and row.divergence.same_top1.value == 1
    assert row.perplexity.value == pytest.approx(row.divergence.base_perplexity.value, rel=1e-3) and row.seconds > 0
    (baseline,) = lab.paths.baselines_dir.iterdir()
    made_at = baseline.stat().st_ino
    # A second time the parent is not run again.
    again = await ended(lab, await lab.quality.start(demo_entry, demo_entry, SMALL))
    assert again.state == "succeeded"
    assert not (lab.paths.jobs_dir / again.job_id / "steps" / "baseline").exists()
    assert [path.stat().st_ino for path in lab.paths.baselines_dir.iterdir()] == [made_at]
    newest, oldest = await lab.quality.history()
    assert newest.row.divergence == oldest.row.divergence
    assert await lab.quality.remove([newest.record_id]) == 1
    # One that was damaged meanwhile is made anew.
    baseline.write_bytes(baseline.read_bytes()[:1000])
    assert (await ended(lab, await lab.quality.start(demo_entry, demo_entry, SMALL))).state == "succeeded"
    assert baseline.stat().st_size > 1000


async def test_a_single_model_has_a_perplexity_over_a_persons_text(
    lab: Lab, demo_entry: ModelEntry, tmp_path: Path
) -> None:
    text = tmp_path / "mine.txt"
    text.write_text("The cat sat on the mat and looked at the dog. " * 8)
    record = await ended(lab, await lab.quality.start(demo_entry, None, msgspec.structs.replace(SMALL, text=str(text))))
    assert record.state == "succeeded" and record.subject == demo_entry.name and record.goal == "perplexity"
    (kept,) = await lab.quality.history()
    assert kept.row.divergence is None and kept.row.base_name is None and kept.row.text_name == "mine.txt"
    # What has been said eight times is no surprise.
    assert 1 < kept.row.perplexity.value < 5
    assert not lab.paths.baselines_dir.exists()


async def test_a_text_that_fills_no_chunk_fails_in_one_sentence(
    lab: Lab, demo_entry: ModelEntry, tmp_path: Path
) -> None:
    text = tmp_path / "short.txt"
    text.write_text("Too short.")
    asked = msgspec.structs.replace(SMALL, text=str(text))
    for base in (None, demo_entry):
        record = await ended(lab, await lab.quality.start(demo_entry, base, asked))
        assert record.state == "failed" and "short.txt has" in record.summary and "32" in record.summary
    assert await lab.quality.history() == [] and not list(lab.paths.state_dir.glob("logits/*"))


async def test_a_cancelled_measurement_leaves_no_baseline(lab: Lab, demo_entry: ModelEntry) -> None:
    record = await lab.quality.start(demo_entry, demo_entry, msgspec.structs.replace(SMALL, chunks=1000))
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        async for event in events:
            if isinstance(event, JobProgress) and event.done >= 1:
                assert event.note.startswith(f"{demo_entry.name} first: perplexity ")
                assert list(lab.paths.baselines_dir.glob(".*.part")), "it is being written under a hidden name"
                break
    await lab.jobs.cancel(record.job_id)
    assert (await lab.jobs.get(record.job_id)).state == "cancelled"
    assert not list(lab.paths.baselines_dir.iterdir()) and await lab.quality.history() == []


async def test_an_engine_that_aborts_is_told_with_the_models_name(lab: Lab, demo_entry: ModelEntry) -> None:
    record = await lab.quality.start(demo_entry, None, msgspec.structs.replace(SMALL, chunks=1000))
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        async for event in events:
            if isinstance(event, JobProgress) and event.done >= 1:
                step = JobFolder(lab.paths.jobs_dir / record.job_id / "steps" / "evaluate")
                (began,) = (each for each in step.read_journal()[0] if isinstance(each, JobStarted))
                os.kill(began.pid, signal.SIGABRT)
                break
    record = await ended(lab, record)
    assert record.state == "failed" and f"crashed over {demo_entry.name}" in record.summary


async def test_what_can_never_be_measured_is_refused_before_a_job(
    lab: Lab, demo_entry: ModelEntry, tmp_path: Path
) -> None:
    bad = tmp_path / "latin.txt"
    bad.write_bytes(b"caf\xe9")
    onnx = msgspec.structs.replace(demo_entry, format="onnx", name="onnx")
    cases: list[tuple[ModelEntry, ModelEntry | None, QualitySettings, str, str]] = [
        (msgspec.structs.replace(demo_entry, problem="It is cut short."), None, SMALL, "bad_file", "cut short"),
        (demo_entry, msgspec.structs.replace(demo_entry, problem="It is odd."), SMALL, "bad_file", "odd"),
        (msgspec.structs.replace(demo_entry, format="safetensors"), None, SMALL, "unsupported", "convert it to GGUF"),
        (onnx, None, SMALL, "engine_missing", "edgetui toolchain install onnx"),
        (demo_entry, None, msgspec.structs.replace(SMALL, context_tokens=8200), "bad_request", "trained for 8192"),
        (
            msgspec.structs.replace(demo_entry, context_length=128),
            None,
            msgspec.structs.replace(SMALL, tasks=True),
            "bad_request",
            "leave the tasks out",
        ),
        (demo_entry, None, msgspec.structs.replace(SMALL, text="/gone.txt"), "not_found", "/gone.txt"),
        (demo_entry, None, msgspec.structs.replace(SMALL, text=str(bad)), "bad_file", "not UTF-8"),
    ]
    for model, base, settings, kind, words in cases:
        with pytest.raises(EdgetuiError) as caught:
            await lab.quality.start(model, base, settings)
        assert caught.value.failure.kind == kind and words in str(caught.value)
    assert await lab.jobs.list() == ()


def test_the_unquantized_parent_is_found_by_provenance() -> None:
    source = entry("source", kind="BF16", form="safetensors")
    f16 = entry("f16", parent="source", kind="F16")
    models = [
        source,
        entry("onnx-fp32", parent="source", kind="fp32", form="onnx"),
        f16,
        entry("q4", parent="f16"),
        entry("q2-of-q4", parent="q4"),
        entry("mlx-4", parent="source", kind="4 bits g64", form="mlx"),
        entry("alone"),
        entry("orphan", parent="gone"),
    ]
    found = {each.name: unquantized_parent(each, models) for each in models}
    assert {name: None if base is None else base.name for name, base in found.items()} == {
        "source": None,
        "onnx-fp32": "f16",
        "f16": "onnx-fp32",
        "q4": "f16",
        "q2-of-q4": "f16",
        "mlx-4": "f16",
        "alone": None,
        "orphan": None,
    }


def test_models_that_name_each_other_as_parents_end_the_search() -> None:
    models = [entry("a", parent="b"), entry("b", parent="a")]
    assert unquantized_parent(models[0], models) is None
