"""The parent's side of a session worker: start it, ask it, stop it, and say in one sentence how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.engines import ENGINE_ENVIRONMENT
from edgetui.core.failures import EdgetuiError, Failure
from edgetui.worker import spawn, wire
from edgetui.worker.protocol import (
    Calibrated,
    Embedded,
    EngineInfo,
    EngineProved,
    Failed,
    Finished,
    Inspected,
    Loaded,
    MemoryEstimated,
    PlanDone,
    Ready,
    Stop,
    Tokenized,
    Unloaded,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from edgetui.core.engines import EngineName
    from edgetui.worker.protocol import Command, SessionEvent

START_TIMEOUT_S = 60.0
"""A worker imports the engine in well under a second; a board with a busy SD card may need many."""
STOP_GRACE_S = 2.0
"""A worker that does not answer `Stop` in this time is killed."""

STOP_PATIENCE_S = 5.0
"""A stop that a person asked for: native code looks up between two steps, which on a small board may take a second."""

_LAST_EVENTS = (
    Loaded,
    Finished,
    Tokenized,
    Inspected,
    Embedded,
    Unloaded,
    EngineInfo,
    PlanDone,
    MemoryEstimated,
    Calibrated,
    EngineProved,
    Failed,
)
"""Each command's answer ends with one of these."""
_STOP = wire.encode_line(Stop())


