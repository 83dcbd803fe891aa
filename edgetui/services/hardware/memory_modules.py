"""Which memory is built in, where the firmware tells: the SMBIOS table, or what udev kept of it for everybody."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgetui.core.hardware import MemoryModule, Reading, known, unknown
from edgetui.meters.source import reason_of
from edgetui.services.hardware.smbios import memory_modules as modules_of_table

if TYPE_CHECKING:
    from edgetui.meters.source import MachineSource

TABLE = "/sys/firmware/dmi/tables/DMI"
_UDEV = "/run/udev/data/+dmi:id"
_UDEV_FIELD = re.compile(r"^E:MEMORY_DEVICE_(\d+)_(\w+)=(.*)$", re.MULTILINE)
_NOT_TOLD = "the firmware does not tell it"


def memory_modules(source: MachineSource) -> Reading[tuple[MemoryModule, ...]]:
    """The filled slots."""
    try:
        modules = modules_of_table(source.read_bytes(TABLE))
    except PermissionError:
        kept = _kept_by_udev(source)
        return known(kept) if kept else unknown(f"needs root: {TABLE}")
    except FileNotFoundError:
        return unknown("no SMBIOS table here: boards with a device tree have none, containers hide it")
    except OSError as error:
        return unknown(reason_of(error, TABLE))
    return known(modules) if modules else unknown(f"{TABLE} lists no memory device")


def _kept_by_udev(source: MachineSource) -> tuple[MemoryModule, ...]:
    devices: dict[int, dict[str, str]] = {}
    for number, name, value in _UDEV_FIELD.findall(source.text(_UDEV).value or ""):
        devices.setdefault(int(number), {})[name] = value
    return tuple(
        MemoryModule(
            slot=fields.get("LOCATOR", ""),
            size_bytes=int(fields["SIZE"]),
            kind=known(fields["TYPE"]) if "TYPE" in fields else unknown(_NOT_TOLD),
            form=known(fields["FORM_FACTOR"]) if "FORM_FACTOR" in fields else unknown(_NOT_TOLD),
            rated_mts=_number(fields, "SPEED_MTS"),
            configured_mts=_number(fields, "CONFIGURED_SPEED_MTS"),
        )
        for _, fields in sorted(devices.items())
        if fields.get("SIZE", "").isdigit() and fields.get("PRESENT") != "0"
    )


def _number(fields: dict[str, str], name: str) -> Reading[int]:
    return known(int(fields[name])) if fields.get(name, "").isdigit() else unknown(_NOT_TOLD)
