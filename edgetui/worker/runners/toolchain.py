"""The job that makes the environment of a toolchain: under a hidden name until it is complete."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.toolchain_text import no_space
from edgetui.core.toolchains import ToolchainMark
from edgetui.core.units import format_duration
from edgetui.engines.reporting import Outcome
from edgetui.store.toolchain_folder import claim, remove_leftovers, take_place, write_mark
from edgetui.worker.runners.toolchain_converter import take_converter
from edgetui.worker.runners.toolchain_pip import (
    NO_COMPILING,
    PIP,
    PipProgress,
    is_progress,
    pip_environment,
    pip_failure,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetui.worker.requests import ToolchainRequest
    from edgetui.worker.runners import RunningJob

_APPLIES = """
import json, sys
from pip._vendor.packaging.requirements import Requirement
read = [(line.partition(";")[0].strip(), Requirement(line).marker) for line in sys.argv[1:]]
print(json.dumps([pin for pin, marker in read if marker is None or marker.evaluate()]))
"""
_VERSIONS = """
import importlib.metadata, json
print(json.dumps({found.metadata["Name"]: found.version for found in importlib.metadata.distributions()}))
"""
_LAST_LINES = 40


def run(request: ToolchainRequest, job: RunningJob) -> Outcome:
    """Make the environment of `request.folder` anew; what pip fetched before comes from its cache."""
    folder = Path(request.folder)
    began = time.monotonic()
    try:
        with claim(folder):
            remove_leftovers(folder)
            _require_space(request)
            count = _Installation(request, job).run()
    except OSError as error:
        raise _disk_failure(folder, error) from error
    return Outcome(
        summary=f"The toolchain {request.name} is installed: {count} packages in"
        f" {format_duration(time.monotonic() - began)}.",
        output=str(folder),
    )


class _Installation:
    """One run, step by step."""

    def __init__(self, request: ToolchainRequest, job: RunningJob) -> None:
        self._request = request
        self._job = job
        (self._made,) = request.partials(job.folder.job_id)
        self._python = self._made / "bin" / "python"
        self._environment = pip_environment(request.index)

    def run(self) -> int:
        """Make it and give it its name; returns how many packages it has."""
        self._job.progress(0, None, "packages", "making an environment")
        self._make_environment()
        self._pip("install", *NO_COMPILING, PIP)
        pins = self._applying_pins()
        progress = PipProgress(self._job, self._made, len(pins), takes_cuda=self._request.takes_cuda)
        requirements = self._made / "requirements.txt"
        requirements.write_text("\n".join(pins) + "\n", encoding="utf-8")
        # What has no built package for this machine is refused at once, not compiled for hours.
        options = ("--only-binary", ":all:", "--progress-bar", "raw", "-r", str(requirements))
        self._pip("install", *NO_COMPILING, *options, on_output=progress.take, on_wait=progress.look)
        if self._request.converter:
            progress.say(f"fetching the converter of llama-cpp-python {self._request.converter}")
            take_converter(self._request, self._made, self._pip)
        progress.say("checking that the packages go together")
        self._pip("check")
        versions = self._versions()
        mark = ToolchainMark(
            digest=self._request.digest,
            python=".".join(map(str, sys.version_info[:3])),
            versions=versions,
            converter=self._request.converter,
            made_at=time.time(),
        )
        write_mark(self._made, mark)
        self._job.finishing()
        take_place(self._made, Path(self._request.folder))
        return len(versions)

    def _make_environment(self) -> None:
        # Not the environment's own interpreter, which may be a link into edgetui's.
        last = self._run(Path(sys.executable), ["venv", str(self._made)])
        if last is not None:
            raise EdgetuiError(
                "engine_missing",
                "Python cannot make environments here: install its venv module (Debian, Ubuntu: apt-get install"
                " python3-venv), then install the toolchain again.",
                detail="\n".join(last),
            )

    def _pip(
        self,
        *arguments: str,
        on_output: Callable[[str], None] | None = None,
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        """Run the environment's pip; raises the `EdgetuiError` that says why it fails."""
        last = self._run(self._python, ["pip", "--no-input", *arguments], on_output=on_output, on_wait=on_wait)
        if last is not None:
            raise pip_failure(self._request.name, last)

    def _run(
        self,
        python: Path,
        arguments: Sequence[str],
        *,
        on_output: Callable[[str], None] | None = None,
        on_wait: Callable[[], None] = lambda: None,
    ) -> list[str] | None:
        """Run a module with its output to the log; None when it did its work, else what it said last."""
        last: deque[str] = deque(maxlen=_LAST_LINES)

        def take(line: str) -> None:
            if on_output is not None:
                on_output(line)
            if not is_progress(line):
                print(line, flush=True)
                last.append(line)

        status = self._job.steps.run_module(python, arguments, self._environment, take, on_wait)
        return list(last) if status else None

    def _applying_pins(self) -> list[str]:
        """The pins that are meant for this machine, as pip itself reads their markers."""
        return [str(pin) for pin in self._answer(_APPLIES, *self._request.pins)]

    def _versions(self) -> dict[str, str]:
        """Every package that is installed now."""
        return dict(self._answer(_VERSIONS))

    def _answer(self, code: str, *arguments: str) -> Any:
        answer = subprocess.run(
            [str(self._python), "-c", code, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=self._environment,
            cwd=self._made,
        )
        if answer.returncode:
            raise EdgetuiError(
                "internal",
                f"Python in the new environment of {self._request.name} does not answer; the log has the details.",
                detail=answer.stderr.decode("utf-8", "replace"),
            )
        return json.loads(answer.stdout)


def _require_space(request: ToolchainRequest) -> None:
    folder = Path(request.folder).parent
    free = shutil.disk_usage(folder).free
    if free < request.installing_bytes + request.headroom_bytes:
        raise no_space(request.name, folder, request.installing_bytes, request.headroom_bytes, free)


def _disk_failure(folder: Path, error: OSError) -> EdgetuiError:
    if error.errno == errno.ENOSPC:
        return EdgetuiError(
            "no_space", f"The disk of {folder.parent} is full: make room there, then install {folder.name} again."
        )
    return EdgetuiError(
        "no_permission",
        f"The environment {folder} cannot be written ({error.strerror or error}): make {folder.parent} writable, then"
        f" install {folder.name} again.",
    )
