"""Environments of the toolchains for tests: made once a checkout by the real installer, and kept for the next run."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgetui.services.lab import Lab

TOOLCHAINS = Path(__file__).resolve().parent.parent / ".cache" / "toolchains"
"""Shared by every run of the tests in this checkout."""
WAIT_S = 0.5
FIXTURES = {"gguf_toolchain", "onnx_toolchain", "olive_toolchain", "mlx_toolchain"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the time that an installation takes out of a test's own."""
    for item in items:
        if FIXTURES.intersection(getattr(item, "fixturenames", ())) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(180, func_only=True), append=False)


@pytest.fixture(scope="session")
def toolchains_dir() -> Path:
    """Folder with an environment for each toolchain that a test has asked for."""
    TOOLCHAINS.mkdir(parents=True, exist_ok=True)
    return TOOLCHAINS


@pytest.fixture(scope="session")
def gguf_toolchain(toolchains_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Environment with llama.cpp's converter."""
    return _made(toolchains_dir / "gguf", tmp_path_factory)


@pytest.fixture(scope="session")
def onnx_toolchain(toolchains_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Environment with ONNX Runtime and onnxruntime-genai."""
    return _made(toolchains_dir / "onnx", tmp_path_factory)


@pytest.fixture(scope="session")
def olive_toolchain(toolchains_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Environment with Microsoft Olive."""
    return _made(toolchains_dir / "olive", tmp_path_factory)


@pytest.fixture(scope="session")
def mlx_toolchain(toolchains_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Environment with MLX and mlx-lm."""
    return _made(toolchains_dir / "mlx", tmp_path_factory)


@pytest.fixture
async def toolchain_lab(home: Path, toolchains_dir: Path) -> AsyncIterator[Lab]:
    """All services over an empty home that has the toolchains which the test asked for by their fixtures."""
    from edgetui.services.lab import Lab

    made = Lab()
    made.paths.data_dir.mkdir(parents=True)
    made.paths.toolchains_dir.symlink_to(toolchains_dir)
    yield made
    await made.close()


def _made(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment, installed if it is not there as it should be."""
    home = tmp_path_factory.mktemp("toolchain-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGETUI_HOME", str(home))
        asyncio.run(_install(folder, home))
    return folder


async def _install(folder: Path, home: Path) -> None:
    from edgetui.core.failures import EdgetuiError
    from edgetui.services.lab import Lab
    from edgetui.store.toolchain_folder import claim

    lab = Lab()
    lab.paths.data_dir.mkdir(parents=True)
    lab.paths.toolchains_dir.symlink_to(folder.parent)
    try:
        while (await lab.toolchains.status(folder.name)).state != "ready":
            try:
                # Other tests in this checkout may be at it.
                with claim(folder):
                    pass
            except EdgetuiError:
                await asyncio.sleep(WAIT_S)
                continue
            await _run(lab, folder.name)
    finally:
        await lab.close()


async def _run(lab: Lab, name: str) -> None:
    from edgetui.worker.job_events import JobFailed

    record = await lab.toolchains.install(name)
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        async for event in events:
            if isinstance(event, JobFailed) and event.failure.kind != "busy":
                log = "\n".join(await lab.jobs.log_tail(record.job_id, 60))
                pytest.fail(f"{name} cannot be installed: {event.failure.message}\n{log}", pytrace=False)
