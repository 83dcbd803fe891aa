"""Proving a toolchain by a self-test in a process of its environment, and of llama.cpp on what the converter wrote."""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import LoadSettings
from edgetui.core.toolchain_text import broken_toolchain
from edgetui.core.toolchains import ToolchainProof
from edgetui.worker import spawn
from edgetui.worker.protocol import EstimateMemory, MemoryEstimated, Proved
from edgetui.worker.session import session_worker

if TYPE_CHECKING:
    from edgetui.core.toolchains import ToolchainStatus

LIMIT_S = 180.0
"""Loading torch from an SD card takes long; a wedged import for ever."""
_INVENTORY = """
import importlib.metadata, json, sys
packages = {found.metadata["Name"]: found.version for found in importlib.metadata.distributions() if found.metadata}
print(json.dumps([".".join(map(str, sys.version_info[:3])), packages]))
"""


async def prove(status: ToolchainStatus, log_dir: Path) -> ToolchainProof:
    """Run the self-test; raises `EdgetuiError`: `engine_missing`, `crashed`, each with what to do."""
    began = time.monotonic()
    python = Path(status.folder) / "bin" / "python"
    await _require_as_made(status, python)
    with tempfile.TemporaryDirectory(prefix="edgetui-") as folder:
        proved = await _asked(status, python, folder)
        if proved.failure is not None:
            raise broken_toolchain(status.name, proved.failure.message, proved.failure.detail)
        found = proved.found
        model = Path(folder) / "tiny.gguf"
        if status.name == "gguf":
            found += await _read_by_llama_cpp(model, log_dir)
    return ToolchainProof(name=status.name, found=found, duration_s=time.monotonic() - began)


async def _require_as_made(status: ToolchainStatus, python: Path) -> None:
    """The interpreter and the packages must be those that the mark names."""
    mark = status.mark
    assert mark is not None, "a toolchain without a mark is broken"
    out, err = await _output(status.name, [str(python), "-I", "-c", _INVENTORY])
    try:
        version, packages = msgspec.json.decode(out, type=tuple[str, dict[str, str]])
    except msgspec.MsgspecError:
        raise broken_toolchain(status.name, f"its Python does not start: {_last_line(err)}") from None
    # Packages of one Python's environment are not seen by another's interpreter.
    if version.split(".")[:2] != mark.python.split(".")[:2]:
        raise broken_toolchain(status.name, f"it was made with Python {mark.python}, and its Python is {version} now")
    for name, wanted in mark.versions.items():
        if (found := packages.get(name)) != wanted:
            reason = f"is {found} now, not {wanted}" if found else "is gone"
            raise broken_toolchain(status.name, f"its package {name} {reason}")


async def _asked(status: ToolchainStatus, python: Path, folder: str) -> Proved:
    command = spawn.interpreter_command("edgetui.worker.toolchain_self_test", status.name, folder, python=python)
    out, err = await _output(status.name, command)
    lines = out.decode("utf-8", "replace").strip().splitlines()
    try:
        return msgspec.json.decode(lines[-1] if lines else "", type=Proved)
    except msgspec.MsgspecError:
        detail = err.decode("utf-8", "replace")
        raise broken_toolchain(
            status.name, f"its self-test ended without a result: {_last_line(err)}", detail
        ) from None


async def _output(name: str, command: list[str]) -> tuple[bytes, bytes]:
    """What a process of the environment prints; it is ended with us and by the time limit."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=spawn.WORKING_DIRECTORY,
            env=spawn.toolchain_environment(),
        )
    except OSError as error:
        raise broken_toolchain(name, f"its Python does not start: {error.strerror}") from error
    try:
        return await asyncio.wait_for(process.communicate(), LIMIT_S)
    except asyncio.TimeoutError as error:
        raise broken_toolchain(name, f"its self-test does not end within {LIMIT_S:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _read_by_llama_cpp(model: Path, log_dir: Path) -> str:
    """Let llama.cpp itself read the header, tensors and vocabulary of what the converter wrote."""
    command = EstimateMemory(path=str(model), settings=(LoadSettings(context_tokens=32),))
    async with session_worker(log_dir) as worker, aclosing(worker.request(command)) as events:
        async for event in events:
            if isinstance(event, MemoryEstimated):
                return "; llama.cpp reads it"
    raise EdgetuiError("crashed", f"llama.cpp says nothing of {model.name}: try again.")


def _last_line(text: bytes) -> str:
    lines = [line.strip() for line in text.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it says nothing"
