"""Quantizing through the services: every refusal is one sentence before anything is written."""

from __future__ import annotations

import os
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.jobs import JobRecord
from edgetui.core.models import ModelEntry
from edgetui.core.quant_options import QuantOptions
from edgetui.core.quant_types import split_names
from edgetui.services.lab import Lab
from edgetui.worker.protocol import QuantizationPlan
from tests.engines.test_quantize import write_split


async def ended(lab: Lab, record: JobRecord) -> JobRecord:
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        async for _ in events:
            pass
    return await lab.jobs.get(record.job_id)


async def plans_of(lab: Lab, entry: ModelEntry, *names: str) -> dict[str, QuantizationPlan]:
    async with aclosing(lab.quantizer.plan(entry, names)) as plans:
        return {plan.type_name: plan async for plan in plans}


async def refused(lab: Lab, entry: ModelEntry, type_name: str, **options: object) -> EdgetuiError:
    """The refusal of a start, which must leave no job and no file."""
    with pytest.raises(EdgetuiError) as caught:
        await lab.quantizer.start(entry, type_name, **options)  # type: ignore[arg-type]
    assert await lab.jobs.list() == ()
    assert not lab.paths.models_dir.exists() or not list(lab.paths.models_dir.iterdir())
    return caught.value


async def test_the_way_from_a_quantized_model_by_f16_to_another_type(lab: Lab, demo_entry: ModelEntry) -> None:
    made = await ended(lab, await lab.quantizer.start(demo_entry, "F16", allow_requantize=True))
    assert made.state == "succeeded"
    f16 = await lab.catalog.find("SmolLM2-135M-Instruct.F16")
    assert (f16.parent, f16.recovered_from, f16.quant_type) == (demo_entry.name, "Q4_1", "F16")
    caution = lab.quantizer.caution(f16, "Q4_K_M")
    assert caution is not None and not caution.needs_yes and "passed through Q4_1" in caution.sentence
    made = await ended(lab, await lab.quantizer.start(f16, "Q4_K_M"))
    assert made.state == "succeeded"
    entries = {entry.name: entry for entry in await lab.catalog.scan()}
    q4 = entries["SmolLM2-135M-Instruct.Q4_K_M"]
    assert (q4.parent, q4.quant_type) == (f16.name, "Q4_K_M")
    planned = (await plans_of(lab, f16, "Q4_K_M"))["Q4_K_M"]
    assert planned.size_bytes == q4.size_bytes
    assert planned.fallback_tensors == 180
    assert sorted(path.name for path in lab.paths.models_dir.iterdir()) == [
        "SmolLM2-135M-Instruct.F16.gguf",
        "SmolLM2-135M-Instruct.Q4_K_M.gguf",
    ]


async def test_a_plan_comes_for_every_type_and_is_remembered(lab: Lab, demo_entry: ModelEntry) -> None:
    plans = await plans_of(lab, demo_entry)
    assert len(plans) > 30 and plans["NVFP4"].problem
    logs = len(list(lab.paths.log_dir.iterdir()))
    assert await plans_of(lab, demo_entry) == plans
    assert await plans_of(lab, demo_entry, "Q8_0", "F16") == {name: plans[name] for name in ("Q8_0", "F16")}
    assert len(list(lab.paths.log_dir.iterdir())) == logs, "no second worker was started"


async def test_a_quantized_source_needs_an_explicit_yes(lab: Lab, demo_entry: ModelEntry) -> None:
    error = await refused(lab, demo_entry, "Q4_K_M")
    assert error.failure.kind == "bad_request"
    assert "already quantized (Q4_1)" in str(error) and "loses quality" in str(error) and "explicit yes" in str(error)
    assert "wins no quality back" in str(await refused(lab, demo_entry, "F16"))


async def test_an_unquantized_source_needs_no_yes(lab: Lab, demo_entry: ModelEntry) -> None:
    plain = msgspec.structs.replace(demo_entry, quant_type="BF16")
    assert lab.quantizer.caution(plain, "Q4_K_M") is None


async def test_a_disk_without_room_is_refused_with_both_figures(lab: Lab, demo_entry: ModelEntry, home: Path) -> None:
    (home / "settings.toml").write_text(f"disk_headroom_bytes = {2**60}\n")
    crowded = Lab()
    error = await refused(crowded, demo_entry, "Q8_0", allow_requantize=True)
    assert error.failure.kind == "no_space"
    assert "takes 138 MiB" in str(error) and " left" in str(error) and "TiB shall stay free" in str(error)
    await crowded.close()


