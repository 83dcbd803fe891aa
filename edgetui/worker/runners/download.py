"""The job that downloads a model's files, one after another, when it is its turn."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import format_bytes, format_duration
from edgetui.engines.reporting import Outcome
from edgetui.hub.access import HubAccess
from edgetui.hub.download import DownloadLimits, FileDownload, point_to
from edgetui.store.download_queue import turn

if TYPE_CHECKING:
    from edgetui.worker.requests import DownloadRequest
    from edgetui.worker.runners import RunningJob

RATE_SPAN_S = 5.0
"""The rate told is that of so many seconds."""


class _Progress:
    """Bytes of all files together, and their rate."""

    def __init__(self, request: DownloadRequest, job: RunningJob) -> None:
        self._job = job
        self._total = sum(file.size_bytes or 0 for file in request.files)
        self._many = len(request.files)
        self._last: deque[tuple[float, int]] = deque()
        self.finished_bytes = 0
        self.number = 0
        self.name = ""
        self.size_bytes: int | None = None

    def begin(self, name: str, size_bytes: int | None) -> None:
        """The next file."""
        self.number += 1
        self.name, self.size_bytes = name, size_bytes
        # What was here before counts, but did not come just now.
        self._last.clear()

    def __call__(self, here: int, note: str) -> None:
        """As `FileDownload` reports; -1 stands for what is not known."""
        done = self.finished_bytes + max(here, 0)
        now = time.monotonic()
        if note:
            self._last.clear()
        else:
            self._last.append((now, done))
            while len(self._last) > 2 and now - self._last[0][0] > RATE_SPAN_S:
                self._last.popleft()
        # Of one file the total tells it all.
        of_files = f"{self.number}/{self._many} " if self._many > 1 else ""
        of_file = f" {format_bytes(max(here, 0))}/{format_bytes(self.size_bytes or 0)}" if of_files else ""
        self._job.progress(
            done,
            self._total,
            "bytes",
            f"{of_files}{self.name}{of_file}" + (f": {note}" if note else ""),
            bytes_done=done,
            bytes_total=self._total,
            bytes_per_s=self._rate(),
        )

    def waiting(self, before: int) -> None:
        """In the queue."""
        others = f", {before} before it" if before else ""
        self._job.progress(0, self._total, "bytes", f"waiting for other downloads{others}")

    def _rate(self) -> float | None:
        if len(self._last) < 2:
            return None
        (began, first), (now, last) = self._last[0], self._last[-1]
        # Before that it says nothing.
        return (last - first) / (now - began) if now - began >= 0.5 else None


def run(request: DownloadRequest, job: RunningJob) -> Outcome:
    """Bring all files of the request; what is here already costs no transfer."""
    access = HubAccess(request.endpoint, Path(request.cache), HubAccess.of_environment().is_offline)
    limits = DownloadLimits(bytes_per_s=request.bytes_per_s, headroom_bytes=request.headroom_bytes)
    progress = _Progress(request, job)
    queue = job.folder.path.parent.parent / "downloads"
    began = time.monotonic()
    paths = []
    fetched = 0
    try:
        with turn(queue, job.folder.job_id, request.priority, request.at_once, progress.waiting):
            for file in request.files:
                progress.begin(file.path, file.size_bytes)
                download = FileDownload(access, request.repo, request.commit, file, limits, progress)
                paths.append(download.run())
                fetched += download.was_fetched
                progress.finished_bytes += file.size_bytes or paths[-1].stat().st_size
            point_to(access, request.repo, request.revision, request.commit)
    except OSError as error:
        raise EdgetuiError(
            "no_permission", f"The folder {queue} or the cache cannot be written ({error.strerror}): make it writable."
        ) from error
    job.finishing()
    # The first file is what an engine is handed: the first part of a split GGUF, the graph of an ONNX model.
    size = format_bytes(progress.finished_bytes)
    seconds = time.monotonic() - began
    checked = f"is here and matches the hub's hashes; it took {format_duration(seconds)}"
    if not fetched:
        checked = "was here already (edgetui verify hashes it)"
    elif fetched < len(paths):
        checked += f", of which {len(paths) - fetched} of {len(paths)} files were here already"
    return Outcome(
        summary=f"{request.name}, {size}, {checked}.",
        output=str(paths[0]),
    )
