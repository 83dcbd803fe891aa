"""Figures and forms of an inspected answer."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest

from edgetui.core.inspection import Alternative, InspectedToken, likelihood
from edgetui.core.inspection_text import as_csv, as_json, as_table, mark_of, percent, summary, token_text

TOKENS = (
    InspectedToken(" rain", 0.5, 1, (Alternative(" rain", 0.5), Alternative(" snow", 0.25)), 1.5),
    InspectedToken("\n", 0.125, 3, (Alternative(".", 0.5), Alternative("!", 0.25))),
    InspectedToken("x", 0.0625, 2, (Alternative("y", 0.9), Alternative("x", 0.0625))),
)


def test_perplexity_is_that_of_the_mean_log_probability() -> None:
    whole = likelihood(TOKENS)
    assert whole is not None
    assert whole.mean_log_probability == pytest.approx((math.log(0.5) + math.log(0.125) + math.log(0.0625)) / 3)
    assert whole.perplexity == pytest.approx(2 ** ((1 + 3 + 4) / 3))
    assert (whole.likeliest, whole.unlikely, whole.very_unlikely) == (1, 2, 1)
    assert likelihood(()) is None


def test_a_probability_that_was_rounded_to_nothing_keeps_figures_finite() -> None:
    assert math.isfinite(InspectedToken("x", 0.0, 9, ()).log_probability)


def test_the_table_spells_line_ends_and_marks_what_was_unlikely() -> None:
    lines = as_table(TOKENS).split("\n")
    assert lines[1].split() == ["1", '"', 'rain"', "50.0", "%", "1", "1.50", "bit", '"', 'rain"', "50.0", "%,", '"',
                                'snow"', "25.0", "%"]  # fmt: skip
    assert '"\\n"' in lines[2] and " ? " in lines[2] and " - " in lines[2]
    assert " ?? " in lines[3]
    assert "perplexity 6.35" in summary(TOKENS)


def test_a_rank_that_is_not_known_is_told_by_what_it_is_beyond() -> None:
    beyond = InspectedToken("x", 0.001, 1001, (), is_rank_least=True)
    assert " > 1,000 " in as_table([beyond])
    assert next(csv.DictReader(io.StringIO(as_csv([beyond]))))["rank"] == "> 1,000"
    assert json.loads(as_json([beyond], "m"))["tokens"][0]["is_rank_least"] is True
    assert InspectedToken("x", 0.001, 1001, ()).rank_text == "1,001"


def test_json_and_csv_hold_every_alternative() -> None:
    told = json.loads(as_json(TOKENS, "tiny"))
    assert told["model"] == "tiny" and told["tokens"][1]["alternatives"][0] == {"text": ".", "probability": 0.5}
    rows = list(csv.DictReader(io.StringIO(as_csv(TOKENS))))
    assert rows[1]["text"] == "\n" and rows[1]["entropy_bits"] == "" and rows[0]["text_2"] == " snow"


def test_signs_and_figures() -> None:
    assert [mark_of(each) for each in (0.9, 0.4, 0.05)] == ["", "?", "??"]
    assert [percent(each) for each in (1.0, 0.931, 0.0002, 1e-9, 0.0)] == [
        "100.0 %", "93.1 %", "0.02 %", "<0.01 %", "0.00 %",
    ]  # fmt: skip
    assert token_text('a\t\x1b\\"') == '"a\\t␛\\\\""'
