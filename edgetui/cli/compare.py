"""`edgetui compare`: one prompt to several models or settings, and the history of such prompts."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetui.cli.text_arguments import as_text
from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line, plain_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.setting_words import SettingWord
    from edgetui.core.side_by_side import ComparisonRecord
    from edgetui.services.lab import Lab
    from edgetui.services.side_by_side import SideBySide


def compare(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL MODEL [MODEL MODEL] PROMPT",
            help="Two to four names or paths of models, the same one again for other settings; then what to say to"
            " them, `-` for stdin.",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="[COLUMN:]NAME=VALUE",
            help="A setting of one column, or of all: 2:threads=1, temperature=0.",
        ),
    ] = None,
    together: Annotated[
        bool, typer.Option("--together", help="All at once instead of one after another: they share the machine.")
    ] = False,
    system: Annotated[str | None, typer.Option(help="System prompt.")] = None,
    max_tokens: Annotated[int | None, typer.Option("-n", "--max-tokens", help="Most tokens of each answer.")] = None,
    history: Annotated[bool, typer.Option("--history", help="List every prompt that was compared.")] = False,
    show: Annotated[int | None, typer.Option("--show", metavar="ID", help="One of the history.")] = None,
    prefer: Annotated[
        str | None, typer.Option("--prefer", metavar="ID:COLUMN", help="Note which answer is best; column 0: none.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the commands that repeat each.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a document, with the same commands.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead.", show_default=False)] = None,
) -> None:
    """Compare answers, rates and memory of models or settings on the same prompt."""
    if as_json and markdown:
        raise EdgetuiError("bad_request", "Take either --json or --markdown.")
    form = "json" if as_json else "markdown" if markdown or out is not None else ""
    if history:
        status = asyncio.run(_history(form, out))
    elif show is not None:
        status = asyncio.run(_show(show, form or "markdown", out))
    elif prefer is not None:
        status = asyncio.run(_prefer(prefer))
    else:
        names, prompt = _split(words or [])
        chosen = list(settings or [])
        if max_tokens is not None:
            chosen.insert(0, f"max-tokens={max_tokens}")
        status = asyncio.run(_compare(names, prompt, chosen, system, together, form, out))
    raise typer.Exit(status)


def _split(words: Sequence[str]) -> tuple[Sequence[str], str]:
    from edgetui.core.side_by_side import LEAST_COLUMNS, MOST_COLUMNS

    if not LEAST_COLUMNS < len(words) <= MOST_COLUMNS + 1:
        raise EdgetuiError(
            "bad_request",
            f"Name {LEAST_COLUMNS} to {MOST_COLUMNS} models and then the prompt (edgetui models lists them; the same"
            " one twice for other settings), or ask for --history.",
        )
    prompt = sys.stdin.read() if words[-1] == "-" else words[-1]
    return words[:-1], as_text(prompt)


async def _compare(
    names: Sequence[str], prompt: str, settings: Sequence[str], system: str | None, together: bool, form: str,
    out: Path | None,
) -> int:  # fmt: skip
    from edgetui.core.setting_words import read_setting
    from edgetui.core.side_by_side import ComparisonRecord
    from edgetui.services.lab import Lab

    chosen = [read_setting(text, len(names)) for text in settings]
    lab = Lab()
    compared = lab.side_by_side
    loop = asyncio.get_running_loop()
    interrupts = 0

    def interrupt() -> None:
        nonlocal interrupts
        interrupts += 1
        # A second time: whatever they are doing, they end now.
        asyncio.ensure_future(compared.close() if interrupts > 1 else compared.stop())  # noqa: RUF006 - the loop lives on

    record: ComparisonRecord | None = None
    try:
        compared.together = together
        if system is not None:
            compared.system_prompt = system
        await _add_columns(lab, names, chosen)
        loop.add_signal_handler(signal.SIGINT, interrupt)
        writer = _Writer(compared, quiet=bool(form) and out is None)
        async with aclosing(compared.ask(prompt)) as events:
            async for column, event in events:
                writer.take(column, event)
                if isinstance(event, ComparisonRecord):
                    record = event
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        await lab.close()
    if record is None:
        return 130
    if form:
        _print(record, form, out)
    else:
        _print_figures(record)
    if interrupts:
        return 130
    return 1 if all(answer.failure for answer in record.compared.columns) else 0


async def _add_columns(lab: Lab, names: Sequence[str], settings: Sequence[SettingWord]) -> None:
    from edgetui.core.setting_words import with_settings
    from edgetui.services.hardware.thread_limits import require_threads

    for index, name in enumerate(names):
        entry = await lab.find_model(name)
        mine = [word for word in settings if word.column is None]
        mine += [word for word in settings if word.column == index]
        load, sampling = with_settings(lab.settings.load, lab.settings.sampling, mine)
        require_threads(load.threads, load.threads_prefill)
        lab.side_by_side.add(entry, load, sampling)


class _Writer:
    """Answers to stdout: as they come one after another, each whole when they come together."""

    def __init__(self, compared: SideBySide, quiet: bool) -> None:
        self._labels = compared.labels
        self._streams = not compared.together
        self._quiet = quiet
        self._headed: set[int] = set()

    def take(self, column: int | None, event: object) -> None:
        from edgetui.core.side_by_side import ComparedAnswer
        from edgetui.services.side_by_side import Remark
        from edgetui.worker.protocol import Tokens

        if isinstance(event, Remark):
            print(f"edgetui: {event.text}", file=sys.stderr)
        if self._quiet or column is None:
            return
        if isinstance(event, Tokens) and self._streams:
            self._head(column)
            self._write(event.text)
        elif isinstance(event, ComparedAnswer):
            self._head(column)
            if not self._streams:
                self._write(event.text)
            if event.text:
                self._write("\n")
            if event.failure:
                print(f"edgetui: {event.failure}", file=sys.stderr)

    def _head(self, column: int) -> None:
        if column not in self._headed:
            self._write(f"{chr(10) if self._headed else ''}--- {column + 1}. {plain_line(self._labels[column])}\n")
            self._headed.add(column)

    def _write(self, text: str) -> None:
        # Model output is data: on a terminal its control characters are shown, not obeyed.
        sys.stdout.write(plain_text(text) if sys.stdout.isatty() else text)
        sys.stdout.flush()


def _print_figures(record: ComparisonRecord) -> None:
    from edgetui.core.side_by_side import figure_table, how_measured

    rows = figure_table(record.compared)
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    print()
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(how_measured(record.compared))
    print(f"Kept as {record.record_id}: edgetui compare --show {record.record_id} has the commands that repeat it.")


async def _history(form: str, out: Path | None) -> int:
    from edgetui.core.side_by_side import as_builtins, as_markdown
    from edgetui.services.lab import Lab

    lab = Lab()
    try:
        records = await lab.side_by_side.history()
    finally:
        await lab.close()
    if form == "json":
        _write_out(_json([as_builtins(record) for record in records]), out)
    elif form == "markdown":
        _write_out("\n".join(as_markdown(record) for record in records), out)
    elif not records:
        print("Nothing has been compared yet: edgetui compare MODEL MODEL PROMPT.", file=sys.stderr)
    else:
        for record in records:
            print(_line(record))
    return 0


def _line(record: ComparisonRecord) -> str:
    compared = record.compared
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(compared.asked_at))
    names = " | ".join(
        f"{plain_line(answer.label)}{'*' if record.preferred == number else ''}"
        for number, answer in enumerate(compared.columns)
    )
    prompt = plain_line(compared.prompt)
    return f"{record.record_id:>5}  {when}  {names}  {prompt if len(prompt) <= 60 else prompt[:57] + '...'}"


async def _show(record_id: int, form: str, out: Path | None) -> int:
    from edgetui.services.lab import Lab

    lab = Lab()
    try:
        record = await lab.side_by_side.record(record_id)
    finally:
        await lab.close()
    _print(record, form, out)
    return 0


async def _prefer(text: str) -> int:
    from edgetui.services.lab import Lab

    number, _, column = text.partition(":")
    if not number.isdigit() or not column.isdigit():
        raise EdgetuiError("bad_request", f"{text!r} is no answer: write the comparison and its column, such as 3:1.")
    lab = Lab()
    try:
        record = await lab.side_by_side.record(int(number))
        if int(column) > len(record.compared.columns):
            raise EdgetuiError(
                "bad_request", f"Comparison {number} has columns 1 to {len(record.compared.columns)}, not {column}."
            )
        await lab.side_by_side.prefer(record.record_id, int(column) - 1 if int(column) else None)
    finally:
        await lab.close()
    return 0


def _print(record: ComparisonRecord, form: str, out: Path | None) -> None:
    from edgetui.core.side_by_side import as_builtins, as_markdown

    _write_out(_json(as_builtins(record)) if form == "json" else as_markdown(record), out)


def _json(value: object) -> str:
    import json

    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _write_out(text: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise EdgetuiError(
            "no_permission", f"{out} cannot be written ({error.strerror}): name another file."
        ) from error
    print(f"Written to {out}.", file=sys.stderr)
