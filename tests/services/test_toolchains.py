"""Installing, removing and proving toolchains through the services, over real environments."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.services.lab import Lab
from edgetui.services.toolchains import read_toolchains
from edgetui.store.toolchain_folder import MARK, claim, read_mark, write_mark
from edgetui.worker.job_events import JobFailed, JobProgress, JobStarted
from edgetui.worker.requests import ToolchainRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.core.jobs import JobRecord
    from edgetui.core.toolchains import ToolchainMark, ToolchainStatus


async def ended(lab: Lab, record: JobRecord) -> JobRecord:
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        async for _ in events:
            pass
    return await lab.jobs.get(record.job_id)


async def until_noted(lab: Lab, record: JobRecord, begins: str) -> int:
    """Wait until a job says that it is doing something; returns its process id."""
    pid = 0
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        async for event in events:
            if isinstance(event, JobStarted):
                pid = event.pid
            elif isinstance(event, JobProgress) and event.note.startswith(begins):
                return pid
            elif isinstance(event, JobFailed):
                raise AssertionError(event.failure.message)
    raise AssertionError("the job ended too early")


def visible(lab: Lab) -> list[str]:
    return sorted(path.name for path in lab.paths.toolchains_dir.iterdir() if not path.name.endswith(".lock"))


def tiny_request(lab: Lab) -> ToolchainRequest:
    """What MLX's would be, but for its packages: it takes a few seconds."""
    toolchain = next(each for each in read_toolchains() if each.name == "mlx")
    pins = [pin for pin in toolchain.pins if pin.startswith(("idna==", "msgspec==", "exceptiongroup=="))]
    assert len(pins) == 3
    return ToolchainRequest(
        name="mlx",
        folder=str(lab.paths.toolchains_dir / "mlx"),
        pins=tuple(pins),
        digest=toolchain.digest(""),
    )


@pytest.fixture
def damage(toolchain_copy: Path) -> Callable[[str], Path]:
    """A file of a copied environment by its ending, to be written anew: the original shares its content."""

    def find(ending: str) -> Path:
        (path,) = (path for path in toolchain_copy.rglob(ending.rsplit("/", 1)[-1]) if str(path).endswith(ending))
        path.unlink()
        return path

    return find


@pytest.fixture
def toolchain_copy(lab: Lab, mlx_toolchain: Path) -> Path:
    """MLX's environment in a home of its own, by hard links; it works where it stands."""
    folder = lab.paths.toolchains_dir / "mlx"
    shutil.copytree(mlx_toolchain, folder, symlinks=True, copy_function=os.link)
    return folder


def mark_anew(folder: Path, **changes: object) -> ToolchainMark:
    mark = read_mark(folder)
    assert mark is not None
    changed = msgspec.structs.replace(mark, **changes)
    (folder / MARK).unlink()
    write_mark(folder, changed)
    return changed


async def state_of(lab: Lab, name: str = "mlx") -> ToolchainStatus:
    return await lab.toolchains.status(name)


# --- proofs -----------------------------------------------------------------------------------------------


async def test_the_converters_gguf_is_read_by_llama_cpp(toolchain_lab: Lab, gguf_toolchain: Path) -> None:
    proof = await toolchain_lab.toolchains.test("gguf")
    assert "the converter made a GGUF file" in proof.found and proof.found.endswith("; llama.cpp reads it")
    assert proof.duration_s > 0.5


async def test_onnx_runtime_computes_in_4_bits_as_numpy_does(toolchain_lab: Lab, onnx_toolchain: Path) -> None:
    proof = await toolchain_lab.toolchains.test("onnx")
    assert "to 4 bits and runs it, within " in proof.found and "onnxruntime-genai" in proof.found


async def test_olive_runs_a_workflow(toolchain_lab: Lab, olive_toolchain: Path) -> None:
    proof = await toolchain_lab.toolchains.test("olive")
    assert "ran a workflow offline" in proof.found and "of numpy" in proof.found


async def test_mlx_multiplies_in_4_bits(toolchain_lab: Lab, mlx_toolchain: Path) -> None:
    status = await state_of(toolchain_lab)
    assert status.state == "ready" and status.mark is not None and "mlx-lm" in status.mark.versions
    assert "numbers in 4 bits, within " in (await toolchain_lab.toolchains.test("mlx")).found


