"""What the Bench screen does with rows beyond showing them: import, export, report, delete."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

from textual import work

from edgetui.core.bench import labels
from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.screens.base import LabScreen
from edgetui.services.new_file import write_new

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from edgetui.core.bench import BenchRecord
    from edgetui.core.charts import Chart

_FONT = re.compile(r"@font-face\s*\{.*?\}\s*", re.DOTALL)
_MOST_NAMED = 4
"""Rows told one by one before they are deleted."""


class BenchFiles(LabScreen):
    """Base of the Bench screen, which says what is chosen and where a sentence goes."""

    @property
    def current(self) -> BenchRecord | None:
        """The row under the cursor."""
        raise NotImplementedError

    @property
    def marked(self) -> Sequence[BenchRecord]:
        """Rows with a mark."""
        raise NotImplementedError

    @property
    def found(self) -> Sequence[BenchRecord]:
        """What the filter lets through."""
        raise NotImplementedError

    @property
    def chart(self) -> Chart | None:
        """What is drawn now."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Show a sentence that is no failure."""
        raise NotImplementedError

    def action_repeat(self) -> None:
        """The commands that repeat the row under the cursor elsewhere."""
        from edgetui.core.repeat_commands import bench_commands
        from edgetui.screens.repeat_dialog import RepeatDialog

        if self.current is not None:
            row = self.current.row
            self.app.push_screen(RepeatDialog(f"{row.name} of {row.model_name}", bench_commands(row)))

    @work(exclusive=True, group="dialog")
    async def action_import_rows(self) -> None:
        """Take rows of a file that llama-bench wrote."""

        async def take(name: str) -> str:
            return (await self.lab.bench_history.import_file(Path(name))).sentence

        await self._ask_path("", "Import llama-bench's json, jsonl, csv, md or sql: enter takes, esc closes", take)

    @work(exclusive=True, group="dialog")
    async def action_export_rows(self) -> None:
        """Write rows in one of llama-bench's forms; the ending says which."""
        records = self.marked or self.found
        title = f"Export {_counted(records)}: end the name in .json .jsonl .csv .md or .sql"

        async def write(name: str) -> str:
            return (await self.lab.bench_history.export(Path(name), records)).sentence

        await self._ask_path(str(Path.cwd() / "edgetui-rows.json"), title, write)

    @work(exclusive=True, group="dialog")
    async def action_report(self) -> None:
        """Write a report to hand on; the ending says as what."""
        records = self.marked or self.found
        title = f"Report {_counted(records)}: end the name in .html or .md, or in .svg for the chart"
        chart = self.chart

        async def write(name: str) -> str:
            return f"Written: {await self.lab.bench_history.report(Path(name), records, chart)}"

        await self._ask_path(str(Path.cwd() / "edgetui-report.html"), title, write)

    @work(exclusive=True, group="dialog")
    async def action_picture(self) -> None:
        """Write the screen as it stands as an SVG."""
        # Textual's picture asks for a font from a web server; a picture to hand on asks nobody.
        picture = _FONT.sub("", self.app.export_screenshot(title="edgetui", simplify=True))

        async def write(name: str) -> str:
            return f"Written: {await asyncio.to_thread(write_new, Path(name), picture)}"

        title = "Picture of this screen as .svg: enter writes it, esc closes"
        await self._ask_path(str(Path.cwd() / "edgetui-bench.svg"), title, write)

    @work(exclusive=True, group="dialog")
    async def action_remove(self) -> None:
        """Forget rows, once they are confirmed."""
        from edgetui.screens.confirm import ConfirmDialog

        records = self.marked or ([self.current] if self.current else [])
        if not records:
            return
        named = _named(records, self.found)
        what = f"the row {named[0]}" if len(records) == 1 else f"{len(records)} marked rows"
        # Marks outlast a filter that hides their rows.
        more = [f"and {len(named) - _MOST_NAMED} more"] if len(named) > _MOST_NAMED else []
        each = named[:_MOST_NAMED] if len(named) > 1 else []
        told = "\n".join([*each, *more, "Models and their files stay."])
        if await self.app.push_screen_wait(ConfirmDialog(f"Delete {what}?", told)):
            try:
                await self.lab.bench_history.remove([record.record_id for record in records])
            except EdgetuiError as error:
                self.show_failure(error)

    async def _ask_path(self, path: str, title: str, take: Callable[[str], Awaitable[str]]) -> None:
        """Ask until `take` takes the name; the sentence that it gives is said here."""
        from edgetui.screens.name_file import NameFileDialog

        sentence = await self.app.push_screen_wait(NameFileDialog(path, take, title))
        if sentence is not None:
            self.clear_failure()
            self.say(sentence)


def _named(records: Sequence[BenchRecord], listed: Sequence[BenchRecord]) -> list[str]:
    """Test and model of each, and what tells it from the other rows of that test and model."""
    alike: dict[tuple[str, str], dict[int, BenchRecord]] = {}
    for record in (*records, *listed):
        alike.setdefault((record.row.name, record.row.model_name), {}).setdefault(record.record_id, record)
    named = []
    for record in records:
        others = alike[record.row.name, record.row.model_name]
        label = labels(list(others.values()))[list(others).index(record.record_id)] if len(others) > 1 else ""
        test = f"{record.row.name} of {plain_line(record.row.model_name)}"
        named.append(f"{test} ({plain_line(label)})" if label else test)
    return named


def _counted(records: Sequence[BenchRecord]) -> str:
    return f"{len(records)} row{'' if len(records) == 1 else 's'}"
