"""How worker processes are started: interpreter, environment, log files."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from edgetui.core.failures import EdgetuiError

KEPT_LOGS = 20
"""Session logs kept in the log folder; older ones are removed."""

WORKING_DIRECTORY = "/" if os.name == "posix" else None
"""`python -m` searches the working directory first; a user's folder must not be able to replace our modules."""


TOOLCHAIN_MARK = "ready.json"
"""In a toolchain's environment: written last, so that one without it is not complete."""


def interpreter_command(module: str, *arguments: str, python: Path | None = None) -> list[str]:
    """Command line that runs one of our modules with this interpreter, or with a toolchain's."""
    if python is None:
        return [sys.executable, "-m", module, *arguments]
    return [str(python), str(Path(__file__).with_name("in_toolchain.py")), module, *arguments]


def toolchain_python(toolchains_dir: Path, name: str) -> Path:
    """Interpreter of a toolchain's environment; raises `EdgetuiError("engine_missing")` where it is not installed."""
    python = toolchains_dir / name / "bin" / "python"
    if not (toolchains_dir / name / TOOLCHAIN_MARK).exists() or not python.exists():
        raise EdgetuiError(
            "engine_missing",
            f"The toolchain {name} is not installed: install it with `edgetui toolchain install {name}`, or on"
            " Readiness (7).",
        )
    return python


def worker_environment() -> dict[str, str]:
    """This process's environment, with what native libraries need to know."""
    environment = dict(os.environ)
    # An abort in ggml otherwise starts a debugger, which takes seconds.
    environment["GGML_NO_BACKTRACE"] = "1"
    environment["PYTHONSAFEPATH"] = "1"
    environment["PYTHONIOENCODING"] = "utf-8:replace"
    return environment


def toolchain_environment() -> dict[str, str]:
    """The same for a toolchain: no telemetry, no question to a hub that nobody asked for, none of our packages."""
    environment = worker_environment()
    environment.pop("PYTHONPATH", None)
    # Packages there are compiled when they are first imported, which otherwise happens anew each time.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    for switched_on in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "OLIVE_DISABLE_TELEMETRY", "ORT_DISABLE_TELEMETRY"):
        environment[switched_on] = "1"
    # Olive greets its makers before it looks at its own switch, but nowhere that calls itself a build machine.
    environment["TF_BUILD"] = "1"
    environment.setdefault("HF_HUB_OFFLINE", "1")
    # Threads of tokenizers and of the work itself would fight for the cores of a board.
    environment.setdefault("TOKENIZERS_PARALLELISM", "false")
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
