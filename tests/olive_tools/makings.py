"""Makes several models in one process of Olive's environment, which imports slowly.

Reads a list of `{"source", "target", "settings"}` on standard input, and answers a list of what came of each, with all
that the process wanted of the network.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any


class Told:
    """A job as `make` sees it, that remembers what it was told."""

    cancelled = False

    def __init__(self, state_dir: Path) -> None:
        self.database = SimpleNamespace(path=state_dir / "edgetui.db")
        self.notes: list[tuple[float, float | None, str]] = []

    def progress(self, done: float, total: float | None, unit: str, note: str = "", **_: object) -> None:
        """Remember it."""
        self.notes.append((done, total, note))


def main() -> None:
    """Make one after the other."""
    asked: list[str] = []

    def listen(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
            asked.append(f"{event} {arguments[-1] if event == 'socket.connect' else arguments[0]}")

    sys.addaudithook(listen)
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
    import msgspec

    from edgetui.core.failures import EdgetuiError
    from edgetui.core.workflows import AnyWorkflow
    from edgetui.engines.olive.run import make

    state_dir, orders = json.load(sys.stdin)
    answers = []
    for order in orders:
        job = Told(Path(state_dir))
        settings: Any = msgspec.convert(order["settings"], AnyWorkflow)
        answer: dict[str, Any] = {"kind": "", "message": ""}
        try:
            make(Path(order["source"]), Path(order["target"]), settings, job)
        except EdgetuiError as error:
            answer = {"kind": error.failure.kind, "message": error.failure.message, "detail": error.failure.detail}
        answers.append({**answer, "notes": job.notes})
    print("\n" + json.dumps({"answers": answers, "asked": asked}))


main()
