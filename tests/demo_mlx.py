"""The demo model as MLX makes it, for tests of what runs and measures MLX models."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def demo_mlx(demo_safetensors: Path, mlx_toolchain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the demo model in 4 bits and groups of 64, made by the real workflow once a session."""
    home = tmp_path_factory.mktemp("demo-mlx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGETUI_HOME", str(home))
        return asyncio.run(_make(demo_safetensors, mlx_toolchain))


async def _make(source: Path, toolchain: Path) -> Path:
    from edgetui.core.workflows.mlx import MlxQuantize
    from edgetui.services.lab import Lab

    lab = Lab()
    lab.paths.data_dir.mkdir(parents=True)
    lab.paths.toolchains_dir.symlink_to(toolchain.parent)
    try:
        entry = await lab.catalog.find(str(source))
        record = await lab.workflows.start(entry, MlxQuantize())
        async with aclosing(lab.jobs.watch(record.job_id)) as events:
            async for _ in events:
                pass
        ended = await lab.jobs.get(record.job_id)
        if ended.state != "succeeded":
            log = "\n".join(await lab.jobs.log_tail(record.job_id, 60))
            pytest.fail(f"The demo model cannot be quantized by MLX: {ended.summary}\n{log}", pytrace=False)
        return lab.workflows.default_target(entry, MlxQuantize())
    finally:
        await lab.close()
