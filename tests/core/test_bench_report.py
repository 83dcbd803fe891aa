"""The report: whole, redacted, and inert whatever a model is called."""

from __future__ import annotations

from html.parser import HTMLParser

import msgspec
import pytest

from edgetui.core.bench import BenchRecord, BenchTest, Conditions, Machine
from edgetui.core.bench_html import as_html
from edgetui.core.bench_report import Part, Report, _cleaned, as_markdown, report
from edgetui.core.bench_trend import regressions
from edgetui.core.charts import LineChart, Series
from edgetui.core.statistics import Ratio
from edgetui.core.studies import AbResult, BenchSide, Knee, Study, ab_sentence
from tests.core.test_bench_trend import row
from tests.core.test_charts import soak_result

EVIL = "<script>alert(1)</script> | `x` ```"


def made() -> Report:
    records = [row(1, [1000, 1002, 998, 1001]), row(2, [1250, 1252, 1248, 1249]), named_badly()]
    study = Study(
        study_id=1,
        job_id=None,
        measured_at=0.0,
        machine=Machine(),
        result=soak_result(Knee(at_s=60.0, before_tps=50.0, after_tps=40.0)),
    )
    earlier = [row(0, [1000, 1002, 998]), row(0, [1002, 1003, 999])]
    slower = list(regressions([*earlier, *records]).values())
    return report(records, [study], slower, ("anna", "annas-laptop"), 1_790_000_000.0)


def named_badly() -> BenchRecord:
    return row(
        3,
        [900, 905],
        model_name=EVIL,
        model_path="/home/anna/models/evil.gguf",
        conditions=Conditions(others_share=0.5, throttled=("heat on annas-laptop",)),
    )


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: dict[str, int] = {}
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.attributes |= {name for name, _ in attrs}


def test_figures_warnings_comparisons_charts_and_commands_are_in_it() -> None:
    text = as_markdown(made())
    assert "slower than the 3 rows since" in text
    assert "Row 3 is noisy: other programs took 50% of the processors" in text
    assert "Compared: tg100" in text and "Row 2 against row 1" in text and "1.25x" in text
    assert "It fell." in text and "knee" in text and "temperature, C" in text
    assert "edgetui bench" in text and "llama-bench -m" in text
    assert "| 1 | m | Q4_0 |" in text


def test_no_person_and_no_machine_is_named() -> None:
    told = made()
    for text in (as_markdown(told), as_html(told)):
        assert "anna" not in text and "/home/" not in text and "/m/" not in text


def test_html_runs_nothing_and_asks_nobody() -> None:
    text = as_html(made())
    tags = Tags(text)
    assert "script" not in tags.tags and "img" not in tags.tags and "link" not in tags.tags and "a" not in tags.tags
    assert not any(name.startswith("on") or name in ("src", "href") for name in tags.attributes)
    assert tags.tags["svg"] >= 4 and "prefers-color-scheme: dark" in text
    assert "default-src 'none'" in text


def test_markdown_keeps_its_tables_and_fences_whatever_a_model_is_called() -> None:
    text = as_markdown(made())
    assert "<script>" not in text.replace("\n", " ").split("```")[0]
    table = [line for line in text.splitlines() if line.startswith("| ")][:4]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1


def test_rows_without_samples_have_dashes() -> None:
    bare = msgspec.structs.replace(row(1, []), row=row(1, [], stated_tps=50.0, stated_sd_tps=1.0).row)
    told = report([bare], [], [], (), 0.0)
    assert told.table[1][6:11] == ("50.00", "1.00", "-", "-", "-")


@pytest.mark.parametrize("full", [True, False])
def test_sides_in_two_folders_are_told_apart_without_the_folders(full: bool) -> None:
    """Labels were whole paths once, and such studies are in histories."""
    paths = ("/models/SecretClient/mm.gguf", "/models/other/mm.gguf")
    labels = [path if full else path[8:] for path in paths]
    a, b = (
        BenchSide(model_path=path, model_name="mm", model_format="gguf", label=label)
        for path, label in zip(paths, labels, strict=True)
    )
    ratio = Ratio(2.0, 1.9, 2.1)
    result = AbResult(
        a=a,
        b=b,
        test=BenchTest(generated_tokens=4),
        a_ns=(1, 1),
        b_ns=(2, 2),
        ratio=ratio,
        seed=0,
        reloaded=False,
        conditions=None,
        sentence=ab_sentence(labels[0], labels[1], ratio, 2, 0),
    )
    study = Study(study_id=1, job_id=None, measured_at=0.0, machine=Machine(), result=result)
    told = report([row(1, [1000])], [study], [], (), 0.0)
    for text in (as_markdown(told), as_html(told)):
        assert "SecretClient" not in text and "other" not in text.split("A/B tg4")[1].split("Each row")[0]
        assert "A (mm.gguf) is faster than B (mm.gguf)" in text and text.count("B (mm.gguf)") >= 2


def test_the_names_in_a_chart_are_redacted() -> None:
    chart = LineChart("m", "of anna", "s", (Series("anna", ((0.0, 1.0),)),), "names", ("annas-laptop",))
    cleaned = _cleaned(Part("p", (), (chart,)), ("anna", "annas-laptop"))
    assert "anna" not in repr(cleaned)
