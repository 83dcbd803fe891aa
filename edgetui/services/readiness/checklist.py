"""Runs every check at once; each tells its line as soon as it is there, and fails alone."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.readiness import Check, Report, toolchain_key
from edgetui.services.hardware import HardwareMonitor
from edgetui.services.readiness import accounts, engines, environment, machine, operating_system, self_tests, tools
from edgetui.services.readiness.toolchains import check_toolchain
from edgetui.services.toolchains import read_toolchains

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from edgetui.config import Paths, Settings
    from edgetui.services.toolchains import Toolchains
    from edgetui.worker.protocol import EngineInfo

CHECK_LIMIT_S = 60.0
"""An engine that hangs while it loads must not hang the checklist."""
PYTHON, MACHINE, ENGINES, TOOLCHAINS, TOOLS, HUB, CLOUD, PROOFS = (
    "Python", "Machine", "Engines", "Toolchains, optional", "Tools of the course", "Hugging Face", "Clouds, optional",
    "Self-tests",
)  # fmt: skip


class _Line(NamedTuple):
    group: str
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
        toolchains: Toolchains | None = None,
    ) -> None:
        """`engine_info` asks a worker; `hardware` is the machine to judge, this one by default.

        Without `toolchains` there are no lines for them.
        """
        hardware = hardware or HardwareMonitor()
        self._lines = (
            _Line(PYTHON, "python", "Python", environment.check_python),
            _Line(PYTHON, "venv", "Environment", environment.check_virtual_environment),
            _Line(MACHINE, "system", "System", operating_system.check_operating_system),
            _Line(MACHINE, "architecture", "Architecture", operating_system.check_architecture),
            _Line(MACHINE, "cpu", "Processor", lambda: machine.check_processor(hardware)),
            _Line(MACHINE, "memory", "Memory", lambda: machine.check_memory(hardware)),
            _Line(MACHINE, "disk", "Free disk", lambda: machine.check_disk(paths)),
            _Line(MACHINE, "models_folder", "Models folder", lambda: machine.check_models_folder(settings, paths)),
            _Line(MACHINE, "terminal", "Terminal", environment.check_terminal),
            _Line(ENGINES, "engine", "llama.cpp", lambda: engines.check_llama_cpp(engine_info, hardware)),
            _Line(ENGINES, "demo_model", "Demo model", engines.check_demo_model),
            _Line(ENGINES, "onnx", "ONNX Runtime", engines.check_onnx_runtime),
            _Line(ENGINES, "compiler", "C++ compiler", tools.check_compiler),
            *(
                _Line(TOOLCHAINS, toolchain_key(each.name), each.title, partial(check_toolchain, toolchains, each.name))
                for each in read_toolchains()
                if toolchains is not None
            ),
            _Line(TOOLS, "dotnet", ".NET SDK", tools.check_dotnet),
            _Line(TOOLS, "git", "Git", tools.check_git),
            _Line(TOOLS, "editor", "Editor", tools.check_editor),
            _Line(HUB, "hub", "Hub", accounts.check_hub),
            _Line(HUB, "account", "HF account", accounts.check_account),
            _Line(CLOUD, "azure", "Azure ML CLI", tools.check_azure),
            _Line(CLOUD, "notebooks", "Colab, Kaggle", tools.check_notebooks),
        )
        self._proofs = (
            _Line(PROOFS, "proof_product", "llama.cpp", lambda: self_tests.prove_llama_cpp_product(paths.log_dir)),
            _Line(PROOFS, "proof_tokens", "llama.cpp chat", lambda: self_tests.prove_llama_cpp_tokens(paths.log_dir)),
            _Line(PROOFS, "proof_onnx", "ONNX Runtime", self_tests.prove_onnx_runtime),
        )

    @property
    def titles(self) -> dict[str, str]:
        """Key to title of every line, in order."""
        return {line.key: line.title for line in self._lines}

    @property
    def proof_titles(self) -> dict[str, str]:
        """Key to title of every self-test, in order."""
        return {line.key: line.title for line in self._proofs}

    @property
    def groups(self) -> dict[str, str]:
        """Key to heading of every line and self-test."""
        return {line.key: line.group for line in (*self._lines, *self._proofs)}

    def run(self) -> AsyncGenerator[Check, None]:
        """Every line once, in the order they finish; never raises. Close the iterator to stop early."""
        return self._run(self._lines, CHECK_LIMIT_S)

    def prove(self) -> AsyncGenerator[Check, None]:
        """Every self-test once, at the same time, each in a worker of its own; as `run` otherwise."""
        return self._run(self._proofs, self_tests.LIMIT_S)

    async def toolchain(self, name: str) -> Check:
        """The line of one toolchain, as it is now; never raises."""
        line = next(line for line in self._lines if line.key == toolchain_key(name))
        return await self._run_line(line, CHECK_LIMIT_S)

    async def report(self) -> Report:
        """All lines in the checklist's order."""
        found = {check.key: check async for check in self.run()}
        return Report(tuple(found[line.key] for line in self._lines))

    async def _run(self, lines: Sequence[_Line], limit_s: float) -> AsyncGenerator[Check, None]:
        tasks = [asyncio.create_task(self._run_line(line, limit_s)) for line in lines]
        try:
            for finished in asyncio.as_completed(tasks):
                yield await finished
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run_line(self, line: _Line, limit_s: float) -> Check:
        try:
            check = await asyncio.wait_for(line.check(), limit_s)
            return msgspec.structs.replace(check, group=line.group)
        except asyncio.TimeoutError:
            reason = f"no answer within {limit_s:.0f} s"
        except EdgetuiError as error:
            reason = str(error)
        except Exception as error:
            # One check's fault must not hide the others' lines; the person sees it as what could not be told.
            reason = f"the check failed ({type(error).__name__}: {error})"
        is_proof = line.group == PROOFS
        return Check(
            key=line.key,
            title=line.title,
            # An engine that hangs in its proof is not proved.
            state="fail" if is_proof else "unknown",
            found=reason,
            needed="an answer" if is_proof else "a value that can be read",
            why="Nothing is taken for good unseen.",
            action="Press t on the Readiness screen, or run edgetui doctor --self-test, to try again."
            if is_proof
            else "Press r on the Readiness screen, or run edgetui doctor, to look again.",
            group=line.group,
        )
