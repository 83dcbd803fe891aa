"""What each engine can compute on here, and what is missing to use an accelerator with it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edgetui.core.hardware_text import Fact, accelerator_name
from edgetui.core.reading import Reading
from edgetui.core.units import MISSING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.hardware import Accelerator, MachineInfo

LLAMA_CPP, ONNX_RUNTIME, MLX = "llama.cpp", "ONNX Runtime", "MLX"
_BACKEND = re.compile(r"(?:^|\| )([A-Za-z][\w ]*?) : ")
"""How llama.cpp's feature line begins each backend's part."""
_REBUILD = (
    'CMAKE_ARGS="-D{flag}=ON" pip install --force-reinstall --no-cache-dir'
    " --no-binary llama-cpp-python llama-cpp-python"
)
_VULKAN_DRIVERS = "sudo apt install mesa-vulkan-drivers"
_SAME_BACKEND = {"MTL": "Metal", "ROCm": "HIP", "HTP": "Hexagon"}


class EngineDevices(msgspec.Struct, frozen=True, kw_only=True):
    """One engine as it is installed."""

    engine: str
    version: Reading[str]
    """Missing when it is not installed; the reason says how it would be."""
    targets: Reading[tuple[str, ...]]
    """Backends, execution providers or devices that it offers here."""


class _Way(NamedTuple):
    """One way to use an accelerator."""

    engine: str
    target: str
    how: str
    """Flag of llama.cpp's build, package of ONNX Runtime or MLX."""


_GPU_WAYS = {
    "NVIDIA": (
        _Way(LLAMA_CPP, "CUDA", "GGML_CUDA"),
        _Way(ONNX_RUNTIME, "CUDAExecutionProvider", "onnxruntime-gpu"),
        _Way(MLX, "gpu", "mlx[cuda]"),
    ),
    "AMD": (
        _Way(LLAMA_CPP, "HIP", "GGML_HIP"),
        _Way(LLAMA_CPP, "Vulkan", "GGML_VULKAN"),
        _Way(ONNX_RUNTIME, "MIGraphXExecutionProvider", "onnxruntime-migraphx"),
    ),
    "Intel": (
        _Way(LLAMA_CPP, "Vulkan", "GGML_VULKAN"),
        _Way(LLAMA_CPP, "SYCL", "GGML_SYCL"),
        _Way(ONNX_RUNTIME, "OpenVINOExecutionProvider", "onnxruntime-openvino"),
    ),
    "Apple": (
        _Way(LLAMA_CPP, "Metal", "GGML_METAL"),
        _Way(MLX, "gpu", "mlx"),
        _Way(ONNX_RUNTIME, "CoreMLExecutionProvider", "onnxruntime"),
    ),
    "Qualcomm": (_Way(LLAMA_CPP, "OpenCL", "GGML_OPENCL"), _Way(LLAMA_CPP, "Vulkan", "GGML_VULKAN")),
}
_JETSON = (
    _Way(LLAMA_CPP, "CUDA", "GGML_CUDA"),
    _Way(ONNX_RUNTIME, "CUDAExecutionProvider", "NVIDIA's onnxruntime-gpu wheel for this JetPack"),
)
_OTHER_GPU = (_Way(LLAMA_CPP, "Vulkan", "GGML_VULKAN"),)
_NPU_WAYS = {
    "Intel": (_Way(ONNX_RUNTIME, "OpenVINOExecutionProvider", "onnxruntime-openvino"),),
    "AMD": (_Way(ONNX_RUNTIME, "VitisAIExecutionProvider", "the wheel of AMD's Ryzen AI software"),),
    "Qualcomm": (
        _Way(ONNX_RUNTIME, "QNNExecutionProvider", "onnxruntime-qnn"),
        _Way(LLAMA_CPP, "Hexagon", "GGML_HEXAGON"),
    ),
    "Apple": (_Way(ONNX_RUNTIME, "CoreMLExecutionProvider", "onnxruntime"),),
}
_OWN_RUNTIMES = {
    "Rockchip": "its models are converted and run by Rockchip's rknn-llm (RKLLM) alone",
    "Hailo": "its models are compiled and run by Hailo's own HailoRT alone",
    "Google": "it runs TensorFlow Lite models of a few MiB alone, no language model",
}


def llama_cpp_targets(system_info: str, devices: Sequence[str]) -> tuple[str, ...]:
    """Backends that are compiled in: those of the feature line and those of the devices, `CUDA0: NVIDIA L4`."""
    named = [*_BACKEND.findall(system_info), *(device.split(":")[0].rstrip("0123456789") for device in devices)]
    return tuple(dict.fromkeys(_SAME_BACKEND.get(name, name) for name in named if name))


