"""Writing an inspected answer to a file: JSON or CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
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
    ending = path.suffix.lower()
    if ending not in (".json", ".csv"):
        raise EdgetuiError("bad_request", f"{path.name} ends in no known format: let it end in .json or .csv.")
    text = as_json(tokens, model) if ending == ".json" else as_csv(tokens)
    return write_new(path, text)
