"""Starting the process of a job, with its lock handed over, in the environment that its request asks for."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.worker import spawn

if TYPE_CHECKING:
    from edgetui.store.job_folder import JobFolder, JobOrder

STEP = "step"
"""Argument of a job's process that is a step of another job, before that one's number: it ends with that one."""


def start_job(folder: JobFolder, order: JobOrder, lock: int, *, as_step: bool = False) -> subprocess.Popen[bytes]:
    """Start the process; `lock` is the folder's, and the process holds it from its first moment on.

    A job outlives whoever starts it and writes to its own log. A step ends with its parent and writes to that one's
    log. Raises `EdgetuiError`: `crashed`, `engine_missing` for a toolchain that is not installed, and OSError where
    the log cannot be opened.
    """
    toolchain = order.request.toolchain
    python = spawn.toolchain_python(Path(order.toolchains), toolchain) if toolchain else None
    arguments = (str(folder.path), str(lock), *([STEP, str(os.getpid())] if as_step else []))
    command = spawn.interpreter_command("edgetui.worker.job", *arguments, python=python)
    try:
        with folder.log_path.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=None if as_step else log,
                stderr=None if as_step else log,
                pass_fds=(lock,),
                start_new_session=not as_step,
                cwd=spawn.WORKING_DIRECTORY,
                env=spawn.toolchain_environment() if toolchain else spawn.worker_environment(),
            )
    except OSError as error:
        raise EdgetuiError(
            "crashed", f"The job's process does not start ({error.strerror}): free some memory and try again."
        ) from error
