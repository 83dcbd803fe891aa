"""What the cgroup (v1 or v2) of this process grants: CPU time and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetui.core import cgroup_folders
from edgetui.core.cgroup_folders import NO_LIMIT_V1, Controller, cpu_quota, droppable_cache
from edgetui.core.hardware import CpuLimits, Reading, known, unknown
from edgetui.meters.source import attempt, parse_cpu_list

if TYPE_CHECKING:
    from edgetui.meters.source import MachineSource


def find_controller(source: MachineSource, name: str) -> Controller | None:
    """The folders of `cpu` or `memory`, None when that controller is not mounted."""
    own, mounts = (source.text(f"/proc/self/{file}").value or "" for file in ("cgroup", "mounts"))
    return cgroup_folders.find_controller(name, own, mounts, source.exists)


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
    limits = []
    for folder in controller.folders:
        limit = source.integer(f"{folder}/{controller.memory_limit_file}").value
        if limit is not None and limit < NO_LIMIT_V1:
            limits.append(limit)
    return known(min(limits)) if limits else unknown("no memory limit is set")


def memory_used(source: MachineSource, controller: Controller | None) -> Reading[int]:
    """What the group under the limit holds, file cache that can be dropped left out, in bytes."""
    if controller is None:
        return unknown("no memory cgroup is mounted")
    folder = controller.folders[0]
    usage = source.integer(f"{folder}/{controller.memory_usage_file}")
    if usage.value is None:
        return usage
    cache = droppable_cache(source.text(f"{folder}/memory.stat").value or "", controller)
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
    quota = cpu_quota(controller, lambda path: source.text(path).value)
    return unknown("no CPU quota is set") if quota is None else known(quota)
