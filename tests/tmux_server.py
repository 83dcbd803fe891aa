"""A tmux of a test's own, around which nothing else runs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tmux_buffer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """The test runs as if within it; what it is given says what stands in its paste buffer, empty for none."""
    tmux = shutil.which("tmux")
    if tmux is None:
        pytest.skip("tmux is not installed")
    socket = tmp_path / "tmux"

    def answer(*words: str) -> str:
        return subprocess.run(
            [tmux, "-S", str(socket), "-f", "/dev/null", *words], capture_output=True, text=True
        ).stdout

    answer("new-session", "-d", "sleep 600")
    monkeypatch.setenv("TMUX", f"{socket},{answer('display-message', '-p', '#{pid}').strip()},0")
    try:
        yield lambda: answer("show-buffer")
    finally:
        answer("kill-server")
