"""Environments of the toolchains: what there is, making one, removing one, proving one."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import shutil
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.core.toolchain_text import no_space, what_to_do
from edgetui.core.toolchains import Toolchain, ToolchainProof, ToolchainStatus
from edgetui.core.units import MIB
from edgetui.store.job_folder import JobFolder
from edgetui.store.toolchain_folder import claim, read_mark, remove_environment, remove_leftovers
from edgetui.worker.requests import ToolchainRequest

if TYPE_CHECKING:
    from edgetui.config import Paths, Settings
    from edgetui.core.jobs import JobRecord
    from edgetui.services.hardware import HardwareMonitor
    from edgetui.services.jobs import Jobs


@cache
def read_toolchains() -> tuple[Toolchain, ...]:
    """Every toolchain with its pins, in the order of `edgetui/data/toolchains.toml`."""
    import tomlkit

    data = files("edgetui") / "data"
    text = (data / "toolchains.toml").read_text(encoding="utf-8")
    found = msgspec.convert(tomlkit.parse(text).unwrap()["toolchain"], tuple[Toolchain, ...])
    return tuple(msgspec.structs.replace(each, pins=_pins(each.name)) for each in found)


def _pins(name: str) -> tuple[str, ...]:
    text = (files("edgetui") / "data" / "toolchains" / f"{name}.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


class Toolchains:
    """The toolchains of this machine; `Jobs` lists, watches and cancels an installation."""

    def __init__(self, settings: Settings, paths: Paths, jobs: Jobs, hardware: HardwareMonitor) -> None:
        self._settings = settings
        self._paths = paths
        self._jobs = jobs
        self._hardware = hardware

    async def list(self) -> tuple[ToolchainStatus, ...]:
        """Every toolchain, installed or not."""
        return await asyncio.to_thread(lambda: tuple(self._status(each) for each in read_toolchains()))

    async def status(self, name: str) -> ToolchainStatus:
        """One toolchain; raises `EdgetuiError("not_found")` for a name that is none."""
        return await asyncio.to_thread(self._status, _toolchain(name))

    async def installation(self, name: str) -> JobRecord | None:
        """The job that is installing it just now."""
        running = (job for job in await self._jobs.list() if job.is_running and job.kind == "toolchain")
        return next((job for job in running if job.subject == name), None)

    async def install(self, name: str) -> JobRecord:
        """Start making the environment, in place of the one that may be there.

        Raises `EdgetuiError`: `not_found`, `busy`, `no_space`, `no_permission`.
        """
        toolchain = _toolchain(name)
        await self._require_idle(toolchain.name)
        takes_cuda = toolchain.needs_torch and await self._has_nvidia_gpu()
        needed = (toolchain.installing_mib + (toolchain.cuda_mib if takes_cuda else 0)) * MIB
        folder = self._paths.toolchains_dir / toolchain.name
        await asyncio.to_thread(self._require_room, toolchain.name, needed)
        converter = _converter_version() if toolchain.has_converter else ""
        return await self._jobs.start(
            ToolchainRequest(
                name=toolchain.name,
                folder=str(folder),
                pins=toolchain.pins,
                digest=toolchain.digest(converter),
                converter=converter,
                converter_build=toolchain.converter_build,
                index=self._settings.toolchain_index,
                takes_cuda=takes_cuda,
                installing_bytes=needed,
                headroom_bytes=self._settings.disk_headroom_bytes,
            )
        )

    async def remove(self, name: str) -> int:
        """Remove the environment, whole or broken; returns the bytes that it took.

        Raises `EdgetuiError`: `not_found` also where there is nothing to remove, `busy`, `no_permission`.
        """
        toolchain = _toolchain(name)
        await self._require_idle(toolchain.name)
        return await asyncio.to_thread(self._remove, self._paths.toolchains_dir / toolchain.name)

    async def test(self, name: str) -> ToolchainProof:
        """Prove that it works, in a process of its own.

        Raises `EdgetuiError`: `not_found`, and `engine_missing` or `crashed` for one that is absent or broken, with
        what to do.
        """
        from edgetui.services.toolchain_proof import prove

        status = await self.status(name)
        if status.state in ("absent", "broken"):
            reason = f"broken ({status.reason})" if status.reason else "not installed"
            raise EdgetuiError(
                "engine_missing", f"The toolchain {status.name} is {reason}: run `{what_to_do(status)}`."
            )
        return await prove(status, self._paths.log_dir)

    # --- how ----------------------------------------------------------------------------------------------

    def _status(self, toolchain: Toolchain) -> ToolchainStatus:
        folder = self._paths.toolchains_dir / toolchain.name
        status = ToolchainStatus(toolchain=toolchain, state="absent", folder=str(folder))
        if not folder.exists():
            if folder.is_symlink():
                return msgspec.structs.replace(status, state="broken", reason="its link leads nowhere")
            return status
        try:
            mark = read_mark(folder)
        except EdgetuiError as error:
            return msgspec.structs.replace(status, state="broken", reason=str(error))
        status = msgspec.structs.replace(status, mark=mark)
        python = folder / "bin" / "python"
        if mark is None:
            return msgspec.structs.replace(status, state="broken", reason="it is not complete")
        if not python.exists():
            return msgspec.structs.replace(status, state="broken", reason="the Python that it was made with is gone")
        if mark.digest != toolchain.digest(_converter_version() if toolchain.has_converter else ""):
            return msgspec.structs.replace(status, state="outdated", reason="other versions are pinned now")
        return msgspec.structs.replace(status, state="ready")

    async def _require_idle(self, name: str) -> None:
        if (job := await self.installation(name)) is not None:
            raise EdgetuiError("busy", f"Job {job.job_id} is installing {name} just now: wait for it or cancel it.")
        running = [job for job in await self._jobs.list() if job.is_running]
        for job in running:
            folder = JobFolder(self._paths.jobs_dir / job.job_id)
            if name in await asyncio.to_thread(_toolchains_of, folder):
                raise EdgetuiError("busy", f"Job {job.job_id} works with {name} just now: wait for it or cancel it.")

    async def _has_nvidia_gpu(self) -> bool:
        gpus = (await self._hardware.describe()).gpus.value or ()
        return any("nvidia" in f"{gpu.vendor} {gpu.name}".lower() for gpu in gpus)

    def _require_room(self, name: str, needed: int) -> None:
        folder = self._paths.toolchains_dir
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            raise EdgetuiError("no_permission", f"The folder {existing} cannot be written: make it writable.")
        free, headroom = shutil.disk_usage(existing).free, self._settings.disk_headroom_bytes
        if free < needed + headroom:
            raise no_space(name, folder, needed, headroom, free)

    def _remove(self, folder: Path) -> int:
        if not os.path.lexists(folder):
            raise EdgetuiError(
                "not_found", f"The toolchain {folder.name} is not installed: there is nothing to remove."
            )
        size = _size_bytes(folder)
        try:
            with claim(folder):
                remove_environment(folder)
                remove_leftovers(folder)
        except OSError as error:
            raise EdgetuiError(
                "no_permission", f"{folder} cannot be removed ({error.strerror}): make {folder.parent} writable."
            ) from error
        return size


def _toolchain(name: str) -> Toolchain:
    toolchains = {each.name: each for each in read_toolchains()}
    if name.lower() not in toolchains:
        raise EdgetuiError(
            "not_found", f"There is no toolchain {plain_line(name)!r}; there are {', '.join(toolchains)}."
        )
    return toolchains[name.lower()]


def _converter_version() -> str:
    """Version of the llama-cpp-python that the converter must fit, without what a build adds to it."""
    try:
        return importlib.metadata.version("llama-cpp-python").partition("+")[0]
    except importlib.metadata.PackageNotFoundError as error:
        raise EdgetuiError(
            "engine_missing", "llama-cpp-python is not installed, and the converter must fit it: install it first."
        ) from error


def _toolchains_of(folder: JobFolder) -> set[str]:
    """Environments that a running job, or a step of it, may be using."""
    names = set()
    steps = [JobFolder(path) for path in folder.steps_dir.iterdir()] if folder.steps_dir.is_dir() else []
    for each in (folder, *steps):
        try:
            names.add(each.order().request.toolchain)
        except EdgetuiError:
            continue
    return names


def _size_bytes(folder: Path) -> int:
    if folder.is_symlink():
        return 0
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
