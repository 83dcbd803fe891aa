"""NPUs that have no render node: the kernel's accel class, vendors' own devices, and chips that no driver serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.hardware import Accelerator, Reading, known, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgetui.meters.source import MachineSource

ACCEL = "/sys/class/accel"
HAILO = "/sys/class/hailo_chardev"
APEX = "/sys/class/apex"
_MISC = "/sys/class/misc"
_REMOTE = "/sys/class/remoteproc"
_PCI = "/sys/bus/pci/devices"
_USB = "/sys/bus/usb/devices"
_DEVICE_TREE = "/proc/device-tree"
WHERE = f"{ACCEL}, vendors' own devices, PCI, USB"


class _Chip(NamedTuple):
    vendor: str
    name: str
    driver: str


_INTEL, _XDNA = _Chip("Intel", "Intel NPU", "intel_vpu"), _Chip("AMD", "AMD XDNA NPU", "amdxdna")
_CORAL = _Chip("Google", "Coral Edge TPU", "apex")
_ROCKCHIP = _Chip("Rockchip", "Rockchip NPU", "rocket")
_BY_DRIVER = {
    chip.driver: chip
    for chip in (
        _INTEL,
        _XDNA,
        _ROCKCHIP,
        _Chip("ARM", "Ethos-U NPU", "ethosu"),
        _Chip("Qualcomm", "Qualcomm Cloud AI", "qaic"),
        _Chip("Intel", "Gaudi", "habanalabs"),
    )
}
_BY_PCI_ID = {
    "8086:7d1d": _INTEL,
    "8086:ad1d": _INTEL,
    "8086:643e": _INTEL,
    "8086:b03e": _INTEL,
    "8086:fd3e": _INTEL,
    "8086:d71d": _INTEL,
    "1022:1502": _XDNA,
    "1022:17f0": _XDNA,
    "1e60:2864": _Chip("Hailo", "Hailo-8", "hailo_pci"),
    "1e60:45c4": _Chip("Hailo", "Hailo-10H", "hailo1x_pci"),
    "1ac1:089a": _CORAL,
    "17cb:a100": _BY_DRIVER["qaic"],
}
_BY_USB_ID = {"1a6e:089a": "before its first use", "18d1:9302": "in use before"}
"""The Coral accelerator shows another number once its firmware was loaded."""
_NO_VERSION = unknown("its driver names no version")


def find_npus(source: MachineSource) -> list[Accelerator]:
    """Every NPU, each once, in a fixed order."""
    found = [*_accel_class(source), *_hailo(source), *_coral(source), *_hexagon(source), *_rknpu(source)]
    taken = {address for _, address in found}
    # The same device is a file of its driver and an entry of the bus.
    found += [(item, address) for item, address in _pci_without_driver(source) if address not in taken]
    return [item for item, _ in found]


_Found = tuple[Accelerator, str]
"""An NPU and its PCI address, empty for what is not on PCI."""


def module_version(source: MachineSource, driver: str) -> Reading[str]:
    """Of a driver that is a module with a version."""
    told = source.text(f"/sys/module/{driver}/version").value
    return known(told) if told else _NO_VERSION


def _accel_class(source: MachineSource) -> Iterator[_Found]:
    for name in source.names(ACCEL):
        folder = f"{ACCEL}/{name}/device"
        properties = source.properties(f"{folder}/uevent")
        driver = properties.get("DRIVER", "")
        chip = _BY_DRIVER.get(driver, _Chip("unknown vendor", name, driver))
        if variant := source.text(f"{folder}/vbnv").value:
            chip = chip._replace(name=f"{chip.name} ({variant})")
        yield _npu(source, name, chip), properties.get("PCI_SLOT_NAME", "").lower()


def _hailo(source: MachineSource) -> Iterator[_Found]:
    for name in source.names(HAILO):
        properties = source.properties(f"{HAILO}/{name}/device/uevent")
        chip = _BY_PCI_ID.get(properties.get("PCI_ID", "").lower(), _Chip("Hailo", "Hailo NPU", "hailo_pci"))
        # The driver names itself otherwise than its module, which has the version.
        version = module_version(source, chip.driver)
        chip = chip._replace(driver=properties.get("DRIVER") or chip.driver)
        yield _npu(source, name, chip, version=version), properties.get("PCI_SLOT_NAME", "").lower()


def _coral(source: MachineSource) -> Iterator[_Found]:
    for name in source.names(APEX):
        address = source.properties(f"{APEX}/{name}/device/uevent").get("PCI_SLOT_NAME", "").lower()
        yield _npu(source, name, _CORAL), address
    for name in source.names(_USB):
        usb_id = f"{source.text(f'{_USB}/{name}/idVendor').value}:{source.text(f'{_USB}/{name}/idProduct').value}"
        if usb_id in _BY_USB_ID:
            chip = _CORAL._replace(name=f"Coral USB Accelerator ({_BY_USB_ID[usb_id]})")
            yield _npu(source, f"usb {name}", chip, unknown("it needs none: libedgetpu speaks to it over USB")), ""


def _hexagon(source: MachineSource) -> Iterator[_Found]:
    device = next(
        (name for name in ("fastrpc-cdsp", "fastrpc-cdsp-secure", "adsprpc-smd") if source.exists(f"/dev/{name}")), None
    )
    chip = _Chip("Qualcomm", "Hexagon compute DSP", "fastrpc")
    for name in source.names(_REMOTE):
        told = " ".join(source.text(f"{_REMOTE}/{name}/{part}").value or "" for part in ("name", "firmware"))
        if "cdsp" not in told:
            continue
        state = source.text(f"{_REMOTE}/{name}/state").value or "in an unknown state"
        driver: Reading[str] = known("fastrpc")
        if device is None or state != "running":
            driver = unknown(f"its processor is {state}" if state != "running" else "there is no /dev/fastrpc-cdsp")
        yield _npu(source, name, chip, driver), ""
        return
    if device is not None:
        yield _npu(source, device, chip), ""


def _rknpu(source: MachineSource) -> Iterator[_Found]:
    """The maker's driver as a plain device, or what the device tree promises; render nodes are found elsewhere."""
    if source.exists(f"{_MISC}/rknpu"):
        chip = _ROCKCHIP._replace(name="RKNPU", driver="RKNPU")
        yield _npu(source, "rknpu", chip, version=rknpu_version(source)), ""
        return
    nodes = [f"{folder}/{name}" for folder in (ACCEL, "/sys/class/drm") for name in source.names(folder)]
    if any(_driver(source, node) in ("rocket", "RKNPU") for node in nodes):
        return
    for name in source.names(_DEVICE_TREE):
        compatible = source.text(f"{_DEVICE_TREE}/{name}/compatible").value or ""
        if name.startswith("npu@") and ("rknpu" in compatible or "rknn-core" in compatible):
            state = source.text(f"{_DEVICE_TREE}/{name}/status").value
            why = "no driver serves it: neither RKNPU nor rocket is loaded"
            if state == "disabled":
                why = "the device tree disables it"
            yield _npu(source, name, _ROCKCHIP, unknown(why)), ""
            return


