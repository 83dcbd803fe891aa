from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import edgetui

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("home")


async def test_the_machine_is_told_in_words() -> None:
    status, out, err = await edgetui("hw")
    assert (status, err) == (0, "")
    labels = {line.split()[0] for line in out.splitlines() if not line.startswith(" ")}
    assert {"CPU", "LOAD", "MEMORY", "SWAP", "DISKS", "TEMP", "GPU", "NPU", "CACHES", "SYSTEM"} <= labels


async def test_json_has_a_measured_load_for_each_cpu_and_a_reason_for_each_gap() -> None:
    status, out, _ = await edgetui("hw", "--json")
    told = json.loads(out)
    assert status == 0
    assert told["machine"]["cpu"]["logical_cpus"] == os.cpu_count() == len(told["now"]["cores"])
    assert 0 <= told["now"]["cpu_load"] <= 1
    assert all(0 <= core["load"] <= 1 for core in told["now"]["cores"])
    assert told["now"]["memory"]["total_bytes"] == told["machine"]["memory"]["total_bytes"]
    assert all(told["missing"].values())


async def test_neither_host_name_nor_serial_number_is_told() -> None:
    _, out, _ = await edgetui("hw", "--json")
    assert "hostname" not in out and "serial" not in out.lower()


async def test_engines_and_terminal_are_told() -> None:
    status, out, _ = await edgetui("hw")
    assert status == 0
    lines = {line.split()[0]: line for line in out.splitlines() if not line.startswith(" ")}
    assert "llama.cpp" in lines["ENGINES"] and "CPU" in lines["ENGINES"]
    assert "output goes to no terminal" in lines["TERMINAL"]
    assert {"GOVERNOR", "ZRAM", "HUGE", "MODELS", "MODULES", "VIRTUAL", "VULKAN"} <= set(lines)


async def test_json_is_complete() -> None:
    _, out, _ = await edgetui("hw", "--json")
    told = json.loads(out)
    assert set(told) == {"machine", "now", "engines", "terminal", "missing"}
    assert {"clock_ranges", "caches", "numa_nodes", "instruction_sets", "limits"} <= set(told["machine"]["cpu"])
    assert {"modules", "transparent_huge_pages"} <= set(told["machine"]["memory"])
    assert {"libc", "hypervisor", "container", "kernel"} <= set(told["machine"]["system"])
    assert {"governors", "zram", "models_disk", "power", "batteries", "fans", "throttling"} <= set(told["now"])
    assert told["now"]["models_disk"]["mount_point"] and told["machine"]["models_folder"]
    assert all({"kind", "filesystem", "free_bytes"} <= set(disk) for disk in told["now"]["disks"])
    assert told["engines"][0]["targets"]
    assert "nothing looked for it" not in told["missing"].values()


async def test_markdown_is_a_table_without_host_name_user_or_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "maria-muster")
    monkeypatch.setenv("HOME", str(home))
    status, out, err = await edgetui("hw", "--markdown")
    assert (status, err) == (0, "")
    assert out.startswith("## Machine, as edgetui ")
    assert all(line.startswith("|") for line in out.splitlines()[2:])
    assert "| CPU | " in out and "| ENGINES | " in out
    for secret in (os.uname().nodename, "maria-muster", str(home)):
        assert secret not in out


async def test_json_and_markdown_at_once_are_refused() -> None:
    status, out, err = await edgetui("hw", "--json", "--markdown")
    assert (status, out) == (2, "") and "choose --json or --markdown" in err
