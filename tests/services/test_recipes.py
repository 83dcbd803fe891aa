"""The search for a recipe on the real model's first layers: measured, made, compared, and nothing left behind."""

from __future__ import annotations

import os
import time
from array import array
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest

from edgetui.core.bench import BenchRow, Machine
from edgetui.core.failures import EdgetuiError
from edgetui.core.jobs import JobRecord
from edgetui.core.models import ModelEntry
from edgetui.core.recipe_search import RecipeSettings, may_be_quantized, paired_verdict, verdict_sentence
from edgetui.core.statistics import mean
from edgetui.core.units import MIB
from edgetui.formats.gguf import read_gguf
from edgetui.formats.imatrix import ImatrixEntry, write_imatrix
from edgetui.services.lab import Lab
from edgetui.store.history import History
from edgetui.store.provenance import Provenance
from edgetui.worker.job_events import JobProgress

SETTINGS = RecipeSettings(
    target_bytes=37 * MIB,
    context_tokens=64,
    chunks=4,
    choosing_chunks=1,
    threads=1,
    types=("Q8_0", "Q5_0", "Q4_0"),
    most_weights=256 * 1024,
    bench=False,
)


@pytest.fixture
async def parent(lab: Lab, short_model: Path) -> ModelEntry:
    lab.paths.models_dir.mkdir(parents=True)
    os.link(short_model, lab.paths.models_dir / short_model.name)
    return await lab.catalog.find(short_model.stem)


async def ended(lab: Lab, record: JobRecord) -> JobRecord:
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        async for _ in events:
            pass
    return await lab.jobs.get(record.job_id)


def left(lab: Lab) -> list[str]:
    return sorted(path.name for path in lab.paths.models_dir.iterdir())


@pytest.mark.timeout(600)
async def test_a_search_makes_what_fits_and_says_what_it_is_worth(lab: Lab, parent: ModelEntry) -> None:
    record = await ended(lab, await lab.recipes.start(parent, SETTINGS))
    assert record.state == "succeeded", record.summary
    made = Path(record.output or "")
    assert made.name == "SmolLM2-short.recipe-37.0MiB.gguf" and left(lab) == [parent.path.name, made.name]
    result = await lab.recipes.result(record.job_id)
    header = read_gguf(made)
    types = {tensor.name: tensor.type.name for tensor in header.tensors}
    assert all(types[name] == kind for name, kind in result.overrides) and len(result.overrides) == 22
    assert 0.97 * SETTINGS.target_bytes < header.size_bytes <= SETTINGS.target_bytes
    assert result.recipe.size_bytes == header.size_bytes
    assert len({kind for _, kind in result.overrides}) > 1, "one type alone is no recipe"
    assert len(result.recipe.kl_chunks) == len(result.stock.kl_chunks) == SETTINGS.chunks
    assert 0 < result.recipe.kl < 1 and 0 < result.stock.kl < 1
    assert result.verdict == paired_verdict(result.recipe.kl_chunks, result.stock.kl_chunks)
    assert result.stock.size_bytes <= result.recipe.size_bytes and result.predicted_kl is not None
    assert verdict_sentence(result) in record.summary
    entry = await lab.catalog.find(made.stem)
    assert entry.parent == parent.name and "recipe search of" in (entry.recipe or "")
    assert [Path(path).name for path in Provenance(lab.database).all()] == [made.name]

    # Another size goes on from the errors and sensitivities that are known.
    smaller = msgspec.structs.replace(SETTINGS, target_bytes=29 * MIB, bench=True)
    second = await ended(lab, await lab.recipes.start(parent, smaller))
    assert second.state == "succeeded"
    steps = lab.paths.jobs_dir / second.job_id / "steps"
    names = {path.name for path in steps.iterdir() if not path.name.startswith("bench-")}
    assert names == {"compare", "errors", "quantize-recipe", "quantize-stock"}
    found = await lab.recipes.result(second.job_id)
    assert found.recipe.kl > result.recipe.kl and len(left(lab)) == 3
    rows = [record.row for record in await lab.bench.history()]
    recipe, stock = made.stem.replace("37", "29"), f"{parent.name} as Q2_K"
    assert [row.model_name for row in rows] == [recipe, stock, stock, recipe]
    rates = [rate for row in rows[1:3] for rate in row.samples_tps]
    assert len(rates) == 6 and found.stock.decode_tps == pytest.approx(mean(rates))
    assert f"Decode {found.recipe.decode_tps:.1f} tok/s, {found.stock_type}" in second.summary


