"""A process in a toolchain's interpreter that tests have do things: both ends of the pipe between them.

An order is `{"do": NAME, ...}` and a line; the answer `{"answer": ...}`, or `{"kind", "message", "detail"}` of an
`EdgetuiError`. The far end runs without pytest and without our other packages, so both import only what they need.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).resolve().parents[1]


class Toolchain:
    """Has the driver do things; raises the `EdgetuiError` that it met."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, do: str, **order: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **order}, default=str) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "kind" in answer:
            assert answer["kind"] != "bug", answer["message"]
            from edgetui.core.failures import EdgetuiError

            raise EdgetuiError(answer["kind"], answer["message"], answer["detail"])
        return answer["answer"]

    def make(self, workflow: str, source: Path, target: Path, **settings: Any) -> list[tuple[float, float | None, str]]:
        """Make a model by a workflow; gives what the job told."""
        notes: list[tuple[float, float | None, str]] = self(
            "make", source=source, target=target, settings={"workflow": workflow, **settings}
        )
        return notes

    def refusal(self, workflow: str, source: Path, target: Path, **settings: Any) -> tuple[str, str]:
        """Kind and sentence with which a workflow refuses."""
        import pytest

        from edgetui.core.failures import EdgetuiError

        with pytest.raises(EdgetuiError) as caught:
            self.make(workflow, source, target, **settings)
        return caught.value.failure.kind, str(caught.value)


@contextmanager
def started(environment: Path, driver: Path) -> Iterator[Toolchain]:
    """The far end, running a driver in the interpreter of an environment."""
    from edgetui.worker.spawn import toolchain_environment

    process = subprocess.Popen(
        [str(environment / "bin" / "python"), str(driver), str(ROOT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=toolchain_environment(),
    )
    yield Toolchain(process)
    assert process.stdin is not None
    process.stdin.close()
    process.wait(30)


def serve(orders: Mapping[str, Callable[[dict[str, Any]], Any]]) -> None:
    """At the far end: answer until standard input ends; what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    from edgetui.core.failures import EdgetuiError

    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer: dict[str, Any] = {"answer": orders[order["do"]](order)}
        except EdgetuiError as error:
            answer = {"kind": error.failure.kind, "message": error.failure.message, "detail": error.failure.detail}
        except Exception as error:
            answer = {"kind": "bug", "message": repr(error), "detail": ""}
        print(json.dumps(answer), file=answers, flush=True)
