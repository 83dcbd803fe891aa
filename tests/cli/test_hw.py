from __future__ import annotations

import json
import os

import pytest

from tests.cli.command import edgetui

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
