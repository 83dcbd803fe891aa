"""What is handed out: the built wheel, installed alone and run from elsewhere; and the links at the top level."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import msgspec
import pytest

import edgetui

ROOT = Path(__file__).resolve().parent.parent
NOT_CODE = (".tcss", ".toml", ".sql", ".txt")
"""What the package reads at run time besides Python."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as a release would be but for the isolation, which would download the build tools again."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `edgetui` command of an empty environment that holds this wheel.

    Its dependencies are those of the running environment, so that nothing is downloaded or built again.
    """
    environment = tmp_path_factory.mktemp("empty") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True, capture_output=True)
    python = environment / "bin" / "python"
    packages = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    # Only a plain line: the editable install's own .pth there must not be followed to the checkout.
    dependencies = Path(packages) / "dependencies.pth"
    dependencies.write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin" / "edgetui"


def run(command: Path, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the installed command far from the checkout."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "EDGETUI", "HF_"))}
    return subprocess.run(
        [command, *arguments],
        cwd=home,
        env={**inherited, "EDGETUI_HOME": str(home / "edgetui"), "HF_HOME": str(home / "hub")},
        capture_output=True,
        text=True,
    )


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/", 1)[0] for name in names}
    assert top == {"edgetui", f"edgetui-{edgetui.__version__}.dist-info"}


def test_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "edgetui"
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and (path.suffix in (".py", *NOT_CODE) or path.name == "py.typed")
    }
    assert wanted - packed == set()
    assert any(name.endswith(".tcss") for name in wanted)


def test_command_of_the_wheel_runs_its_own_code(installed: Path, tmp_path: Path) -> None:
    answer = run(installed, "--version", home=tmp_path)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, f"edgetui {edgetui.__version__}\n", "")
    where = subprocess.run(
        [installed.with_name("python"), "-c", "import edgetui; print(edgetui.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert installed.parent.parent in Path(where).parents


def test_command_of_the_wheel_lists_the_demo_model(installed: Path, tmp_path: Path) -> None:
    answer = run(installed, "models", "--json", home=tmp_path)
    assert answer.returncode == 0, answer.stderr
    names = [model["name"] for model in msgspec.json.decode(answer.stdout)]
    assert "SmolLM2-135M-Instruct.Q4_1" in names


@pytest.mark.parametrize("name", ["screens", "widgets"])
def test_top_level_link_leads_into_the_package(name: str) -> None:
    link = ROOT / name
    assert link.is_symlink()
    assert os.readlink(link) == f"edgetui/{name}"
    assert (link / "__init__.py").is_file()
