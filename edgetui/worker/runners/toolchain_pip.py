"""pip as the installer of toolchains: its environment, how far it is by what it prints, and why it fails."""

from __future__ import annotations

import re
import time
from collections import deque
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import MIB
from edgetui.worker.spawn import toolchain_environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgetui.engines.reporting import Reporter

PIP = "pip==26.3"
"""The one whose output is read here."""
NO_COMPILING = ("--no-compile",)
"""What is imported at all is compiled then; compiling everything takes half of the time."""
_NAMED = re.compile(r"^\s*(?:Collecting|Processing) (\S+)")
_DOWNLOAD = re.compile(r"^\s*Downloading (\S+\.whl)(?:\s|$)")
_HERE = re.compile(r"^\s*(?:Using cached|Processing) (\S+\.whl)(?:\s|$)")
_PROGRESS = re.compile(r"^\s*Progress (\d+) of (\d+)")
_INSTALLING = re.compile(r"^Installing collected packages: (.*)")
_CUDA = re.compile(r"^\s*Collecting ((?:nvidia|cuda|triton)\b[\w.-]*)")
_RATE_SPAN_S = 3.0
_SAID_BY_PIP = re.compile(r"^\s*ERROR: (.*)")
_NO_NETWORK = ("Connection", "resolve", "timed out", "Max retries", "No matching distribution", "Proxy", "SSLError")
_FORCED = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_NO_DEPS", "PIP_QUIET", "PIP_DRY_RUN")


def pip_environment(index: str) -> dict[str, str]:
    """Of every process that installs; `index` is the address of a further package index."""
    environment = toolchain_environment()
    for name in _FORCED:
        environment.pop(name, None)
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    environment["PIP_REQUIRE_VIRTUALENV"] = "0"
    # pip writes to a pipe here, and without this Python would hold its lines back.
    environment["PYTHONUNBUFFERED"] = "1"
    if index:
        environment["PIP_EXTRA_INDEX_URL"] = f"{environment.get('PIP_EXTRA_INDEX_URL', '')} {index}".strip()
    return environment


def is_progress(line: str) -> bool:
    """Whether a line is only about bytes that have come."""
    return _PROGRESS.match(line) is not None


class PipProgress:
    """Counts each package twice: when it is fetched and when it is installed."""

    def __init__(self, job: Reporter, environment: Path, count: int, *, takes_cuda: bool) -> None:
        self._job = job
        self._environment = environment
        self._count = count
        self._takes_cuda = takes_cuda
        self._named = 0
        self._done = 0.0
        """Packages that have come, and after that those that are installed too."""
        self._before = 0
        """Packages that were in the environment before."""
        self._downloading = ""
        self._installing = False
        self._last: deque[tuple[float, int]] = deque()

    def take(self, line: str) -> None:
        """Read one line of pip's; raises `EdgetuiError` for the first package of CUDA that nothing here needs."""
        if (cuda := _CUDA.match(line)) and not self._takes_cuda:
            raise _cuda_unasked(cuda[1])
        if found := _NAMED.match(line):
            # What comes along unpinned (CUDA's packages) makes the whole larger, as it is found.
            self._end_download()
            self._named += 1
            self._count = max(self._count, self._named)
            self._tell(f"fetching {found[1].rsplit('/', 1)[-1]}")
        if found := _PROGRESS.match(line):
            self._show_download(int(found[1]), int(found[2]))
        elif found := _DOWNLOAD.match(line):
            self._end_download()
            self._downloading = found[1].rsplit("/", 1)[-1].split("-", 1)[0]
        elif _HERE.match(line):
            self._end_download()
            self._done += 1
        elif found := _INSTALLING.match(line):
            self._installing = True
            self._before = self._packages()
            self._count = len(found[1].split(","))
            self._done = self._count
            self._tell(f"installing {self._count} packages")

    def look(self) -> None:
        """pip says nothing while it installs: packages that are complete have a list of their files."""
        if self._installing:
            installed = min(max(self._packages() - self._before, 0), self._count)
            self._done = self._count + installed
            self._tell(f"installing: {installed} of {self._count} packages")

    def say(self, note: str) -> None:
        """What is done after all packages."""
        self._job.progress(2 * self._count, 2 * self._count + 1, "steps", note)

    def _show_download(self, here: int, total: int) -> None:
        now = time.monotonic()
        self._last.append((now, here))
        while len(self._last) > 2 and now - self._last[0][0] > _RATE_SPAN_S:
            self._last.popleft()
        began, first = self._last[0]
        rate = (here - first) / (now - began) if now - began >= 0.2 else None
        note = f"downloading {self._downloading} {here / MIB:.0f} of {total / MIB:.0f} MiB"
        self._tell(note, rate, share=here / total if total else 0.0)

    def _end_download(self) -> None:
        """The package that was being downloaded is here when pip speaks of the next."""
        if self._downloading:
            self._done += 1
        self._downloading = ""
        self._last.clear()

    def _tell(self, note: str, rate: float | None = None, *, share: float = 0.0) -> None:
        self._job.progress(self._done + share, 2 * self._count + 1, "steps", note, bytes_per_s=rate)

    def _packages(self) -> int:
        return sum(1 for _ in self._environment.glob("lib/python*/site-packages/*.dist-info/RECORD"))


def _cuda_unasked(package: str) -> EdgetuiError:
    return EdgetuiError(
        "unsupported",
        f"The package index offers torch with CUDA ({package} and others, several GiB), and this machine has no NVIDIA"
        " GPU: name PyTorch's index of CPU builds as toolchain_index in the settings, then install again.",
    )


def pip_failure(name: str, said: Sequence[str]) -> EdgetuiError:
    """Why pip failed, by its own last words."""
    errors = [match[1] for line in said if (match := _SAID_BY_PIP.match(line))]
    reason = errors[-1].rstrip(".") if errors else (said[-1].strip() if said else "it said nothing")
    detail = "\n".join(said)
    if "No space left" in detail:
        return EdgetuiError("no_space", f"The disk is full: make room, then install {name} again.", detail)
    if any(word in detail for word in _NO_NETWORK):
        return EdgetuiError(
            "network",
            f"pip gets no packages for the toolchain {name} ({reason}): check the network and pip's index, then install"
            " it again; what has come is kept in pip's cache.",
            detail,
        )
    return EdgetuiError("internal", f"pip fails to install the toolchain {name} ({reason}): its log says more.", detail)
