"""`edgetui calibrate` as a script uses it, and what `edgetui fit` says afterwards."""

from __future__ import annotations

import json

import pytest

from tests.cli.command import edgetui

MODEL = "SmolLM2-135M-Instruct.Q4_1"
pytestmark = pytest.mark.usefixtures("home")


async def test_a_forecast_of_speed_follows_a_calibration() -> None:
    status, out, _ = await edgetui("fit", MODEL)
    assert status == 0 and "SPEED     - (this machine is not calibrated: edgetui calibrate)" in out.splitlines()
    status, out, err = await edgetui("calibrate", "--seconds", "0.1", "--json", "--anyway")
    assert (status, err) == (0, "")
    made = json.loads(out)
    assert made["threads"][0]["threads"] == 1 and made["threads"][0]["bandwidth"]["per_s"] > 0
    status, out, err = await edgetui("fit", MODEL, "--context", "4096")
    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert any(line.startswith("SPEED     ~") and "predicted decode after 4096 tokens" in line for line in lines)
    assert any(line.startswith("verify    llama-bench -m ") and "-n 128 -d 4032 " in line for line in lines)
    status, out, _ = await edgetui("fit", MODEL, "--json", "--threads", "1")
    speed = json.loads(out)["speed"]
    assert speed["threads"] == 1 and 0 < speed["decode_low_tps"] < speed["decode_tps"]
    status, out, _ = await edgetui("fit", MODEL, "--json", "--threads", "1000")
    figures = json.loads(out)
    assert figures["speed"] is None and figures["speed_missing"].endswith("threads, not 1000")
