"""What a native engine may use of this machine, limits of cgroups included."""

from __future__ import annotations

import os

import psutil
import pytest

from edgetui.engines import host

MIB = 1024**2


@pytest.mark.parametrize(
    ("limit", "left"), [(300 * MIB, 250 * MIB), (40 * MIB, 0), ("max", None)], ids=["a limit", "used up", "none"]
)
def test_the_limit_of_any_group_above_leaves_less(
    monkeypatch: pytest.MonkeyPatch, limit: int | str, left: int | None
) -> None:
    files = {
        "/proc/self/cgroup": "0::/user.slice/run-7.scope",
        "/proc/self/mounts": "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0",
        "/sys/fs/cgroup/user.slice/run-7.scope/memory.max": "max",
        "/sys/fs/cgroup/user.slice/run-7.scope/memory.current": f"{60 * MIB}",
        "/sys/fs/cgroup/user.slice/memory.max": str(limit),
        "/sys/fs/cgroup/user.slice/memory.current": f"{80 * MIB}",
        "/sys/fs/cgroup/user.slice/memory.stat": f"anon 1\ninactive_file {30 * MIB}",
        "/sys/fs/cgroup/user.slice/cpu.max": "100000 100000",
    }
    monkeypatch.setattr(host, "_text", files.get)
    monkeypatch.setattr(os.path, "exists", lambda path: True)
    if left is None:
        assert host.available_memory_bytes() > 300 * MIB
    else:
        assert host.available_memory_bytes() == left
    assert host.default_threads() == host.usable_threads() == 1


def test_without_groups_the_systems_figure_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_text", lambda path: None)
    assert host.available_memory_bytes() == pytest.approx(psutil.virtual_memory().available, rel=0.2)
