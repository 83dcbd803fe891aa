"""Where a fault of edgetui's own is kept: the person sees one sentence that names the file."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def log_crash(log_dir: Path, error: BaseException) -> Path:
    """Append the traceback; returns the log's path, which is named even when nothing could be written there."""
    return log_text(log_dir, "".join(traceback.format_exception(type(error), error, error.__traceback__)))


def log_text(log_dir: Path, text: str) -> Path:
    """Append text with the time; never raises OSError."""
    path = log_dir / "app.log"
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="replace") as stream:
            stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{text}\n")
    except OSError:
        # Nowhere to write: the sentence still names the place that was tried.
        pass
    return path
