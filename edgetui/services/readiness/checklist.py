"""Runs every check at once; each tells its line as soon as it is there, and fails alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.failures import EdgetuiError
from edgetui.core.readiness import Check, Report
from edgetui.services.hardware import HardwareMonitor
from edgetui.services.readiness import engines, environment, machine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from edgetui.config import Paths, Settings
    from edgetui.worker.protocol import EngineInfo

CHECK_LIMIT_S = 60.0
"""An engine that hangs while it loads must not hang the checklist."""


class _Line(NamedTuple):
    key: str
    title: str
    check: Callable[[], Awaitable[Check]]


class Readiness:
    """The checklist of this installation on this machine."""

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        engine_info: Callable[[], Awaitable[EngineInfo]],
        hardware: HardwareMonitor | None = None,
    ) -> None:
        """`engine_info` asks a worker; `hardware` is the machine to judge, this one by default."""
        hardware = hardware or HardwareMonitor()
        self._lines = (
            _Line("python", "Python", environment.check_python),
            _Line("venv", "Environment", environment.check_virtual_environment),
            _Line("engine", "llama.cpp", lambda: engines.check_llama_cpp(engine_info, hardware)),
            _Line("demo_model", "Demo model", engines.check_demo_model),
            _Line("models_folder", "Models folder", lambda: machine.check_models_folder(settings, paths)),
            _Line("disk", "Free disk", lambda: machine.check_disk(paths)),
            _Line("memory", "Memory", lambda: machine.check_memory(hardware)),
            _Line("cpu", "Processor", lambda: machine.check_processor(hardware)),
            _Line("terminal", "Terminal", environment.check_terminal),
            _Line("compiler", "C++ compiler", environment.check_compiler),
            _Line("git", "Git", environment.check_git),
        )

    @property
    def titles(self) -> dict[str, str]:
        """Key to title of every line, in order."""
        return {line.key: line.title for line in self._lines}

    async def run(self) -> AsyncGenerator[Check, None]:
        """Every line once, in the order they finish; never raises. Close the iterator to stop early."""
        tasks = [asyncio.create_task(self._run_line(line)) for line in self._lines]
        try:
            for finished in asyncio.as_completed(tasks):
                yield await finished
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def report(self) -> Report:
        """All lines in the checklist's order."""
        found = {check.key: check async for check in self.run()}
        return Report(tuple(found[line.key] for line in self._lines))

    async def _run_line(self, line: _Line) -> Check:
        try:
            return await asyncio.wait_for(line.check(), CHECK_LIMIT_S)
        except asyncio.TimeoutError:
            reason = f"no answer within {CHECK_LIMIT_S:.0f} s"
        except EdgetuiError as error:
            reason = str(error)
        except Exception as error:
            # One check's fault must not hide the others' lines; the person sees it as what could not be told.
            reason = f"the check failed ({type(error).__name__}: {error})"
        return Check(
            key=line.key,
            title=line.title,
            state="unknown",
            found=reason,
            needed="a value that can be read",
            why="Nothing is taken for good unseen.",
            action="Press r on the Readiness screen, or run edgetui doctor, to look again.",
        )
