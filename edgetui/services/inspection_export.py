"""Writing an inspected answer to a file: JSON or CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.file_form import form_by_ending
from edgetui.core.inspection_text import as_csv, as_json
from edgetui.services.new_file import write_new

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgetui.core.inspection import InspectedToken


def export_inspection(path: Path, tokens: Sequence[InspectedToken], model: str) -> Path:
    """Write the format that the name ends in, never over another file; gives the file's path.

    Raises `EdgetuiError`: `bad_request`, `exists`, `no_permission`, `no_space`.
    """
    text = as_json(tokens, model) if form_by_ending(path, ("json", "csv")) == "json" else as_csv(tokens)
    return write_new(path, text)