async def test_the_converter_is_that_of_the_installed_library(toolchain_lab: Lab, gguf_toolchain: Path) -> None:
    from importlib.metadata import version

    status = await state_of(toolchain_lab, "gguf")
    assert status.mark is not None and status.mark.converter == version("llama-cpp-python").partition("+")[0]
    assert set(os.listdir(gguf_toolchain / "llama.cpp")) == {
        "convert_hf_to_gguf.py",
        "conversion",
        "gguf-py",
        "LICENSE",
    }


# --- what is refused --------------------------------------------------------------------------------------


async def test_an_unknown_name_is_refused_with_those_that_there_are(lab: Lab) -> None:
    for action in (lab.toolchains.install, lab.toolchains.remove, lab.toolchains.test, lab.toolchains.status):
        with pytest.raises(EdgetuiError, match="there are gguf, onnx, olive, mlx") as caught:
            await action("tensorflow")
        assert caught.value.failure.kind == "not_found"
    assert await lab.jobs.list() == ()


async def test_a_disk_without_room_is_refused_before_there_is_a_job(home: Path) -> None:
    (home / "settings.toml").write_text(f"disk_headroom_bytes = {2**60}\n")
    lab = Lab()
    with pytest.raises(
        EdgetuiError, match=r"olive takes 2\.\d+ GiB and .* shall stay free, but .* left: free some"
    ) as caught:
        await lab.toolchains.install("olive")
    assert caught.value.failure.kind == "no_space" and await lab.jobs.list() == ()
    await lab.close()


async def test_a_disk_that_fills_up_before_the_job_begins_is_met_there_too(lab: Lab) -> None:
    request = msgspec.structs.replace(tiny_request(lab), installing_bytes=2**60)
    record = await ended(lab, await lab.jobs.start(request))
    assert record.state == "failed" and "Installing the toolchain mlx takes 1048576 TiB" in record.summary
    assert visible(lab) == []


async def test_nothing_is_proved_or_removed_where_nothing_is_installed(lab: Lab) -> None:
    assert [status.state for status in await lab.toolchains.list()] == ["absent"] * 4
    with pytest.raises(EdgetuiError, match="run `edgetui toolchain install onnx`"):
        await lab.toolchains.test("onnx")
    with pytest.raises(EdgetuiError, match="nothing to remove"):
        await lab.toolchains.remove("onnx")


async def test_a_package_that_no_index_has_is_told_in_one_sentence(lab: Lab) -> None:
    request = msgspec.structs.replace(tiny_request(lab), pins=("edgetui-no-such-package==1.0",))
    record = await ended(lab, await lab.jobs.start(request))
    assert record.state == "failed" and "edgetui-no-such-package==1.0" in record.summary
    assert "check the network and pip's index" in record.summary and visible(lab) == []
    assert any("ERROR" in line for line in await lab.jobs.log_tail(record.job_id))


# --- an installation that does not end well ---------------------------------------------------------------


async def test_a_cancelled_installation_leaves_nothing(lab: Lab) -> None:
    record = await lab.toolchains.install("mlx")
    await until_noted(lab, record, "fetching")
    with pytest.raises(EdgetuiError, match="is installing mlx just now") as caught:
        await lab.toolchains.install("mlx")
    assert caught.value.failure.kind == "busy"
    assert (await lab.jobs.cancel(record.job_id)).state == "cancelled"
    assert visible(lab) == [] and (await state_of(lab)).state == "absent"


async def test_a_killed_installation_keeps_what_was_there_and_goes_on_when_it_is_started_again(lab: Lab) -> None:
    old = lab.paths.toolchains_dir / "mlx"
    (old / "bin").mkdir(parents=True)
    assert (await state_of(lab)).reason == "it is not complete"
    record = await lab.jobs.start(tiny_request(lab))
    os.kill(await until_noted(lab, record, "fetching"), signal.SIGKILL)
    assert (await ended(lab, record)).state == "interrupted"
    assert visible(lab) == ["mlx"] and os.listdir(old) == ["bin"]
    record = await ended(lab, await lab.jobs.restart(record.job_id))
    assert (record.state, visible(lab)) == ("succeeded", ["mlx"])
    status = await state_of(lab)
    assert status.state == "ready" and status.mark is not None
    assert {"idna", "msgspec", "pip"} <= set(status.mark.versions)
    assert await lab.toolchains.remove("mlx") > 0
    assert visible(lab) == []


