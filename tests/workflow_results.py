"""Models made once a session by the real workflows, for tests of what comes after."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.workflows import AnyWorkflow


def made_by(settings: AnyWorkflow, source: Path, toolchain: Path, home: Path) -> Path:
    """What a workflow makes of the model at a path, in a home of its own with one toolchain's environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGETUI_HOME", str(home))
        return asyncio.run(_make(settings, source, toolchain))


async def _make(settings: AnyWorkflow, source: Path, toolchain: Path) -> Path:
    from edgetui.services.lab import Lab

    lab = Lab()
    lab.paths.data_dir.mkdir(parents=True)
    lab.paths.toolchains_dir.symlink_to(toolchain.parent)
    try:
        entry = await lab.catalog.find(str(source))
        record = await lab.workflows.start(entry, settings)
        async with aclosing(lab.jobs.watch(record.job_id)) as events:
            async for _ in events:
                pass
        ended = await lab.jobs.get(record.job_id)
        if ended.state != "succeeded":
            log = "\n".join(await lab.jobs.log_tail(record.job_id, 60))
            pytest.fail(f"{settings.TITLE} of {entry.name} failed: {ended.summary}\n{log}", pytrace=False)
        return lab.workflows.default_target(entry, settings)
    finally:
        await lab.close()
