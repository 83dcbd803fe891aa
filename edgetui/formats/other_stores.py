"""Where other programs on this machine keep GGUF models, to be used in place and never written to.

Places as the programs' documentation names them: Ollama (OLLAMA_MODELS), LM Studio, GPT4All, Jan, llama.cpp's own
cache (LLAMA_CACHE).
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgetui.formats.regular_file import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MODEL_LAYER = "application/vnd.ollama.image.model"
_MOST_MANIFEST_BYTES = 1024 * 1024
_MOST_MANIFESTS = 10_000
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_DEFAULT_REGISTRY = ("registry.ollama.ai", "library")


class OtherStore(NamedTuple):
    """One program's folder."""

    program: str
    folder: Path


class NamedFile(NamedTuple):
    """A model as its program calls it."""

    name: str
    path: Path


def other_stores(environ: Mapping[str, str] | None = None) -> list[OtherStore]:
    """Folders that exist, of programs whose models are plain GGUF files in folders; Ollama's is `ollama_folders`."""
    environ = os.environ if environ is None else environ
    home = Path(os.path.expanduser("~"))
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    support = home / "Library" / "Application Support"
    places = [
        OtherStore("LM Studio", home / ".lmstudio" / "models"),
        OtherStore("LM Studio", home / ".cache" / "lm-studio" / "models"),
        OtherStore("GPT4All", data / "nomic.ai" / "GPT4All"),
        OtherStore("Jan", data / "Jan" / "data"),
        OtherStore("Jan", home / "jan" / "models"),
        OtherStore("llama.cpp", Path(environ.get("LLAMA_CACHE") or cache / "llama.cpp")),
    ]
    if sys.platform == "darwin":
        places += [
            OtherStore("GPT4All", support / "nomic.ai" / "GPT4All"),
            OtherStore("Jan", support / "Jan" / "data"),
            OtherStore("llama.cpp", home / "Library" / "Caches" / "llama.cpp"),
        ]
    return [place for place in places if place.folder.is_dir()]


def ollama_folders(environ: Mapping[str, str] | None = None) -> list[Path]:
    """Where Ollama keeps manifests and blobs: the person's own, else those of its system service."""
    environ = os.environ if environ is None else environ
    if named := environ.get("OLLAMA_MODELS"):
        return [Path(os.path.expanduser(named))]
    return [
        Path(os.path.expanduser("~")) / ".ollama" / "models",
        Path("/usr/share/ollama/.ollama/models"),
        Path("/var/lib/ollama/.ollama/models"),
    ]


def ollama_models(folder: Path) -> Iterator[NamedFile]:
    """Models that its manifests name, as `ollama run` calls them; what is damaged or not there is left out."""
    manifests = folder / "manifests"
    found = sorted(
        path for path, _ in zip(manifests.rglob("*"), range(_MOST_MANIFESTS), strict=False) if path.is_file()
    )
    for path in found:
        digest = _model_digest(path)
        blob = folder / "blobs" / f"sha256-{digest}"
        if digest and blob.is_file():
            yield NamedFile(_ollama_name(path.relative_to(manifests).parts), blob)


def _model_digest(manifest: Path) -> str:
    try:
        with open_regular(manifest) as file:
            told = json.loads(file.read(_MOST_MANIFEST_BYTES))
        layers = told["layers"]
        digest = next(layer["digest"] for layer in layers if layer.get("mediaType") == _MODEL_LAYER)
        match = _DIGEST.fullmatch(digest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration, RecursionError):
        return ""
    return match[1] if match else ""


def _ollama_name(parts: tuple[str, ...]) -> str:
    """`registry.ollama.ai/library/qwen3/0.6b` -> `qwen3:0.6b`."""
    *folders, tag = parts
    if tuple(folders[:2]) == _DEFAULT_REGISTRY:
        folders = folders[2:]
    return f"{'/'.join(folders)}:{tag}"
