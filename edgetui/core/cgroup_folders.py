"""Where the files of this process's cgroup (v1 or v2) lie: out of /proc/self/cgroup and /proc/self/mounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

NO_LIMIT_V1 = 1 << 60
"""v1 has no word for `no limit`: it shows the largest number of whole pages."""


class Controller(NamedTuple):
    """Where one controller's files of this process lie."""

    version: int
    folders: tuple[str, ...]
    """The process's own group first, then its parents: each of them limits."""

    @property
    def memory_limit_file(self) -> str:
        """Of the `memory` controller."""
        return "memory.max" if self.version == 2 else "memory.limit_in_bytes"

    @property
    def memory_usage_file(self) -> str:
        """Likewise; file cache counts."""
        return "memory.current" if self.version == 2 else "memory.usage_in_bytes"

    @property
    def droppable_cache_key(self) -> str:
        """In `memory.stat`: file cache that can be dropped."""
        return "inactive_file" if self.version == 2 else "total_inactive_file"


def find_controller(name: str, own_groups: str, mounts: str, exists: Callable[[str], bool]) -> Controller | None:
    """The folders of `cpu` or `memory` by the two files' texts, None when that controller is not mounted."""
    groups, mounted = _groups(own_groups), _mounts(mounts)
    if name in groups and name in mounted:
        return Controller(1, _chain(mounted[name], groups[name], exists))
    if "" in groups and "" in mounted:
        return Controller(2, _chain(mounted[""], groups[""], exists))
    return None


def droppable_cache(stat: str, controller: Controller) -> int:
    """Bytes of file cache that can be dropped, by the text of `memory.stat`."""
    for line in stat.splitlines():
        key, _, figure = line.partition(" ")
        if key == controller.droppable_cache_key:
            return int(figure)
    return 0


def cpu_quota(controller: Controller, read: Callable[[str], str | None]) -> float | None:
    """Processors' worth of time that the tightest of the groups grants, None without a quota; `read` gives a text."""
    quotas = []
    for folder in controller.folders:
        if controller.version == 2:
            quota, _, period = (read(f"{folder}/cpu.max") or "max").partition(" ")
        else:
            quota, period = (read(f"{folder}/cpu.cfs_{file}_us") or "" for file in ("quota", "period"))
        # No quota is `max`, or -1 in v1.
        if quota.isdigit() and int(quota):
            quotas.append(int(quota) / int(period or 100_000))
    return min(quotas, default=None)


def _groups(text: str) -> dict[str, str]:
    """Controller name (empty for v2) to the path of this process's group."""
    groups: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            groups[controller] = path
    return groups


def _mounts(text: str) -> dict[str, str]:
    """Controller name (empty for v2) to where its hierarchy is mounted."""
    mounts: dict[str, str] = {}
    for line in text.splitlines():
        _, mount_point, kind, options, *_ = line.split(" ")
        if kind == "cgroup2":
            mounts.setdefault("", mount_point)
        elif kind == "cgroup":
            for option in options.split(","):
                mounts.setdefault(option, mount_point)
    return mounts


def _chain(mount_point: str, path: str, exists: Callable[[str], bool]) -> tuple[str, ...]:
    """The group's folder and its parents up to the mount; in a container the mount itself is the group's."""
    parts = [part for part in path.split("/") if part]
    folders = [f"{mount_point}/{'/'.join(parts[:count])}" for count in range(len(parts), 0, -1)]
    if ".." in parts or (folders and not exists(folders[0])):
        folders = []
    return (*folders, mount_point)