def engine_facts(engines: Sequence[EngineDevices]) -> list[Fact]:
    """Each engine with what it offers."""
    facts: list[Fact] = []
    for engine in engines:
        text = f"{engine.engine} "
        if engine.version.value is None:
            text += f"{MISSING} ({engine.version.reason})"
        elif engine.targets.value is None:
            text += f"{engine.version.value}: {MISSING} ({engine.targets.reason})"
        else:
            text += f"{engine.version.value}: {', '.join(engine.targets.value)}"
        facts.append(Fact("" if facts else "ENGINES", text))
    return facts


def use_facts(info: MachineInfo, engines: Sequence[EngineDevices]) -> list[Fact]:
    """For each GPU and NPU what can use it now, else what is missing; nothing where there is neither."""
    facts: list[Fact] = []
    has_vulkan = any(not driver.is_software for driver in info.vulkan_drivers.value or ())
    for accelerator in (*(info.gpus.value or ()), *(info.npus.value or ())):
        text = use_text(accelerator, engines, has_vulkan=has_vulkan)
        facts.append(Fact("" if facts else "USE", f"{accelerator_name(accelerator)}: {text}"))
    return facts


def use_text(accelerator: Accelerator, engines: Sequence[EngineDevices], *, has_vulkan: bool = True) -> str:
    """One sentence: the engines that can use it, or the nearest way to it; Vulkan needs a driver beside the engine."""
    if accelerator.kind == "npu" and accelerator.driver.value is None and accelerator.vendor != "Apple":
        return f"not usable, {accelerator.driver.reason}"
    if accelerator.kind == "npu" and accelerator.vendor in _OWN_RUNTIMES:
        return f"no engine of edgetui can use it: {_OWN_RUNTIMES[accelerator.vendor]}"
    ways = _ways(accelerator)
    if not ways:
        return "no engine of edgetui can use it"
    offered = {engine.engine: engine for engine in engines}
    built = [way for way in ways if way.target in _targets(offered, way.engine)]
    usable = [way for way in built if has_vulkan or way.target != "Vulkan"]
    if built and not usable:
        return f"{built[0].engine} has Vulkan, but no Vulkan driver for it is installed: {_VULKAN_DRIVERS}"
    if usable:
        return "usable by " + ", ".join(f"{way.engine} ({way.target})" for way in usable)
    steps = [_missing(way, offered.get(way.engine)) for way in _one_an_engine(ways)]
    if not has_vulkan and any(way.target == "Vulkan" for way in _one_an_engine(ways)):
        steps.append(f"no Vulkan driver is installed: {_VULKAN_DRIVERS}")
    return "; ".join(steps)


def mlx_note(system: str, machine: str) -> str:
    """What to know of MLX's speed, by the names that `platform` gives; empty on Apple silicon, its fast path."""
    if (system, machine) == ("Darwin", "arm64"):
        return ""
    return (
        "MLX is slow here: without Apple silicon it computes on one core, about a token a second; quantizing takes"
        " seconds all the same, learned quantization and measuring take minutes and more"
    )


def _ways(accelerator: Accelerator) -> Sequence[_Way]:
    if accelerator.kind == "npu":
        return _NPU_WAYS.get(accelerator.vendor, ())
    if accelerator.name.startswith("Tegra"):
        return _JETSON
    return _GPU_WAYS.get(accelerator.vendor, _OTHER_GPU)


def _targets(offered: dict[str, EngineDevices], engine: str) -> tuple[str, ...]:
    return offered[engine].targets.value or () if engine in offered else ()


def _one_an_engine(ways: Sequence[_Way]) -> list[_Way]:
    """The first way of each engine: the one that serves most."""
    return list({way.engine: way for way in reversed(ways)}.values())[::-1]


def _missing(way: _Way, engine: EngineDevices | None) -> str:
    if way.engine == LLAMA_CPP:
        return f"llama.cpp is built without {way.target}: {_REBUILD.format(flag=way.how)}"
    installed = engine is not None and engine.version.value is not None
    lack = f"{way.engine} has no {way.target}" if installed else f"{way.engine} is not installed"
    return f"{lack}: {way.how if ' ' in way.how else f'pip install {_quoted(way.how)}'}"


def _quoted(package: str) -> str:
    return f"'{package}'" if "[" in package else package
