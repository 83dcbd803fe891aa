"""The demo model as a safetensors folder, for tests of what the toolchains make of one."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.models import ModelEntry


@pytest.fixture(scope="session")
def demo_safetensors(demo_entry: ModelEntry, gguf_toolchain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the demo model's weights in BF16, made by the real workflow once a session; not to be written to."""
    home = tmp_path_factory.mktemp("demo-safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGETUI_HOME", str(home))
        return asyncio.run(_make(demo_entry, gguf_toolchain))


async def _make(entry: ModelEntry, toolchain: Path) -> Path:
    from edgetui.core.workflows.conversion import ToSafetensors
    from edgetui.services.lab import Lab

    lab = Lab()
    lab.paths.data_dir.mkdir(parents=True)
    lab.paths.toolchains_dir.symlink_to(toolchain.parent)
    try:
        record = await lab.workflows.start(entry, ToSafetensors())
        async with aclosing(lab.jobs.watch(record.job_id)) as events:
            async for _ in events:
                pass
        ended = await lab.jobs.get(record.job_id)
        if ended.state != "succeeded":
            log = "\n".join(await lab.jobs.log_tail(record.job_id, 60))
            pytest.fail(f"The demo model cannot be unpacked: {ended.summary}\n{log}", pytrace=False)
        return lab.workflows.default_target(entry, ToSafetensors())
    finally:
        await lab.close()
