"""What becomes of measurements: chosen, followed over time, exchanged with llama-bench, reported."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from edgetui.core import bench_charts, bench_filter, bench_trend, chart_svg, llama_bench_forms
from edgetui.core.bench_identity import is_same, place
from edgetui.core.failures import EdgetuiError
from edgetui.core.file_form import form_by_ending
from edgetui.core.llama_bench_readers import FORMS
from edgetui.core.server_load import ServerLoadResult
from edgetui.core.servers import address_parts
from edgetui.core.study_text import models_of
from edgetui.services.new_file import write_new
from edgetui.store.history import History

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgetui.core.bench import BenchRecord, BenchRow, Machine
    from edgetui.core.bench_trend import Regression
    from edgetui.core.charts import Chart
    from edgetui.core.studies import Study
    from edgetui.services.bench import Bench
    from edgetui.services.hardware import HardwareMonitor
    from edgetui.store.database import Database


REPORTS = ("md", "html", "svg")
"""Endings of a report's name."""
MOST_BARS = 24
"""In a picture of rows."""


class Taken(NamedTuple):
    """What an import did."""

    form: str
    new: int
    improved: int
    """Rows that took the place of one that had come without samples."""
    known: int
    """Rows that were here already and count once."""
    remarks: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """All of it."""
        told = [f"{self.new} new row{'' if self.new == 1 else 's'}"]
        if self.improved:
            told.append(f"{self.improved} now with samples")
        if self.known:
            told.append(f"{self.known} here already")
        said = f"Imported from {self.form}: {', '.join(told)}."
        return said + "".join(f" {remark[:1].upper()}{remark[1:]}." for remark in self.remarks)


class Written(NamedTuple):
    """What an export did."""

    path: Path
    rows: int
    remarks: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """All of it."""
        said = f"Written: {self.path} ({self.rows} row{'' if self.rows == 1 else 's'})."
        return said + "".join(f" {remark[:1].upper()}{remark[1:]}." for remark in self.remarks)


