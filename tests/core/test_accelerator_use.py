"""What each engine can use, and the step that is missing otherwise."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from edgetui.core.accelerator_use import EngineDevices, engine_facts, llama_cpp_targets, mlx_note, use_text
from edgetui.core.hardware import Accelerator, Reading, known, unknown

CPU_ONLY = EngineDevices(engine="llama.cpp", version=known("0.5"), targets=known(("CPU",)))
NO_ONNX = EngineDevices(engine="ONNX Runtime", version=unknown("not installed"), targets=unknown("not installed"))


def accelerator(vendor: str, kind: Literal["gpu", "npu"] = "gpu", driver: Reading[str] | None = None) -> Accelerator:
    return Accelerator(
        key="0", kind=kind, vendor=vendor, name="x", driver=driver or known("d"), memory_bytes=unknown("-")
    )


def test_backends_are_those_of_the_feature_line_and_of_the_devices() -> None:
    line = "CUDA : ARCHS = 890 | USE_GRAPHS = 1 | CPU : SSE3 = 1 | LLAMAFILE = 1"
    assert llama_cpp_targets(line, ("CUDA0: NVIDIA L4", "CPU: AMD EPYC")) == ("CUDA", "CPU")
    assert llama_cpp_targets("MTL : EMBED_LIBRARY = 1 | CPU : NEON = 1", ("MTL0: Apple M2",)) == ("Metal", "CPU")
    assert llama_cpp_targets("CPU : NEON = 1", ("Vulkan0: Mali-G610", "CPU: x")) == ("CPU", "Vulkan")


@pytest.mark.parametrize(
    ("vendor", "flag"), [("NVIDIA", "GGML_CUDA"), ("AMD", "GGML_HIP"), ("Intel", "GGML_VULKAN"), ("ARM", "GGML_VULKAN"),
                         ("Broadcom", "GGML_VULKAN"), ("Qualcomm", "GGML_OPENCL")]
)  # fmt: skip
def test_a_gpu_that_the_build_leaves_out_names_the_flag(vendor: str, flag: str) -> None:
    text = use_text(accelerator(vendor), (CPU_ONLY, NO_ONNX))
    assert f'CMAKE_ARGS="-D{flag}=ON" pip install' in text


def test_a_gpu_that_a_backend_serves_is_usable() -> None:
    built = EngineDevices(engine="llama.cpp", version=known("0.5"), targets=known(("CUDA", "CPU")))
    onnx = EngineDevices(
        engine="ONNX Runtime", version=known("1.23"), targets=known(("CUDAExecutionProvider", "CPUExecutionProvider"))
    )
    assert use_text(accelerator("NVIDIA"), (built, onnx)) == (
        "usable by llama.cpp (CUDA), ONNX Runtime (CUDAExecutionProvider)"
    )


def test_a_jetson_is_pointed_at_the_wheels_that_run_there() -> None:
    tegra = msgspec.structs.replace(accelerator("NVIDIA"), name="Tegra Orin (Ampere)")
    text = use_text(tegra, (CPU_ONLY, NO_ONNX))
    assert "-DGGML_CUDA=ON" in text and "wheel for this JetPack" in text and "mlx" not in text


def test_vulkan_needs_a_driver_beside_the_backend() -> None:
    built = EngineDevices(engine="llama.cpp", version=known("0.5"), targets=known(("Vulkan", "CPU")))
    assert use_text(accelerator("ARM"), (built,)) == "usable by llama.cpp (Vulkan)"
    assert "no Vulkan driver" in use_text(accelerator("ARM"), (built,), has_vulkan=False)
    assert use_text(accelerator("ARM"), (CPU_ONLY,), has_vulkan=False).endswith("sudo apt install mesa-vulkan-drivers")


@pytest.mark.parametrize(
    ("vendor", "words"),
    [
        ("Intel", "ONNX Runtime is not installed: pip install onnxruntime-openvino"),
        ("AMD", "the wheel of AMD's Ryzen AI software"),
        ("Qualcomm", "pip install onnxruntime-qnn"),
        ("Rockchip", "no engine of edgetui can use it: its models are converted and run by Rockchip's rknn-llm"),
        ("Hailo", "HailoRT alone"),
        ("Google", "no language model"),
        ("somebody", "no engine of edgetui can use it"),
    ],
)
def test_an_npu_names_what_is_missing_or_whose_runtime_it_needs(vendor: str, words: str) -> None:
    assert words in use_text(accelerator(vendor, "npu"), (CPU_ONLY, NO_ONNX))


def test_an_npu_without_a_driver_is_not_usable_whatever_is_installed() -> None:
    npu = accelerator("Intel", "npu", unknown("no driver serves it: intel_vpu is not loaded"))
    assert use_text(npu, (CPU_ONLY,)) == "not usable, no driver serves it: intel_vpu is not loaded"


def test_an_engine_that_is_missing_says_how_it_comes() -> None:
    missing = EngineDevices(
        engine="MLX", version=unknown("not installed: pip install mlx"), targets=unknown("not installed")
    )
    assert engine_facts((CPU_ONLY, missing)) == [
        ("ENGINES", "llama.cpp 0.5: CPU"),
        ("", "MLX - (not installed: pip install mlx)"),
    ]


def test_mlx_is_said_to_be_slow_wherever_there_is_no_apple_silicon() -> None:
    assert mlx_note("Darwin", "arm64") == ""
    for system, machine in (("Darwin", "x86_64"), ("Linux", "aarch64"), ("Linux", "x86_64")):
        assert mlx_note(system, machine).startswith("MLX is slow here")
