"""What is said of a row's energy and conditions: figures with their units, and plainly where there are none."""

from __future__ import annotations

import msgspec
import pytest

from edgetui.core.bench import BenchRow, Conditions
from edgetui.core.bench_details import energy_sentence
from edgetui.core.bench_noise import conditions_text

ROW = BenchRow(
    test="tg",
    tokens=100,
    samples_ns=(2_000_000_000, 2_000_000_000),
    threads=1,
    batch_tokens=512,
    kv_cache_type="f16",
    model_name="demo",
    model_path="/demo.gguf",
    model_size_bytes=1,
    model_parameter_count=1,
    model_quant_type="Q4_0",
    engine="llama.cpp",
    engine_version="1",
    measured_at=0.0,
    load_average=None,
)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "not measured"),
        ({"energy_reason": "no meter found: looked at /sys"}, "not measured: no meter found: looked at /sys"),
        ({"source": "llama-bench"}, "not told by llama-bench"),
        ({"energy_j": 40.0, "energy_meter": "psys"}, "0.2 J/token by psys, 10 W on average"),
        (
            {"energy_j": 40.0, "energy_meter": "psys", "rest_w": 3.14},
            "0.2 J/token by psys, 10 W on average, 3.14 W at rest before",
        ),
    ],
)
def test_energy_says_its_unit_and_meter_or_why_there_is_none(changes: dict[str, object], told: str) -> None:
    assert energy_sentence(msgspec.structs.replace(ROW, **changes)) == told


def test_what_no_sensor_tells_does_not_read_as_nothing_happened() -> None:
    assert conditions_text(None) == "not known"
    assert conditions_text(Conditions()) == "not told by this machine"
    told = conditions_text(Conditions(others_share=0.5))
    assert told == "others took 50% of the processors; not told here: clock, temperature, throttling"
    whole = Conditions(others_share=0.0, frequency_hz=(3e9, 3e9), temperature_c=(40.0, 50.0), throttled=())
    assert conditions_text(whole).endswith("40 to 50 C, no throttling")
