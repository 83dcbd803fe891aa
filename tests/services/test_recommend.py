"""Recommendations for this machine, for a calibrated one, and for a board known by its data sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.recommendation import Limits
from edgetui.core.units import GIB
from edgetui.services.recommend import board_named, board_profiles

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.recommendation import Ranked
    from edgetui.services.lab import Lab


async def test_without_a_calibration_memory_ranks_and_the_speed_limit_is_said_to_be_unchecked(lab: Lab) -> None:
    board = await lab.recommender.this_machine()
    assert board.memory_bytes > 0 and board.missing == "this machine is not calibrated: edgetui calibrate"
    rows = await lab.recommender.rank(Limits(memory_gib=2), board)
    kept = [row for row in rows if not row.choice.broken]
    assert kept and all(row.choice.memory.total <= 2 * GIB for row in kept)
    assert all(row.choice.pace.value is None for row in rows)
    assert "not checked: at least 6 tok/s (this machine is not calibrated: edgetui calibrate)" in kept[0].reasons
    assert len(kept) < len(rows) and all("needs ~" in row.choice.broken[0] for row in rows[len(kept) :])


async def test_each_limit_says_what_it_was_broken_by(lab: Lab) -> None:
    board = await board_named("pi 5 8")
    limits = Limits(
        context_tokens=20_000, task="code", multilingual=True, open_licence=True, ungated=True, least_tps=4.0
    )
    rows = by_name(await lab.recommender.rank(limits, board))
    assert rows["Llama-3.1-8B"].choice.broken[-1].startswith("at most ~") or rows["Llama-3.1-8B"].choice.broken
    smol = rows["SmolLM2-135M"].choice.broken
    assert "trained for 8192 tokens, not 20000" in smol
    assert {"made for chat, not code", "made for English only"} <= set(smol)
    gemma = rows["Gemma-3-1b"].choice.broken
    assert "its licence (gemma) is not an open-source one" in gemma
    assert "the hub asks for an account and consent" in gemma
    assert rows["Qwen3-0.6B"].choice.broken == ()


async def test_a_data_sheet_gives_a_bound_and_no_time_to_the_first_token(lab: Lab) -> None:
    board = await board_named("Raspberry Pi 5 (8 GB)")
    rows = by_name(await lab.recommender.rank(Limits(most_ttft_s=3.0, least_tps=0), board))
    row = rows["Llama-3.2-1B"]
    pace = row.choice.pace.value
    assert pace is not None and pace.is_bound and row.choice.ttft_s is None
    # 17.1 GB/s over the 1.24 billion weights at 8.5 bits and 4096 tokens of 16 layers with 2 x 512 halves.
    assert pace.tps == pytest.approx(17.1e9 / (1.2358e9 * 8.5 / 8 + 4096 * 16 * 2 * 512 * 2), rel=0.01)
    assert "not checked: at most 3 s to the first token" in row.reasons


async def test_a_calibration_taken_on_another_machine_gives_forecasts_for_it(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetui.services.speed.LEAST_BUFFER_BYTES", 4 * 1024**2)
    monkeypatch.setattr("edgetui.services.speed.MOST_BUFFER_BYTES", 4 * 1024**2)
    made = await lab.speed.calibrate(budget_s=0.1, anyway=True)
    file = tmp_path / "board-in-the-shed.json"
    file.write_bytes(msgspec.json.encode(made))
    there = await board_named(str(file))
    assert (there.name, there.memory_bytes) == ("board-in-the-shed", made.available_bytes)
    here = await lab.recommender.this_machine()
    assert here.calibration == made
    limits = Limits(least_tps=0, watts=5.0)
    far, near = [by_name(await lab.recommender.rank(limits, board))["Qwen3-0.6B"].choice for board in (there, here)]
    assert far.pace.value is not None and far.pace.value == near.pace.value and not far.pace.value.is_bound
    assert far.ttft_s is not None and far.pace.value.prefill_tps is not None
    assert far.ttft_s * far.pace.value.prefill_tps == pytest.approx(512)
    assert far.joules_per_token == pytest.approx(5.0 / far.pace.value.tps)


async def test_a_board_that_nobody_knows_or_several_are_called_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(EdgetuiError, match=r"^No board is called 'toaster'; --boards lists those") as caught:
        await board_named("toaster")
    assert caught.value.failure.kind == "not_found"
    with pytest.raises(EdgetuiError, match=r"^'pi 5' fits several boards: Raspberry Pi 5 \(4 GB\), "):
        await board_named("pi 5")
    with pytest.raises(EdgetuiError, match=r"cannot be read: No such file"):
        await board_named(str(tmp_path / "gone.json"))
    bad = tmp_path / "bad.json"
    bad.write_text('{"measured_at": "yesterday"}')
    with pytest.raises(EdgetuiError, match=r"^bad\.json is no calibration"):
        await board_named(str(bad))


def test_every_board_names_its_data_sheet() -> None:
    assert all(profile.source.startswith("https://") for profile in board_profiles())
    assert len({profile.name for profile in board_profiles()}) == len(board_profiles())


def by_name(rows: tuple[Ranked, ...]) -> dict[str, Ranked]:
    return {row.choice.member.name: row for row in rows}
