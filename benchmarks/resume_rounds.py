"""Downloads killed at a random point (SIGKILL) and resumed: what is fetched twice, and whether the content is right."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import Result, show
from edgetui.hub import browse
from edgetui.hub.access import HubAccess
from edgetui.hub.download import DownloadLimits, FileDownload
from tests.hub.content import Repo
from tests.hub.server import LoopbackHub

ROUNDS = 50
BAR_MIB = 16.0
SIZE = 96 * 1024 * 1024
REPO = "bench/resume-GGUF"
CHILD = f"""
import sys
from pathlib import Path
from edgetui.hub import browse
from edgetui.hub.access import HubAccess
from edgetui.hub.download import DownloadLimits, FileDownload
access = HubAccess(sys.argv[1], Path(sys.argv[2]), is_offline=False)
page = browse.page(access, {REPO!r})
print("begins", flush=True)
FileDownload(access, {REPO!r}, page.commit, page.variants[0].files[0], DownloadLimits(), lambda *_: None).run()
"""


def measure() -> list[Result]:
    """The most that one of many resumed downloads fetched again."""
    content = random.Random(1).randbytes(SIZE)
    again: list[float] = []
    interrupted = right = 0
    chance = random.Random(2)
    with LoopbackHub() as hub, tempfile.TemporaryDirectory() as folder:
        os.environ |= {"HF_ENDPOINT": hub.endpoint}
        hub.add(Repo(REPO, tags=("gguf",))).put("resume-Q8_0.gguf", content)
        hub.fail("/blobs/", bytes_per_s=120e6, times=-1)
        for number in range(ROUNDS):
            access = HubAccess(hub.endpoint, Path(folder) / str(number), is_offline=False)
            hub.requests.clear()
            child = subprocess.Popen(
                [sys.executable, "-c", CHILD, hub.endpoint, str(access.cache)], stdout=subprocess.PIPE, text=True
            )
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(chance.uniform(0.0, 1.1))
            child.kill()
            interrupted += child.wait() != 0
            page = browse.page(access, REPO)
            path = FileDownload(
                access, REPO, page.commit, page.variants[0].files[0], DownloadLimits(), lambda *_: None
            ).run()
            right += path.read_bytes() == content
            again.append((hub.sent_bytes("/blobs/") - SIZE) / 1024**2)
    lines = (
        f"{ROUNDS} rounds of {SIZE / 1024**2:.0f} MiB, {interrupted} of them killed before their end",
        f"right content {right} times of {ROUNDS}",
    )
    return [
        Result("fetched again after kill -9, at most", max(again), "MiB", BAR_MIB, "lower", lines),
        Result("wrong content after kill -9", float(ROUNDS - right), "", 0.0, "lower", lines),
    ]


if __name__ == "__main__":
    sys.exit(show(measure()))
