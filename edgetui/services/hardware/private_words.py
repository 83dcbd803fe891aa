"""Words that tell one person's machine from another's; read only to leave them out of a report."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgetui.meters.source import MachineSource

_FIRMWARE = "/sys/class/dmi/id"
_FILES = (
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/domainname",
    "/etc/hostname",
    "/etc/machine-id",
    "/proc/device-tree/serial-number",
    f"{_FIRMWARE}/product_serial",
    f"{_FIRMWARE}/board_serial",
    f"{_FIRMWARE}/chassis_serial",
    f"{_FIRMWARE}/product_uuid",
    f"{_FIRMWARE}/board_asset_tag",
    f"{_FIRMWARE}/chassis_asset_tag",
)
_FIRST_PERSON = 1000
"""User numbers below belong to services."""
_NOBODY = 65534


def private_words(source: MachineSource) -> tuple[str, ...]:
    """Host names, user names, serial numbers, hardware addresses, network servers; whatever cannot be read is left."""
    found = {source.text(path).value or "" for path in _FILES}
    found |= {name.partition(".")[0] for name in found if "." in name}
    found |= set(re.findall(r"^Serial\s*:\s*(\S+)", source.text("/proc/cpuinfo").value or "", re.MULTILINE))
    for supply in source.names("/sys/class/power_supply"):
        told = source.properties(f"/sys/class/power_supply/{supply}/uevent")
        found.add(told.get("POWER_SUPPLY_SERIAL_NUMBER", ""))
    for disk in source.names("/sys/block"):
        found |= {source.text(f"/sys/block/{disk}/{name}").value or "" for name in ("serial", "device/serial", "wwid")}
    for interface in source.names("/sys/class/net"):
        found.add(source.text(f"/sys/class/net/{interface}/address").value or "")
    found |= _people(source) | _servers(source)
    return tuple(sorted(word for word in found if word.strip("0:- ")))


def _people(source: MachineSource) -> set[str]:
    names = set(source.names("/home"))
    for line in (source.text("/etc/passwd").value or "").splitlines():
        fields = line.split(":")
        if len(fields) > 4 and fields[2].isdigit() and _FIRST_PERSON <= int(fields[2]) < _NOBODY:
            names |= {fields[0], fields[4].partition(",")[0]}
    if source.is_live:
        names |= {os.environ.get(name, "") for name in ("USER", "LOGNAME", "SUDO_USER", "USERNAME")}
        home = os.path.expanduser("~")
        names |= {home, os.path.basename(home)} if home not in ("/", "~") else set()
        names.add(os.uname().nodename if hasattr(os, "uname") else "")
    return names - {"root"}


def _servers(source: MachineSource) -> set[str]:
    """`server:/models` and `//server/share`."""
    mounts = source.text("/proc/self/mounts").value or ""
    named = re.findall(r"^(?:[^@\s]+@)?([\w.-]+):/\S* ", mounts, re.MULTILINE)
    return {*named, *re.findall(r"^//([\w.-]+)/", mounts, re.MULTILINE)}
