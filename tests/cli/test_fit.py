"""`edgetui fit` as a script uses it."""

from __future__ import annotations

import json

import pytest

from tests.cli.command import edgetui

MODEL = "SmolLM2-135M-Instruct.Q4_1"
pytestmark = pytest.mark.usefixtures("home")


async def test_parts_are_printed_and_marked_as_predicted() -> None:
    status, out, err = await edgetui("fit", MODEL, "--context", "2048")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == MODEL and lines[1].startswith("FIT       fits: ~") and "predicted" in lines[1]
    assert any(line.startswith("KV cache  ~45.0 MiB for 2048 tokens in F16") for line in lines)
    status, out, _ = await edgetui("fit", MODEL, "--context", "2048", "--json")
    figures = json.loads(out)
    assert status == 0 and figures["model"] == MODEL and figures["parts"]["kv_cache"] == 45 * 1024 * 1024
    assert figures["total_bytes"] == sum(figures["parts"].values())


async def test_what_does_not_fit_exits_with_one_and_names_changes() -> None:
    status, out, _ = await edgetui("fit", MODEL, "--context", "16000000")
    assert status == 1
    assert out.splitlines()[1].startswith(("FIT       with changes: ~", "FIT       does not fit: ~"))
    status, out, err = await edgetui("fit", MODEL, "--kv", "q9")
    assert (status, out) == (2, "") and "kv-cache-type" in err


async def test_a_context_beyond_what_the_model_was_trained_for_is_told() -> None:
    _, out, _ = await edgetui("fit", MODEL, "-c", "20000")
    assert "context   20000 tokens, trained for 8192: beyond that answers degrade" in out.splitlines()
    _, out, _ = await edgetui("fit", MODEL, "-c", "4096")
    assert "trained for" not in out