async def test_a_taken_name_is_refused(lab: Lab, demo_entry: ModelEntry, tmp_path: Path) -> None:
    taken = tmp_path / "taken.gguf"
    taken.write_text("mine")
    error = await refused(lab, demo_entry, "Q8_0", target=taken, allow_requantize=True)
    assert error.failure.kind == "exists" and str(taken) in str(error) and taken.read_text() == "mine"


async def test_a_name_that_is_being_made_is_refused(lab: Lab, demo_entry: ModelEntry) -> None:
    record = await lab.quantizer.start(demo_entry, "IQ4_XS", allow_requantize=True)
    with pytest.raises(EdgetuiError, match="already making") as caught:
        await lab.quantizer.start(demo_entry, "IQ4_XS", allow_requantize=True)
    assert caught.value.failure.kind == "busy"
    await lab.jobs.cancel(record.job_id)
    assert not lab.paths.models_dir.exists() or not list(lab.paths.models_dir.iterdir())


async def test_a_folder_as_target_takes_the_default_name(lab: Lab, demo_entry: ModelEntry, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    record = await lab.quantizer.start(demo_entry, "Q8_0", target=folder, allow_requantize=True)
    assert record.output == str(folder / "SmolLM2-135M-Instruct.Q8_0.gguf")
    assert (await ended(lab, record)).state == "succeeded"
    assert os.listdir(folder) == ["SmolLM2-135M-Instruct.Q8_0.gguf"]


async def test_a_name_that_no_scan_would_find_is_refused(lab: Lab, demo_entry: ModelEntry, tmp_path: Path) -> None:
    error = await refused(lab, demo_entry, "Q8_0", target=tmp_path / "model.bin", allow_requantize=True)
    assert error.failure.kind == "bad_request" and "does not end in .gguf" in str(error)


async def test_types_that_cannot_be_made_are_refused_with_the_reason(lab: Lab, demo_entry: ModelEntry) -> None:
    assert "knows no type Q9_Z" in str(await refused(lab, demo_entry, "Q9_Z"))
    assert "importance matrix" in str(await refused(lab, demo_entry, "IQ2_XXS", allow_requantize=True))
    assert "cannot write it" in str(await refused(lab, demo_entry, "NVFP4", allow_requantize=True))


async def test_a_source_that_cannot_be_used_is_refused(lab: Lab, demo_entry: ModelEntry, tmp_path: Path) -> None:
    broken = msgspec.structs.replace(demo_entry, problem="It is cut short.")
    assert str(await refused(lab, broken, "Q8_0")) == "It is cut short."
    other = msgspec.structs.replace(demo_entry, format="safetensors")
    assert (await refused(lab, other, "Q8_0")).failure.kind == "unsupported"
    gone = msgspec.structs.replace(demo_entry, path=tmp_path / "gone.gguf")
    assert (await refused(lab, gone, "Q8_0")).failure.kind == "not_found"
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(demo_entry.path.read_bytes()[:5_000_000])
    error = await refused(lab, msgspec.structs.replace(demo_entry, path=cut), "Q8_0", allow_requantize=True)
    assert error.failure.kind == "bad_file" and "cut.gguf" in str(error)


async def test_a_folder_that_cannot_be_written_is_refused(lab: Lab, demo_entry: ModelEntry, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = await refused(lab, demo_entry, "Q8_0", target=tmp_path / "file" / "a.gguf", allow_requantize=True)
    assert error.failure.kind == "no_permission"


async def test_a_kept_split_takes_all_its_names_or_none(lab: Lab, demo_entry: ModelEntry, tmp_path: Path) -> None:
    source = write_split(tmp_path)
    parts = split_names(str(tmp_path / "tiny"), 2)
    entry = msgspec.structs.replace(demo_entry, name="tiny", path=source, parts=parts, quant_type="F32")
    options = QuantOptions(keep_split=True)
    made = split_names(str(lab.paths.models_dir / "tiny-Q8_0"), 2)
    lab.paths.models_dir.mkdir(parents=True)
    made[1].write_text("mine")
    with pytest.raises(EdgetuiError, match=r"00002-of-00002\.gguf is already there"):
        await lab.quantizer.start(entry, "Q8_0", options=options)
    made[1].unlink()
    record = await ended(lab, await lab.quantizer.start(entry, "Q8_0", options=options))
    assert (record.state, record.output) == ("succeeded", str(made[0]))
    assert sorted(lab.paths.models_dir.iterdir()) == list(made)
    assert (await lab.catalog.find("tiny-Q8_0")).parts == made
