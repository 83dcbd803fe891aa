"""What the cgroup (v1 or v2) of this process grants: CPU time and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from edgetui.core.hardware import CpuLimits, Reading, known, unknown
from edgetui.meters.source import attempt, parse_cpu_list

if TYPE_CHECKING:
    from edgetui.meters.source import MachineSource

_NO_LIMIT_V1 = 1 << 60
"""v1 has no word for `no limit`: it shows the largest number of whole pages."""


class Controller(NamedTuple):
    """Where one controller's files of this process lie."""

    version: int
    folders: tuple[str, ...]
    """The process's own group first, then its parents: each of them limits."""


def find_controller(source: MachineSource, name: str) -> Controller | None:
    """The folders of `cpu` or `memory`, None when that controller is not mounted."""
    groups = _own_groups(source)
    mounts = _mounts(source)
    if name in groups and name in mounts:
        return Controller(1, _chain(source, mounts[name], groups[name]))
    if "" in groups and "" in mounts:
        return Controller(2, _chain(source, mounts[""], groups[""]))
    return None


def cpu_limits(source: MachineSource) -> CpuLimits:
    """How much of the CPUs this process may use."""
    affinity: Reading[tuple[int, ...]] = attempt(lambda: _affinity(source))
    quota: Reading[float] = attempt(lambda: _cpu_quota(source))
    figures = [float(len(affinity.value))] if affinity.value else []
    if quota.value is not None:
        figures.append(quota.value)
    usable: Reading[float] = known(min(figures)) if figures else unknown(affinity.reason)
    return CpuLimits(affinity_cpus=affinity, quota_cpus=quota, usable_cpus=usable)


def memory_limit(source: MachineSource) -> Reading[int]:
    """The tightest memory limit above this process, in bytes."""
    controller = find_controller(source, "memory")
    if controller is None:
        return unknown("no memory cgroup is mounted")
    name = "memory.max" if controller.version == 2 else "memory.limit_in_bytes"
    limits = []
    for folder in controller.folders:
        limit = source.integer(f"{folder}/{name}").value
        if limit is not None and limit < _NO_LIMIT_V1:
            limits.append(limit)
    return known(min(limits)) if limits else unknown("no memory limit is set")


def memory_used(source: MachineSource, controller: Controller | None) -> Reading[int]:
    """What the group under the limit holds, file cache that can be dropped left out, in bytes."""
    if controller is None:
        return unknown("no memory cgroup is mounted")
    folder = controller.folders[0]
    usage_name, cache_name = (
        ("memory.current", "inactive_file")
        if controller.version == 2
        else ("memory.usage_in_bytes", "total_inactive_file")
    )
    usage = source.integer(f"{folder}/{usage_name}")
    if usage.value is None:
        return usage
    cache = 0
    for line in (source.text(f"{folder}/memory.stat").value or "").splitlines():
        key, _, figure = line.partition(" ")
        if key == cache_name:
            cache = int(figure)
    return known(max(0, usage.value - cache))


def _affinity(source: MachineSource) -> Reading[tuple[int, ...]]:
    for line in source.read("/proc/self/status").splitlines():
        key, _, value = line.partition(":")
        if key == "Cpus_allowed_list":
            allowed = parse_cpu_list(value)
            # The mask may name CPUs that the machine could have but does not.
            online = source.text("/sys/devices/system/cpu/online").value
            present = set(parse_cpu_list(online)) if online else set(allowed)
            return known(tuple(cpu for cpu in allowed if cpu in present))
    return unknown("/proc/self/status has no Cpus_allowed_list")


def _cpu_quota(source: MachineSource) -> Reading[Any]:
    controller = find_controller(source, "cpu")
    if controller is None:
        return unknown("no CPU cgroup is mounted")
    quotas = []
    for folder in controller.folders:
        if controller.version == 2:
            quota, _, period = (source.text(f"{folder}/cpu.max").value or "max").partition(" ")
            if quota != "max":
                quotas.append(int(quota) / int(period or 100_000))
        else:
            budget = source.integer(f"{folder}/cpu.cfs_quota_us").value
            length = source.integer(f"{folder}/cpu.cfs_period_us").value
            if budget is not None and budget > 0 and length:
                quotas.append(budget / length)
    return known(min(quotas)) if quotas else unknown("no CPU quota is set")


def _own_groups(source: MachineSource) -> dict[str, str]:
    """Controller name (empty for v2) to the path of this process's group."""
    groups: dict[str, str] = {}
    for line in (source.text("/proc/self/cgroup").value or "").splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            groups[controller] = path
    return groups


def _mounts(source: MachineSource) -> dict[str, str]:
    """Controller name (empty for v2) to where its hierarchy is mounted."""
    mounts: dict[str, str] = {}
    for line in (source.text("/proc/self/mounts").value or "").splitlines():
        _, mount_point, kind, options, *_ = line.split(" ")
        if kind == "cgroup2":
            mounts.setdefault("", mount_point)
        elif kind == "cgroup":
            for option in options.split(","):
                mounts.setdefault(option, mount_point)
    return mounts


def _chain(source: MachineSource, mount_point: str, path: str) -> tuple[str, ...]:
    """The group's folder and its parents up to the mount; in a container the mount itself is the group's."""
    parts = [part for part in path.split("/") if part]
    folders = [f"{mount_point}/{'/'.join(parts[:count])}" for count in range(len(parts), 0, -1)]
    if ".." in parts or (folders and not source.exists(folders[0])):
        folders = []
    return (*folders, mount_point)
