"""Writing an inspected answer to a file: JSON or CSV."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.inspection_text import as_csv, as_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgetui.core.inspection import InspectedToken


def export_inspection(path: Path, tokens: Sequence[InspectedToken], model: str) -> Path:
    """Write the format that the name ends in, never over another file; gives the file's path.

    Raises `EdgetuiError`: `bad_request`, `exists`, `no_permission`.
    """
    path = path.expanduser().absolute()
    ending = path.suffix.lower()
    if ending not in (".json", ".csv"):
        raise EdgetuiError("bad_request", f"{path.name} ends in no known format: let it end in .json or .csv.")
    text = as_json(tokens, model) if ending == ".json" else as_csv(tokens)
    try:
        with path.open("x", encoding="utf-8", newline="") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise EdgetuiError("exists", f"{path} is already there: remove it or name another file.") from error
    except OSError as error:
        if path.is_file() and os.path.getsize(path) < len(text.encode()):
            path.unlink()
        raise EdgetuiError(
            "no_permission", f"{path} cannot be written ({error.strerror}): name another file."
        ) from error
    return path
