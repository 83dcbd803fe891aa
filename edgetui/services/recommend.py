"""Which model to take on this machine or another one: every known member in every offered type, against the limits."""

from __future__ import annotations

import asyncio
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.boards import Board, BoardProfile
from edgetui.core.calibration import Calibration
from edgetui.core.failures import EdgetuiError
from edgetui.core.fit import verdict_of
from edgetui.core.hardware import Reading, known, unknown
from edgetui.core.memory_formula import memory_of
from edgetui.core.outline import shape_of
from edgetui.core.recommendation import OFFERED_TYPES, Choice, Limits, Pace, Ranked, ranking
from edgetui.core.run_settings import LoadSettings
from edgetui.core.speed_forecast import kv_bytes_read, threads_of
from edgetui.core.units import GIB, format_bytes
from edgetui.services.families import read_families
from edgetui.services.speed import forecast_from

if TYPE_CHECKING:
    from edgetui.core.families import Family, Member
    from edgetui.core.fit import ModelShape, SpeedForecast
    from edgetui.services.hardware import HardwareMonitor
    from edgetui.services.speed import Speed

_MOST_FILE_BYTES = 1 << 20


class Recommender:
    """Ranks what `edgetui/data/families.toml` knows; nothing of it needs to be on this machine."""

    def __init__(self, hardware: HardwareMonitor, speed: Speed) -> None:
        self._hardware = hardware
        self._speed = speed

    async def this_machine(self) -> Board:
        """What is free here now, and the calibration that holds."""
        sample, info = await self._hardware.sample(), await self._hardware.describe()
        memory = sample.memory
        available = memory.available_bytes.value or 0
        limit, used = info.memory.usable_bytes, memory.group_used_bytes.value
        if limit is not None and used is not None:
            available = min(available, max(0, limit - used))
        calibration: Reading[Calibration]
        try:
            calibration = await self._speed.calibration()
        except EdgetuiError as error:
            calibration = unknown(str(error))
        return Board(
            name="this machine",
            memory_bytes=available,
            memory_words="available now",
            calibration=calibration.value,
            missing=calibration.reason,
        )

    async def rank(self, limits: Limits, board: Board) -> tuple[Ranked, ...]:
        """Every member, best first.

        On this machine what was measured here corrects the speed of models of the same type.
        """
        choices = []
        for family in read_families():
            for member in family.members:
                for type_name in OFFERED_TYPES:
                    shape = shape_of(member, type_name)
                    pace = await self._pace(shape, type_name, limits, board)
                    choices.append(_choice(family, member, type_name, limits, board, pace))
        return ranking(choices)

    async def _pace(self, shape: ModelShape, type_name: str, limits: Limits, board: Board) -> Reading[Pace]:
        settings = LoadSettings(context_tokens=limits.context_tokens)
        if board.calibration is None:
            return _bound(shape, settings, board)
        if board.name == "this machine":
            forecast = await self._speed.forecast(
                shape, settings, limits.context_tokens, quant_type=type_name, prompt_tokens=limits.prompt_tokens
            )
        else:
            part = threads_of(board.calibration, settings.threads)
            forecast = (
                unknown(part.reason)
                if part.value is None
                else forecast_from(
                    shape,
                    part.value,
                    settings,
                    limits.context_tokens,
                    doubt=board.calibration.disturbance,
                    prompt_tokens=limits.prompt_tokens,
                )
            )
        return known(_pace_of(forecast.value)) if forecast.value is not None else unknown(forecast.reason)


SYSTEM_GIB = 0.75
"""What firmware and a system without a desktop are taken to hold of a board's memory; nothing of it was measured."""


