"""NVIDIA GPUs: through NVML where the package nvidia-ml-py is installed, else through nvidia-smi."""

from __future__ import annotations

import time
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgetui.core.hardware import Accelerator, AcceleratorSample, Reading, known, unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.meters.source import MachineSource

NVIDIA = "NVIDIA"
_QUERY = (
    "pci.bus_id", "name", "driver_version", "memory.total", "memory.used", "utilization.gpu", "clocks.current.graphics",
    "temperature.gpu", "power.draw",
)  # fmt: skip
_ASK_AGAIN_S = 10.0
"""Starting nvidia-smi costs tens of milliseconds; NVML is for who wants every second."""


class NvidiaGpus:
    """The GPUs that NVIDIA's own driver knows."""

    def __init__(self, source: MachineSource) -> None:
        self._source = source
        self._nvml: Any = None
        self._handles: list[tuple[str, Any]] = []
        self._asked_at = 0.0
        self._answer: Reading[list[dict[str, str]]] | None = None

    @property
    def has_nvml(self) -> bool:
        """Whether NVML tells of them, which counts energy; known after `describe`."""
        return self._nvml is not None

    def describe(self) -> Reading[tuple[Accelerator, ...]]:
        """What they are; the reason tells what was tried."""
        self._open_nvml()
        if self._nvml is not None:
            driver = _text(self._nvml.nvmlSystemGetDriverVersion())
            return known(
                tuple(
                    Accelerator(
                        key=key,
                        kind="gpu",
                        vendor=NVIDIA,
                        name=_text(self._nvml.nvmlDeviceGetName(handle)),
                        driver=known(f"nvidia {driver}"),
                        memory_bytes=self._ask(partial(self._total_memory, handle)),
                    )
                    for key, handle in self._handles
                )
            )
        rows = self._rows()
        if rows.value is None:
            return unknown(rows.reason)
        return known(
            tuple(
                Accelerator(
                    key=_bus_key(row["pci.bus_id"]),
                    kind="gpu",
                    vendor=NVIDIA,
                    name=row["name"],
                    driver=known(f"nvidia {row['driver_version']}"),
                    memory_bytes=_bytes(row, "memory.total"),
                )
                for row in rows.value
            )
        )

    def sample(self) -> list[AcceleratorSample]:
        """What they do now; at most ten seconds old where only nvidia-smi tells."""
        if self._nvml is not None:
            return [self._nvml_sample(key, handle) for key, handle in self._handles]
        rows = self._rows()
        return [
            AcceleratorSample(
                key=_bus_key(row["pci.bus_id"]),
                utilisation=_number(row, "utilization.gpu", 0.01),
                memory_used_bytes=_bytes(row, "memory.used"),
                frequency_hz=_whole(row, "clocks.current.graphics", 1_000_000),
                celsius=_number(row, "temperature.gpu", 1),
                power_watts=_number(row, "power.draw", 1),
            )
            for row in rows.value or ()
        ]

    def joules(self, key: str) -> Reading[float]:
        """What the GPU counted since its driver was loaded (Volta and later)."""
        handle = dict(self._handles).get(key)
        if handle is None:
            return unknown("only NVML tells a GPU's energy")
        return self._ask(lambda: self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000)

    def _open_nvml(self) -> None:
        if not self._source.is_live or self._nvml is not None:
            return
        try:
            pynvml: Any = import_module("pynvml")
        except ImportError:
            return
        try:
            pynvml.nvmlInit()
            for index in range(pynvml.nvmlDeviceGetCount()):
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                self._handles.append((_bus_key(_text(pynvml.nvmlDeviceGetPciInfo(handle).busId)), handle))
        except pynvml.NVMLError:
            self._handles.clear()
            return
        self._nvml = pynvml

    def _nvml_sample(self, key: str, handle: Any) -> AcceleratorSample:
        nvml = self._nvml
        return AcceleratorSample(
            key=key,
            utilisation=self._ask(lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100),
            memory_used_bytes=self._ask(lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used),
            frequency_hz=self._ask(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_GRAPHICS) * 1_000_000),
            celsius=self._ask(lambda: float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))),
            power_watts=self._ask(lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000),
        )

    def _total_memory(self, handle: Any) -> int:
        return int(self._nvml.nvmlDeviceGetMemoryInfo(handle).total)

    def _ask(self, question: Callable[[], Any]) -> Reading[Any]:
        try:
            return known(question())
        except self._nvml.NVMLError as error:
            return unknown(f"NVML: {error}")

    def _rows(self) -> Reading[list[dict[str, str]]]:
        now = time.monotonic()
        if self._answer is None or (self._answer.value is not None and now - self._asked_at >= _ASK_AGAIN_S):
            self._asked_at = now
            printed = self._source.command(
                "nvidia-smi", f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader,nounits"
            )
            self._answer = unknown(printed.reason) if printed.value is None else _parse(printed.value)
        return self._answer


def _parse(printed: str) -> Reading[list[dict[str, str]]]:
    rows = []
    for line in printed.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == len(_QUERY):
            rows.append(dict(zip(_QUERY, fields, strict=True)))
    return known(rows) if rows else unknown("nvidia-smi lists no GPU")


def _number(row: dict[str, str], key: str, factor: float) -> Reading[float]:
    try:
        return known(float(row[key]) * factor)
    except ValueError:
        return unknown(f"nvidia-smi says {row[key]} for {key}")


def _whole(row: dict[str, str], key: str, factor: int) -> Reading[int]:
    figure = _number(row, key, factor)
    return unknown(figure.reason) if figure.value is None else known(round(figure.value))


def _bytes(row: dict[str, str], key: str) -> Reading[int]:
    """nvidia-smi counts memory in MiB."""
    return _whole(row, key, 1024**2)


def _bus_key(bus_id: str) -> str:
    """`00000000:01:00.0` -> `0000:01:00.0`, as sysfs writes it."""
    domain, _, rest = bus_id.lower().partition(":")
    return f"{domain[-4:]}:{rest}"


def _text(value: str | bytes) -> str:
    """Older versions of nvidia-ml-py give bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