def rknpu_version(source: MachineSource) -> Reading[str]:
    """`0.9.8`: the maker's driver tells it in debugfs, which is root's."""
    path = "/sys/kernel/debug/rknpu/version"
    told = source.text("/sys/module/rknpu/version")
    if told.value is None:
        told = source.text(path)
    if told.value is not None:
        return known(told.value.rpartition(" ")[2].lstrip("v"))
    return unknown(f"needs root: {path}" if "permission" in told.reason else told.reason)


def _pci_without_driver(source: MachineSource) -> Iterator[_Found]:
    for address in source.names(_PCI):
        vendor = source.text(f"{_PCI}/{address}/vendor").value or ""
        device = source.text(f"{_PCI}/{address}/device").value or ""
        chip = _BY_PCI_ID.get(f"{vendor.removeprefix('0x')}:{device.removeprefix('0x')}")
        if chip is None:
            continue
        bound = source.properties(f"{_PCI}/{address}/uevent").get("DRIVER")
        why = f"{bound} holds it but made no device" if bound else f"no driver serves it: {chip.driver} is not loaded"
        yield _npu(source, address.lower(), chip, unknown(why)), address.lower()


def _driver(source: MachineSource, folder: str) -> str:
    return source.properties(f"{folder}/device/uevent").get("DRIVER", "")


def _npu(
    source: MachineSource,
    key: str,
    chip: _Chip,
    driver: Reading[str] | None = None,
    version: Reading[str] | None = None,
) -> Accelerator:
    if driver is None:
        driver = known(chip.driver) if chip.driver else unknown("its uevent names no driver")
    return Accelerator(
        key=key,
        kind="npu",
        vendor=chip.vendor,
        name=chip.name,
        driver=driver,
        memory_bytes=unknown("its driver does not tell it"),
        driver_version=version or (_NO_VERSION if driver.value is None else module_version(source, driver.value)),
    )
