"""Calibrating this machine for real, and forecasts of the demo model from it."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from edgetui.core.bench import BenchRow, Machine
from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import LoadSettings
from edgetui.services.speed import Speed
from edgetui.store.history import History

if TYPE_CHECKING:
    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab
    from edgetui.worker.protocol import EngineInfo

ONE_THREAD = LoadSettings(threads=1)


@pytest.fixture(autouse=True)
def small_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """As little is streamed as is asked for: what is tested here is not how fast this machine is."""
    monkeypatch.setattr("edgetui.services.speed.LEAST_BUFFER_BYTES", 4 * 1024**2)
    monkeypatch.setattr("edgetui.services.speed.MOST_BUFFER_BYTES", 4 * 1024**2)


async def test_without_a_calibration_there_is_a_reason_instead_of_a_figure(lab: Lab, demo_entry: ModelEntry) -> None:
    found = await lab.speed.forecast_of(demo_entry, ONE_THREAD)
    assert (found.value, found.reason) == (None, "this machine is not calibrated: edgetui calibrate")


async def test_a_calibration_is_kept_and_gives_forecasts_with_their_inputs(lab: Lab, demo_entry: ModelEntry) -> None:
    shares: list[float] = []
    made = await lab.speed.calibrate(shares.append, 0.1, anyway=True)
    assert shares and (await lab.speed.calibration()).value == made
    found = (await lab.speed.forecast_of(demo_entry, ONE_THREAD, 256)).value
    assert found is not None and found.threads == 1 and found.measured_rows == 0
    assert 0 < found.decode_low_tps < found.decode_tps < found.decode_high_tps
    assert 0 < found.prefill_low_tps < found.prefill_tps < found.prefill_high_tps
    # The weights, and K and V of 192 elements in F16 of 256 tokens in 30 layers.
    assert found.bytes_per_token == pytest.approx(demo_entry.size_bytes + 256 * 30 * 2 * 192 * 2, rel=0.03)
    deeper = (await lab.speed.forecast_of(demo_entry, ONE_THREAD, 512)).value
    assert deeper is not None and deeper.bytes_per_token - found.bytes_per_token == 256 * 30 * 2 * 192 * 2
    assert deeper.decode_tps < found.decode_tps
    assert found.commands == (
        f"edgetui bench {demo_entry.name} -p 0 -n 128 -d 192 -t 1 --kv f16",
        f"llama-bench -m {demo_entry.path} -p 0 -n 128 -d 192 -t 1 -ctk f16 -ctv f16",
        f"edgetui bench {demo_entry.name} -p 512 -n 0 -t 1 --kv f16",
        f"llama-bench -m {demo_entry.path} -p 512 -n 0 -t 1 -ctk f16 -ctv f16",
    )
    shallow = (await lab.speed.forecast_of(demo_entry, ONE_THREAD)).value
    assert shallow is not None and [command.split(" -t ")[0].split(" -p ")[1] for command in shallow.commands] == [
        "512 -n 128",
        "512 -n 128",
    ]


async def test_measurements_of_this_machine_correct_a_forecast(lab: Lab, demo_entry: ModelEntry) -> None:
    made = await lab.speed.calibrate(budget_s=0.1, anyway=True)
    before = (await lab.speed.forecast_of(demo_entry, ONE_THREAD)).value
    assert before is not None
    row = BenchRow(
        test="tg",
        tokens=128,
        samples_ns=(int(128e9 / (before.decode_tps * 0.81)),) * 3,
        threads=1,
        batch_tokens=2048,
        kv_cache_type="f16",
        model_name=demo_entry.name,
        model_path=str(demo_entry.path),
        model_size_bytes=demo_entry.size_bytes,
        model_parameter_count=134_515_008,
        model_quant_type="Q4_1",
        engine="llama.cpp",
        engine_version=made.engine_version,
        measured_at=time.time(),
        load_average=None,
    )
    history = History(lab.database)
    history.add(row, Machine(), None)
    history.add(msgspec.structs.replace(row, threads=2), Machine(), None)
    after = (await lab.speed.forecast_of(demo_entry, ONE_THREAD)).value
    assert after is not None and after.measured_rows == 1
    assert after.decode_tps == pytest.approx(before.decode_tps * 0.9, rel=0.001)
    assert after.prefill_tps == before.prefill_tps
    assert after.decode_high_tps / after.decode_tps < before.decode_high_tps / before.decode_tps
    prefill, decode = await lab.speed.measured(demo_entry, ONE_THREAD)
    assert prefill is None and decode == row


async def test_a_calibration_of_another_engine_is_stale_and_says_so(lab: Lab, demo_entry: ModelEntry) -> None:
    await lab.speed.calibrate(budget_s=0.1, anyway=True)

    async def newer() -> object:
        return msgspec.structs.replace(await lab.inference.engine_info(), version="99.0")

    updated = Speed(lab.paths.log_dir, lab.database, lab.hardware, newer, lab.bench)  # type: ignore[arg-type]
    found = await updated.forecast_of(demo_entry, ONE_THREAD)
    assert found.value is None
    assert found.reason.startswith("the calibration is stale (engine was llama.cpp ") and "99.0" in found.reason


async def test_a_calibration_beside_other_work_is_refused_and_kept_only_on_demand(
    lab: Lab, demo_entry: ModelEntry
) -> None:
    others = await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass")
    try:
        with pytest.raises(EdgetuiError, match=r"other programs kept \d\.\d cores busy") as caught:
            await lab.speed.calibrate(budget_s=0.1)
        assert caught.value.failure.kind == "busy"
        assert (await lab.speed.calibration()).value is None
        made = await lab.speed.calibrate(budget_s=0.1, anyway=True)
    finally:
        others.kill()
        await others.wait()
    found = (await lab.speed.forecast_of(demo_entry, ONE_THREAD)).value
    assert found is not None and found.doubt == made.disturbance != ""


async def test_a_cancelled_calibration_keeps_nothing(lab: Lab) -> None:
    begun = asyncio.Event()
    task = asyncio.create_task(lab.speed.calibrate(lambda share: begun.set(), 30.0))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await lab.speed.calibration()).value is None


async def test_the_engine_is_asked_once_however_many_forecasts_are_made(lab: Lab, demo_entry: ModelEntry) -> None:
    asked = 0

    async def counted() -> EngineInfo:
        nonlocal asked
        asked += 1
        return await lab.inference.engine_info()

    speed = Speed(lab.paths.log_dir, lab.database, lab.hardware, counted, lab.bench)
    await speed.calibrate(budget_s=0.1, anyway=True)
    for _ in range(3):
        assert (await speed.forecast_of(demo_entry, ONE_THREAD)).value is not None
    assert asked == 1


async def test_a_build_that_computes_on_a_gpu_gets_no_forecast_from_the_processor(
    lab: Lab, demo_entry: ModelEntry
) -> None:
    await lab.speed.calibrate(budget_s=0.1, anyway=True)

    async def with_gpu() -> EngineInfo:
        return msgspec.structs.replace(
            await lab.inference.engine_info(),
            devices=("CUDA0: NVIDIA Orin", "BLAS: OpenBLAS", "CPU: ARMv8"),
            supports_gpu_offload=True,
        )

    speed = Speed(lab.paths.log_dir, lab.database, lab.hardware, with_gpu, lab.bench)
    found = await speed.forecast_of(demo_entry, ONE_THREAD)
    assert found.value is None and "computes on CUDA0, which no calibration measures" in found.reason
    with pytest.raises(EdgetuiError, match=r"Not calibrated: .* CUDA0") as caught:
        await speed.calibrate(budget_s=0.1, anyway=True)
    assert caught.value.failure.kind == "unsupported"


async def test_the_share_of_the_bandwidth_is_told_once_the_machine_is_calibrated(
    lab: Lab, demo_entry: ModelEntry
) -> None:
    settings = LoadSettings(threads=1)
    assert "edgetui calibrate" in (await lab.speed.limit_of(demo_entry, settings)).reason
    await lab.speed.calibrate(budget_s=0.1, anyway=True)
    limit = (await lab.speed.limit_of(demo_entry, settings)).value
    forecast = (await lab.speed.forecast_of(demo_entry, settings, context_tokens=100)).value
    assert limit is not None and forecast is not None
    assert limit.bytes_per_token(100) == forecast.bytes_per_token
    assert limit.share(forecast.decode_tps, 100) == pytest.approx(forecast.efficiency)
    assert limit.bytes_per_token(4000) > limit.bytes_per_token(100) > limit.shape.bytes_per_token
    served = msgspec.structs.replace(demo_entry, format="onnx")
    assert "onnx" in (await lab.speed.limit_of(served, settings)).reason
    for guessing in (LoadSettings(threads=1, prompt_lookup=True), LoadSettings(threads=1, draft_model="small.gguf")):
        assert "guessed ahead" in (await lab.speed.limit_of(demo_entry, guessing)).reason
