"""`edgetui recommend` as a script and a person use it."""

from __future__ import annotations

import json

import pytest

from tests.cli.command import edgetui

pytestmark = pytest.mark.usefixtures("home")


async def test_models_that_keep_the_limits_are_listed_and_the_rest_counted() -> None:
    status, out, err = await edgetui("recommend", "--memory", "2", "--bandwidth", "17.1", "--tps", "10")
    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert lines[0] == "a machine as given: 2 GiB at most, 4096 tokens of context, at least 10 tok/s"
    assert lines[1].split()[:5] == ["#", "Model", "Type", "Params", "Memory"]
    assert all("<" in line for line in lines[2:-1])
    assert lines[-1].endswith("more break a limit: --all lists them.")
    status, out, _ = await edgetui("recommend", "--memory", "2", "--bandwidth", "17.1", "--tps", "10", "--all")
    assert status == 0 and any("Qwen3-32B" in line and "needs ~" in line for line in out.splitlines())


async def test_every_rank_opens_to_its_reasons_and_sources() -> None:
    _, out, _ = await edgetui("recommend", "--board", "orin nano (8", "--why")
    assert "    WHY      first: keeps all limits, and " in out
    assert "at 68.0 GB/s by the data sheet, whichever of its processors reads it" in out
    assert "https://huggingface.co/" in out


async def test_json_has_the_limits_the_board_and_every_model() -> None:
    status, out, err = await edgetui("recommend", "--board", "pi 4", "--task", "code", "--json")
    found = json.loads(out)
    assert (status, err) == (0, "")
    assert found["limits"]["task"] == "code" and found["board"]["name"] == "Raspberry Pi 4 (8 GB)"
    first = found["models"][0]
    assert first["rank"] == 1 and first["reasons"] and "code" in first["member"]["tasks"]


async def test_impossible_limits_end_with_1_and_wrong_ones_with_a_sentence() -> None:
    status, out, _ = await edgetui("recommend", "--memory", "0.05", "--bandwidth", "1")
    assert status == 1
    assert out.splitlines()[-1] == "No model keeps all of these limits; --all shows what each one breaks."
    status, out, err = await edgetui("recommend", "--task", "cooking")
    assert (
        status != 0 and out == "" and err.startswith("edgetui: The value for --task cannot be used: take one of chat, ")
    )
    status, _, err = await edgetui("recommend", "--bandwidth", "17")
    assert status != 0 and "give its --memory in GiB too" in err
    status, out, _ = await edgetui("recommend", "--boards")
    assert status == 0 and "Raspberry Pi 5 (8 GB)" in out
