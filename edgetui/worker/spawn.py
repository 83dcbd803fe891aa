"""How worker processes are started: interpreter, environment, log files."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from pathlib import Path

KEPT_LOGS = 20
"""Session logs kept in the log folder; older ones are removed."""

WORKING_DIRECTORY = "/" if os.name == "posix" else None
"""`python -m` searches the working directory first; a user's folder must not be able to replace our modules."""


def interpreter_command(module: str, *arguments: str) -> list[str]:
    """Command line that runs one of our modules with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


def worker_environment() -> dict[str, str]:
    """This process's environment, with what native libraries need to know."""
    environment = dict(os.environ)
    # An abort in ggml otherwise starts a debugger, which takes seconds.
    environment["GGML_NO_BACKTRACE"] = "1"
    environment["PYTHONSAFEPATH"] = "1"
    environment["PYTHONIOENCODING"] = "utf-8:replace"
    return environment


def open_session_log(log_dir: Path) -> tuple[int, Path]:
    """A new log file for a session worker, as a descriptor and its path.

    Raises `EdgetuiError("no_permission")` when the folder cannot be written.
    """
    path = log_dir / f"session-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{time.monotonic_ns() % 10**6}.log"
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
        for old in sorted(log_dir.glob("session-*.log"))[: -KEPT_LOGS + 1]:
            old.unlink(missing_ok=True)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), path
    except OSError as error:
        raise EdgetuiError(
            "no_permission",
            f"The log folder {log_dir} cannot be written ({error.strerror}): make it writable.",
        ) from error
