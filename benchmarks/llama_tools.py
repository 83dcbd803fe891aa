"""llama-bench, llama-quantize and their like, built from the sources inside llama-cpp-python's own sdist.

They link against the very library that edgetui loads, so that a ratio compares programs and not builds.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
CACHE = ROOT / ".cache" / "llama-tools"
SOURCES = "vendor/llama.cpp"
PROGRAMS = ("llama-bench", "quantize", "imatrix", "perplexity")
"""Folders under `tools` of the programs that are built here."""
WANTED = ("common", "include", "ggml/include", *(f"tools/{program}" for program in PROGRAMS), "LICENSE")
LIBRARIES = ("llama-common", "llama", "ggml", "ggml-cpu", "ggml-base")


def llama_bench() -> Path:
    """The program, built on the first call."""
    return _tool("llama-bench", "llama-bench")


def llama_quantize() -> Path:
    """The program, built on the first call."""
    return _tool("llama-quantize", "quantize")


def llama_imatrix() -> Path:
    """The program, built on the first call."""
    return _tool("llama-imatrix", "imatrix")


def llama_perplexity() -> Path:
    """The program, built on the first call."""
    return _tool("llama-perplexity", "perplexity")


def _tool(program: str, folder: str) -> Path:
    target = CACHE / version("llama-cpp-python") / program
    library = library_folder()
    # A library that was built anew after the program may have other internals.
    if target.exists() and target.stat().st_mtime > (library / "llama_cpp").stat().st_mtime:
        return target
    sources = _sources()
    print(f"Building {program} against the installed llama.cpp", flush=True)
    folders = (library / "llama_cpp" / "lib", library / "lib")
    linking = [f"-L{folder}" for folder in folders] + [f"-Wl,-rpath,{folder}" for folder in folders]
    compiler = shutil.which("c++") or shutil.which("g++") or "clang++"
    unneeded = ["-Wl,--no-as-needed"] if sys.platform == "linux" else []
    subprocess.run(
        [
            compiler,
            *("-O3", "-DNDEBUG", "-std=c++17", "-pthread"),
            *(f"-I{sources / include}" for include in ("common", "include", "ggml/include")),
            *sorted((sources / "tools" / folder).glob("*.cpp")),
            *("-o", target),
            *unneeded,
            *linking,
            *(f"-l{name}" for name in LIBRARIES),
        ],
        check=True,
    )
    return target


def library_folder() -> Path:
    """Where the installed package's libraries lie, those for other programs among them."""
    spec = find_spec("llama_cpp")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("llama-cpp-python is not installed: run `make bench`.")
    folder = Path(spec.submodule_search_locations[0]).parent
    if not list((folder / "lib").glob("libllama-common.*")):
        raise SystemExit("llama-cpp-python was not built from source here: run `make clean` and `make bench`.")
    return folder


def _sources() -> Path:
    """The part of llama.cpp's sources that the programs are made of."""
    release = version("llama-cpp-python")
    folder = CACHE / release / "src"
    if all((folder / "tools" / program).exists() for program in PROGRAMS):
        return folder
    archive_path = download(CACHE / release / "sdist")
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(archive_path) as archive:
        for member in archive:
            inside = member.name.split("/", 1)[-1].removeprefix(f"{SOURCES}/")
            if member.isfile() and inside != member.name and inside.startswith(WANTED):
                extract(archive, member, partial / inside)
    # One of an edgetui that knew fewer programs may be there.
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    shutil.rmtree(archive_path.parent)
    return folder


def download(folder: Path) -> Path:
    """The sdist of the installed llama-cpp-python, in a folder of its own."""
    release = version("llama-cpp-python")
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--build-constraint", str(CONSTRAINTS)]
    requirement = ["--no-binary", "llama-cpp-python", f"llama-cpp-python=={release}", "--dest", str(folder)]
    subprocess.run([*pip, *requirement], check=True)
    return next(folder.glob("*.tar.gz"))


def extract(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """One file of an archive, under a name of ours."""
    target.parent.mkdir(parents=True, exist_ok=True)
    content: Any = archive.extractfile(member)
    with target.open("wb") as stream:
        shutil.copyfileobj(content, stream)
