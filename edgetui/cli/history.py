"""`edgetui history`: what was measured - list it, compare rows, follow one over time, exchange and report it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from edgetui.cli.follow import print_json
from edgetui.core.failures import EdgetuiError
from edgetui.core.units import counted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from edgetui.core.bench import BenchRecord
    from edgetui.core.charts import Chart
    from edgetui.services.lab import Lab

    T = TypeVar("T")

_CHART_ROWS = 16
_WORDS_HELP = "Words that rows must hold: tg engine:onnx threads:2 source:llama-bench '>2026-11-01' not:noisy:yes."

history = typer.Typer(no_args_is_help=True, help="Rows measured here or imported: list, compare, follow, exchange.")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Words = Annotated[list[str] | None, typer.Argument(help=_WORDS_HELP, show_default=False)]
Sort = Annotated[
    str,
    typer.Option(
        "--sort", help="date, model, test, rate, engine, threads, depth or energy; with - before it downwards."
    ),
]


@history.command("list")
def list_rows(words: Words = None, sort: Sort = "", as_json: AsJson = False) -> None:
    """Rows, newest first; ! marks a noisy machine, v a row slower than those before it."""

    async def work(lab: Lab) -> None:
        records = await lab.bench_history.find(" ".join(words or ()), sort)
        slower = await lab.bench_history.regressions()
        if as_json:
            _print_json(records)
            return
        if not records:
            none = "No row holds these words." if words else "Nothing has been measured yet: edgetui bench MODEL."
            print(none, file=sys.stderr)
            return
        _print_table(records, slower)
        for record in records:
            if record.record_id in slower:
                print(slower[record.record_id].sentence, file=sys.stderr)

    _run(work)


@history.command("show")
def show(
    row: Annotated[int, typer.Argument(help="The row's number in `edgetui history list`.")],
    commands: Annotated[bool, typer.Option("--commands", help="Print only what repeats it.")] = False,
    as_json: AsJson = False,
) -> None:
    """All that is kept of one row: samples, settings, conditions, environment, and how to repeat it."""
    from edgetui.core.bench_details import facts
    from edgetui.core.repeat_commands import as_text, bench_commands

    async def work(lab: Lab) -> None:
        (record,) = await lab.bench_history.rows([row])
        if as_json:
            from edgetui.cli.history_json import row_with_commands

            told = row_with_commands(record)
            print_json(told["commands"] if commands else told)
            return
        if not commands:
            for label, text in facts(record):
                print(f"{label:<11} {text}")
            print()
        print(as_text(bench_commands(record.row)), end="")

    _run(work)


@history.command("compare")
def compare_rows(
    rows: Annotated[list[int], typer.Argument(help="Numbers of two or more rows of one test.")],
    as_json: AsJson = False,
) -> None:
    """Rows side by side: bars with their intervals, and each held against the first."""
    from edgetui.core.bench_charts import compared
    from edgetui.core.bench_comparison import compare_all

    async def work(lab: Lab) -> None:
        records = await lab.bench_history.rows(rows)
        told = compare_all(records, await lab.bench.studies())
        if as_json:
            from edgetui.cli.history_json import comparison_values

            print_json(comparison_values(records, told))
            return
        _print_chart(compared(records))
        for comparison in told:
            print(f"Row {comparison.first.record_id} against row {comparison.second.record_id}: {comparison.sentence}")

    _run(work)


@history.command("trend")
def trend(
    row: Annotated[int, typer.Argument(help="Number of any row of it.")],
    over: Annotated[str, typer.Option("--over", help="date or version (of the engine).")] = "date",
    as_json: AsJson = False,
) -> None:
    """One measurement over time: the same model, test, settings and machine; says whether the newest is slower."""
    from edgetui.core import bench_charts
    from edgetui.core.bench_trend import judge

    async def work(lab: Lab) -> None:
        if over not in ("date", "version"):
            raise EdgetuiError("bad_request", "A trend goes over date or version.")
        records = await lab.bench_history.trend(row)
        judged = judge(records)
        if as_json:
            from edgetui.cli.history_json import trend_values

            print_json(trend_values(records, judged))
            return
        _print_chart(bench_charts.trend(records, "version" if over == "version" else "date"))
        print("This is the only row of its kind." if judged is None else judged.sentence)

    _run(work)


@history.command("import")
def import_rows(
    files: Annotated[list[Path], typer.Argument(help="What llama-bench -o json, jsonl, csv, md or sql printed.")],
) -> None:
    """Take rows of llama-bench; those that are here already count once."""

    async def work(lab: Lab) -> None:
        for file in files:
            print(f"{file.name}: {(await lab.bench_history.import_file(file)).sentence}")

    _run(work)


@history.command("export")
def export_rows(
    words: Words = None,
    form: Annotated[str, typer.Option("--form", help="json, jsonl, csv, md or sql; else by the ending of --out.")] = "",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file to make; else it is printed.")] = None,
) -> None:
    """Write rows in llama-bench's forms, for its tools and scripts."""
    from edgetui.core import llama_bench_forms

    async def work(lab: Lab) -> None:
        records = await lab.bench_history.find(" ".join(words or ()))
        if out is not None:
            print((await lab.bench_history.export(out, records, form)).sentence)
            return
        exported = llama_bench_forms.write(form or "json", records)
        sys.stdout.write(exported.text)
        for remark in exported.remarks:
            print(f"{remark[:1].upper()}{remark[1:]}.", file=sys.stderr)

    _run(work)


