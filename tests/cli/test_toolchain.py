"""`edgetui toolchain`: what there is, and what is refused, as text and as JSON."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.cli.command import edgetui


@pytest.fixture
def shared(home: Path, toolchains_dir: Path) -> Path:
    """A home that has the toolchains of this checkout."""
    (home / "data").mkdir()
    (home / "data" / "toolchains").symlink_to(toolchains_dir)
    return home


async def test_all_toolchains_are_listed_with_what_installs_them(home: Path) -> None:
    status, out, err = await edgetui("toolchain")
    assert (status, err) == (0, "")
    for name in ("gguf", "onnx", "olive", "mlx"):
        assert f"\n{name:<7}not installed\n" in f"\n{out}" and f"edgetui toolchain install {name}" in out
    status, out, _ = await edgetui("toolchain", "list", "--json")
    found = {each["toolchain"]: each for each in json.loads(out)}
    assert list(found) == ["gguf", "onnx", "olive", "mlx"]
    assert {each["state"] for each in found.values()} == {"absent"} and found["olive"]["installing_mib"] > 1000


async def test_an_installed_one_is_listed_proved_and_not_installed_again(shared: Path, mlx_toolchain: Path) -> None:
    _, out, _ = await edgetui("toolchain", "list")
    assert "mlx    installed: Python 3." in out
    status, out, err = await edgetui("toolchain", "install", "mlx")
    assert (status, out) == (0, f"{shared}/data/toolchains/mlx\n") and "--again makes it anew" in err
    status, out, _ = await edgetui("toolchain", "install", "MLX", "--json")
    assert status == 0 and json.loads(out)["state"] == "ready" and "mlx-lm" in json.loads(out)["versions"]
    status, out, _ = await edgetui("toolchain", "test", "mlx")
    assert status == 0 and out.startswith("mlx works: ")
    status, out, _ = await edgetui("toolchain", "test", "mlx", "--json")
    proof = json.loads(out)
    assert proof["toolchain"] == "mlx" and proof["duration_s"] > 0 and "in 4 bits" in proof["proved"]


async def test_what_is_not_there_is_refused_in_one_sentence(home: Path) -> None:
    for command in ("install", "remove", "test"):
        status, out, err = await edgetui("toolchain", command, "tensorflow")
        assert (status, out) == (1, "") and "there are gguf, onnx, olive, mlx." in err and "Traceback" not in err
    status, _, err = await edgetui("toolchain", "remove", "onnx")
    assert status == 1 and "there is nothing to remove" in err
    status, _, err = await edgetui("toolchain", "test", "onnx", "--json")
    assert status == 1 and "run `edgetui toolchain install onnx`" in err


async def test_a_disk_without_room_is_refused(home: Path) -> None:
    (home / "settings.toml").write_text(f"disk_headroom_bytes = {2**60}\n")
    status, out, err = await edgetui("toolchain", "install", "gguf", "--detach")
    assert (status, out) == (1, "") and "lower disk_headroom_bytes" in err
    _, out, _ = await edgetui("jobs", "--json")
    assert json.loads(out) == []


async def test_a_detached_installation_is_a_job_like_any_other(home: Path) -> None:
    status, out, _ = await edgetui("toolchain", "install", "mlx", "--detach", "--json")
    job = json.loads(out)
    assert status == 0 and job["output"] == str(home / "data" / "toolchains" / "mlx")
    status, _, err = await edgetui("toolchain", "install", "mlx")
    assert status == 1 and f"Job {job['job']} is installing mlx just now" in err
    status, out, _ = await edgetui("jobs", "cancel", job["job"])
    assert status == 0 and "toolchain mlx install" in out
    _, out, _ = await edgetui("toolchain", "list", "--json")
    assert json.loads(out)[3]["state"] == "absent"


async def test_ctrl_c_cancels_and_leaves_nothing(home: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edgetui", "toolchain", "install", "mlx", stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    first = await process.stderr.readline()
    assert first
    process.send_signal(signal.SIGINT)
    rest = (await process.stderr.read()).decode()
    assert await process.wait() == 130 and "It was cancelled; nothing was left." in rest
    assert [name for name in os.listdir(home / "data" / "toolchains") if not name.endswith(".lock")] == []
