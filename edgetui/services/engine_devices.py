"""What the installed engines can compute on, each asked in a process of its own: llama.cpp, ONNX Runtime, MLX."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from edgetui.core.accelerator_use import LLAMA_CPP, MLX, ONNX_RUNTIME, EngineDevices, llama_cpp_targets, mlx_note
from edgetui.core.failures import EdgetuiError
from edgetui.core.hardware import known, unknown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edgetui.worker.protocol import EngineInfo

ANSWER_LIMIT_S = 20.0
"""Loading a GPU's libraries from an SD card takes long; a wedged driver for ever."""
_ASK_ONNX_RUNTIME = "import onnxruntime as o; print(o.__version__, *o.get_available_providers(), sep='\\n')"
_ASK_MLX = (
    "import importlib.metadata as m, mlx.core as x; print(m.version('mlx'), x.default_device().type.name, sep='\\n')"
)


def toolchain_note(toolchain: str) -> str:
    """What to know of a toolchain's speed on this machine; empty where nothing speaks against it."""
    return mlx_note(platform.system(), platform.machine()) if toolchain == "mlx" else ""


class EngineProbe:
    """Asks each engine once; what is installed while edgetui runs is seen by the next run."""

    def __init__(self, engine_info: Callable[[], Awaitable[EngineInfo]]) -> None:
        self._engine_info = engine_info
        self._answer: tuple[EngineDevices, ...] | None = None

    async def describe(self) -> tuple[EngineDevices, ...]:
        """Every engine, installed or not; never raises, one that fails says how."""
        if self._answer is None:
            self._answer = tuple(
                await asyncio.gather(
                    self._llama_cpp(),
                    _ask_package(ONNX_RUNTIME, "onnxruntime", _ASK_ONNX_RUNTIME),
                    _ask_package(MLX, "mlx", _ASK_MLX, "mlx" if sys.platform == "darwin" else "'mlx[cpu]'"),
                )
            )
        return self._answer

    async def _llama_cpp(self) -> EngineDevices:
        try:
            info = await asyncio.wait_for(self._engine_info(), ANSWER_LIMIT_S)
        except (EdgetuiError, OSError) as error:
            return _silent(LLAMA_CPP, str(error))
        except asyncio.TimeoutError:
            return _silent(LLAMA_CPP, f"no answer within {ANSWER_LIMIT_S:.0f} s")
        return EngineDevices(
            engine=LLAMA_CPP,
            version=known(f"{info.build} (llama-cpp-python {info.version})"),
            targets=known(llama_cpp_targets(info.system_info, info.devices)),
        )


async def _ask_package(engine: str, package: str, question: str, installed_as: str = "") -> EngineDevices:
    """Version and targets that a package prints, one a line."""
    if await asyncio.to_thread(find_spec, package) is None:
        return _silent(engine, f"not installed: pip install {installed_as or package}")
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            question,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        return _silent(engine, f"no process could be started: {error.strerror}")
    try:
        out, err = await asyncio.wait_for(process.communicate(), ANSWER_LIMIT_S)
    except asyncio.TimeoutError:
        return _silent(engine, f"no answer within {ANSWER_LIMIT_S:.0f} s")
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    lines = [line.strip() for line in out.decode("utf-8", "replace").splitlines() if line.strip()]
    if process.returncode or not lines:
        said = err.decode("utf-8", "replace").strip().splitlines()
        return _silent(engine, f"does not load: {said[-1] if said else f'status {process.returncode}'}")
    return EngineDevices(engine=engine, version=known(lines[0]), targets=known(tuple(lines[1:])))


def _silent(engine: str, reason: str) -> EngineDevices:
    return EngineDevices(engine=engine, version=unknown(reason), targets=unknown(reason))
