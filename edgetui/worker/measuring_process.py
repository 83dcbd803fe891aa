"""The job's end of a process that measures one side (`measuring_child`)."""

from __future__ import annotations

import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.toolchains import ENGINE_TOOLCHAIN
from edgetui.worker import spawn
from edgetui.worker.side_messages import (
    CloseSide,
    OpenSide,
    RunSide,
    SideAnswer,
    SideClosed,
    SideFailed,
    SideOpened,
    SideRan,
)
from edgetui.worker.wire import encode_line

if TYPE_CHECKING:
    from types import TracebackType

    from edgetui.core.bench import BenchTest
    from edgetui.core.models import ModelFormat
    from edgetui.core.studies import BenchSide
    from edgetui.worker.side_messages import SideCommand

_Answer = TypeVar("_Answer", SideOpened, SideRan, SideClosed)


class MeasuringProcess:
    """One process with at most one model; a context manager that ends it. It dies with the job, whatever ends that."""

    def __init__(self, model_format: ModelFormat, toolchains: Path) -> None:
        """Start it in the environment of the format's engine; raises `EdgetuiError`: `engine_missing`, `crashed`."""
        toolchain = ENGINE_TOOLCHAIN[model_format]
        python = spawn.toolchain_python(toolchains, toolchain) if toolchain else None
        self._decoder: msgspec.json.Decoder[SideAnswer] = msgspec.json.Decoder(SideAnswer)
        try:
            self._process = subprocess.Popen(
                spawn.interpreter_command("edgetui.worker.measuring_child", python=python),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=spawn.WORKING_DIRECTORY,
                env=spawn.toolchain_environment() if toolchain else spawn.worker_environment(),
            )
        except OSError as error:
            raise EdgetuiError(
                "crashed", f"A measuring process does not start ({error.strerror}): free some memory and try again."
            ) from error

    def __enter__(self) -> MeasuringProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def open(self, side: BenchSide, test: BenchTest) -> dict[str, str | int | float | bool | None]:
        """Load a model and warm it up; gives the engine's facts. Raises `EdgetuiError`, as the others do."""
        return self._ask(OpenSide(side, test), SideOpened).facts

    def run(self) -> int:
        """Nanoseconds of the test."""
        return self._ask(RunSide(), SideRan).duration_ns

    def close(self) -> None:
        """Free the model."""
        self._ask(CloseSide(), SideClosed)

    def end(self) -> None:
        """End the process, and the model with it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                # Closing writes what could not be written to a process that died before.
                with suppress(OSError):
                    pipe.close()

    def _ask(self, command: SideCommand, wanted: type[_Answer]) -> _Answer:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(encode_line(command))
            self._process.stdin.flush()
        except OSError as error:
            raise self._died() from error
        line = self._process.stdout.readline()
        if not line:
            raise self._died()
        answer = self._decoder.decode(line)
        if isinstance(answer, SideFailed):
            raise EdgetuiError.of(answer.failure)
        assert isinstance(answer, wanted)
        return answer

    def _died(self) -> EdgetuiError:
        status = self._process.wait()
        if status == -signal.SIGKILL:
            return EdgetuiError(
                "out_of_memory",
                "The measuring process was killed, most often because the system had no memory left: take a smaller"
                " model.",
            )
        return EdgetuiError(
            "crashed", f"The engine crashed while it was measured (status {status}); the job's log has its last words."
        )