async def test_an_environment_without_its_mark_is_not_taken_for_one(lab: Lab, toolchain_copy: Path) -> None:
    (toolchain_copy / MARK).unlink()
    status = await state_of(lab)
    assert (status.state, status.reason) == ("broken", "it is not complete")
    with pytest.raises(EdgetuiError, match=r"broken \(it is not complete\): run `edgetui toolchain install mlx`"):
        await lab.toolchains.test("mlx")


async def test_two_edgetui_do_not_install_the_same_at_once(lab: Lab) -> None:
    request = tiny_request(lab)
    with claim(Path(request.folder)):
        record = await ended(lab, await lab.jobs.start(request))
    assert record.state == "failed" and "by another edgetui: wait for it" in record.summary
    assert visible(lab) == []


# --- what a hand has broken -------------------------------------------------------------------------------


async def test_other_pins_make_an_environment_outdated(lab: Lab, toolchain_copy: Path) -> None:
    mark_anew(toolchain_copy, digest="0" * 64)
    status = await state_of(lab)
    assert (status.state, status.reason) == ("outdated", "other versions are pinned now")
    assert status.is_ready and (await lab.toolchains.test("mlx")).found


async def test_a_package_removed_by_hand_is_named(
    lab: Lab, toolchain_copy: Path, damage: Callable[[str], Path]
) -> None:
    shutil.rmtree(damage("mlx_lm-0.32.2.dist-info/METADATA").parent, ignore_errors=True)
    with pytest.raises(EdgetuiError, match=r"its package mlx-lm is gone.*install mlx --again") as caught:
        await lab.toolchains.test("mlx")
    assert caught.value.failure.kind == "crashed" and "\n" not in str(caught.value)


async def test_a_module_of_rubbish_is_named(lab: Lab, damage: Callable[[str], Path]) -> None:
    damage("mlx_lm/__init__.py").write_text("this is ( no Python\n")
    with pytest.raises(EdgetuiError, match=r"does not work \(SyntaxError.*install mlx --again"):
        await lab.toolchains.test("mlx")


async def test_another_python_is_named(lab: Lab, toolchain_copy: Path) -> None:
    mark_anew(toolchain_copy, python="3.9.1")
    with pytest.raises(EdgetuiError, match=r"was made with Python 3\.9\.1, and its Python is 3\.1\d"):
        await lab.toolchains.test("mlx")


async def test_a_python_that_is_gone_or_does_not_start_is_named(lab: Lab, toolchain_copy: Path) -> None:
    python = toolchain_copy / "bin" / "python"
    python.unlink()
    python.write_text("#!/no/such/interpreter\n")
    python.chmod(0o755)
    with pytest.raises(EdgetuiError, match="its Python does not start"):
        await lab.toolchains.test("mlx")
    python.unlink()
    python.symlink_to("/no/such/python")
    status = await state_of(lab)
    assert (status.state, status.reason) == ("broken", "the Python that it was made with is gone")


async def test_a_damaged_mark_is_no_mark(lab: Lab, toolchain_copy: Path) -> None:
    (toolchain_copy / MARK).unlink()
    (toolchain_copy / MARK).write_bytes(b"\xff{")
    status = await state_of(lab)
    assert status.state == "broken" and MARK in status.reason
    assert await lab.toolchains.remove("mlx") > 2**20
    assert (await state_of(lab)).state == "absent"


async def test_an_environment_that_a_job_uses_is_not_removed(lab: Lab, toolchain_copy: Path) -> None:
    from edgetui.core.bench import BenchSettings
    from edgetui.worker.requests import BenchRequest

    # It waits for the interpreter of the environment, which waits for this pipe.
    python = toolchain_copy / "bin" / "python"
    gate = toolchain_copy / "gate"
    os.mkfifo(gate)
    python.unlink()
    python.write_text(f'#!/bin/sh\nread line < "{gate}"\n')
    python.chmod(0o755)
    request = BenchRequest(model="/no/such/model", model_name="none", settings=BenchSettings(), model_format="mlx")
    record = await lab.jobs.start(request)
    for action in (lab.toolchains.remove, lab.toolchains.install):
        with pytest.raises(EdgetuiError, match=f"Job {record.job_id} works with mlx just now") as caught:
            await action("mlx")
        assert caught.value.failure.kind == "busy"
    await asyncio.to_thread(gate.write_text, "go on\n")
    assert not (await ended(lab, record)).is_running
