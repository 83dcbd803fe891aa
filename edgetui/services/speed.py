"""How fast models would run here: a calibration of this machine, and forecasts that real measurements correct."""

from __future__ import annotations

import asyncio
import shlex
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from edgetui.core.bandwidth import BandwidthLimit
from edgetui.core.calibration import Calibration, Fingerprint
from edgetui.core.failures import EdgetuiError
from edgetui.core.fit import ModelShape, SpeedForecast
from edgetui.core.hardware import Reading, known, unknown
from edgetui.core.speed_forecast import (
    PROMPT_TOKENS,
    Observation,
    corrected,
    decode_cost,
    kv_bytes_read,
    prefill_cost,
    threads_of,
)
from edgetui.store.calibrations import Calibrations
from edgetui.worker.protocol import Calibrate, Calibrated, CalibrationProgress
from edgetui.worker.session import session_worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from edgetui.core.bench import BenchRecord, BenchRow
    from edgetui.core.calibration import ThreadCalibration
    from edgetui.core.models import ModelEntry
    from edgetui.core.run_settings import LoadSettings
    from edgetui.services.bench import Bench
    from edgetui.services.hardware import HardwareMonitor
    from edgetui.store.database import Database
    from edgetui.worker.protocol import EngineInfo

BUDGET_S = 8.0
"""A calibration takes about so long at most."""
LEAST_BUFFER_BYTES = 64 * 1024**2
MOST_BUFFER_BYTES = 256 * 1024**2
GENERATED_TOKENS = 128
"""llama-bench's tg128, whose mean depth is half of it."""
BENCH_DEPTH = GENERATED_TOKENS // 2
_STEADY_SHARE = 0.1
"""A measurement whose repetitions scatter more, as beside other work, corrects nothing."""
_NOT_CALIBRATED = "this machine is not calibrated: edgetui calibrate"
_MOST_ROWS = 20
"""Rows of the history that correct a forecast."""


MeasuredRows: TypeAlias = "tuple[BenchRow | None, BenchRow | None]"
"""Prefill and decode of one model."""


