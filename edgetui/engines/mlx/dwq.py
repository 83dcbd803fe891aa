"""Distilled weight quantization by mlx-lm: scales and biases trained against the unquantized model on a local text."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.engines.mlx.calibration import samples
from edgetui.engines.mlx.convert import check_group_size
from edgetui.engines.mlx.device import is_accelerated
from edgetui.engines.mlx.failures import told
from edgetui.engines.mlx.folder import floating_type, load, refuse_unusable_numbers, write
from edgetui.engines.mlx.progress import heard

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.workflows.mlx import MlxDwq
    from edgetui.engines.reporting import Reporter

SEED = 123
"""mlx-lm's own."""
MOST_VALIDATED = 32
"""As mlx-lm: samples that are kept for the loss before and after."""


def make(source: Path, target: Path, settings: MlxDwq, job: Reporter) -> None:
    """Make the folder `target`; raises `EdgetuiError` as `load`, `samples` and `write` do, and `bad_request`."""
    if settings.samples < 2:
        raise EdgetuiError("bad_request", "DWQ needs two samples or more: one is kept to see whether training helped.")
    job.progress(0, None, "samples", "loading")
    loaded = load(source, "Quantizing", wants_quantized=False)
    refuse_unusable_numbers(loaded, job)
    check_group_size(loaded, settings.group_size)
    with told(loaded.name, "Quantizing"):
        import mlx.core as mx
        import mlx.optimizers as optimizers
        from mlx_lm.quant import dwq
        from mlx_lm.utils import quantize_model

        rows = samples(loaded, settings.data, settings.samples, settings.tokens).tolist()
        # mlx-lm hands over pairs of tokens and the place from which the loss counts.
        kept = min(MOST_VALIDATED, max(1, settings.samples // 8))
        valid, train = [(row, 0) for row in rows[:kept]], [(row, 0) for row in rows[kept:]]
        teacher = loaded.model
        # Its own before anything changes types: what is trained goes back to it.
        dtype = floating_type(teacher)
        student, config = quantize_model(copy.deepcopy(teacher), loaded.config, settings.group_size, settings.bits)
        if not is_accelerated():
            # mlx's quantized products on a processor are seven times faster in 32 bits than in 16.
            student.set_dtype(mx.float32)

        def targets(batch: Any, number: int, split: str) -> Any:
            return teacher(batch)

        with heard(dwq, job, "samples", "training"):
            dwq.dwq_quantize(
                student,
                targets,
                optimizers.Adam(learning_rate=settings.learning_rate, bias_correction=True),
                train,
                valid,
                batch_size=1,
                max_seq_length=settings.tokens,
                seed=SEED,
                dtype=dtype if is_accelerated() else mx.float32,
            )
        student.set_dtype(dtype)
        student.eval()
    write(loaded._replace(model=student, config=config), target, job, "Quantizing")
