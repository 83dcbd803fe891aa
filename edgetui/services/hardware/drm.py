"""GPUs (and NPUs with a render node) by /sys/class/drm: what they are and what their drivers tell of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.hardware import Accelerator, AcceleratorSample, Reading, known, unknown
from edgetui.meters.nvidia import NVIDIA
from edgetui.meters.source import reason_of
from edgetui.meters.temperatures import read_celsius
from edgetui.services.hardware.npus import module_version, rknpu_version

if TYPE_CHECKING:
    from edgetui.meters.source import MachineSource

DRM = "/sys/class/drm"
_VENDORS = {"1002": "AMD", "8086": "Intel", "10DE": NVIDIA, "1AF4": "virtio", "15AD": "VMware", "1ED5": "Moore Threads"}
_DRIVERS = {
    "v3d": ("Broadcom", "VideoCore"),
    "panfrost": ("ARM", "Mali"),
    "panthor": ("ARM", "Mali"),
    "lima": ("ARM", "Mali"),
    "mali": ("ARM", "Mali"),
    "msm": ("Qualcomm", "Adreno"),
    "msm_dpu": ("Qualcomm", "Adreno"),
    "etnaviv": ("Vivante", "GC"),
    "asahi": ("Apple", "AGX"),
    "powervr": ("Imagination", "PowerVR"),
    "pvrsrvkm": ("Imagination", "PowerVR"),
    "tegra": (NVIDIA, "Tegra"),
    "nvgpu": (NVIDIA, "Tegra"),
    "RKNPU": ("Rockchip", "RKNPU"),
}
_NPU_DRIVERS = {"RKNPU"}
_RKNPU_LOAD = "/sys/kernel/debug/rknpu/load"
_RKNPU_CORE = re.compile(r"(\d+)%")
_DEVFREQ_LOAD = re.compile(r"(\d+)@\d+Hz")
_PCI_NAMES = ("/usr/share/hwdata/pci.ids", "/usr/share/misc/pci.ids")


class RenderNode(NamedTuple):
    """One device with a render node, that is, one that computes; plain displays have none."""

    key: str
    folder: str
    """Its device in sysfs."""
    vendor: str
    driver: str
    pci_id: str
    """`1002:15BF`, empty for what is not on PCI."""
    compatible: str
    """First entry of the device tree's `compatible`, empty where there is none."""


def render_nodes(source: MachineSource) -> list[RenderNode]:
    """Every device with a render node, each once."""
    nodes: dict[str, RenderNode] = {}
    for name in source.names(DRM):
        if not name.startswith("renderD"):
            continue
        folder = f"{DRM}/{name}/device"
        properties = source.properties(f"{folder}/uevent")
        pci_id, driver = properties.get("PCI_ID", ""), properties.get("DRIVER", "")
        vendor = _VENDORS.get(pci_id.partition(":")[0].upper(), "") or _DRIVERS.get(driver, ("",))[0]
        node = RenderNode(
            key=properties.get("PCI_SLOT_NAME", "").lower() or name,
            folder=folder,
            vendor=vendor or "unknown vendor",
            driver=driver,
            pci_id=pci_id,
            compatible=properties.get("OF_COMPATIBLE_0", ""),
        )
        nodes.setdefault(node.key, node)
    return list(nodes.values())


def describe_node(source: MachineSource, node: RenderNode) -> Accelerator:
    """What it is."""
    return Accelerator(
        key=node.key,
        kind="npu" if node.driver in _NPU_DRIVERS else "gpu",
        vendor=node.vendor,
        name=_name(source, node),
        driver=known(node.driver) if node.driver else unknown(f"{node.folder}/uevent names no driver"),
        memory_bytes=_memory(source, node),
        driver_version=rknpu_version(source) if node.driver in _NPU_DRIVERS else module_version(source, node.driver),
    )


