"""Readings and what becomes of them in JSON."""

from __future__ import annotations

from edgetui.core.hardware import Accelerator, Cache, MemoryInfo, flatten_readings, known, unknown


def test_json_has_plain_figures_and_keeps_every_reason_under_its_path() -> None:
    gpu = Accelerator(
        key="0", kind="gpu", vendor="AMD", name="x", driver=known("amdgpu"), memory_bytes=unknown("not told")
    )
    value, reasons = flatten_readings(known((gpu,)))
    assert value == [
        {
            "key": "0",
            "kind": "gpu",
            "vendor": "AMD",
            "name": "x",
            "driver": "amdgpu",
            "memory_bytes": None,
            "driver_version": None,
        }
    ]
    assert reasons == {"[0].memory_bytes": "not told", "[0].driver_version": "nothing looked for it"}


def test_json_names_a_missing_figure_by_its_field() -> None:
    value, reasons = flatten_readings(MemoryInfo(total_bytes=known(2), limit_bytes=unknown("no limit")))
    assert (value["total_bytes"], value["limit_bytes"]) == (2, None)
    assert reasons["limit_bytes"] == "no limit"


def test_usable_memory_is_the_limit_where_that_is_smaller() -> None:
    assert MemoryInfo(total_bytes=known(8), limit_bytes=known(4)).usable_bytes == 4
    assert MemoryInfo(total_bytes=known(8), limit_bytes=unknown("none")).usable_bytes == 8
    assert MemoryInfo(total_bytes=unknown("?"), limit_bytes=unknown("none")).usable_bytes is None


def test_caches_are_named_as_lscpu_names_them() -> None:
    assert Cache(level=1, kind="data", size_bytes=1, instances=1).name == "L1d"
    assert Cache(level=1, kind="instruction", size_bytes=1, instances=1).name == "L1i"
    assert Cache(level=3, kind="unified", size_bytes=1, instances=1).name == "L3"
