"""Where a process's cgroup lies, by the kernel's own texts."""

from __future__ import annotations

import pytest

from edgetui.core.cgroup_folders import Controller, cpu_quota, droppable_cache, find_controller

V1 = (
    "4:memory:/a/b\n3:cpu,cpuacct:/\n0::/",
    "cgroup /cg/memory cgroup rw,memory 0 0\ncgroup /cg/cpu cgroup rw,cpu,cpuacct 0 0",
)
V2 = ("0::/user.slice/run-7.scope", "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0")


@pytest.mark.parametrize(
    ("name", "texts", "expected"),
    [
        ("memory", V1, Controller(1, ("/cg/memory/a/b", "/cg/memory/a", "/cg/memory"))),
        ("cpu", V1, Controller(1, ("/cg/cpu",))),
        (
            "memory",
            V2,
            Controller(
                2,
                (
                    "/sys/fs/cgroup/user.slice/run-7.scope",
                    "/sys/fs/cgroup/user.slice",
                    "/sys/fs/cgroup",
                ),
            ),
        ),
        ("memory", ("0::/../..", V2[1]), Controller(2, ("/sys/fs/cgroup",))),
        ("memory", ("", ""), None),
        ("memory", ("0::/", ""), None),
    ],
)
def test_every_group_above_a_process_is_found(name: str, texts: tuple[str, str], expected: Controller | None) -> None:
    assert find_controller(name, *texts, lambda path: True) == expected


def test_in_a_container_the_mount_itself_is_the_group() -> None:
    assert find_controller("memory", *V2, lambda path: False) == Controller(2, ("/sys/fs/cgroup",))


def test_the_tightest_quota_counts() -> None:
    files = {"/a/cpu.max": "150000 100000", "/b/cpu.max": "max 100000", "/c/cpu.max": "50000 100000"}
    assert cpu_quota(Controller(2, ("/a", "/b", "/c", "/gone")), files.get) == 0.5
    assert cpu_quota(Controller(2, ("/b", "/gone")), files.get) is None
    old = {"/a/cpu.cfs_quota_us": "-1", "/a/cpu.cfs_period_us": "100000", "/b/cpu.cfs_quota_us": "20000"}
    assert cpu_quota(Controller(1, ("/a",)), old.get) is None
    assert cpu_quota(Controller(1, ("/a", "/b")), old.get) == 0.2


def test_file_cache_that_can_be_dropped_is_told_apart() -> None:
    stat = "inactive_file 7\ntotal_inactive_file 9\nactive_file 3"
    assert (droppable_cache(stat, Controller(2, ())), droppable_cache(stat, Controller(1, ()))) == (7, 9)
    assert droppable_cache("", Controller(2, ())) == 0
