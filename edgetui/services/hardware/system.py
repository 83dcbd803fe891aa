"""Operating system, board, hypervisor, container."""

from __future__ import annotations

import platform
import re
from typing import TYPE_CHECKING

from edgetui.core.hardware import Reading, SystemInfo, known, unknown
from edgetui.meters.source import attempt

if TYPE_CHECKING:
    from edgetui.meters.source import MachineSource

DEVICE_TREE = "/proc/device-tree"
_FIRMWARE = "/sys/class/dmi/id"
_HYPERVISORS_BY_FIRMWARE = (
    ("qemu", "QEMU"),
    ("kvm", "KVM"),
    ("vmware", "VMware"),
    ("virtualbox", "VirtualBox"),
    ("innotek", "VirtualBox"),
    ("xen", "Xen"),
    ("microsoft corporation virtual", "Hyper-V"),
    ("parallels", "Parallels"),
    ("bochs", "Bochs"),
    ("amazon ec2", "Amazon EC2"),
    ("google compute", "Google Compute Engine"),
    ("openstack", "OpenStack"),
)
_HYPERVISORS_BY_CLOCK = (("kvm-clock", "KVM"), ("hyperv_clocksource", "Hyper-V"), ("xen", "Xen"))
_PLACEHOLDERS = {"to be filled by o.e.m.", "system manufacturer", "system product name", "default string", "none", ""}
"""What boards say whose maker left the firmware's fields alone."""


def system_info(source: MachineSource) -> SystemInfo:
    """The system and the board; each figure by itself."""
    return SystemInfo(
        os_name=attempt(lambda: _os_name(source)),
        kernel=attempt(lambda: _kernel(source)),
        architecture=attempt(lambda: architecture(source)),
        board=attempt(lambda: _board(source)),
        hypervisor=attempt(lambda: _hypervisor(source)),
        container=attempt(lambda: _container(source)),
        libc=attempt(lambda: _libc(source)),
    )


def architecture(source: MachineSource) -> Reading[str]:
    """The kernel's name of it, such as `x86_64` or `aarch64`."""
    told = source.text("/proc/sys/kernel/arch")
    if told.value is None and source.is_live:
        return known(platform.machine())
    return told


def _os_name(source: MachineSource) -> Reading[str]:
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        name = source.properties(path).get("PRETTY_NAME", "").strip("\"'")
        if name:
            return known(name)
    return unknown("neither /etc/os-release nor /usr/lib/os-release names it")


def _kernel(source: MachineSource) -> Reading[str]:
    release = source.text("/proc/sys/kernel/osrelease")
    if release.value is None:
        return release
    kind = source.text("/proc/sys/kernel/ostype").value or "Linux"
    return known(f"{kind} {release.value}")


def _libc(source: MachineSource) -> Reading[str]:
    told = source.command("getconf", "GNU_LIBC_VERSION")
    if told.value is not None and told.value.strip():
        return known(told.value.strip())
    if any(name.startswith("ld-musl-") for name in source.names("/lib")):
        listed = source.text("/lib/apk/db/installed").value or ""
        version = re.search(r"^P:musl\nV:(\S+)", listed, re.MULTILINE)
        return known(f"musl {version[1]}" if version else "musl")
    if source.exists("/system/build.prop"):
        return known("bionic")
    return unknown(f"neither getconf nor /lib tells it: {told.reason}")


def _board(source: MachineSource) -> Reading[str]:
    model = source.text(f"{DEVICE_TREE}/model")
    if model.value is not None:
        return model
    words: list[str] = []
    for name in ("sys_vendor", "product_name", "product_version"):
        word = source.text(f"{_FIRMWARE}/{name}").value or ""
        if word.lower() not in _PLACEHOLDERS and word not in words:
            words.append(word)
    if words:
        return known(" ".join(words))
    return unknown(f"neither {DEVICE_TREE}/model nor {_FIRMWARE} names it")


def _hypervisor(source: MachineSource) -> Reading[str]:
    firmware = " ".join(
        source.text(f"{_FIRMWARE}/{name}").value or "" for name in ("sys_vendor", "product_name", "bios_vendor")
    ).lower()
    named = next((name for mark, name in _HYPERVISORS_BY_FIRMWARE if mark in firmware), None)
    told = source.text("/sys/hypervisor/type").value or source.text(f"{DEVICE_TREE}/hypervisor/compatible").value
    if told:
        return known({"xen": "Xen", "linux,kvm": "KVM"}.get(told.split("\0")[0], told))
    cpuinfo = source.read("/proc/cpuinfo")
    flags = next((line for line in cpuinfo.splitlines() if line.startswith("flags")), None)
    if flags is None:
        # Only x86 has a flag that every hypervisor must set; elsewhere silence proves nothing.
        return known(named) if named else unknown("no sign of one in device tree and firmware")
    if " hypervisor" not in flags:
        return known("none")
    clocks = source.text("/sys/devices/system/clocksource/clocksource0/available_clocksource").value or ""
    by_clock = next((name for mark, name in _HYPERVISORS_BY_CLOCK if mark in clocks), None)
    return known(named or by_clock or "one that does not give its name")


def _container(source: MachineSource) -> Reading[str]:
    if source.exists("/.dockerenv"):
        return known("Docker")
    if source.exists("/run/.containerenv"):
        return known("Podman")
    told = source.text("/run/systemd/container").value
    if told:
        return known(told)
    groups = source.text("/proc/self/cgroup")
    if groups.value is None:
        return unknown(groups.reason)
    for mark, name in (("kubepods", "Kubernetes"), ("docker", "Docker"), ("lxc", "LXC"), ("libpod", "Podman")):
        if mark in groups.value:
            return known(name)
    return known("none")
