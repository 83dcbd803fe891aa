"""Olive's workflows through the services: saved, checked by Olive itself, run, cancelled, looked back on."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from pathlib import Path

import msgspec
import psutil
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.jobs import JobRecord
from edgetui.core.models import ModelEntry
from edgetui.core.workflows.olive import OliveGptq, OliveInt4
from edgetui.services.lab import Lab
from edgetui.worker.job_events import JobFailed, JobProgress
from tests.olive_models import Made

WORKFLOW = json.dumps({"passes": {"q": {"type": "OnnxBlockWiseRtnQuantization", "block_size": 32}}}, indent=4)


async def entry_of(lab: Lab, folder: Path) -> ModelEntry:
    return await lab.catalog.find(str(folder / "model.onnx"))


async def ended(lab: Lab, record: JobRecord) -> JobRecord:
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        async for event in events:
            if isinstance(event, JobFailed):
                pytest.fail(event.failure.message)
    return await lab.jobs.get(record.job_id)


async def test_a_workflow_is_saved_found_again_and_replaced_only_when_asked(lab: Lab) -> None:
    saved = await lab.olive.save("mine.json", WORKFLOW)
    assert saved.path == lab.paths.data_dir / "olive" / "mine.json"
    assert await lab.olive.saved() == (saved,)
    assert await lab.olive.read("mine") == WORKFLOW == await lab.olive.read(str(saved.path))
    with pytest.raises(EdgetuiError, match="already there"):
        await lab.olive.save("mine", WORKFLOW)
    changed = WORKFLOW.replace("32", "64")
    assert await lab.olive.save("mine", changed, replace=True) == saved
    assert await lab.olive.read("mine") == changed
    assert [path.name for path in lab.olive.folder.iterdir()] == ["mine.json"]


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 200, "new\nline"])
async def test_a_name_that_is_no_files_is_refused(lab: Lab, name: str) -> None:
    with pytest.raises(EdgetuiError, match="cannot be the name of a workflow"):
        await lab.olive.save(name, WORKFLOW)
    assert not lab.olive.folder.exists()


async def test_what_is_no_workflow_is_not_saved(lab: Lab) -> None:
    with pytest.raises(EdgetuiError, match="broken is not valid JSON at line 1"):
        await lab.olive.save("broken", "{")
    assert not lab.olive.folder.exists()


async def test_one_that_is_not_there_is_told_with_those_that_are(lab: Lab) -> None:
    await lab.olive.save("mine", WORKFLOW)
    with pytest.raises(EdgetuiError, match=r"no workflow your.*\(mine\)") as caught:
        await lab.olive.read("your")
    assert caught.value.failure.kind == "not_found"


async def test_without_the_toolchain_a_check_says_how_to_get_it(lab: Lab) -> None:
    with pytest.raises(EdgetuiError, match="edgetui toolchain install olive") as caught:
        await lab.olive.check(WORKFLOW, "mine")
    assert caught.value.failure.kind == "engine_missing"


async def test_a_folder_without_a_footprint_and_a_damaged_one_are_told(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(EdgetuiError, match="has no footprint of Olive"):
        await lab.olive.footprint(str(tmp_path))
    (tmp_path / "olive_passes.json").write_text("[{")
    with pytest.raises(EdgetuiError, match="is damaged"):
        await lab.olive.footprint(str(tmp_path))
    with pytest.raises(EdgetuiError) as caught:
        await lab.olive.footprint("nothing")
    assert caught.value.failure.kind == "not_found"


async def test_olive_itself_names_the_line_that_it_does_not_accept(olive_toolchain: Path, toolchain_lab: Lab) -> None:
    await toolchain_lab.olive.check(WORKFLOW, "mine")
    with pytest.raises(EdgetuiError, match=r"mine, line 5, is not accepted: the pass .* has no setting block"):
        await toolchain_lab.olive.check(WORKFLOW.replace("block_size", "block"), "mine")


async def test_a_saved_workflow_runs_on_a_model_and_the_result_is_one(olive_made: Made, toolchain_lab: Lab) -> None:
    lab = toolchain_lab
    entry = await entry_of(lab, olive_made.folder / "fp32")
    shown = lab.olive.text_of(OliveInt4(block_size=64), entry)
    assert json.loads(shown)["input_model"]["model_path"] == str(entry.path)
    saved = await lab.olive.save("mine", shown)
    made = await ended(lab, await lab.olive.run(entry, "mine"))
    assert made.state == "succeeded" and made.output is not None and made.output.endswith("-olive-mine")
    found = next(each for each in await lab.catalog.scan() if each.folder == Path(made.output))
    assert (found.format, found.problem, found.parent) == ("onnx", None, entry.name)
    assert str(saved.path) in (found.recipe or "")
    rows = await lab.olive.footprint(made.job_id)
    assert [row.pass_type for row in rows] == ["", "OnnxBlockWiseRtnQuantization"]
    assert rows == await lab.olive.footprint(made.output)
    log = "\n".join(await lab.jobs.log_tail(made.job_id))
    assert "OnnxBlockWiseRtnQuantization" in log and "PASS" in log
    assert await lab.olive.cache_bytes() > 0
    assert await lab.olive.clear_cache() > 0 and await lab.olive.cache_bytes() == 0


async def test_a_cancelled_job_leaves_no_file_and_no_process(tiny_llama: Path, toolchain_lab: Lab) -> None:
    lab = toolchain_lab
    entry = await lab.catalog.find(str(tiny_llama / "model.safetensors"))
    settings = OliveGptq(samples=4096, tokens=16)
    before = psutil.Process().children(recursive=True)
    record = await lab.workflows.start(entry, settings)
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        async for event in events:
            if isinstance(event, JobProgress) and event.note.startswith("Gptq"):
                break
    own = [process for process in psutil.Process().children(recursive=True) if process not in before]
    assert own
    assert (await lab.jobs.cancel(record.job_id)).state == "cancelled"
    gone, alive = await asyncio.to_thread(psutil.wait_procs, own, 10)
    assert gone and not alive
    assert list(lab.paths.models_dir.iterdir()) == []
    # What was begun in the cache does not stop the next one.
    quick = msgspec.structs.replace(settings, samples=1)
    assert (await ended(lab, await lab.workflows.start(entry, quick))).state == "succeeded"
