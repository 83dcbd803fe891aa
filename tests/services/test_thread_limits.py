"""Limits of this machine on threads, at the load, in a benchmark and by themselves."""

from __future__ import annotations

import msgspec
import pytest

from edgetui.core.bench import BenchSettings
from edgetui.core.failures import EdgetuiError
from edgetui.core.models import ModelEntry
from edgetui.core.run_settings import LoadSettings
from edgetui.services.hardware.thread_limits import require_threads, thread_remarks, usable_processors
from edgetui.services.lab import Lab


def test_as_many_threads_as_processors_are_right_more_are_remarked_on_and_far_too_many_refused() -> None:
    processors = usable_processors()
    assert processors >= 1
    require_threads(0, processors, 4 * processors)
    assert thread_remarks(0) == thread_remarks(processors, processors) == ()
    (decode,) = thread_remarks(processors + 1)
    assert decode.startswith(f"{processors + 1} threads share ") and decode.endswith(
        f"which slows decode: take {processors}."
    )
    (prefill,) = thread_remarks(processors, processors + 1)
    assert "prefill threads" in prefill and "slows prefill" in prefill
    with pytest.raises(EdgetuiError, match=f"take at most {4 * processors}, or 0") as refused:
        require_threads(1, 4 * processors + 1)
    assert refused.value.failure.kind == "bad_request"


async def test_a_load_tells_of_too_many_threads_and_refuses_far_too_many(lab: Lab, demo_entry: ModelEntry) -> None:
    processors = usable_processors()
    settings = LoadSettings(context_tokens=256, threads=processors + 1)
    loaded = await lab.inference.load(demo_entry, settings)
    assert loaded.threads == processors + 1
    assert loaded.remarks[:1] == thread_remarks(processors + 1) and lab.inference.loaded == loaded
    for name in ("threads", "threads_prefill"):
        with pytest.raises(EdgetuiError, match="far too many"):
            await lab.inference.load(demo_entry, msgspec.structs.replace(settings, **{name: 999}))


async def test_a_benchmark_with_far_too_many_threads_does_not_start(lab: Lab, demo_entry: ModelEntry) -> None:
    with pytest.raises(EdgetuiError, match="far too many"):
        await lab.bench.start(demo_entry, BenchSettings(threads=999))
    assert await lab.jobs.list() == ()
