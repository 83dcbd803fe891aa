"""Importance matrices through the services: made, listed, taken by a quantization, refused and cancelled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.models import ModelEntry
from edgetui.core.quant_options import QuantOptions
from edgetui.formats.gguf import check_loadable
from edgetui.services.lab import Lab
from edgetui.store.provenance import Provenance
from edgetui.worker.job_events import JobProgress
from tests.services.test_quantizer import ended


@pytest.fixture
def short_entry(demo_entry: ModelEntry, short_model: Path) -> ModelEntry:
    return msgspec.structs.replace(
        demo_entry,
        name=short_model.stem,
        path=short_model,
        parts=(short_model,),
        size_bytes=short_model.stat().st_size,
        quant_type="F16",
    )


async def test_a_matrix_is_made_listed_and_taken(lab: Lab, short_entry: ModelEntry) -> None:
    request = lab.imatrices.request(short_entry, chunks=1, threads=1)
    record = await ended(lab, await lab.imatrices.start(request, short_entry))
    assert record.state == "succeeded" and record.kind == "imatrix" and record.unit == "chunks"
    assert "21 matrices over 1 chunk of topics" in record.summary
    (known,) = await lab.imatrices.list()
    assert (known.path, known.model_name, known.problem) == (record.output, short_entry.name, None)
    assert (known.text_name, known.chunk_count, known.chunk_tokens, known.entry_count) == ("topics", 1, 512, 21)
    assert await lab.imatrices.made_of(short_entry) == (known,)
    with pytest.raises(EdgetuiError, match="already there") as caught:
        await lab.imatrices.start(request, short_entry)
    assert caught.value.failure.kind == "exists"
    options = QuantOptions(imatrix=known.path)
    made = await ended(lab, await lab.quantizer.start(short_entry, "Q2_K_S", threads=1, options=options))
    assert made.state == "succeeded" and made.output is not None
    path = Path(made.output)
    assert path.name == "SmolLM2-short-imatrix.Q2_K_S.gguf"
    assert check_loadable(path).metadata["quantize.imatrix.file"] == known.name
    origin = Provenance(lab.database).origin_of(path)
    assert origin is not None and f"Q2_K_S (imatrix {known.name})" in origin.recipe
    # Another model's matrix is told apart by the names of its parts.
    other = await lab.catalog.find("SmolLM2-135M-Instruct.Q4_1")
    with pytest.raises(EdgetuiError, match=r"no entry for blk\.\d+\..*of another model"):
        await lab.quantizer.startable_plan(other, "Q2_K_S", options)


async def test_a_text_that_cannot_be_read_is_refused_before_there_is_a_job(
    lab: Lab, short_entry: ModelEntry, tmp_path: Path
) -> None:
    (tmp_path / "latin.txt").write_bytes("Füße".encode("latin-1") * 99)
    for text, reason in ((str(tmp_path / "gone.txt"), "no text"), (str(tmp_path / "latin.txt"), "not UTF-8")):
        with pytest.raises(EdgetuiError, match=reason):
            await lab.imatrices.start(lab.imatrices.request(short_entry, text), short_entry)
    assert await lab.jobs.list() == ()


async def test_a_text_of_ones_own_that_is_too_short_leaves_nothing(
    lab: Lab, short_entry: ModelEntry, tmp_path: Path
) -> None:
    (tmp_path / "few.txt").write_text("a few words")
    request = lab.imatrices.request(short_entry, str(tmp_path / "few.txt"), threads=1)
    record = await ended(lab, await lab.imatrices.start(request, short_entry))
    assert record.state == "failed" and "too short for an importance matrix" in record.summary
    assert list(lab.imatrices.folder.iterdir()) == []


async def test_a_damaged_matrix_is_listed_with_the_reason(lab: Lab, short_entry: ModelEntry) -> None:
    lab.imatrices.folder.mkdir(parents=True)
    (lab.imatrices.folder / "broken.gguf").write_text("words " * 40)
    (known,) = await lab.imatrices.list()
    assert known.problem is not None and "broken.gguf" in known.problem
    assert await lab.imatrices.made_of(short_entry) == ()
    with pytest.raises(EdgetuiError, match=r"broken\.gguf is not a usable importance matrix"):
        await lab.quantizer.startable_plan(short_entry, "Q2_K_S", QuantOptions(imatrix=known.path))
    with pytest.raises(EdgetuiError, match="cannot be read") as caught:
        await lab.quantizer.startable_plan(short_entry, "Q2_K_S", QuantOptions(imatrix="/nowhere/a.gguf"))
    assert caught.value.failure.kind == "not_found"


async def test_pruning_is_an_experiment_that_asks_for_a_yes_and_is_marked(lab: Lab, short_entry: ModelEntry) -> None:
    options = QuantOptions(prune_layers=(1,))
    with pytest.raises(EdgetuiError, match="is an experiment"):
        await lab.quantizer.start(short_entry, "Q8_0", options=options)
    record = await ended(
        lab, await lab.quantizer.start(short_entry, "Q8_0", options=options, allow_requantize=True, threads=1)
    )
    assert record.output is not None and record.output.endswith("SmolLM2-short-pruned1.Q8_0.gguf")
    origin = Provenance(lab.database).origin_of(Path(record.output))
    assert origin is not None and "EXPERIMENT: without layers 1" in origin.recipe


@pytest.mark.parametrize("moment", ["at once", "after the first report", "while it writes"])
async def test_a_cancelled_job_leaves_nothing(lab: Lab, short_entry: ModelEntry, moment: str) -> None:
    record = await lab.quantizer.start(short_entry, "IQ4_NL", threads=1)
    if moment != "at once":
        async for event in lab.jobs.watch(record.job_id):
            if isinstance(event, JobProgress) and (moment == "after the first report" or event.done > 0):
                break
    record = await lab.jobs.cancel(record.job_id)
    assert record.state == "cancelled"
    assert not lab.paths.models_dir.exists() or list(lab.paths.models_dir.iterdir()) == []
    request = lab.imatrices.request(short_entry, chunks=2, threads=1)
    matrix = await lab.imatrices.start(request, short_entry)
    if moment != "at once":
        async for event in lab.jobs.watch(matrix.job_id):
            if isinstance(event, JobProgress):
                break
    assert (await lab.jobs.cancel(matrix.job_id)).state == "cancelled"
    assert not await asyncio.to_thread(lab.imatrices.folder.exists) or not list(lab.imatrices.folder.iterdir())