class Speed:
    """Calibrates in a worker of its own and predicts in this process."""

    def __init__(
        self,
        log_dir: Path,
        database: Database,
        hardware: HardwareMonitor,
        engine_info: Callable[[], Awaitable[EngineInfo]],
        bench: Bench,
    ) -> None:
        self._log_dir = log_dir
        self._store = Calibrations(database)
        self._hardware = hardware
        self._engine_info = engine_info
        self._bench = bench
        self._fingerprint: Fingerprint | None = None
        self._engine_known: EngineInfo | None = None
        self._shapes: dict[str, ModelShape | None] = {}

    async def calibrate(
        self,
        on_progress: Callable[[float], None] = lambda fraction: None,
        budget_s: float = BUDGET_S,
        *,
        anyway: bool = False,
    ) -> Calibration:
        """Measure this machine and keep it; `on_progress` gets shares from 0 to 1.

        Raises `EdgetuiError`: `busy` when others computed meanwhile, unless it is to be kept `anyway`; `unsupported`
        when this build of the engine computes on a GPU. Cancelling the
        task ends the measurement. In either case the calibration that was there stays.
        """
        elsewhere = _offload(await self._engine())
        if elsewhere:
            raise EdgetuiError("unsupported", f"Not calibrated: {elsewhere}; measure a model instead: edgetui bench.")
        command = Calibrate(budget_s=budget_s, buffer_bytes=await self._buffer_bytes())
        fingerprint = await self.fingerprint()
        async with (
            session_worker(self._log_dir) as worker,
            aclosing(worker.request(command)) as events,
        ):
            async for event in events:
                if isinstance(event, CalibrationProgress):
                    on_progress(event.fraction)
                elif isinstance(event, Calibrated):
                    doubt = event.calibration.disturbance
                    if doubt and not anyway:
                        raise EdgetuiError(
                            "busy",
                            f"Not calibrated: {doubt}, so forecasts would be wrong; end what else runs, or wait for it,"
                            " and calibrate again (edgetui calibrate --anyway keeps the figures).",
                        )
                    await asyncio.to_thread(self._store.put, fingerprint, event.calibration)
                    return event.calibration
        raise AssertionError("a calibration ends with Calibrated or an error")

    async def calibration(self) -> Reading[Calibration]:
        """What holds for this machine and engine now, or why there is none."""
        elsewhere = _offload(await self._engine())
        if elsewhere:
            return unknown(elsewhere)
        fingerprint = await self.fingerprint()
        found = await asyncio.to_thread(self._store.newest, fingerprint)
        if found is None:
            return unknown(_NOT_CALIBRATED)
        difference = found[0].difference(fingerprint)
        if difference:
            return unknown(f"the calibration is stale ({difference}): edgetui calibrate")
        return known(found[1])

    async def fingerprint(self) -> Fingerprint:
        """This machine and engine build, as far as they decide speed; raises `EdgetuiError` without an engine."""
        if self._fingerprint is None:
            info, engine = await self._hardware.describe(), await self._engine()
            self._fingerprint = Fingerprint(
                processor=info.cpu.model.value or info.system.architecture.value or "unknown",
                physical_cores=str(info.cpu.limits.usable_cpus.value or info.cpu.physical_cores.value or "unknown"),
                memory=str(info.memory.usable_bytes or "unknown"),
                engine=f"{engine.name} {engine.version} {engine.build}".strip(),
                features=f"{engine.system_info} on {', '.join(engine.devices)}",
            )
        return self._fingerprint

    async def forecast_of(
        self, entry: ModelEntry, settings: LoadSettings, context_tokens: int | None = None
    ) -> Reading[SpeedForecast]:
        """What to expect of a model on disk; without a depth, that of llama-bench's tg128."""
        shape = await asyncio.to_thread(self._shape, entry.path)
        if shape is None:
            return unknown(entry.problem or f"the header of a {entry.format} file does not tell its shape")
        depth = BENCH_DEPTH if context_tokens is None else context_tokens
        return await self.forecast(
            shape, settings, depth, quant_type=entry.quant_type or "", model=(entry.name, entry.path)
        )

    async def forecast(
        self,
        shape: ModelShape,
        settings: LoadSettings,
        context_tokens: int = BENCH_DEPTH,
        *,
        quant_type: str = "",
        model: tuple[str, Path] | None = None,
        prompt_tokens: int = PROMPT_TOKENS,
    ) -> Reading[SpeedForecast]:
        """Prefill of `prompt_tokens`, and decode after `context_tokens`; or why neither can be told.

        `quant_type` finds the measurements that correct it, `model` names the file in the commands that verify it.
        """
        try:
            calibration = await self.calibration()
        except EdgetuiError as error:
            return unknown(str(error))
        if calibration.value is None:
            return unknown(calibration.reason)
        part = threads_of(calibration.value, settings.threads)
        if part.value is None:
            return unknown(part.reason)
        rows = await self._rows(calibration.value, part.value, settings, quant_type)
        observations = await asyncio.to_thread(self._observations, rows, part.value)
        return forecast_from(
            shape,
            part.value,
            settings,
            context_tokens,
            observations,
            _commands(model, part.value, settings, context_tokens),
            calibration.value.disturbance,
            prompt_tokens,
        )

    async def measured(self, entry: ModelEntry, settings: LoadSettings, depth_tokens: int = 0) -> MeasuredRows:
        """The newest row of prefill, and that of decode after so many tokens, of a model's file with these settings.

        0 threads take any number.
        """
        rows = [
            record.row
            for record in await self._bench.history()
            if record.row.model_path == str(entry.path)
            and settings.threads in (0, record.row.threads)
            and record.row.kv_cache_type == settings.kv_cache_type
        ]
        prefill = next((row for row in rows if row.test == "pp" and row.depth_tokens == 0), None)
        return prefill, next((row for row in rows if row.test == "tg" and row.depth_tokens == depth_tokens), None)

    async def limit_of(self, entry: ModelEntry, settings: LoadSettings) -> Reading[BandwidthLimit]:
        """The memory bandwidth that bounds decode of a model's file, or why it is not known. Never raises."""
        if settings.draft_model or settings.prompt_lookup:
            # The weights are read once for several tokens, and a draft model's besides.
            return unknown("tokens are guessed ahead and verified together, so a token is not one read of the weights")
        try:
            # Asking the engine for its build takes a process: not where nothing was ever calibrated.
            if not await asyncio.to_thread(self._store.any):
                return unknown(_NOT_CALIBRATED)
            calibration = await self.calibration()
        except EdgetuiError as error:
            return unknown(str(error))
        if calibration.value is None:
            return unknown(calibration.reason)
        part = threads_of(calibration.value, settings.threads)
        if part.value is None:
            return unknown(part.reason)
        shape = await asyncio.to_thread(self._shape, entry.path) if entry.format == "gguf" else None
        if shape is None:
            return unknown(f"the header of a {entry.format} model does not tell what a token reads")
        return known(
            BandwidthLimit(
                shape=shape,
                bytes_per_s=part.value.bandwidth.per_s,
                kv_cache_type=settings.kv_cache_type,
                kv_cache_type_v=settings.kv_cache_type_v or settings.kv_cache_type,
            )
        )

    # --- how ----------------------------------------------------------------------------------------------

    async def _engine(self) -> EngineInfo:
        """Asked once: it takes a process."""
        if self._engine_known is None:
            self._engine_known = await self._engine_info()
        return self._engine_known

    async def _buffer_bytes(self) -> int:
        """Twice what the last caches hold together, within limits."""
        caches = (await self._hardware.describe()).cpu.caches.value or ()
        last = max((cache.level for cache in caches), default=0)
        held = sum(cache.size_bytes * cache.instances for cache in caches if cache.level == last)
        return max(LEAST_BUFFER_BYTES, min(MOST_BUFFER_BYTES, 2 * held))

    async def _rows(
        self, calibration: Calibration, part: ThreadCalibration, settings: LoadSettings, quant_type: str
    ) -> list[BenchRecord]:
        if not quant_type:
            return []
        rows = [
            record
            for record in await self._bench.history()
            if record.row.model_quant_type == quant_type
            and record.row.engine_version == calibration.engine_version
            and record.row.threads == part.threads
            and not record.row.huge_pages
            and record.row.kv_cache_type == settings.kv_cache_type
            and (record.row.sd_tps or 0.0) <= _STEADY_SHARE * record.row.mean_tps
        ]
        return rows[:_MOST_ROWS]

    def _observations(self, rows: Sequence[BenchRecord], part: ThreadCalibration) -> list[Observation]:
        found = []
        for record in rows:
            row = record.row
            shape = self._shape(Path(row.model_path))
            # Another file may lie there by now.
            if shape is None or shape.parameter_count != row.model_parameter_count:
                continue
            if row.test == "pg":
                # Neither the one nor the other.
                continue
            if row.test == "tg":
                cost = decode_cost(shape, part, row.depth_tokens + row.tokens // 2, row.kv_cache_type)
                tokens = 1
            elif row.depth_tokens:
                # Prefill is predicted from an empty cache.
                continue
            else:
                cost, tokens = (
                    prefill_cost(shape, part, row.tokens, min(row.batch_tokens, PROMPT_TOKENS), row.kv_cache_type),
                    row.tokens,
                )
            if cost.value is not None:
                found.append(
                    Observation(test=row.test, measured_tps=row.mean_tps, predicted_tps=tokens / cost.value.seconds)
                )
        return found

    def _shape(self, path: Path) -> ModelShape | None:
        """The shape of a file, read once; None when there is no such file or it says too little."""
        from edgetui.formats.gguf import read_gguf
        from edgetui.formats.model_shape import model_shape

        key = str(path)
        if key not in self._shapes:
            try:
                self._shapes[key] = model_shape(read_gguf(path))
            except EdgetuiError:
                self._shapes[key] = None
        return self._shapes[key]


def _offload(engine: EngineInfo) -> str:
    """Why this build has no calibration: it gives the layers to a GPU, and only a processor's products are timed."""
    gpus = [name for name in (device.split(":")[0] for device in engine.devices) if name not in ("CPU", "BLAS")]
    if not engine.supports_gpu_offload or not gpus:
        return ""
    return f"this build of {engine.name} computes on {', '.join(gpus)}, which no calibration measures"


def forecast_from(
    shape: ModelShape,
    part: ThreadCalibration,
    settings: LoadSettings,
    context_tokens: int,
    observations: Sequence[Observation] = (),
    commands: tuple[str, ...] = (),
    doubt: str = "",
    prompt_tokens: int = PROMPT_TOKENS,
) -> Reading[SpeedForecast]:
    """The forecast with all that it was computed from."""
    decode = decode_cost(shape, part, context_tokens, settings.kv_cache_type)
    prefill = prefill_cost(shape, part, prompt_tokens, settings.batch_tokens, settings.kv_cache_type)
    if decode.value is None or prefill.value is None:
        return unknown(decode.reason or prefill.reason)
    tg = corrected("tg", 1 / decode.value.seconds, decode.value.spread, observations)
    pp = corrected("pp", prompt_tokens / prefill.value.seconds, prefill.value.spread, observations)
    read = shape.bytes_per_token + kv_bytes_read(shape, context_tokens, settings.kv_cache_type)
    return known(
        SpeedForecast(
            prefill_tps=pp.tps,
            prefill_low_tps=pp.low,
            prefill_high_tps=pp.high,
            decode_tps=tg.tps,
            decode_low_tps=tg.low,
            decode_high_tps=tg.high,
            threads=part.threads,
            context_tokens=context_tokens,
            bytes_per_token=read,
            bandwidth_bytes_per_s=part.bandwidth.per_s,
            efficiency=read * tg.tps / part.bandwidth.per_s,
            measured_rows=len(observations),
            commands=commands,
            doubt=doubt,
        )
    )


def _commands(
    model: tuple[str, Path] | None, part: ThreadCalibration, settings: LoadSettings, context_tokens: int
) -> tuple[str, ...]:
    """What verifies a forecast, word for word."""
    if model is None:
        return ()
    name, path = model
    kind, threads = settings.kv_cache_type, part.threads
    depth = depth_measured(context_tokens)
    # Prefill is predicted from an empty cache, whatever the depth at which it decodes.
    together = [f"-p {PROMPT_TOKENS} -n {GENERATED_TOKENS}"]
    apart = [f"-p 0 -n {GENERATED_TOKENS} -d {depth}", f"-p {PROMPT_TOKENS} -n 0"]
    commands = []
    for tests in apart if depth else together:
        commands += [
            f"edgetui bench {shlex.quote(name)} {tests} -t {threads} --kv {kind}",
            f"llama-bench -m {shlex.quote(str(path))} {tests} -t {threads} -ctk {kind} -ctv {kind}",
        ]
    return tuple(commands)


def depth_measured(context_tokens: int) -> int:
    """llama-bench's -d for a decode whose middle stands at this context."""
    return max(0, context_tokens - BENCH_DEPTH)
