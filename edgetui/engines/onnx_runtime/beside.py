"""What must lie beside an ONNX graph for it to run: configurations, tokenizer, chat template."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.engines.onnx_runtime.failures import told
from edgetui.formats.model_folder import GENAI_CONFIG, read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BESIDE = {".json", ".jinja", ".txt", ".model", ".tiktoken", ".spm"}
_LARGEST_BESIDE = 256 * 1024**2


def folders_beside(path: Path) -> tuple[Path, ...]:
    """Where configurations and tokenizer of a graph are looked for.

    Repositories keep their graphs in a folder `onnx` and everything else above it.
    """
    return (path.parent, path.parent.parent) if path.parent.name == "onnx" else (path.parent,)


def beside(path: Path, name: str) -> Path | None:
    """A file beside a graph, None where there is none."""
    return next((folder / name for folder in folders_beside(path) if (folder / name).is_file()), None)


def configuration(path: Path, name: str) -> dict[str, Any]:
    """A JSON object beside a graph; empty where there is none that can be read."""
    file = beside(path, name)
    return {} if file is None else read_json(file)


def carry_along(path: Path, target: Path, *, but: Iterable[str] = ()) -> None:
    """Copy configurations, tokenizer and chat template into the folder `target`; weights are left out."""
    left_out = {*but, "optimization.json"}
    for folder in reversed(folders_beside(path)):
        for file in sorted(folder.iterdir()):
            is_kept = file.suffix in _BESIDE and file.name not in left_out and not file.name.endswith(".index.json")
            if is_kept and file.is_file() and file.stat().st_size <= _LARGEST_BESIDE:
                with told(file.name, "Copying"):
                    shutil.copyfile(file, target / file.name)


def refuse_pipeline(path: Path) -> None:
    """Raise `EdgetuiError("unsupported")` for a model of several graphs, of which one alone would be left broken."""
    config = configuration(path, GENAI_CONFIG)
    others = {name for name in _file_names(config) if name.endswith(".onnx") and Path(name).name != path.name}
    if others:
        raise EdgetuiError(
            "unsupported",
            f"{path.name} is one of {len(others) + 1} graphs of a model ({', '.join(sorted(others)[:3])} and others"
            " belong to it), and only models of a single graph can be changed here.",
        )


def _file_names(config: Any) -> Iterator[str]:
    for key, value in config.items() if isinstance(config, dict) else enumerate(config):
        if isinstance(value, dict | list):
            yield from _file_names(value)
        elif key == "filename" and isinstance(value, str):
            yield value
