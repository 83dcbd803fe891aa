"""All GPUs and NPUs together: NVIDIA's own driver, the render nodes, the kernel's accel class, vendors' devices."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgetui.core.hardware import Accelerator, AcceleratorSample, PowerSample, Reading, known, unknown
from edgetui.meters.energy_counter import EnergyCounter
from edgetui.meters.nvidia import NvidiaGpus
from edgetui.meters.source import attempt
from edgetui.meters.temperatures import read_celsius
from edgetui.services.hardware import drm
from edgetui.services.hardware.intel_npu import IntelNpu
from edgetui.services.hardware.jetson_gpu import JetsonGpu
from edgetui.services.hardware.npus import ACCEL, APEX, WHERE, find_npus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetui.meters.source import MachineSource


class Accelerators:
    """Finds GPUs and NPUs once and samples them each time."""

    def __init__(self, source: MachineSource, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._nvidia = NvidiaGpus(source)
        self._jetson = JetsonGpu(source)
        self._nodes: list[drm.RenderNode] | None = None
        self._uses_nvidia = False
        self._nvidia_names: dict[str, str] = {}
        self._energy: dict[str, EnergyCounter] = {}
        self._intel_npus: dict[str, IntelNpu] = {}
        self._corals: list[str] = []

    def gpus(self) -> Reading[tuple[Accelerator, ...]]:
        """Every GPU; the reason says where none was found."""
        integrated = attempt(lambda: known(self._jetson.describe())).value
        # JetPack's nvidia-smi lists a Jetson's GPU too, with hardly a figure.
        own: Reading[tuple[Accelerator, ...]] = (
            attempt(self._nvidia.describe) if integrated is None else known((integrated,))
        )
        self._uses_nvidia = own.value is not None and integrated is None
        if self._uses_nvidia:
            self._nvidia_names = {item.key: item.name for item in own.value or ()}
        found = [*(own.value or ()), *(item for item in self._describe_nodes() if item.kind == "gpu")]
        if not found:
            return unknown(f"none found: looked at {drm.DRM}, {own.reason}")
        return known(tuple(found))

    def npus(self) -> Reading[tuple[Accelerator, ...]]:
        """Every NPU; the reason says where none was found."""
        found = [item for item in self._describe_nodes() if item.kind == "npu"]
        for item in find_npus(self._source):
            found.append(item)
            if item.driver.value == "intel_vpu":
                folder = f"{ACCEL}/{item.key}/device"
                self._intel_npus.setdefault(item.key, IntelNpu(self._source, item.key, folder))
            elif item.driver.value == "apex" and item.key not in self._corals:
                self._corals.append(item.key)
        return known(tuple(found)) if found else unknown(f"none found: looked at {WHERE}")

    def sample(self) -> tuple[AcceleratorSample, ...]:
        """What each GPU and NPU tells now."""
        if self._nodes is None:
            self.gpus()
            self.npus()
        own = attempt(lambda: known(self._nvidia.sample())).value or [] if self._uses_nvidia else []
        own += attempt(lambda: known(self._jetson.sample())).value or []
        now = self._clock()
        npus = [npu.sample(now) for npu in self._intel_npus.values()]
        npus += [_coral_sample(self._source, key) for key in self._corals]
        return (*own, *(drm.sample_node(self._source, node) for node in self._other_nodes()), *npus)

    def meters(self, samples: Sequence[AcceleratorSample]) -> list[PowerSample]:
        """GPUs as power meters: those whose power no hwmon chip tells."""
        meters = []
        for item in samples:
            if (name := self._nvidia_names.get(item.key)) is None:
                continue
            counter = self._energy.setdefault(item.key, EnergyCounter(None))
            _, joules = counter.add(self._nvidia.joules(item.key), self._clock())
            meters.append(PowerSample(key=f"gpu/{item.key}", label=name, watts=item.power_watts, joules=joules))
        return meters

    def _describe_nodes(self) -> list[Accelerator]:
        if self._nodes is None:
            self._nodes = drm.render_nodes(self._source)
        return [drm.describe_node(self._source, node) for node in self._other_nodes()]

    def _other_nodes(self) -> list[drm.RenderNode]:
        """Without those that NVIDIA's own driver already told of."""
        return [node for node in self._nodes or () if not (self._uses_nvidia and node.driver == "nvidia")]


def _coral_sample(source: MachineSource, key: str) -> AcceleratorSample:
    """Google's apex driver tells the temperature alone."""
    silent = unknown("the apex driver does not tell it in sysfs")
    return AcceleratorSample(
        key=key,
        utilisation=silent,
        memory_used_bytes=silent,
        frequency_hz=silent,
        celsius=read_celsius(source, f"{APEX}/{key}/temp"),
        power_watts=silent,
    )