@history.command("report")
def report(
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to make, ending in .md, .html or .svg.")],
    words: Words = None,
) -> None:
    """A report to hand on: rows, intervals, conditions, charts, commands; no host name, user name or serial."""

    async def work(lab: Lab) -> None:
        records = await lab.bench_history.find(" ".join(words or ()))
        print(f"Written: {await lab.bench_history.report(out, records)}")

    _run(work)


@history.command("studies")
def studies(
    number: Annotated[
        int | None, typer.Argument(help="Draw this one, and print what repeats it.", show_default=False)
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Forget this one.")] = False,
    as_json: AsJson = False,
) -> None:
    """Soaks, A/Bs, autotunes, load times and loads of servers, newest first; with a number its chart and commands."""
    from edgetui.core.repeat_commands import as_text
    from edgetui.core.repeat_studies import study_commands
    from edgetui.core.study_text import energy_lines, study_charts, study_line

    async def work(lab: Lab) -> None:
        found = await lab.bench.studies()
        if number is None:
            if as_json:
                from edgetui.cli.history_json import study_values

                print_json([study_values(study) for study in found])
                return
            for study in found:
                print(f"{study.study_id:>4}  {study_line(study)}")
            return
        chosen = next((study for study in found if study.study_id == number), None)
        if chosen is None:
            raise EdgetuiError("not_found", f"There is no study {number}: edgetui history studies lists them.")
        if remove:
            await lab.bench.remove_studies([number])
            print_json({"removed": number}) if as_json else print(f"Forgot study {number}.")
            return
        if as_json:
            from edgetui.cli.history_json import study_values

            print_json(study_values(chosen, with_commands=True))
            return
        for chart in study_charts(chosen.result):
            _print_chart(chart)
        for told in energy_lines(chosen.result):
            print(f"energy: {told}")
        print(chosen.result.sentence)
        print()
        print(as_text(study_commands(chosen.result)), end="")

    _run(work)


@history.command("remove")
def remove(rows: Annotated[list[int], typer.Argument(help="Numbers of rows to forget.")]) -> None:
    """Forget rows; models and files stay."""

    async def work(lab: Lab) -> None:
        await lab.bench_history.rows(rows)
        print(f"Forgot {counted(await lab.bench_history.remove(rows), 'row')}.")

    _run(work)


def _run(work: Callable[[Lab], Awaitable[T]]) -> T:
    async def inside() -> T:
        from edgetui.services.lab import Lab

        lab = Lab()
        try:
            return await work(lab)
        finally:
            await lab.close()

    return asyncio.run(inside())


def _print_table(records: Sequence[BenchRecord], slower: Collection[int]) -> None:
    from edgetui.core.bench_noise import noise_of
    from edgetui.core.bench_table import table

    heads = ["row"]
    heads += [
        f"{record.record_id}{'!' if noise_of(record.row) else ''}{'v' if record.record_id in slower else ''}"
        for record in records
    ]
    rows = [(head, *cells) for head, cells in zip(heads, table(records), strict=True)]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_chart(chart: Chart) -> None:
    import shutil

    from edgetui.core.chart_text import chart_lines

    width = min(100, shutil.get_terminal_size((80, 24)).columns)
    print("\n".join(line.rstrip() for line in chart_lines(chart, width, _CHART_ROWS)))


def _print_json(records: Sequence[BenchRecord]) -> None:
    import json

    from edgetui.cli.bench import _as_json

    print(json.dumps([_as_json(record) for record in records], indent=2))
