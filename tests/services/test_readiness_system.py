"""The course's list of systems, processors and tools, on facts of machines that this one is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edgetui.services.readiness import tools
from edgetui.services.readiness.engines import package_line
from edgetui.services.readiness.operating_system import SystemFacts, architecture_line, system_line
from edgetui.services.readiness.tools import check_azure, check_dotnet, check_editor, check_notebooks, dotnet_line

if TYPE_CHECKING:
    from pathlib import Path


def linux(name: str, version: str, glibc: str) -> SystemFacts:
    return SystemFacts("Linux", "6.8", {"ID": name, "VERSION_ID": version, "PRETTY_NAME": f"{name} {version}"}, glibc)


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (linux("ubuntu", "18.04", "2.27"), "fail"),
        (linux("ubuntu", "20.04", "2.31"), "ok"),
        (linux("ubuntu", "24.04", "2.39"), "ok"),
        (linux("debian", "12", "2.36"), "ok"),
        (linux("centos", "7", "2.17"), "fail"),
        (linux("alpine", "3.20", ""), "warn"),
        (SystemFacts("Darwin", "10.14.6", {}, ""), "fail"),
        (SystemFacts("Darwin", "10.15.7", {}, ""), "ok"),
        (SystemFacts("Darwin", "15.1", {}, ""), "ok"),
        (SystemFacts("Windows", "7", {}, ""), "fail"),
        (SystemFacts("Windows", "10", {}, ""), "ok"),
        (SystemFacts("Windows", "11", {}, ""), "ok"),
        (SystemFacts("Windows", "2012ServerR2", {}, ""), "fail"),
        (SystemFacts("Windows", "2022Server", {}, ""), "ok"),
        (SystemFacts("FreeBSD", "14", {}, ""), "warn"),
    ],
)
def test_a_system_is_held_against_the_courses_list(facts: SystemFacts, state: str) -> None:
    line = system_line(facts)
    assert line.state == state, line.found
    assert bool(line.action) == (state != "ok")


@pytest.mark.parametrize(
    ("machine", "is_64_bit", "state"),
    [
        ("x86_64", True, "ok"), ("AMD64", True, "ok"), ("aarch64", True, "ok"), ("arm64", True, "ok"),
        ("aarch64", False, "warn"), ("armv7l", False, "warn"), ("riscv64", True, "warn"), ("", True, "warn"),
    ],
)  # fmt: skip
def test_arm_and_x86_64_are_good_and_32_bits_are_told(machine: str, is_64_bit: bool, state: str) -> None:
    assert architecture_line(machine, python_is_64_bit=is_64_bit).state == state


def test_the_newest_dotnet_sdk_counts() -> None:
    both = dotnet_line(("6.0.428 [/usr/share/dotnet/sdk]", "8.0.404 [/usr/share/dotnet/sdk]"), "")
    assert both.state == "ok" and both.found == "SDK 6.0.428, 8.0.404"
    old = dotnet_line(("6.0.428 [/usr/share/dotnet/sdk]",), "")
    assert old.state == "warn" and old.action
    assert dotnet_line(("10.0.100-rc.1.25451 [C:\\Program Files\\dotnet\\sdk]",), "").state == "ok"
    assert dotnet_line((), "dotnet --list-sdks fails: it says nothing").state == "warn"


async def test_tools_are_found_on_path_and_in_their_own_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TERM_PROGRAM", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_CONFIG_DIR", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(tools, "_MORE_FOLDERS", (str(tmp_path / "snap"),))
    assert (await check_dotnet()).state == (await check_editor()).state == "warn"
    assert (await check_azure()).state == (await check_notebooks()).state == "skip"
    command(tmp_path / "dotnet", "echo '9.0.100 [/usr/lib/dotnet/sdk]'")
    command(tmp_path / "vim", "true")
    assert (await check_dotnet()).found == "SDK 9.0.100"
    assert (await check_editor()).found == "vim: none of the course's"
    (tmp_path / "snap").mkdir()
    command(tmp_path / "snap/code", "true")
    editor = await check_editor()
    assert (editor.state, editor.found, editor.action) == ("ok", "VS Code", "")
    command(tmp_path / "az", "true")
    assert (await check_azure()).action == "az extension add --name ml"
    (tmp_path / ".azure/cliextensions/ml").mkdir(parents=True)
    assert (await check_azure()).state == "ok"
    (tmp_path / ".kaggle").mkdir()
    (tmp_path / ".kaggle/kaggle.json").write_text('{"username": "x", "key": "secret"}')
    notebooks = await check_notebooks()
    assert notebooks.state == "ok" and "secret" not in notebooks.found


def test_a_package_is_told_by_its_version_without_importing_it() -> None:
    assert package_line("x", "X", "msgspec", "", "").state == "ok"
    absent = package_line("x", "X", "no-such-package-anywhere", "", "")
    assert absent.state == "skip" and absent.action.endswith("-m pip install no-such-package-anywhere")


def command(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
