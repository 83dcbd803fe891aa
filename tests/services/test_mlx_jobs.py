"""MLX's workflows as jobs: made in the toolchain's environment, listed, and cancelled without a trace."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from edgetui.core.workflows.mlx import MlxGptq
from edgetui.worker.job_events import JobFailed, JobProgress, JobSucceeded

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.services.lab import Lab


async def test_a_quantized_model_is_listed_with_its_bits_and_parameters(toolchain_lab: Lab, demo_mlx: Path) -> None:
    entry = await toolchain_lab.catalog.find(str(demo_mlx))
    assert entry.format == "mlx" and entry.quant_type == "4 bits g64" and entry.problem is None
    assert entry.parameter_count == 134_515_008
    assert entry.bits_per_weight is not None and 4.5 < entry.bits_per_weight < 4.8


async def test_cancelling_leaves_neither_file_nor_folder(
    toolchain_lab: Lab, demo_safetensors: Path, mlx_toolchain: Path
) -> None:
    lab = toolchain_lab
    entry = await lab.catalog.find(str(demo_safetensors))
    record = await lab.workflows.start(entry, MlxGptq(samples=1, tokens=16))
    target = lab.workflows.default_target(entry, MlxGptq())
    last, asked = None, False
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        async for event in events:
            if not asked and isinstance(event, JobProgress) and event.note.startswith("checking"):
                asked = True
                await lab.jobs.cancel(record.job_id)
            assert not isinstance(event, JobSucceeded)
            last = event
    assert asked and isinstance(last, JobFailed) and last.failure.kind == "cancelled"
    assert list(target.parent.iterdir()) == []
