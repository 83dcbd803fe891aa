"""Engines told by processes of their own: the real llama.cpp, and packages that answer, fail or hang."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.services import engine_devices
from edgetui.services.engine_devices import EngineProbe
from edgetui.services.lab import Lab

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.accelerator_use import EngineDevices
    from edgetui.worker.protocol import EngineInfo


async def broken() -> EngineInfo:
    raise EdgetuiError("engine_missing", "llama-cpp-python is not installed.")


async def ask_onnxruntime(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> EngineDevices:
    """The answer of a package of that name with this source."""
    (folder / "onnxruntime.py").write_text(source)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return (await EngineProbe(broken).describe())[1]


async def test_llama_cpp_tells_its_backends_and_is_asked_once(lab: Lab) -> None:
    inference = lab.inference
    asked = 0

    async def engine_info() -> EngineInfo:
        nonlocal asked
        asked += 1
        return await inference.engine_info()

    probe = EngineProbe(engine_info)
    llama_cpp = (await probe.describe())[0]
    assert llama_cpp.version.value is not None and "llama-cpp-python" in llama_cpp.version.value
    assert "CPU" in (llama_cpp.targets.value or ())
    assert await probe.describe() == await probe.describe() and asked == 1
    assert inference.worker_pid is None


async def test_an_engine_that_does_not_start_leaves_the_others() -> None:
    llama_cpp, *others = await EngineProbe(broken).describe()
    assert llama_cpp.version.reason == "llama-cpp-python is not installed."
    assert [engine.engine for engine in others] == ["ONNX Runtime", "MLX"]


async def test_a_package_tells_version_and_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = await ask_onnxruntime(
        tmp_path,
        monkeypatch,
        "__version__ = '1.23.0'\n"
        "def get_available_providers(): return ['OpenVINOExecutionProvider', 'CPUExecutionProvider']\n",
    )
    assert engine.version.value == "1.23.0"
    assert engine.targets.value == ("OpenVINOExecutionProvider", "CPUExecutionProvider")


async def test_a_package_that_does_not_load_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = await ask_onnxruntime(tmp_path, monkeypatch, "raise ImportError('libcudart.so.12 is missing')\n")
    assert engine.version.reason == "does not load: ImportError: libcudart.so.12 is missing"


async def test_a_package_that_says_nothing_is_not_taken_for_one_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await ask_onnxruntime(tmp_path, monkeypatch, "import os\nos._exit(0)\n")
    assert engine.version.reason == "does not load: status 0"


async def test_a_package_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_devices, "ANSWER_LIMIT_S", 0.2)
    engine = await ask_onnxruntime(tmp_path, monkeypatch, "import threading\nthreading.Event().wait()\n")
    assert engine.version.reason.startswith("no answer within")
