"""`python -m benchmarks.watched_app RECORD MODEL`: edgetui on Run, with a watch on how late its event loop comes.

SIGUSR1 begins a watch, SIGUSR2 ends it and writes RECORD: lateness in seconds of a timer that was asked for every
few milliseconds, one figure each.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

import edgetui.app
from edgetui.app import EdgetuiApp
from edgetui.services.lab import Lab

EVERY_S = 0.005


class WatchedApp(EdgetuiApp):
    """The app itself; the timer costs it a fraction of a percent."""

    # Textual looks for it beside the class.
    CSS_PATH = str(Path(edgetui.app.__file__).with_name("edgetui.tcss"))

    record: Path
    _lateness: list[float]
    _watching: asyncio.Task[None] | None = None

    def on_mount(self) -> None:
        """Hear the signals."""
        super().on_mount()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._begin_watch)
        loop.add_signal_handler(signal.SIGUSR2, self._end_watch)

    def _begin_watch(self) -> None:
        self._lateness = []
        self._watching = asyncio.create_task(self._watch())

    def _end_watch(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        self.record.write_text(json.dumps(self._lateness))

    async def _watch(self) -> None:
        while True:
            asked = time.perf_counter()
            await asyncio.sleep(EVERY_S)
            self._lateness.append(time.perf_counter() - asked - EVERY_S)


def main() -> int:
    """Run it."""
    app = WatchedApp(Lab(), open_model=sys.argv[2])
    app.record = Path(sys.argv[1])
    return app.run_to_exit()


if __name__ == "__main__":
    sys.exit(main())
