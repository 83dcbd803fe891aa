"""Checks of the tools around edgetui: compiler, Git, .NET, an editor, the clouds' own tools."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import re
import sys
from pathlib import Path

from edgetui.core.readiness import Check, CheckState
from edgetui.services.readiness.commands import INSTALLERS, answer_of, first_on_path, install_command

LEAST_DOTNET = 8
_DOTNET_SCRIPT = "curl -sSL https://dot.net/v1/dotnet-install.sh | bash -s -- --channel 8.0"
"""Microsoft's own, for systems whose package manager has no .NET."""
_EDITORS = (
    # name, commands, modules, applications of macOS and files of Windows
    (
        "VS Code",
        ("code", "code-insiders", "codium", "code-server", "com.visualstudio.code"),
        (),
        ("Visual Studio Code.app", r"%LOCALAPPDATA%\Programs\Microsoft VS Code\Code.exe"),
    ),
    (
        "PyCharm",
        ("pycharm", "charm", "pycharm-community", "pycharm-professional"),
        (),
        ("PyCharm.app", "PyCharm CE.app", r"%ProgramFiles%\JetBrains"),
    ),
    ("Visual Studio", ("devenv",), (), (r"%ProgramFiles%\Microsoft Visual Studio",)),
    ("Jupyter", ("jupyter-lab", "jupyter-notebook", "jupyter"), ("jupyterlab", "notebook"), ()),
)
_OTHER_EDITORS = ("nvim", "vim", "emacs", "micro", "nano", "vi")
_MORE_FOLDERS = ("/snap/bin", "/var/lib/flatpak/exports/bin", "~/.local/share/JetBrains/Toolbox/scripts")
"""Where editors put commands that are not always on PATH."""


async def check_compiler() -> Check:
    """Needed once, when the engine is built."""
    packages = {"apt-get": "g++", "dnf": "gcc-c++", "pacman": "gcc", "zypper": "gcc-c++", "apk": "g++"}
    return await _tool_line(
        "compiler",
        "C++ compiler",
        ("c++", "g++", "clang++"),
        "optional once llama.cpp is installed",
        "llama.cpp is built from source for this very processor; without a compiler it cannot be built anew.",
        "xcode-select --install" if platform.system() == "Darwin" else install_command(packages),
    )


async def check_git() -> Check:
    """The course asks for it; edgetui itself does not need it."""
    return await _tool_line(
        "git",
        "Git",
        ("git",),
        "any version",
        "The course's material and edgetui's own source are Git repositories.",
        install_command({name: "git" for name in INSTALLERS} | {"winget": "Git.Git"}),
        absent="warn",
    )


async def check_dotnet() -> Check:
    """The .NET SDK, of which several may stand beside each other."""
    path = first_on_path(("dotnet",))
    if path is None:
        return dotnet_line((), "not found on PATH (dotnet)")
    return dotnet_line(*await answer_of(path, "--list-sdks"))


def dotnet_line(lines: tuple[str, ...], reason: str) -> Check:
    """The line for what `dotnet --list-sdks` prints, or for why it prints nothing."""
    versions = [match[1] for line in lines if (match := re.match(r"(\d+\.\d+\.\S+) \[", line))]
    newest = max((int(version.split(".")[0]) for version in versions), default=0)
    state: CheckState = "ok" if newest >= LEAST_DOTNET else "warn"
    found = f"SDK {', '.join(versions)}" if versions else reason or "a runtime without an SDK"
    return Check(
        key="dotnet",
        title=".NET SDK",
        state=state,
        found=found,
        needed=f"{LEAST_DOTNET} or newer",
        why="The course's C# samples are built with it; edgetui itself does not need it.",
        action="" if state == "ok" else _dotnet_action(),
    )


def _dotnet_action() -> str:
    packages = {
        "dnf": "dotnet-sdk-8.0",
        "pacman": "dotnet-sdk",
        "apk": "dotnet8-sdk",
        "brew": "--cask dotnet-sdk",
        "winget": "Microsoft.DotNet.SDK.8",
    }
    if "ubuntu" in _release_file().lower():
        packages["apt-get"] = "dotnet-sdk-8.0"
    command = install_command(packages)
    return command if any(name in command for name in packages.values()) else _DOTNET_SCRIPT


