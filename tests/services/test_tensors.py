"""Tensor errors through the services: measured once, kept by content, and every refusal one sentence."""

from __future__ import annotations

import os
import shutil
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.jobs import JobRecord
from edgetui.core.models import ModelEntry
from edgetui.core.quant_options import TensorOverride
from edgetui.services.lab import Lab
from edgetui.services.tensors import what_to_try
from tests.gguf_files import write_gguf


async def ended(lab: Lab, record: JobRecord) -> JobRecord:
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        async for _ in events:
            pass
    return await lab.jobs.get(record.job_id)


async def placed(lab: Lab, path: Path) -> ModelEntry:
    """A model in the models folder, as the catalog lists it."""
    lab.paths.models_dir.mkdir(parents=True, exist_ok=True)
    os.link(path, lab.paths.models_dir / path.name)
    return await lab.catalog.find(path.stem)


async def test_errors_are_measured_against_the_parent_once_and_kept_by_content(lab: Lab, short_model: Path) -> None:
    parent = await placed(lab, short_model)
    made = await ended(lab, await lab.quantizer.start(parent, "Q4_0"))
    assert made.output is not None
    entry = await lab.catalog.find(Path(made.output).stem)
    assert await lab.tensors.require_parent(entry) == parent and what_to_try(entry, parent) == parent
    assert await lab.tensors.errors(entry, parent) == []
    record = await ended(lab, await lab.tensors.start(entry, parent))
    assert record.state == "succeeded" and "errors of 29 tensors; the largest relative error is" in record.summary
    errors = {error.tensor: error for error in await lab.tensors.errors(entry, parent)}
    assert set(errors) == {item.name for item in await lab.tensors.items(entry)}
    assert all(0 < (errors[name].relative or 0) < 0.2 for name in errors if "norm" not in name)
    moved = shutil.copy(entry.path, lab.paths.models_dir / "moved.gguf")
    assert len(await lab.tensors.errors(await lab.catalog.find(str(moved)), parent)) == 29
    again = await ended(lab, await lab.tensors.start(entry, parent))
    assert again.summary == record.summary


async def test_other_types_of_a_tensor_are_tried_in_memory_and_leave_no_job(lab: Lab, short_model: Path) -> None:
    entry = await placed(lab, short_model)
    steps = [
        len(found) async for found in lab.tensors.try_types(entry, "blk.0.attn_k.weight", ("Q8_0", "Q4_0", "Q4_K"))
    ]
    assert steps == sorted(steps) and steps[-1] == 2
    trials = await lab.tensors.trials(entry, "blk.0.attn_k.weight")
    # Rows of 576 take no Q4_K; the least error comes first.
    assert [error.type_name for error in trials] == ["Q8_0", "Q4_0"]
    assert await lab.jobs.list() == ()
    with pytest.raises(EdgetuiError, match="has no tensor nothing") as caught:
        async for _ in lab.tensors.try_types(entry, "nothing", ("Q8_0",)):
            pass
    assert caught.value.failure.kind == "not_found" and await lab.jobs.list() == ()


async def test_leaving_the_trials_ends_their_work(lab: Lab, short_model: Path) -> None:
    entry = await placed(lab, short_model)
    async with aclosing(lab.tensors.try_types(entry, "token_embd.weight")) as found:
        await anext(found)
    assert await lab.jobs.list() == ()


async def test_a_model_without_a_known_parent_says_what_to_do(lab: Lab, demo_entry: ModelEntry) -> None:
    with pytest.raises(EdgetuiError, match=r"parent of .* is not known: name the unquantized model"):
        await lab.tensors.require_parent(demo_entry)
    gone = msgspec.structs.replace(demo_entry, parent="SmolLM2.F16")
    with pytest.raises(EdgetuiError, match=r"which was SmolLM2\.F16, is not here any more"):
        await lab.tensors.require_parent(gone)
    with pytest.raises(EdgetuiError, match="cannot be compared with itself"):
        await lab.tensors.require_parent(demo_entry, str(demo_entry.path))
    other = msgspec.structs.replace(demo_entry, format="safetensors")
    with pytest.raises(EdgetuiError, match="compared in GGUF files only"):
        await lab.tensors.items(other)


async def test_a_parent_that_changed_since_is_not_measured_against(lab: Lab, demo_entry: ModelEntry) -> None:
    lab.paths.models_dir.mkdir(parents=True)
    parent = await lab.catalog.find(str(write_gguf(lab.paths.models_dir / "tiny.gguf")))
    stale = msgspec.structs.replace(parent, fingerprint="0" * 64)
    record = await ended(lab, await lab.tensors.start(demo_entry, stale))
    assert record.state == "failed" and "tiny.gguf has changed since it was looked at" in record.summary


async def test_overrides_are_kept_for_the_quantize_screen(lab: Lab, demo_entry: ModelEntry) -> None:
    told: list[Path] = []
    lab.tensors.overridden.subscribe(told.append)
    wanted = (TensorOverride(r"^output\.weight$", "Q6_K"),)
    assert lab.tensors.overrides(demo_entry) == ()
    lab.tensors.set_overrides(demo_entry, wanted)
    assert lab.tensors.overrides(demo_entry) == wanted and told == [demo_entry.path]
