"""The history's rows, comparisons, trends and studies as plain values, the facts that the text tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.cli.bench import _as_json as row_values
from edgetui.core.bench_noise import noise_of
from edgetui.core.repeat_commands import bench_commands
from edgetui.core.repeat_studies import study_commands
from edgetui.core.study_text import kind_of, models_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.bench import BenchRecord
    from edgetui.core.bench_comparison import Comparison
    from edgetui.core.bench_trend import Regression
    from edgetui.core.repeat_commands import RepeatCommand
    from edgetui.core.studies import Study


def row_with_commands(record: BenchRecord) -> dict[str, Any]:
    """A row with what repeats it."""
    return {**row_values(record), "commands": _commands(bench_commands(record.row))}


def comparison_values(records: Sequence[BenchRecord], told: Sequence[Comparison]) -> dict[str, Any]:
    """Rows, and each but the first held against the first."""
    return {
        "rows": [row_values(record) for record in records],
        "comparisons": [
            {
                "first": each.first.record_id,
                "second": each.second.record_id,
                "ratio": msgspec.to_builtins(each.ratio),
                "sentence": each.sentence,
            }
            for each in told
        ],
        "noise": {record.record_id: why for record in records if (why := noise_of(record.row))},
    }


def trend_values(records: Sequence[BenchRecord], judged: Regression | None) -> dict[str, Any]:
    """Rows of one measurement, oldest first, and what the newest says against those before it."""
    verdict = judged and {
        "row": judged.record.record_id,
        "before": [record.record_id for record in judged.before],
        "ratio": msgspec.to_builtins(judged.ratio),
        "verdict": judged.verdict,
        "sentence": judged.sentence,
    }
    return {"rows": [row_values(record) for record in records], "judged": verdict}


def study_values(study: Study, *, with_commands: bool = False) -> dict[str, Any]:
    """A study whole; with what repeats it where that is asked for."""
    return {
        "kind": kind_of(study.result),
        "models": list(models_of(study.result)),
        **msgspec.to_builtins(study),
        **({"commands": _commands(study_commands(study.result))} if with_commands else {}),
    }


def _commands(commands: Sequence[RepeatCommand]) -> list[dict[str, str]]:
    return [{"tool": each.tool, "note": each.note, "text": each.text} for each in commands]