def _release_file() -> str:
    try:
        return Path("/etc/os-release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


async def check_editor() -> Check:
    """One of the editors that the course works with, or any."""
    return editor_line(*await asyncio.to_thread(_editors))


def editor_line(of_the_course: tuple[str, ...], others: tuple[str, ...]) -> Check:
    """The line for the editors that are there."""
    state: CheckState = "ok" if of_the_course else "warn"
    action = ""
    if not of_the_course:
        code = {"brew": "--cask visual-studio-code", "winget": "Microsoft.VisualStudioCode", "pacman": "code"}
        action = install_command(code)
        if not any(package in action for package in code.values()):
            action = f"{sys.executable} -m pip install jupyterlab, or VS Code from https://code.visualstudio.com"
    found = ", ".join(of_the_course)
    if not found:
        found = f"{', '.join(others)}: none of the course's" if others else "none found"
    return Check(
        key="editor",
        title="Editor",
        state=state,
        found=found,
        needed="VS Code, PyCharm, Visual Studio or Jupyter",
        why="The course's exercises are written for them; edgetui itself needs none.",
        action=action,
    )


def _editors() -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = []
    if os.environ.get("TERM_PROGRAM") == "vscode":
        found.append("VS Code (this terminal is its own)")
    for name, commands, modules, places in _EDITORS:
        if any(name in other for other in found):
            continue
        if (
            first_on_path(commands)
            or any(importlib.util.find_spec(module) for module in modules)
            or any(Path(folder, command).expanduser().exists() for folder in _MORE_FOLDERS for command in commands)
            or any(_is_installed(place) for place in places)
        ):
            found.append(name)
    others = [name for name in _OTHER_EDITORS if first_on_path((name,))]
    return tuple(found), tuple(others[:3])


def _is_installed(place: str) -> bool:
    if place.endswith(".app"):
        return any(Path(folder, place).expanduser().exists() for folder in ("/Applications", "~/Applications"))
    return platform.system() == "Windows" and Path(os.path.expandvars(place)).exists()


async def check_azure() -> Check:
    """Azure's command line with its machine-learning extension."""
    path = first_on_path(("az",))
    extension = await asyncio.to_thread(_azure_extension)
    if path is None:
        found = "not found on PATH (az)"
    else:
        found = f"az with the ml extension at {extension}" if extension else "az without the ml extension"
    return Check(
        key="azure",
        title="Azure ML CLI",
        state="ok" if path and extension else "skip",
        found=found,
        needed="optional",
        why="Fine-tuning in Azure Machine Learning; nothing here needs it.",
        action="" if extension else "az extension add --name ml" if path else "pipx install azure-cli",
    )


def _azure_extension() -> Path | None:
    folder = Path(os.environ.get("AZURE_EXTENSION_DIR") or "~/.azure/cliextensions").expanduser() / "ml"
    return folder if folder.is_dir() else None


async def check_notebooks() -> Check:
    """Credentials for Kaggle's notebooks, or a notebook of Colab around this very process."""
    found = await asyncio.to_thread(_notebooks)
    return Check(
        key="notebooks",
        title="Colab, Kaggle",
        state="ok" if found else "skip",
        found=", ".join(found) or "no credentials of Kaggle, and this is no notebook of Colab",
        needed="optional",
        why="Notebooks with a GPU for fine-tuning; nothing here needs them.",
        action="" if found else "Make an API token at https://www.kaggle.com/settings",
    )


def _notebooks() -> tuple[str, ...]:
    found = []
    if "COLAB_RELEASE_TAG" in os.environ:
        found.append("in a notebook of Colab")
    folder = Path(os.environ.get("KAGGLE_CONFIG_DIR") or "~/.kaggle").expanduser()
    if os.environ.get("KAGGLE_KEY") or os.environ.get("KAGGLE_API_TOKEN"):
        found.append("Kaggle's credentials in the environment")
    elif (folder / "kaggle.json").exists() or (folder / "access_token").exists():
        found.append(f"Kaggle's credentials in {folder}")
    return tuple(found)


async def _tool_line(
    key: str,
    title: str,
    names: tuple[str, ...],
    needed: str,
    why: str,
    action: str,
    absent: CheckState = "skip",
) -> Check:
    path = first_on_path(names)
    state: CheckState
    if path is None:
        found, state = f"not found on PATH ({', '.join(names)})", absent
    else:
        found, state = await _version_of(path)
    return Check(
        key=key,
        title=title,
        state=state,
        found=found,
        needed=needed,
        why=why,
        action=action if path is None else "",
    )


async def _version_of(path: str) -> tuple[str, CheckState]:
    """What a tool says of itself first."""
    lines, reason = await answer_of(path, "--version")
    return (lines[0], "ok") if lines else (reason, "unknown")
