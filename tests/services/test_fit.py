"""Memory predicted by a simulated load, against loads that really happen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psutil
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import LoadSettings, SamplingSettings
from tests.gguf_files import write_gguf

if TYPE_CHECKING:
    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab

MIB = 1024 * 1024
KV_BYTES_A_TOKEN = 30 * (192 + 192) * 2
"""Of the demo model: 30 layers, 3 KV heads of 64, F16."""


@pytest.mark.parametrize(("context_tokens", "use_mmap"), [(512, True), (512, False), (8192, None)])
async def test_prediction_is_what_a_worker_then_holds(
    lab: Lab, demo_entry: ModelEntry, context_tokens: int, use_mmap: bool | None
) -> None:
    settings = LoadSettings(context_tokens=context_tokens, threads=1, use_mmap=use_mmap)
    fit = await lab.fit.memory(demo_entry, settings)
    assert (fit.verdict, fit.context_tokens, fit.changes) == ("fits", context_tokens, ())
    await lab.inference.load(demo_entry, settings)
    # A batch as large as any, so that the whole compute buffer is used.
    text, sampling = "The sea is wide. " * 90, SamplingSettings(max_tokens=2, ignore_eos=True)
    async for _ in lab.inference.generate(prompt=text, sampling=sampling):
        pass
    measured = lab.inference.resident_bytes()
    assert measured is not None and fit.parts.total == pytest.approx(measured, rel=0.05)


async def test_parts_are_llama_cpps_own(lab: Lab, demo_entry: ModelEntry) -> None:
    fit = await lab.fit.memory(demo_entry, LoadSettings(context_tokens=2048, use_mmap=True))
    assert fit.parts.kv_cache == 2048 * KV_BYTES_A_TOKEN
    assert fit.parts.weights_mapped == demo_entry.size_bytes
    assert fit.parts.compute > MIB and fit.parts.output == pytest.approx(49152 * 4, rel=0.03)
    halved = await lab.fit.memory(demo_entry, LoadSettings(context_tokens=2048, kv_cache_type="q8_0"))
    # 34 bytes for 32 elements.
    assert halved.parts.kv_cache == pytest.approx(fit.parts.kv_cache * 34 / 64, rel=0.001)


async def test_what_does_not_fit_says_with_which_changes_it_would(lab: Lab, demo_entry: ModelEntry) -> None:
    tokens = int(psutil.virtual_memory().available * 1.4 / KV_BYTES_A_TOKEN)
    fit = await lab.fit.memory(demo_entry, LoadSettings(context_tokens=tokens))
    assert fit.verdict == "with changes" and fit.parts.total > fit.available_bytes
    context, cache = fit.changes
    assert context.what == f"a context of {tokens // 2} tokens" and cache.what == "a q8_0 KV cache"
    assert all(MIB < change.total_bytes <= fit.available_bytes for change in fit.changes)


async def test_what_cannot_be_loaded_is_one_sentence(lab: Lab, demo_entry: ModelEntry, tmp_path: Path) -> None:
    write_gguf(tmp_path / "strange.gguf")
    strange = msgspec.structs.replace(demo_entry, path=tmp_path / "strange.gguf")
    with pytest.raises(EdgetuiError) as caught:
        await lab.fit.memory(strange, LoadSettings())
    assert "strange.gguf" in str(caught.value)