class BenchHistory:
    """The rows that `Bench` keeps; every method may raise `EdgetuiError` as the database does."""

    def __init__(self, database: Database, bench: Bench, hardware: HardwareMonitor) -> None:
        self._history = History(database)
        self._bench = bench
        self._hardware = hardware

    async def find(self, words: str = "", sort: str = "") -> list[BenchRecord]:
        """Rows that the words of `core/bench_filter.py` let through, the last measured first unless sorted."""
        return bench_filter.select(await asyncio.to_thread(self._history.records), words, sort)

    async def rows(self, record_ids: Sequence[int]) -> list[BenchRecord]:
        """These rows in this order; raises `EdgetuiError("not_found")` naming the first that is not there."""
        known = {record.record_id: record for record in await asyncio.to_thread(self._history.records)}
        for record_id in record_ids:
            if record_id not in known:
                raise EdgetuiError(
                    "not_found", f"There is no row {record_id}: edgetui history list shows each row's number."
                )
        return [known[record_id] for record_id in record_ids]

    async def trend(self, record_id: int) -> list[BenchRecord]:
        """Rows of the same model, test, settings and machine as this one, oldest first."""
        (record,) = await self.rows([record_id])
        return bench_trend.trend_of(record, await asyncio.to_thread(self._history.records))

    async def regressions(self) -> dict[int, Regression]:
        """By record id, newest rows that are slower than those before them."""
        return bench_trend.regressions(await asyncio.to_thread(self._history.records))

    async def remove(self, record_ids: Sequence[int]) -> int:
        """Forget rows; returns how many there were."""
        return await self._bench.remove(record_ids)

    async def import_file(self, path: Path) -> Taken:
        """Take the rows of a file that llama-bench (or another edgetui) wrote, all or none.

        Rows that are here already, in whichever form they came, are not taken again.
        Raises `EdgetuiError`: `not_found`, `no_permission`, and `bad_file` with the line that cannot be read.
        """
        taken = await asyncio.to_thread(self._import, path)
        if taken.new or taken.improved:
            self._bench.changed.publish(None)
        return taken

    async def export(self, path: Path, records: Sequence[BenchRecord], form: str = "") -> Written:
        """Write rows in one of llama-bench's forms, by the name's ending unless `form` says it; never over a file.

        Raises `EdgetuiError`: `bad_request`, `exists`, `no_permission`, `no_space`.
        """
        exported = llama_bench_forms.write(form or form_by_ending(path, FORMS), records)
        written = await asyncio.to_thread(write_new, path, exported.text)
        return Written(written, exported.rows, exported.remarks)

    async def report(self, path: Path, records: Sequence[BenchRecord], chart: Chart | None = None) -> Path:
        """Write a report of the rows as `.md` or `.html`, or `chart` alone as `.svg` (else the rows' bars).

        A report tells of every study that was made of the rows' models, and says no host name, user name or serial.
        Raises `EdgetuiError`: `bad_request`, `exists`, `no_permission`, `no_space`.
        """
        kind = form_by_ending(path, REPORTS)
        if not records:
            raise EdgetuiError("bad_request", "There is nothing to report: measure first, or choose other rows.")
        if kind == "svg":
            text = chart_svg.as_svg(chart or bench_charts.compared(records[:MOST_BARS], "Rows, tok/s"))
        else:
            text = await self._report(kind, records)
        return await asyncio.to_thread(write_new, path, text)

    async def _report(self, kind: str, records: Sequence[BenchRecord]) -> str:
        from edgetui.core import bench_html, bench_report

        models = {record.row.model_name for record in records}
        studies = [study for study in await self._bench.studies() if models & set(models_of(study.result))]
        slower = await self.regressions()
        told = bench_report.report(
            records,
            studies,
            [slower[record.record_id] for record in records if record.record_id in slower],
            (*await self._hardware.private_words(), *_hosts(studies)),
            time.time(),
        )
        return bench_html.as_html(told) if kind == "html" else bench_report.as_markdown(told)

    def _import(self, path: Path) -> Taken:
        text, changed_at = _read(path.expanduser())
        imported = llama_bench_forms.read(text, path.name, changed_at)
        known: dict[tuple[str, str], list[BenchRecord]] = {}
        for record in self._history.records():
            known.setdefault(place(record.row), []).append(record)
        new: list[tuple[BenchRow, Machine]] = []
        replaced: list[int] = []
        for row, machine in imported.rows:
            beside = known.get(place(row), [])
            same = next((record for record in beside if is_same(record.row, row)), None)
            if same is not None:
                # It stands for one row of the file: two equal rows of one file are two measurements.
                beside.remove(same)
            if same is None or (row.samples_ns and not same.row.samples_ns):
                new.append((row, machine))
                replaced += [] if same is None else [same.record_id]
        if new:
            self._history.add_all(new, replaced)
        improved = len(replaced)
        return Taken(imported.form, len(new) - improved, improved, len(imported.rows) - len(new), imported.remarks)


def _hosts(studies: Sequence[Study]) -> list[str]:
    """Names of the servers that were measured: they may be known in one network alone."""
    servers = [study.result for study in studies if isinstance(study.result, ServerLoadResult)]
    parts = [address_parts(server.endpoint.url) for server in servers]
    return [split.hostname for split in parts if split is not None and split.hostname]


def _read(path: Path) -> tuple[str, float]:
    """The text of a file and when it was changed last."""
    try:
        if path.is_dir():
            raise EdgetuiError("bad_file", f"{path} is a folder: name a file that llama-bench wrote.")
        about = path.stat()
        if about.st_size > llama_bench_forms.MOST_BYTES:
            raise EdgetuiError(
                "bad_file",
                f"{path.name} has {about.st_size >> 20} MiB, and no history of llama-bench is larger than"
                f" {llama_bench_forms.MOST_BYTES >> 20} MiB: it is another file, or split it.",
            )
        with path.open("rb") as stream:
            # A pipe or a device says nothing of its length.
            content = stream.read(llama_bench_forms.MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise EdgetuiError("not_found", f"There is no file {path}.") from error
    except OSError as error:
        raise EdgetuiError("no_permission", f"{path} cannot be read ({error.strerror}).") from error
    if len(content) > llama_bench_forms.MOST_BYTES:
        raise EdgetuiError("bad_file", f"{path.name} does not end: name a file that llama-bench wrote.")
    try:
        # With -o csv > FILE, PowerShell writes UTF-16.
        encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        return content.decode(encoding), about.st_mtime
    except UnicodeDecodeError as error:
        raise EdgetuiError(
            "bad_file",
            f"Line {content[: error.start].count(10) + 1} of {path.name} is no text: name a file of llama-bench's.",
        ) from error
