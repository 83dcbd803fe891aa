"""What pip prints becomes progress, and its failures become sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.worker.runners.toolchain_pip import PipProgress, is_progress, pip_environment, pip_failure

PRINTED = """\
Looking in indexes: https://index.example/simple
Collecting torch==2.13.0 (from -r requirements.txt (line 1))
  Downloading torch-2.13.0-cp312-cp312-manylinux_2_28_x86_64.whl (526.6 MB)
Progress 0 of 526600000
Progress 263300000 of 526600000
Progress 526600000 of 526600000
Processing /wheels/sympy-1.14.0-py3-none-any.whl (from torch==2.13.0)
Collecting idna==3.20 (from -r requirements.txt (line 2))
  Using cached idna-3.20-py3-none-any.whl (66 kB)
Installing collected packages: sympy, idna, torch
"""


class Reports:
    """Keeps what a job would tell."""

    cancelled = False

    def __init__(self) -> None:
        self.told: list[tuple[float, float | None, str]] = []

    def progress(self, done: float, total: float | None, unit: str, note: str = "", **_: object) -> None:
        self.told.append((done, total, note))

    def row(self, row: object) -> None:
        raise AssertionError("nothing is measured here")


def test_progress_counts_each_package_when_it_has_come_and_when_it_is_installed(tmp_path: Path) -> None:
    reports = Reports()
    progress = PipProgress(reports, tmp_path, 3, takes_cuda=False)
    for line in PRINTED.splitlines():
        progress.take(line)
    packages = tmp_path / "lib" / "python3.12" / "site-packages"
    for name in ("sympy", "idna"):
        (packages / f"{name}.dist-info").mkdir(parents=True)
        (packages / f"{name}.dist-info" / "RECORD").touch()
    progress.look()
    progress.say("checking")
    done = [told[0] for told in reports.told]
    assert done == sorted(done) and {told[1] for told in reports.told} == {7}
    notes = [told[2] for told in reports.told]
    assert "downloading torch 251 of 502 MiB" in notes and (0.5, 7, "downloading torch 251 of 502 MiB") in reports.told
    assert reports.told[-2] == (5, 7, "installing: 2 of 3 packages") and reports.told[-1][0] == 6


def test_only_lines_about_bytes_stay_out_of_the_log() -> None:
    assert [line for line in PRINTED.splitlines() if is_progress(line)] == [
        f"Progress {count} of 526600000" for count in (0, 263300000, 526600000)
    ]


@pytest.mark.parametrize("package", ["nvidia-cublas==13.1.1.3", "cuda-toolkit==13.0.3", "triton==3.7.1"])
def test_cuda_is_refused_where_there_is_no_gpu_for_it(tmp_path: Path, package: str) -> None:
    line = f"Collecting {package} (from torch==2.13.0)"
    with pytest.raises(EdgetuiError, match="has no NVIDIA GPU: name PyTorch's index of CPU builds as toolchain_index"):
        PipProgress(Reports(), tmp_path, 3, takes_cuda=False).take(line)
    reports = Reports()
    PipProgress(reports, tmp_path, 3, takes_cuda=True).take(line)
    assert len(reports.told) == 1


def test_pip_asks_a_further_index_and_takes_no_orders_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "file:///one")
    monkeypatch.setenv("PYTHONPATH", "/mine")
    environment = pip_environment("file:///two")
    assert environment["PIP_EXTRA_INDEX_URL"] == "file:///one file:///two"
    assert not {"PIP_TARGET", "PYTHONPATH"} & environment.keys()
    assert pip_environment("")["PIP_EXTRA_INDEX_URL"] == "file:///one"


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (
            ["ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"],
            "no_space",
            "The disk is full: make room, then install onnx again.",
        ),
        (
            [
                "ERROR: Could not find a version that satisfies the requirement torch==2.13.0 (from versions: none)",
                "ERROR: No matching distribution found for torch==2.13.0",
            ],
            "network",
            "No matching distribution found for torch==2.13.0): check the network",
        ),
        (["ERROR: Cannot install a and b", "", "Aborted"], "internal", "(Cannot install a and b): its log says more."),
        ([], "internal", "(it said nothing)"),
    ],
)
def test_a_failure_of_pip_is_one_sentence(said: list[str], kind: str, words: str) -> None:
    error = pip_failure("onnx", said)
    assert error.failure.kind == kind and words in str(error) and "\n" not in str(error)
