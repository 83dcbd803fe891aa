"""llama.cpp's own converter, taken out of the sources of the very llama-cpp-python that is installed."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.worker.requests import ToolchainRequest

FOLDER = "llama.cpp"
"""In the environment."""
_SOURCES = PurePosixPath("vendor/llama.cpp")
_WANTED = (PurePosixPath("convert_hf_to_gguf.py"), PurePosixPath("conversion"), PurePosixPath("gguf-py/gguf"))
_LICENSE = PurePosixPath("LICENSE")
_LARGEST_BYTES = 64 * 1024**2
"""Far more than all that is wanted takes together."""


class Pip(Protocol):
    """Runs pip in the environment; raises `EdgetuiError`."""

    def __call__(self, *arguments: str, on_output: Callable[[str], None] | None = None) -> None: ...


def take_converter(request: ToolchainRequest, environment: Path, pip: Pip) -> None:
    """Fetch the sources and unpack the converter into the environment; raises `EdgetuiError`, OSError.

    pip asks the build backend for the package's metadata and nothing more: it builds nothing.
    """
    sources = environment / "sdist"
    pins = environment / "build-requirements.txt"
    pins.write_text("".join(f"{pin}\n" for pin in request.converter_build), encoding="utf-8")
    package = f"llama-cpp-python=={request.converter}"
    options = ("--no-deps", "--progress-bar", "raw", "--no-binary", "llama-cpp-python", "--build-constraint", str(pins))
    pip("download", *options, "--dest", str(sources), package)
    unpack(next(sources.glob("llama_cpp_python-*.tar.gz")), environment / FOLDER)
    shutil.rmtree(sources)


def unpack(archive: Path, target: Path) -> None:
    """Unpack the converter's files and nothing else; raises `EdgetuiError("bad_file")`, OSError."""
    room = _LARGEST_BYTES
    try:
        with tarfile.open(archive) as members:
            for member in members:
                inside = wanted_path(member.name)
                # Links and devices are not source text, whatever they are called.
                if inside is None or not member.isfile():
                    continue
                room -= member.size
                content = members.extractfile(member)
                if room < 0 or content is None:
                    raise EdgetuiError("bad_file", f"{archive.name} holds a converter of more than 64 MiB: refused.")
                path = target / inside
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as stream:
                    shutil.copyfileobj(content, stream)
    except (tarfile.TarError, EOFError) as error:
        raise EdgetuiError(
            "bad_file", f"{archive.name} is damaged: empty pip's cache (pip cache purge), then install again."
        ) from error
    missing = [str(path) for path in (*_WANTED, _LICENSE) if not (target / path).exists()]
    if missing:
        raise EdgetuiError(
            "unsupported", f"{archive.name} has no {missing[0]}: this llama-cpp-python keeps its converter elsewhere."
        )


def wanted_path(name: str) -> PurePosixPath | None:
    """Where a member of the archive goes, below the target; None for what is not wanted or would lie outside."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or len(path.parts) < 2:
        return None
    try:
        inside = PurePosixPath(*path.parts[1:]).relative_to(_SOURCES)
    except ValueError:
        return None
    is_wanted = inside == _LICENSE or any(inside == each or each in inside.parents for each in _WANTED)
    return inside if is_wanted else None