async def test_sizes_that_no_types_reach_are_refused_with_what_they_reach(
    lab: Lab, parent: ModelEntry, tmp_path: Path
) -> None:
    quick = msgspec.structs.replace(SETTINGS, choosing_chunks=0, types=("Q4_0",))
    imatrix = tmp_path / "even.gguf"
    entries = {
        tensor.name: ImatrixEntry(array("f", [1.0] * tensor.shape[0]), (1,))
        for tensor in read_gguf(parent.path).tensors
        if may_be_quantized(tensor.name, tensor.shape)
    }
    write_imatrix(imatrix, entries, dataset="even", chunk_count=1, chunk_tokens=1)
    tiny = msgspec.structs.replace(quick, target_bytes=MIB)
    too_small = await ended(lab, await lab.recipes.start(parent, tiny, imatrix=imatrix))
    assert too_small.state == "failed" and "too small" in too_small.summary and "at least" in too_small.summary
    whole = await ended(lab, await lab.recipes.start(parent, msgspec.structs.replace(quick, target_bytes=400 * MIB)))
    assert whole.state == "failed" and "as it is: ask for a smaller size" in whole.summary
    assert left(lab) == [parent.path.name]


async def test_a_cancelled_search_leaves_nothing(lab: Lab, parent: ModelEntry) -> None:
    record = await lab.recipes.start(parent, SETTINGS)
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        async for event in events:
            if isinstance(event, JobProgress) and event.note.startswith("sensitivity: ") and event.done > 1.2:
                break
    assert len(left(lab)) == 2, "the copy that groups are probed in"
    assert (await lab.jobs.cancel(record.job_id)).state == "cancelled"
    assert left(lab) == [parent.path.name]


async def test_what_cannot_be_searched_is_refused_before_there_is_a_job(
    lab: Lab, parent: ModelEntry, demo_entry: ModelEntry, tmp_path: Path
) -> None:
    async def refused(entry: ModelEntry, settings: RecipeSettings = SETTINGS, **options: object) -> EdgetuiError:
        with pytest.raises(EdgetuiError) as caught:
            await lab.recipes.start(entry, settings, **options)  # type: ignore[arg-type]
        assert await lab.jobs.list() == () and left(lab) == [parent.path.name]
        return caught.value

    assert "is already quantized (Q4_1), and a search needs" in str(await refused(demo_entry))
    safetensors = msgspec.structs.replace(parent, format="safetensors")
    assert "searched for GGUF files only" in str(await refused(safetensors))
    broken = msgspec.structs.replace(parent, problem="It is cut short.")
    assert str(await refused(broken)) == "It is cut short."
    assert "end it in .gguf" in str(await refused(parent, target=tmp_path / "a.bin"))
    taken = tmp_path / "taken.gguf"
    taken.write_text("mine")
    assert (await refused(parent, target=taken)).failure.kind == "exists" and taken.read_text() == "mine"
    text = tmp_path / "text.txt"
    text.write_bytes(b"\xff\xfe\x00")
    assert (await refused(parent, msgspec.structs.replace(SETTINGS, text=str(text)))).failure.kind == "bad_file"
    absent = msgspec.structs.replace(SETTINGS, text=str(tmp_path / "absent.txt"))
    assert (await refused(parent, absent)).failure.kind == "not_found"
    text.write_text("Rain on the tin roof.\n" * 10)
    short = await refused(parent, msgspec.structs.replace(SETTINGS, text=str(text)))
    assert "text.txt has 219 bytes" in str(short) and "take a longer text" in str(short)
    assert "not a usable importance matrix" in str(await refused(parent, imatrix=taken))


async def test_a_size_may_be_that_of_a_type(lab: Lab, parent: ModelEntry) -> None:
    assert await lab.recipes.size_of(parent, "35MiB") == 35 * MIB
    plan = await lab.quantizer.startable_plan(parent, "Q5_0")
    assert await lab.recipes.size_of(parent, "q5_0") == plan.size_bytes
    with pytest.raises(EdgetuiError, match="is no size such as 90MiB, and no type such as Q4_K_M"):
        await lab.recipes.size_of(parent, "small")


async def test_a_rate_becomes_a_size_by_what_was_measured_and_by_nothing_else(lab: Lab, parent: ModelEntry) -> None:
    with pytest.raises(EdgetuiError, match=r"Nothing tells how fast .*edgetui calibrate.*or name a size"):
        await lab.recipes.size_for(parent, 100)
    for quant_type, size_bytes, tps in (("Q4_0", 30 * MIB, 200.0), ("Q8_0", 40 * MIB, 100.0)):
        History(lab.database).add(row(parent, quant_type, size_bytes, tps), Machine(), None)
    found = await lab.recipes.size_for(parent, 1 / 0.0075)
    assert found.size_bytes == pytest.approx(35 * MIB, rel=1e-6) and "measured decode rates" in found.because
    with pytest.raises(EdgetuiError, match=r"the fastest makes 200\.0"):
        await lab.recipes.size_for(parent, 300)


def row(parent: ModelEntry, quant_type: str, size_bytes: int, tps: float) -> BenchRow:
    return BenchRow(
        test="tg",
        tokens=64,
        samples_ns=(int(64e9 / tps),),
        threads=1,
        batch_tokens=512,
        kv_cache_type="f16",
        model_name=quant_type,
        model_path="",
        model_size_bytes=size_bytes,
        model_parameter_count=parent.parameter_count or 0,
        model_quant_type=quant_type,
        engine="llama.cpp",
        engine_version="",
        measured_at=time.time(),
        load_average=None,
    )
