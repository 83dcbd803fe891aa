"""`edgetui tensors` and `edgetui recipe` as the installed command."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.cli.command import edgetui

DEMO = "SmolLM2-135M-Instruct.Q4_1"


async def test_tensors_are_listed_sorted_and_filtered(home: Path) -> None:
    status, out, err = await edgetui("tensors", DEMO, "--sort", "bytes", "--filter", "weight")
    lines = out.splitlines()
    assert status == 0 and len(lines) == 273 and lines[0].split()[:3] == ["TENSOR", "SHAPE", "TYPE"]
    assert lines[1].split()[:3] == ["token_embd.weight", "576x49152", "Q8_0"]
    assert "its parent is not known; name one with --parent" in err and "272 tensors, 135M weights" in err
    status, out, _ = await edgetui("tensors", DEMO, "--filter", "attn_q f32", "--json")
    assert status == 0 and json.loads(out) == []


async def test_errors_against_a_named_parent_are_printed(home: Path, short_model: Path, demo_model: Path) -> None:
    models = home / "data/models"
    models.mkdir(parents=True)
    os.link(short_model, models / short_model.name)
    status, out, err = await edgetui(
        "tensors", str(models / short_model.name), "--parent", str(demo_model), "--sort", "error", "--json"
    )
    rows = json.loads(out)
    assert status == 0, err
    assert len(rows) == 29 and rows == sorted(rows, key=lambda row: -row["relative_rmse"])
    # Made of the demo model itself, its weights are that model's rounded to F16.
    assert 0 < rows[0]["relative_rmse"] < 0.001 and {row["not_finite"] for row in rows} == {0}
    status, out, err = await edgetui("tensors", short_model.stem, "--try", "blk.2.attn_v.weight")
    assert status == 0 and "on 100% of its weights" in err
    assert {line.split()[0] for line in out.splitlines()[1:]} >= {"Q8_0", "Q4_0", "IQ4_NL"}


async def test_wrong_usage_is_one_sentence(home: Path) -> None:
    for arguments, told in (
        (("tensors", DEMO, "--sort", "taste"), "There is no column taste to sort by; there are error, order, name"),
        (("tensors", "nothing-like-it"), "nothing-like-it"),
        (("recipe", DEMO), "Name either a size (--size 90MiB) or a decode rate (--tps 120)."),
        (("recipe", DEMO, "--size", "90MiB"), "is already quantized (Q4_1), and a search needs the unquantized model"),
        (("recipe", DEMO, "--size", "small"), "is no size such as 90MiB, and no type such as Q4_K_M"),
        (("recipe", DEMO, "--size", "90MiB", "--types", "Q4_0,Q9_Z"), "there is no tensor type Q9_Z"),
    ):
        status, out, err = await edgetui(*arguments)
        assert status in (1, 2) and out == "" and told in err and len(err.splitlines()) == 1, arguments