class SessionWorker:
    """One worker process and the conversation with it; one command at a time."""

    def __init__(
        self, process: asyncio.subprocess.Process, commands: int, events: asyncio.StreamReader, log: Path
    ) -> None:
        self._process = process
        self._commands = commands
        self._events = events
        self._lock = asyncio.Lock()
        self._writing = asyncio.Lock()
        """Held while a line is being written, which may outlast the task that sent it."""
        self._is_closing = False
        self._requests = 0
        self._deadline: asyncio.Task[None] | None = None
        self._gave_up = False
        self.log = log
        """Where the worker's stdout and stderr go."""

    @classmethod
    async def start(
        cls, log_dir: Path, engine: EngineName = "llama.cpp", toolchains_dir: Path | None = None
    ) -> SessionWorker:
        """Start a worker of an engine and wait until it listens; `toolchains_dir` holds the engines' environments.

        Raises `EdgetuiError`: `crashed` when it does not come up, `engine_missing` without the engine's toolchain.
        """
        python, environment = None, spawn.worker_environment()
        if toolchain := ENGINE_ENVIRONMENT[engine]:
            assert toolchains_dir is not None, "an engine of a toolchain needs the folder of toolchains"
            python = spawn.toolchain_python(toolchains_dir, toolchain)
            environment = spawn.toolchain_environment()
        log_descriptor, log = spawn.open_session_log(log_dir)
        command_read, command_write = os.pipe()
        event_read, event_write = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *spawn.interpreter_command(
                    "edgetui.worker.child", str(command_read), str(event_write), engine, python=python
                ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log_descriptor,
                stderr=log_descriptor,
                pass_fds=(command_read, event_write),
                cwd=spawn.WORKING_DIRECTORY,
                env=environment,
            )
        except OSError as error:
            os.close(command_write)
            os.close(event_read)
            raise EdgetuiError(
                "crashed",
                f"The worker process does not start ({error.strerror}): free some memory and try again.",
            ) from error
        finally:
            for descriptor in (log_descriptor, command_read, event_write):
                os.close(descriptor)
        events = asyncio.StreamReader(limit=wire.LINE_LIMIT_BYTES)
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(events), os.fdopen(event_read, "rb", buffering=0)
        )
        worker = cls(process, command_write, events, log)
        try:
            first = await asyncio.wait_for(worker._next_event(), START_TIMEOUT_S)
        except asyncio.TimeoutError as error:
            await worker.kill()
            raise EdgetuiError(
                "crashed", f"The worker process did not come up in {START_TIMEOUT_S:.0f} s; its log is {log}."
            ) from error
        except BaseException:
            await worker.kill()
            raise
        if not isinstance(first, Ready):
            await worker.kill()
            raise EdgetuiError("crashed", f"The worker process does not speak our protocol; its log is {log}.")
        return worker

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process has not been seen to end."""
        return self._process.returncode is None

    async def request(self, command: Command) -> AsyncGenerator[SessionEvent, None]:
        """Send a command and yield its events; the last one ends the iteration.

        Raises `EdgetuiError` for a `Failed` event and, with kind `crashed`, when the process ends. An iteration
        that is left early stops the command, and kills a worker that does not answer in time.
        """
        async with self._lock:
            self._requests += 1
            line = wire.encode_line(command)
            answered = False
            try:
                await self._send(line)
                while not answered:
                    event = await self._next_event()
                    answered = isinstance(event, _LAST_EVENTS)
                    if isinstance(event, Failed):
                        raise EdgetuiError.of(event.failure)
                    yield event
            except EdgetuiError:
                answered = True
                raise
            finally:
                if not answered:
                    await self._stop_and_drain()

    async def stop(self) -> None:
        """Ask the command under way to end, once it is written; its last event still comes through `request`.

        A worker that does not answer in `STOP_PATIENCE_S` is killed, and `request` says so.
        """
        if self.alive:
            if self._deadline is None or self._deadline.done():
                self._deadline = asyncio.create_task(self._end_unless_answered(self._requests))
            with contextlib.suppress(EdgetuiError):
                await self._send(_STOP)

    async def _end_unless_answered(self, request: int) -> None:
        await asyncio.sleep(STOP_PATIENCE_S)
        if self._lock.locked() and self._requests == request:
            self._gave_up = True
            await self.kill()

    async def close(self) -> None:
        """End the worker: it sees its pipe close; one that lingers is killed."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._close_commands()
        try:
            await asyncio.wait_for(self._process.wait(), 0.5)
        except asyncio.TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End the worker at once."""
        if self._deadline is not None and self._deadline is not asyncio.current_task():
            self._deadline.cancel()
        self._close_commands()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _send(self, line: bytes) -> None:
        """Write a line behind the one that is being written; a cancelled task leaves its own to be written whole."""
        await self._writing.acquire()
        try:
            if len(line) <= 4096:
                # At most PIPE_BUF bytes: atomic, and there is always room, since the worker keeps reading.
                try:
                    os.write(self._commands, line)
                finally:
                    self._writing.release()
            else:
                written = asyncio.ensure_future(asyncio.to_thread(wire.write_all, self._commands, line))
                written.add_done_callback(self._wrote)
                await asyncio.shield(written)
        except OSError as error:
            raise await self._ended() from error

    def _wrote(self, written: asyncio.Future[None]) -> None:
        # Asked for, so that asyncio does not report a failure that nobody waits for any more.
        if not written.cancelled():
            written.exception()
        self._writing.release()
        if self._is_closing:
            self._close_commands()

    async def _next_event(self) -> SessionEvent:
        try:
            line = await self._events.readline()
            if line.endswith(b"\n"):
                return wire.session_decoder.decode(line)
        except (ValueError, msgspec.MsgspecError) as error:
            await self.kill()
            raise EdgetuiError.of(
                Failure(
                    "crashed",
                    f"The worker process sent what cannot be read and was ended. Try it again; its log is {self.log}.",
                    str(error),
                )
            ) from error
        raise await self._ended()

    async def _stop_and_drain(self) -> None:
        async def drain() -> None:
            await self._send(_STOP)
            while not isinstance(await self._next_event(), _LAST_EVENTS):
                pass

        try:
            await asyncio.wait_for(drain(), STOP_GRACE_S)
        except (asyncio.TimeoutError, asyncio.CancelledError, EdgetuiError):
            await self.kill()

    async def _ended(self) -> EdgetuiError:
        """The sentence for a process that is gone."""
        self._close_commands()
        try:
            status = await asyncio.wait_for(self._process.wait(), STOP_GRACE_S)
        except asyncio.TimeoutError:
            await self.kill()
            status = self._process.returncode or 0
        said = "The worker process did not stop and was ended." if self._gave_up else _how_it_ended(status)
        return EdgetuiError.of(Failure("crashed", f"{said} Try it again; its log is {self.log}."))

    def _close_commands(self) -> None:
        self._is_closing = True
        # A thread that still writes must not find another file behind the number.
        if self._commands >= 0 and not self._writing.locked():
            os.close(self._commands)
            self._commands = -1


@asynccontextmanager
async def session_worker(
    log_dir: Path, engine: EngineName = "llama.cpp", toolchains_dir: Path | None = None
) -> AsyncIterator[SessionWorker]:
    """A worker for one errand, ended with it; raises as `SessionWorker.start` does."""
    worker = await SessionWorker.start(log_dir, engine, toolchains_dir)
    try:
        yield worker
    finally:
        await worker.close()


def _how_it_ended(status: int) -> str:
    if status >= 0:
        return f"The worker process ended with status {status}."
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    if name == "SIGKILL":
        return "The worker process was killed (SIGKILL), often by the system for lack of memory."
    if name == "SIGABRT":
        return "The worker process aborted (SIGABRT): the engine hit a fault in the model or in itself."
    return f"The worker process was ended by {name}."
