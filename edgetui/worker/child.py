"""A session worker's own side: reads commands, runs them on the engine, writes events.

The main thread runs one command after another; a second thread reads, so that `Stop` and the parent's end are
seen while native code computes.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.core.heap import settle_objects
from edgetui.engines.stopping import StopFlag
from edgetui.worker import wire
from edgetui.worker.process_end import die_with_parent
from edgetui.worker.protocol import (
    Calibrate,
    Calibrated,
    CalibrationProgress,
    Command,
    DescribeEngine,
    Embed,
    EngineProved,
    EstimateMemory,
    Failed,
    Generate,
    Inspect,
    Load,
    LoadProgress,
    PlanDone,
    PlanQuantization,
    ProveEngine,
    Ready,
    SessionEvent,
    Stop,
    Tokenize,
    Unload,
    Unloaded,
)

if TYPE_CHECKING:
    from edgetui.core.engines import EngineName
    from edgetui.engines.base import Engine, Tools


ENGINES: dict[EngineName, tuple[str, str]] = {
    "llama.cpp": ("edgetui.engines.llama_cpp.engine", "LlamaCppEngine"),
    "onnxruntime-genai": ("edgetui.engines.onnx_runtime.engine", "GenaiEngine"),
    "mlx": ("edgetui.engines.mlx.engine", "MlxEngine"),
    "server": ("edgetui.engines.server.engine", "ServerEngine"),
}
"""Module and class of each engine; imported only in a worker of it."""


class SessionChild:
    """Runs commands from one descriptor and answers on another."""

    def __init__(self, engine: Engine, tools: Tools | None, commands: int, events: int) -> None:
        self._engine = engine
        self._tools = tools
        self._commands = commands
        self._events = events
        self._queue: queue.SimpleQueue[tuple[Command | Failure, int, StopFlag]] = queue.SimpleQueue()
        self._outstanding: list[StopFlag] = []
        self._lock = threading.Lock()

    def run(self) -> None:
        """Serve until the command pipe closes, which ends the process."""
        threading.Thread(target=self._read, daemon=True).start()
        self._emit(Ready(pid=os.getpid()))
        while True:
            command, arrived_ns, stop = self._queue.get()
            try:
                self._execute(command, arrived_ns, stop)
            except EdgetuiError as error:
                self._fail(command, error.failure)
            except MemoryError:
                self._fail(
                    command,
                    Failure("out_of_memory", "The worker ran out of memory: take a smaller model or context."),
                )
            except Exception as error:
                import traceback

                traceback.print_exc()
                self._fail(
                    command,
                    Failure(
                        "internal",
                        f"The worker failed ({type(error).__name__}: {error}); its log has the details.",
                    ),
                )
            finally:
                with self._lock:
                    self._outstanding.remove(stop)

    def _execute(self, command: Command | Failure, arrived_ns: int, stop: StopFlag) -> None:
        if isinstance(command, Failure):
            raise EdgetuiError.of(command)
        if isinstance(command, Load):
            loaded = self._engine.load(command, lambda fraction: self._emit(LoadProgress(fraction=fraction)), stop)
            settle_objects()
            self._emit(loaded)
        elif isinstance(command, Generate):
            self._emit(self._engine.generate(command, arrived_ns, self._emit, stop))
        elif isinstance(command, Unload):
            self._engine.unload()
            self._emit(Unloaded())
        elif isinstance(command, Tokenize):
            self._emit(self._engine.tokenize(command.text))
        elif isinstance(command, Inspect):
            self._emit(self._engine.inspect(command.alternatives, stop))
        elif isinstance(command, Embed):
            self._emit(self._engine.embed(command.texts, stop))
        elif self._tools is None:
            raise EdgetuiError("unsupported", f"Only a worker of llama.cpp takes {type(command).__name__}.")
        else:
            self._use(self._tools, command, stop)

    def _use(self, tools: Tools, command: Command, stop: StopFlag) -> None:
        if isinstance(command, DescribeEngine):
            self._emit(tools.describe())
        elif isinstance(command, PlanQuantization):
            for plan in tools.plan_quantization(Path(command.path), command.type_names, command.options):
                if stop.is_set:
                    break
                self._emit(plan)
            self._emit(PlanDone())
        elif isinstance(command, Calibrate):
            calibration = tools.calibrate(
                command.budget_s,
                command.buffer_bytes,
                lambda fraction: self._emit(CalibrationProgress(fraction=fraction)),
                stop,
            )
            self._emit(Calibrated(calibration=calibration))
        elif isinstance(command, ProveEngine):
            self._emit(EngineProved(found=tools.prove()))
        elif isinstance(command, EstimateMemory):
            self._emit(tools.estimate_memory(Path(command.path), command.settings))

    def _read(self) -> None:
        for line in wire.read_lines(self._commands):
            arrived_ns = time.perf_counter_ns()
            command = _decoded(line)
            with self._lock:
                if isinstance(command, Stop):
                    for flag in self._outstanding:
                        flag.set()
                    continue
                stop = StopFlag()
                self._outstanding.append(stop)
            self._queue.put((command, arrived_ns, stop))
        # The parent is gone or has closed us: whatever native code is doing, this ends it.
        os._exit(0)

    def _fail(self, command: Command | Failure, failure: Failure) -> None:
        if failure.detail:
            print(failure.detail, file=sys.stderr, flush=True)
        self._emit(Failed(failure=failure, turn=command.turn if isinstance(command, Generate) else None))

    def _emit(self, event: SessionEvent) -> None:
        line = wire.encode_line(event)
        if len(line) > wire.LINE_LIMIT_BYTES:
            raise EdgetuiError(
                "bad_request",
                f"The answer has {len(line) >> 20} MiB, and {wire.LINE_LIMIT_BYTES >> 20} MiB can be handed over:"
                " ask for less at once.",
            )
        try:
            wire.write_all(self._events, line)
        except BrokenPipeError:
            os._exit(0)


def _decoded(line: bytes) -> Command | Failure:
    """What a line asks for; a failure in its place, since a reader that ended would never hear of a stop again."""
    try:
        return wire.command_decoder.decode(line)
    except (ValueError, msgspec.MsgspecError) as error:
        return Failure("internal", f"The worker cannot read what it is asked for ({error}): change the settings.")


def main() -> None:
    """Entry of `python -m edgetui.worker.child COMMANDS EVENTS ENGINE` (two descriptor numbers, an engine's name)."""
    # The terminal's Ctrl-C is for the UI, which decides what it means for us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    commands, events = (int(argument) for argument in sys.argv[1:3])
    module, name = ENGINES[cast("EngineName", sys.argv[3])]
    engine = getattr(import_module(module), name)()
    tools = None
    if sys.argv[3] == "llama.cpp":
        from edgetui.engines.llama_cpp.tools import LlamaCppTools

        tools = LlamaCppTools()
    SessionChild(engine, tools, commands, events).run()


if __name__ == "__main__":
    main()
