"""A download through edgetui's transfer, over a bare `hf_hub_download` of the same file, both from the loopback hub.

The hub runs in a process of its own; each round starts from an empty cache.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.machine import warn_when_busy
from benchmarks.report import Result, show
from edgetui.hub import browse
from edgetui.hub.access import HubAccess
from edgetui.hub.download import DownloadLimits, FileDownload

if TYPE_CHECKING:
    from collections.abc import Callable


ROUNDS = 9
BAR = 1.05
REPO = "demo/SmolLM2-135M-Instruct-GGUF"


def measure() -> list[Result]:
    """Both in turn, and the ratio of each round."""
    warn_when_busy()
    hub = subprocess.Popen([sys.executable, "-m", "tests.hub"], stdout=subprocess.PIPE, text=True)
    try:
        assert hub.stdout is not None
        endpoint = hub.stdout.readline().strip().partition("=")[2]
        # The library reads it once, when it is imported.
        os.environ |= {"HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1"}
        with tempfile.TemporaryDirectory() as folder:
            return [_compare(Path(folder), endpoint)]
    finally:
        hub.terminate()
        hub.wait()


def _compare(folder: Path, endpoint: str) -> Result:
    from huggingface_hub import hf_hub_download

    cache = folder / "hub"
    access = HubAccess(endpoint, cache, is_offline=False)
    page = browse.page(access, REPO)
    (file,) = page.variants[0].files

    def ours() -> None:
        FileDownload(access, REPO, page.commit, file, DownloadLimits(), lambda here, note: None).run()

    def bare() -> None:
        hf_hub_download(REPO, file.path, revision=page.commit, cache_dir=cache, endpoint=endpoint)

    _timed(ours, cache), _timed(bare, cache)
    pairs = [(_timed(ours, cache), _timed(bare, cache)) for _ in range(ROUNDS)]
    ratio = statistics.median(one / other for one, other in pairs)
    lines = (
        f"{ROUNDS} rounds in turn, {(file.size_bytes or 0) / 1e6:.0f} MB, hashed and put on disk by edgetui only",
        *(
            f"{name} median {statistics.median(times):.2f} s ({min(times):.2f} to {max(times):.2f})"
            for name, times in zip(("edgetui", "hf_hub_download"), zip(*pairs, strict=True), strict=True)
        ),
    )
    return Result("download over a bare hf_hub_download", ratio, "", BAR, "lower", lines)


def _timed(work: Callable[[], None], cache: Path) -> float:
    shutil.rmtree(cache, ignore_errors=True)
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(show(measure()))