@cache
def board_profiles() -> tuple[BoardProfile, ...]:
    """Boards known by their data sheets."""
    import tomlkit

    text = (files("edgetui") / "data" / "boards.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomlkit.parse(text).unwrap()["board"], tuple[BoardProfile, ...])


async def board_named(name: str) -> Board:
    """A board by any part of its name, or by a file that `edgetui calibrate --json` wrote there.

    Raises `EdgetuiError`: `not_found`, `bad_file`, `bad_request` for a name that fits several.
    """
    if name.endswith(".json"):
        return await asyncio.to_thread(_board_from_file, name)
    wanted = _plain_name(name)
    fitting = [profile for profile in board_profiles() if wanted and wanted in _plain_name(profile.name)]
    exact = [profile for profile in fitting if _plain_name(profile.name) == wanted]
    if len(exact or fitting) != 1:
        names = ", ".join(profile.name for profile in fitting)
        if fitting:
            raise EdgetuiError("bad_request", f"{name!r} fits several boards: {names}; write more of the name.")
        raise EdgetuiError(
            "not_found",
            f"No board is called {name!r}; --boards lists those that are known. For another one give --memory and"
            " --bandwidth, or the file of `edgetui calibrate --json` run on it.",
        )
    return board_of((exact or fitting)[0])


def board_of(profile: BoardProfile) -> Board:
    """A board by its data sheet."""
    return Board(
        name=profile.name,
        memory_bytes=round((profile.memory_gib - SYSTEM_GIB) * GIB),
        memory_words=f"of {profile.memory_gib:g} GiB, {SYSTEM_GIB:g} taken to be its system's",
        bandwidth_bytes_per_s=profile.bandwidth_gb_per_s * 1e9,
        source=profile.source,
    )


def _plain_name(name: str) -> str:
    return "".join(char for char in name.lower() if char.isalnum())


def _board_from_file(name: str) -> Board:
    from edgetui.formats.regular_file import open_regular

    path = Path(name).expanduser()
    try:
        with open_regular(path) as file:
            calibration = msgspec.json.decode(file.read(_MOST_FILE_BYTES), type=Calibration)
    except OSError as error:
        raise EdgetuiError("not_found", f"{path} cannot be read: {error.strerror}.") from None
    except msgspec.MsgspecError as error:
        raise EdgetuiError(
            "bad_file", f"{path.name} is no calibration ({error}): write one with `edgetui calibrate --json > FILE`."
        ) from None
    if not calibration.available_bytes:
        raise EdgetuiError(
            "bad_file", f"{path.name} does not tell that machine's memory: write it again with this version there."
        )
    return Board(
        name=path.stem,
        memory_bytes=calibration.available_bytes,
        memory_words="available when it was calibrated",
        calibration=calibration,
    )


def _choice(
    family: Family, member: Member, type_name: str, limits: Limits, board: Board, pace: Reading[Pace]
) -> Choice:
    calibration = board.calibration
    memory = memory_of(
        member,
        type_name,
        context_tokens=limits.context_tokens,
        batch_tokens=LoadSettings().batch_tokens,
        rearranged_types=calibration.rearranged_types if calibration else (),
    )
    found = pace.value
    ttft_s = limits.prompt_tokens / found.prefill_tps if found is not None and found.prefill_tps else None
    joules = limits.watts / found.tps if found is not None and limits.watts else None
    room = round(limits.memory_gib * GIB) or board.memory_bytes
    choice = Choice(
        family=family.name,
        member=member,
        type_name=type_name,
        memory=memory,
        verdict=verdict_of(memory.total, room),
        pace=pace,
        ttft_s=ttft_s,
        joules_per_token=joules,
        broken=(),
    )
    broken, unchecked = _held_against(choice, limits, room)
    barely = ""
    if found is not None and not found.is_bound and found.low < limits.least_tps <= found.tps:
        barely = f"~{found.tps:.1f} tok/s is forecast, but {found.low:.1f} may come, under {limits.least_tps:g}"
    return msgspec.structs.replace(choice, broken=broken, unchecked=unchecked, barely=barely)


def _held_against(choice: Choice, limits: Limits, room: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The limits that a choice breaks, and those that nothing here can tell about."""
    member, pace = choice.member, choice.pace.value
    broken, unchecked = [], []
    if choice.memory.total > room:
        broken.append(f"needs ~{format_bytes(choice.memory.total)} of {format_bytes(room)}")
    if limits.context_tokens > member.context:
        broken.append(f"trained for {member.context} tokens, not {limits.context_tokens}")
    if limits.task and limits.task not in member.tasks:
        broken.append(f"made for {', '.join(member.tasks)}, not {limits.task}")
    if limits.multilingual and not member.multilingual:
        broken.append("made for English only")
    if limits.open_licence and not member.is_open:
        broken.append(f"its licence ({member.licence}) is not an open-source one")
    if limits.ungated and member.gated:
        broken.append("the hub asks for an account and consent")
    if limits.least_tps:
        if pace is None:
            unchecked.append(f"at least {limits.least_tps:g} tok/s ({choice.pace.reason})")
        elif pace.tps < limits.least_tps:
            most = "at most " if pace.is_bound else ""
            # A rate just below must not read like the limit itself.
            digits = next(n for n in range(1, 9) if n == 8 or float(f"{pace.tps:.{n}f}") < limits.least_tps)
            broken.append(f"{most}~{pace.tps:.{digits}f} tok/s, under {limits.least_tps:g}")
    for limit, value, words in (
        (limits.most_ttft_s, choice.ttft_s, "s to the first token"),
        (limits.most_joules_per_token, choice.joules_per_token, "J a token"),
    ):
        if not limit:
            continue
        if value is None:
            unchecked.append(f"at most {limit:g} {words}")
        elif value > limit:
            broken.append(f"~{value:.1f} {words}, over {limit:g}")
    return tuple(broken), tuple(unchecked)


def _pace_of(forecast: SpeedForecast) -> Pace:
    return Pace(
        tps=forecast.decode_tps,
        low=forecast.decode_low_tps,
        high=forecast.decode_high_tps,
        prefill_tps=forecast.prefill_tps,
        inputs=f"{format_bytes(forecast.bytes_per_token)} a token at"
        f" {format_bytes(int(forecast.bandwidth_bytes_per_s))}/s, {forecast.efficiency:.0%} of that rate reached,"
        f" {forecast.threads} threads, after {forecast.context_tokens} tokens;"
        f" {forecast.measured_rows or 'no'} measurements of its type correct it",
        doubt=forecast.doubt,
    )


def _bound(shape: ModelShape, settings: LoadSettings, board: Board) -> Reading[Pace]:
    """What memory bandwidth allows: no token comes faster than its weights and cache are read."""
    if not board.bandwidth_bytes_per_s:
        return unknown(board.missing or "the memory bandwidth of that board is not given")
    read = shape.bytes_per_token + kv_bytes_read(shape, settings.context_tokens, settings.kv_cache_type)
    tps = board.bandwidth_bytes_per_s / read
    return known(
        Pace(
            tps=tps,
            low=0.0,
            high=tps,
            prefill_tps=None,
            is_bound=True,
            inputs=f"{format_bytes(read)} a token at {board.bandwidth_bytes_per_s / 1e9:.1f} GB/s by the data sheet,"
            " whichever of its processors reads it, and none reaches all of it;"
            " calibrate it there (edgetui calibrate --json) for a forecast",
        )
    )
