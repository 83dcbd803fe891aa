"""`edgetui history` as a command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgetui.core.bench import Machine
from edgetui.services.lab import Lab
from edgetui.store.history import History
from edgetui.store.studies import Studies
from tests.cli.command import edgetui
from tests.core.test_charts import soak_result
from tests.services.test_bench import record

RECORDED = Path(__file__).parent.parent / "recorded" / "llama_bench"


@pytest.fixture
def rows(lab: Lab) -> None:
    for number, samples in enumerate(([1000, 1002, 998], [1002, 1004, 1000], [1004, 1006, 1002], [1250, 1252, 1248])):
        row = msgspec.structs.replace(record("m", samples).row, measured_at=1_790_000_000.0 + number)
        History(lab.database).add(row, Machine(cpu="c"), None)


@pytest.mark.usefixtures("rows")
async def test_rows_are_listed_shown_compared_and_followed() -> None:
    status, out, err = await edgetui("history", "list", "test:tg", "--sort", "-rate")
    assert status == 0 and [line.split()[0] for line in out.splitlines()] == ["row", "1", "2", "3", "4v"]
    assert "slower than the 3 rows" in err
    status, out, _ = await edgetui("history", "compare", "1", "4")
    assert status == 0 and "Row 4 against row 1" in out and "1.25x" in out and "95 % interval" in out
    status, out, _ = await edgetui("history", "trend", "2")
    assert status == 0 and "m tg100, tok/s" in out and "slower than the 3 rows" in out
    status, out, _ = await edgetui("history", "show", "3")
    assert status == 0 and "settings" in out and "edgetui bench" in out and "llama-bench" in out
    status, _, err = await edgetui("history", "show", "9")
    assert status == 1 and "There is no row 9" in err


@pytest.mark.usefixtures("rows")
async def test_what_is_printed_comes_as_json_too(lab: Lab) -> None:
    async def told(*arguments: str) -> Any:
        status, out, _ = await edgetui("history", *arguments, "--json")
        assert status == 0
        return json.loads(out)

    shown = await told("show", "3")
    assert shown["id"] == 3 and shown["samples_ns"] == [1_004_000_000, 1_006_000_000, 1_002_000_000]
    assert "edgetui bench" in str(shown["commands"])
    assert await told("show", "3", "--commands") == shown["commands"]
    compared = await told("compare", "1", "4")
    assert [row["id"] for row in compared["rows"]] == [1, 4]
    (comparison,) = compared["comparisons"]
    assert comparison["ratio"]["ratio"] == pytest.approx(0.8, abs=0.001) and "1.25x" in comparison["sentence"]
    trend = await told("trend", "2")
    assert [row["id"] for row in trend["rows"]] == [1, 2, 3, 4]
    assert trend["judged"]["verdict"] == "slower" and trend["judged"]["before"] == [1, 2, 3]
    assert await told("studies") == []
    Studies(lab.database).add(soak_result(), Machine(cpu="c"), None, 1_790_000_000.0)
    (study,) = await told("studies")
    assert study["kind"].startswith("soak") and study["models"] == ["m"] and study["result"]["sentence"] == "It fell."
    one = await told("studies", str(study["study_id"]))
    assert one["result"] == study["result"] and one["commands"][0]["text"]
    assert await told("studies", str(study["study_id"]), "--remove") == {"removed": study["study_id"]}


@pytest.mark.usefixtures("rows")
async def test_rows_come_in_and_go_out_in_llama_bench_s_forms(tmp_path: Path) -> None:
    status, out, _ = await edgetui("history", "import", str(RECORDED / "llama-bench.sql"))
    assert status == 0 and "3 new rows" in out
    status, out, _ = await edgetui("history", "export", "source:llama-bench", "--form", "sql")
    assert status == 0 and out.split() == (RECORDED / "llama-bench.sql").read_text().split()
    status, out, _ = await edgetui("history", "export", "--out", str(tmp_path / "rows.json"))
    assert status == 0 and len(json.loads((tmp_path / "rows.json").read_text())) == 7
    status, out, _ = await edgetui("history", "report", "source:edgetui", "-o", str(tmp_path / "r.html"))
    assert status == 0 and "</html>" in (tmp_path / "r.html").read_text()
    status, _, err = await edgetui("history", "report", "-o", str(tmp_path / "r.html"))
    assert status == 1 and "already there" in err
    status, out, _ = await edgetui("history", "remove", "1", "2")
    assert status == 0 and "Forgot 2 rows" in out
    status, _, err = await edgetui("history", "list", "colour:red")
    assert status == 2 and "no 'colour' to filter by" in err
