"""A job's progress on stderr: one line rewritten on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgetui.core.jobs import JobRecord

_PASSING_S = 30.0
"""Between two passing notes where a line cannot be rewritten."""
_STEP = 0.1
"""Share of the work between two lines where they cannot be rewritten."""


class ProgressLine:
    """Used as a context: what it rewrites is gone at the end."""

    def __init__(self) -> None:
        self._rewrites = sys.stderr.isatty()
        self._next_share = 0.0

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._rewrites:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def show(self, record: JobRecord) -> None:
        """How far a job is now."""
        from edgetui.core.job_text import progress_line
        from edgetui.core.plain_text import plain_line

        line = progress_line(record, time.time())
        if self._rewrites:
            room = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r{plain_line(f'{line}  {record.note}')[:room]}\x1b[K")
            sys.stderr.flush()
        elif (record.fraction or 0.0) >= self._next_share:
            self._next_share = (record.fraction or 0.0) + _STEP
            print(line, file=sys.stderr, flush=True)


class NoteLines:
    """Notes of a measurement: a line each, and one rewritten line for what passes between them."""

    def __init__(self) -> None:
        self._rewrites = sys.stderr.isatty()
        self._passing_at = time.monotonic()

    def show(self, text: str, *, passing: bool) -> None:
        """Print a note; elsewhere than on a terminal a passing one only now and then."""
        from edgetui.core.plain_text import plain_line

        if not passing:
            self.clear()
            print(text, file=sys.stderr)
        elif self._rewrites:
            room = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r{plain_line(text)[:room]}\x1b[K")
            sys.stderr.flush()
        elif time.monotonic() - self._passing_at >= _PASSING_S:
            self._passing_at = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the rewritten line away."""
        if self._rewrites:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
