"""Writing what a sweep found to a file: Markdown, CSV, JSON, or a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.file_form import form_by_ending, form_named
from edgetui.core.frontier_svg import as_svg
from edgetui.core.frontier_text import as_csv, as_json, as_markdown
from edgetui.services.new_file import write_new

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgetui.core.frontier import CostAxis, Judged, Pick

FORMATS = ("md", "csv", "json", "svg")


def exported(kind: str, judged: Sequence[Judged], picked: Pick, axis: CostAxis) -> str:
    """The text of one of `FORMATS`; raises `EdgetuiError("bad_request")` for another, or where there is nothing."""
    if not judged:
        raise EdgetuiError("bad_request", "There is nothing to export: sweep first (`edgetui sweep MODEL`).")
    if form_named(kind, FORMATS) == "svg":
        return as_svg(judged, picked, axis)
    makers = {"md": as_markdown, "csv": as_csv, "json": as_json}
    return makers[kind](judged, picked)


def export(path: Path, judged: Sequence[Judged], picked: Pick, axis: CostAxis) -> Path:
    """Write the format that the name ends in, never over another file; gives the file's path.

    Raises `EdgetuiError`: `bad_request`, `exists`, `no_permission`, `no_space`.
    """
    return write_new(path, exported(form_by_ending(path, FORMATS), judged, picked, axis))
