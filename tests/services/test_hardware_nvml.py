"""NVIDIA GPUs through NVML, with a stand-in for the library: this machine has no such GPU.

The stand-in has nvidia-ml-py's names and the units that NVML's reference documents (MHz, mW, bytes, percent).
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgetui.meters.nvidia import NvidiaGpus
from edgetui.meters.source import MachineSource
from edgetui.services.hardware.accelerators import Accelerators


class NVMLError(Exception):
    """As in the library."""


def power_is_not_supported(handle: object) -> int:
    raise NVMLError("Not Supported")


def library(**changes: Any) -> SimpleNamespace:
    names: dict[str, Any] = {
        "NVMLError": NVMLError,
        "NVML_CLOCK_GRAPHICS": 0,
        "NVML_TEMPERATURE_GPU": 0,
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: f"handle {index}",
        "nvmlDeviceGetPciInfo": lambda handle: SimpleNamespace(busId=b"00000000:01:00.0"),
        "nvmlSystemGetDriverVersion": lambda: "570.86.15",
        "nvmlDeviceGetName": lambda handle: b"NVIDIA GeForce RTX 4060 Laptop GPU",
        "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(total=8 * 1024**3, used=1024**3),
        "nvmlDeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=42, memory=7),
        "nvmlDeviceGetClockInfo": lambda handle, kind: 2370,
        "nvmlDeviceGetTemperature": lambda handle, sensor: 61,
        "nvmlDeviceGetPowerUsage": power_is_not_supported,
    }
    return SimpleNamespace(**{**names, **changes})


@pytest.fixture
def gpus() -> NvidiaGpus:
    return NvidiaGpus(MachineSource(Path("/")))


def test_nvml_tells_what_each_gpu_is_and_does(gpus: NvidiaGpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", library())
    described = gpus.describe().value
    assert described is not None
    assert described[0].key == "0000:01:00.0"
    assert described[0].name == "NVIDIA GeForce RTX 4060 Laptop GPU"
    assert described[0].memory_bytes.value == 8 * 1024**3
    sample = gpus.sample()[0]
    assert sample.key == described[0].key
    assert (sample.utilisation.value, sample.frequency_hz.value, sample.celsius.value) == (0.42, 2_370_000_000, 61.0)


def test_a_figure_that_the_gpu_lacks_is_missing_alone(gpus: NvidiaGpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", library())
    gpus.describe()
    sample = gpus.sample()[0]
    assert sample.power_watts.value is None and sample.power_watts.reason == "NVML: Not Supported"
    assert sample.memory_used_bytes.value == 1024**3


def test_without_a_driver_nvidia_smi_is_asked_instead(
    gpus: NvidiaGpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_driver() -> None:
        raise NVMLError("Driver Not Loaded")

    monkeypatch.setitem(sys.modules, "pynvml", library(nvmlInit=no_driver))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus.describe().reason == "nvidia-smi not installed"
    smi = tmp_path / "nvidia-smi"
    smi.write_text('#!/bin/sh\necho "couldn\'t communicate with the NVIDIA driver"\nexit 9\n')
    smi.chmod(0o755)
    again = NvidiaGpus(MachineSource(Path("/")))
    assert again.describe().reason == "nvidia-smi failed: couldn't communicate with the NVIDIA driver"


def test_a_gpu_is_a_power_meter_that_counts_energy_from_the_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = {"handle 0": 5_000_000}
    monkeypatch.setitem(
        sys.modules,
        "pynvml",
        library(
            nvmlDeviceGetPowerUsage=lambda handle: 61_500,
            nvmlDeviceGetTotalEnergyConsumption=lambda handle: counted[handle],
        ),
    )
    accelerators = Accelerators(MachineSource(Path("/")))
    accelerators.meters(accelerators.sample())
    counted["handle 0"] += 123_000
    meter = accelerators.meters(accelerators.sample())[0]
    assert meter.label == "NVIDIA GeForce RTX 4060 Laptop GPU"
    assert (meter.watts.value, meter.joules.value) == (61.5, 123.0)