def sample_node(source: MachineSource, node: RenderNode) -> AcceleratorSample:
    """What its driver tells now."""
    amd = node.driver == "amdgpu"
    silent = f"the {node.driver or 'unnamed'} driver does not tell it in sysfs"
    sensors = f"{node.folder}/hwmon"
    chip = next(iter(source.names(sensors)), None)
    chip_folder = f"{sensors}/{chip}" if chip else None
    busy = source.integer(f"{node.folder}/gpu_busy_percent") if amd else _other_load(source, node, silent)
    return AcceleratorSample(
        key=node.key,
        utilisation=unknown(busy.reason) if busy.value is None else known(busy.value / 100),
        memory_used_bytes=source.integer(f"{node.folder}/mem_info_vram_used") if amd else unknown(silent),
        frequency_hz=_frequency(source, node, chip_folder, silent),
        celsius=read_celsius(source, f"{chip_folder}/temp1_input") if chip_folder else unknown(silent),
        power_watts=_power(source, chip_folder, silent),
    )


def _other_load(source: MachineSource, node: RenderNode, silent: str) -> Reading[int]:
    """Per cent busy, where the driver or the maker's devfreq tells it."""
    if node.driver == "RKNPU":
        try:
            cores = _RKNPU_CORE.findall(source.read(_RKNPU_LOAD))
        except PermissionError:
            return unknown(f"needs root: {_RKNPU_LOAD}")
        except OSError as error:
            return unknown(reason_of(error, _RKNPU_LOAD))
        if not cores:
            return unknown(f"{_RKNPU_LOAD} holds no load")
        return known(round(sum(int(core) for core in cores) / len(cores)))
    for scaling in source.names(f"{node.folder}/devfreq"):
        # Rockchip's kernels only: `37@800000000Hz`.
        told = source.text(f"{node.folder}/devfreq/{scaling}/load").value
        if told and (match := _DEVFREQ_LOAD.fullmatch(told)):
            return known(int(match[1]))
    return unknown(silent)


def _name(source: MachineSource, node: RenderNode) -> str:
    if product := source.text(f"{node.folder}/product_name").value:
        return product
    if node.pci_id:
        return _pci_name(source, node.pci_id) or f"{node.vendor} GPU {node.pci_id.lower()}"
    family = _DRIVERS.get(node.driver, ("", "GPU"))[1]
    model = node.compatible.partition(",")[2]
    return f"{family} ({model})" if model else family


def _pci_name(source: MachineSource, pci_id: str) -> str | None:
    """Looked up in the list of PCI devices that most distributions install."""
    vendor, _, device = pci_id.lower().partition(":")
    for path in _PCI_NAMES:
        listed = source.text(path).value
        if listed is None:
            continue
        inside = False
        for line in listed.splitlines():
            if inside and line.startswith("\t" + device):
                return line.strip().partition("  ")[2]
            if line[:1] not in ("\t", "#", ""):
                inside = line.startswith(vendor)
    return None


def _memory(source: MachineSource, node: RenderNode) -> Reading[int]:
    if node.driver == "amdgpu":
        return source.integer(f"{node.folder}/mem_info_vram_total")
    if not node.pci_id:
        return unknown("it uses the main memory")
    return unknown(f"the {node.driver or 'unnamed'} driver does not tell it in sysfs")


def _frequency(source: MachineSource, node: RenderNode, chip_folder: str | None, silent: str) -> Reading[int]:
    if chip_folder and node.driver == "amdgpu":
        return source.integer(f"{chip_folder}/freq1_input")
    if node.driver == "i915":
        for card in source.names(f"{node.folder}/drm"):
            if card.startswith("card"):
                return source.integer(f"{node.folder}/drm/{card}/gt_act_freq_mhz", 1_000_000)
    if node.driver == "xe":
        return source.integer(f"{node.folder}/tile0/gt0/freq0/act_freq", 1_000_000)
    for scaling in source.names(f"{node.folder}/devfreq"):
        return source.integer(f"{node.folder}/devfreq/{scaling}/cur_freq")
    return unknown(silent)


def _power(source: MachineSource, chip_folder: str | None, silent: str) -> Reading[float]:
    if chip_folder is None:
        return unknown(silent)
    for name in ("power1_average", "power1_input"):
        if source.exists(f"{chip_folder}/{name}"):
            microwatts = source.integer(f"{chip_folder}/{name}")
            return unknown(microwatts.reason) if microwatts.value is None else known(microwatts.value / 1e6)
    return unknown(silent)
