"""The process that measures one side of a comparison: loads, runs and frees a model as its job says.

`python -m edgetui.worker.measuring_child`: commands come on standard input, answers go to what was standard output.
It ends when its standard input does, whatever it computes then.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.engines.measuring import warm_up
from edgetui.worker.runners.bench import opener
from edgetui.worker.side_messages import (
    CloseSide,
    OpenSide,
    RunSide,
    SideAnswer,
    SideClosed,
    SideCommand,
    SideFailed,
    SideOpened,
    SideRan,
)
from edgetui.worker.wire import encode_line, read_lines, write_all

if TYPE_CHECKING:
    from edgetui.core.bench import BenchTest
    from edgetui.engines.measuring import Runner

_NO_MODEL = Failure("internal", "No model is loaded in this process.")


class _Side:
    def __init__(self) -> None:
        self._runner: Runner | None = None
        self._test: BenchTest | None = None

    def answer(self, command: SideCommand) -> SideAnswer:
        try:
            return self._do(command)
        except EdgetuiError as error:
            self._close()
            return SideFailed(error.failure)
        except MemoryError:
            self._close()
            return SideFailed(Failure("out_of_memory", "Memory ran out while measuring: take a smaller model."))
        except Exception as error:
            traceback.print_exc()
            self._close()
            return SideFailed(Failure("internal", f"Measuring failed ({type(error).__name__}: {error})."))

    def _do(self, command: SideCommand) -> SideAnswer:
        if isinstance(command, OpenSide):
            self._close()
            side, self._test = command.side, command.test
            open_runner = opener(side.model_format)
            self._runner = open_runner(Path(side.model_path), side.model_name, side.settings, command.test)
            warm_up(self._runner, command.test)
            return SideOpened(self._runner.facts._asdict())
        if isinstance(command, CloseSide):
            self._close()
            return SideClosed()
        assert isinstance(command, RunSide)
        if self._runner is None or self._test is None:
            return SideFailed(_NO_MODEL)
        return SideRan(self._runner.run(self._test.prompt_tokens, self._test.generated_tokens))

    def _close(self) -> None:
        if self._runner is not None:
            self._runner.close()
            self._runner = None


def main() -> int:
    """Answer commands until standard input ends."""
    # Native libraries print to standard output; the answers keep a descriptor of their own.
    answers = os.dup(1)
    os.dup2(2, 1)
    commands: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen() -> None:
        for line in read_lines(0):
            commands.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    decoder: msgspec.json.Decoder[SideCommand] = msgspec.json.Decoder(SideCommand)
    side = _Side()
    while True:
        write_all(answers, encode_line(side.answer(decoder.decode(commands.get()))))


if __name__ == "__main__":
    sys.exit(main())
