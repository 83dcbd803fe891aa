"""The demo model as an ONNX decoder, for tests of everything that runs one."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def demo_onnx(demo_safetensors: Path, onnx_toolchain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Graph of the demo model in int4, made by the real workflow once a session; not to be written to."""
    home = tmp_path_factory.mktemp("demo-onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGETUI_HOME", str(home))
        return asyncio.run(_make(demo_safetensors, onnx_toolchain)) / "model.onnx"


async def _make(source: Path, toolchain: Path) -> Path:
    from edgetui.core.workflows.onnx import OnnxBuild
    from edgetui.services.lab import Lab

    lab = Lab()
    lab.paths.data_dir.mkdir(parents=True)
    lab.paths.toolchains_dir.symlink_to(toolchain.parent)
    try:
        entry = await lab.catalog.find(str(source))
        record = await lab.workflows.start(entry, OnnxBuild())
        async with aclosing(lab.jobs.watch(record.job_id)) as events:
            async for _ in events:
                pass
        ended = await lab.jobs.get(record.job_id)
        if ended.state != "succeeded":
            log = "\n".join(await lab.jobs.log_tail(record.job_id, 60))
            pytest.fail(f"The demo model cannot be built: {ended.summary}\n{log}", pytrace=False)
        assert ended.output is not None
        return lab.workflows.default_target(entry, OnnxBuild())
    finally:
        await lab.close()
