"""llama-server, built from the sources inside llama-cpp-python's own sdist against the library that edgetui loads.

It takes some minutes the first time: beside the server there are HTTP, pictures and sound to compile, none of which
measures anything here, so they are not optimized.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from benchmarks.llama_tools import CACHE, LIBRARIES, SOURCES, download, extract, library_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WANTED = ("common/", "include/", "ggml/include/", "src/", "vendor/", "tools/server/", "tools/mtmd/")
PARTS = (
    "tools/server/*.cpp", "tools/mtmd/mtmd*.cpp", "tools/mtmd/clip.cpp", "tools/mtmd/models/*.cpp",
    "vendor/cpp-httplib/*.cpp", "vendor/hash/*.cpp", "vendor/hash/*/*.c",
)  # fmt: skip
INCLUDES = ("common", "include", "ggml/include", "tools/mtmd", "tools/server", "vendor", "vendor/hash", ".")
NO_PAGES = """#pragma once
#include <array>
#include <string>
struct llama_ui_asset {
    std::string name; const unsigned char * data; std::size_t size; std::string etag; std::string type;
};
inline const llama_ui_asset * llama_ui_find_asset(const std::string &) { return nullptr; }
inline bool llama_ui_use_gzip() { return false; }
inline const std::array<llama_ui_asset, 0> & llama_ui_get_assets() {
    static const std::array<llama_ui_asset, 0> none{};
    return none;
}
"""
"""What stands in for the pages that its own build fetches or makes with Node."""
START_S = 120.0


def llama_server() -> Path:
    """The program, built on the first call."""
    folder = CACHE / version("llama-cpp-python")
    target, library = folder / "llama-server", library_folder()
    if target.exists() and target.stat().st_mtime > (library / "llama_cpp").stat().st_mtime:
        return target
    sources = _sources(folder / "server-src")
    print("Building llama-server against the installed llama.cpp; this takes some minutes", flush=True)
    objects = folder / "server-objects"
    shutil.rmtree(objects, ignore_errors=True)
    objects.mkdir()
    (objects / "ui.h").write_text(NO_PAGES)
    files = [file for pattern in PARTS for file in sorted(sources.glob(pattern)) if "-cli" not in file.name]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        made = list(pool.map(lambda file: _compiled(file, sources, objects), files))
    folders = (library / "llama_cpp" / "lib", library / "lib")
    linking = [f"-L{each}" for each in folders] + [f"-Wl,-rpath,{each}" for each in folders]
    # Nothing in the server names the processor's backend, which registers itself when it is loaded.
    unneeded = ["-Wl,--no-as-needed"] if sys.platform == "linux" else []
    libraries = [f"-l{name}" for name in LIBRARIES]
    subprocess.run([_compiler(), *made, "-pthread", "-o", target, *unneeded, *linking, *libraries], check=True)
    shutil.rmtree(objects)
    return target


@contextmanager
def running(model: Path, *options: str) -> Iterator[str]:
    """A server with a model on loopback; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command: list[str | Path] = [
        llama_server(),
        "-m",
        model,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-ui",
        *options,
    ]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + START_S
            while not _answers(f"{url}/health"):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("llama-server does not start")
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _sources(folder: Path) -> Path:
    if folder.exists():
        return folder
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    archive_path = download(folder.parent / "server-sdist")
    with tarfile.open(archive_path) as archive:
        for member in archive:
            inside = member.name.split("/", 1)[-1].removeprefix(f"{SOURCES}/")
            if member.isfile() and inside != member.name and inside.startswith(WANTED):
                extract(archive, member, partial / inside)
    shutil.rmtree(archive_path.parent)
    partial.rename(folder)
    return folder


def _compiled(file: Path, sources: Path, objects: Path) -> Path:
    made = objects / f"{'-'.join(file.relative_to(sources).parts)}.o"
    # One of the C files lives in a namespace, to keep out of the way of TLS libraries.
    language = ["-x", "c++"] if file.name == "sha1.c" else []
    standard = [] if file.suffix == ".c" and not language else ["-std=c++17"]
    optimized = "-O1" if "server" in file.parts else "-O0"
    compiler = _compiler() if standard else shutil.which("cc") or "cc"
    options = (optimized, "-w", "-DNDEBUG", "-DLLAMA_SUBPROCESS=1", "-pthread", *standard)
    includes = (*(f"-I{sources / include}" for include in INCLUDES), f"-I{objects}")
    subprocess.run([compiler, *options, *includes, *language, "-c", file, "-o", made], check=True)
    return made


def _compiler() -> str:
    return shutil.which("c++") or shutil.which("g++") or "clang++"
