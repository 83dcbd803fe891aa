"""When a calibration is not to be believed."""

from __future__ import annotations

import msgspec
import pytest

from edgetui.core.calibration import Calibration, Rate
from tests.core.test_speed_forecast import PART

STEADY = Calibration(measured_at=1.0, duration_s=8.0, buffer_bytes=1, rounds=5, engine_version="1", threads=(PART,))


def test_a_calm_machine_with_steady_figures_raises_no_doubt() -> None:
    assert STEADY.disturbance == ""
    assert msgspec.structs.replace(STEADY, others_cores=0.2).disturbance == ""


def test_other_programs_and_rates_that_differ_between_rounds_raise_doubt() -> None:
    assert "kept 0.7 cores busy" in msgspec.structs.replace(STEADY, others_cores=0.7).disturbance
    shaky = msgspec.structs.replace(PART, bandwidth=Rate(35.0, 25.0, 45.0))
    assert "rates that differ by 57%" in msgspec.structs.replace(STEADY, threads=(PART, shaky)).disturbance


@pytest.mark.parametrize("low, high", [(95.0, 105.0), (85.0, 115.0)])
def test_a_spread_below_a_fifth_to_either_side_is_steady(low: float, high: float) -> None:
    part = msgspec.structs.replace(PART, bandwidth=Rate(100.0, low, high))
    assert msgspec.structs.replace(STEADY, threads=(part,)).disturbance == ""
