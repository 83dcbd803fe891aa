"""A model's page: its variants with what they would be here, its card, and the way to have it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import work
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import DataTable, Markdown, Static

from edgetui.core.card_text import honest_card
from edgetui.core.failures import EdgetuiError, Failure
from edgetui.core.hub_outlook import Look, Outlook
from edgetui.core.hub_text import model_marks, offline_line, short_count, short_date, variant_size
from edgetui.core.job_text import STATE_WORDS, progress_line
from edgetui.core.plain_text import plain_line
from edgetui.screens.base import LabScreen
from edgetui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.hub import HubPage, HubVariant
    from edgetui.core.jobs import JobRecord

_COLUMNS = {"Variant": 34, "Format": 11, "Size": 20, "Memory here": 19, "tok/s here": 14, "Note": 0}
_NARROW_COLUMNS = {"Variant": 28, "Size": 10, "Memory here": 19, "tok/s here": 13}
_NARROW = 110
_LEAST_NOTE = 8
_LOGIN_COMMAND = "edgetui login"
"""As sentences name it that a login may mend."""


class HubPageScreen(LabScreen):
    """Variants above, card below."""

    MODE = "hub"
    HELP = (
        "d downloads the marked variant as a job that survives the terminal; once it is here, enter runs it. One GGUF's"
        " header is read from the hub, a few MiB, then some KiB of each other's, and says what each would take here and"
        " how fast it would be; i reads the marked one's now, v takes another revision. ~ marks what is guessed from"
        " sizes, or forecast."
    )
    AUTO_FOCUS = "DataTable"
    DEFAULT_CSS = """
    HubPageScreen #about { height: auto; max-height: 4; padding: 0 1; }
    HubPageScreen DataTable { height: auto; max-height: 50%; min-height: 3; }
    HubPageScreen #note { height: auto; min-height: 1; max-height: 2; padding: 0 1; color: $text-muted; }
    HubPageScreen #card { height: 1fr; border-top: solid $primary; padding: 0 1; }
    HubPageScreen Markdown { background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "run", "Run", priority=True, id="hub_page.run"),
        Binding("d", "download", "Download", id="hub_page.download"),
        Binding("p", "pause", "Pause", id="hub_page.pause"),
        Binding("i", "inside", "Look inside", id="hub_page.inside"),
        Binding("l", "login", "Log in", id="hub_page.login"),
        Binding("c", "calibrate", "Calibrate", id="hub_page.calibrate"),
        Binding("v", "revision", "Revision", show=False, id="hub_page.revision"),
        Binding("r", "again", "Again", show=False, id="hub_page.again"),
    ]

    def __init__(self, repo: str) -> None:
        super().__init__()
        self._repo = repo
        self._revision = "main"
        self._problem = ""
        self._outlook = Outlook()
        self._needs_login = self._is_calibrating = False
        self._jobs: tuple[JobRecord, ...] = ()
        self._unsubscribe: Callable[[], None] = lambda: None

    def compose_body(self) -> ComposeResult:
        """About it, variants, card."""
        yield Static(plain_line(f"{self._repo}: asking the hub..."), id="about", markup=False)
        yield RowTable()
        yield Static("", id="note", markup=False)
        with VerticalScroll(id="card"):
            # Links are written out; none is followed by a click.
            yield Markdown(open_links=False)

    def on_mount(self) -> None:
        """Read the page, and follow the jobs."""
        self._unsubscribe = self.lab.jobs.changed.subscribe(self._take_jobs)
        self._read()

    def on_unmount(self) -> None:
        """Stop following."""
        self._unsubscribe()

    # --- keys ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what the marked variant allows."""
        variant = self._marked if self.is_mounted else None
        if action in ("run", "pause", "download", "inside"):
            if variant is None:
                return False
            job = self._job_of(variant)
            running = job is not None and job.is_running
            if action == "run":
                return _is_here(job) and variant.format == "gguf"
            if action == "pause":
                return running
            if action == "download":
                return not running and not self._problem and not _is_here(job)
            return variant.name not in self._outlook.looks and not variant.missing
        if action == "calibrate":
            return any(look.speed is not None and look.speed.value is None for look in self._outlook.looks.values())
        if action == "login":
            return self._needs_login or (self._outlook.page is not None and self._outlook.page.model.gated)
        return True

    def action_download(self) -> None:
        """Bring the marked variant, or go on where its last download ended."""
        if self._marked is not None:
            self._download(self._marked)

    @work(group="download", exclusive=True)
    async def action_pause(self) -> None:
        """End the download for now."""
        job = self._job_of(self._marked) if self._marked else None
        if job is not None:
            try:
                await self.lab.jobs.pause(job.job_id)
            except EdgetuiError as error:
                self.show_failure(error)

    def action_inside(self) -> None:
        """Read the marked variant's header."""
        if self._marked is not None:
            self._look_inside(self._marked)

    @work(group="inside", exclusive=True)
    async def action_calibrate(self) -> None:
        """Measure this machine, which takes some seconds, so that the variants' speed can be forecast; esc ends it."""

        def show(fraction: float) -> None:
            for note in self.query("#note").results(Static):
                note.update(f"Measuring this machine: {fraction:.0%} (esc ends it)")

        show(0.0)
        self._is_calibrating = True
        try:
            await self.lab.speed.calibrate(show)
        except EdgetuiError as error:
            self.show_failure(error)
            return
        finally:
            self._is_calibrating = False
            self._fill()
        best = self._outlook.best
        self._outlook.looks.clear()
        if best is not None:
            await self._look_into(best)

    @work(group="revision", exclusive=True)
    async def action_revision(self) -> None:
        """Ask for another branch, tag or commit."""
        from edgetui.screens.name_file import NameFileDialog

        try:
            known = await self.lab.hub.revisions(self._repo)
        except EdgetuiError as error:
            self.show_failure(error)
            return

        async def take(revision: str) -> str:
            await self.lab.hub.page(self._repo, revision)
            return revision

        title = f"Branch, tag or commit ({', '.join(known[:8])}): enter takes it, esc closes"
        chosen = await self.app.push_screen_wait(NameFileDialog(self._revision, take, title))
        if chosen is not None and chosen != self._revision:
            self._revision = chosen
            self._outlook.looks.clear()
            self._read()

    @work(group="login", exclusive=True)
    async def action_login(self) -> None:
        """Ask for a token, and go on with what needed it."""
        from edgetui.screens.token_dialog import TokenDialog

        page = f"{self.lab.hub.access.endpoint}/settings/tokens"
        name = await self.app.push_screen_wait(TokenDialog(page, self.lab.hub.login))
        if name is None:
            return
        self._needs_login = False
        self.clear_failure()
        self.query_one("#note", Static).update(plain_line(f"Logged in as {name}."))
        self._read()

    def show_failure(self, error: EdgetuiError | Failure) -> None:
        """A refusal that a login may mend offers one."""
        failure = error.failure if isinstance(error, EdgetuiError) else error
        if _LOGIN_COMMAND in failure.message:
            self._needs_login = True
            failure = Failure(failure.kind, failure.message.replace(_LOGIN_COMMAND, "l does it here"))
            self.refresh_bindings()
        super().show_failure(failure)

    def action_again(self) -> None:
        """Ask the hub again."""
        self._read()

    @work(group="run", exclusive=True)
    async def action_run(self) -> None:
        """Run what was downloaded."""
        job = self._job_of(self._marked) if self._marked else None
        if job is None or job.output is None:
            return
        try:
            entries = await self.lab.catalog.scan()
            made = next((entry for entry in entries if entry.path == Path(job.output)), None)
            entry = made or await self.lab.catalog.find(job.output)
        except EdgetuiError as error:
            self.show_failure(error)
            return
        await self.lab_app.open_model_in("run", entry)

    def action_back(self) -> None:
        """End a calibration, dismiss a failure, else back to the list."""
        if self._is_calibrating:
            self.workers.cancel_group(self, "inside")
        elif not self.clear_failure():
            self.app.pop_screen()

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        """Other keys for another row."""
        self._show_note()

    def on_resize(self, _event: events.Resize) -> None:
        """Fewer columns where there is little room."""
        self._fill()

    # --- work ---------------------------------------------------------------------------------------------

    @work(group="read", exclusive=True)
    async def _read(self) -> None:
        try:
            told = await self.lab.hub.page(self._repo, self._revision)
        except EdgetuiError as error:
            if not self.has_widgets:
                return
            self.query_one("#about", Static).update(plain_line(f"{self._repo}: nothing is known of it here."))
            self.show_failure(error)
            return
        self._outlook.page = told.value
        self._problem = offline_line(told.problem, told.fetched_at) if told.problem else ""
        self._outlook.available_bytes = (await self.lab.hardware.sample()).memory.available_bytes.value or 0
        self._jobs = await self.lab.jobs.list()
        self._fill()
        best = self._outlook.best
        if not self.has_widgets:
            return
        if best is not None:
            self.query_one(DataTable).move_cursor(row=told.value.variants.index(best))
        await self.query_one(Markdown).update(honest_card(told.value.card) or "*This model has no card.*")
        if best is not None and not best.missing and not self._problem:
            self._look_inside(best)

    @work(group="inside", exclusive=True)
    async def _look_inside(self, variant: HubVariant) -> None:
        await self._look_into(variant)

    async def _look_into(self, variant: HubVariant) -> None:
        """Look into one, then into the others that might do, while nobody asks for another first."""
        page = self._outlook.page
        if page is None:
            return
        for each in (variant, *self._outlook.worth_a_look(variant)):
            if each.name in self._outlook.looks:
                continue
            self._outlook.looking = each.name
            self._fill()
            try:
                self._outlook.looks[each.name] = await self._looked(page, each)
            except EdgetuiError as error:
                self.show_failure(error)
                return
            finally:
                self._outlook.looking = ""
                self._fill()

    async def _looked(self, page: HubPage, variant: HubVariant) -> Look:
        inside = await self.lab.hub.inside(page, variant)
        if inside.entry is None or inside.entry.format != "gguf":
            return Look(inside.summary)
        settings = self.lab.settings.load
        memory = await self.lab.fit.memory(inside.entry, settings)
        return Look(inside.summary, memory, await self.lab.speed.forecast_of(inside.entry, settings))

    @work(group="download", exclusive=True)
    async def _download(self, variant: HubVariant) -> None:
        page = self._outlook.page
        if page is None:
            return
        job = self._job_of(variant)
        try:
            if job is not None and job.state in ("paused", "interrupted", "failed"):
                await self.lab.jobs.restart(job.job_id)
            else:
                await self.lab.downloads.start(page, variant)
        except EdgetuiError as error:
            self.show_failure(error)

    # --- how ----------------------------------------------------------------------------------------------

    def _take_jobs(self, records: tuple[JobRecord, ...]) -> None:
        before = [self._job_of(variant) for variant in self._outlook.variants]
        self._jobs = records
        if self._outlook.page and before != [self._job_of(variant) for variant in self._outlook.page.variants]:
            self._fill()
            for job in records:
                if job in before or job.subject != self._repo or job.state != "failed":
                    continue
                self.show_failure(Failure("network", job.summary))

    def _job_of(self, variant: HubVariant) -> JobRecord | None:
        """The newest download of a variant."""
        for job in self._jobs:
            if job.kind == "download" and job.subject == self._repo and job.goal == variant.name:
                return job
        return None

    @property
    def _marked(self) -> HubVariant | None:
        row = next((table.cursor_row for table in self.query(DataTable)), -1)
        variants = self._outlook.variants
        return variants[row] if 0 <= row < len(variants) else None

    def _fill(self) -> None:
        page = self._outlook.page
        if page is None or not self.has_widgets:
            return
        table = self.query_one(DataTable)
        row = table.cursor_row
        table.clear(columns=True)
        columns = _NARROW_COLUMNS if self.size.width < _NARROW else _COLUMNS
        # The last column takes what is left; each has a blank on both sides.
        others = sum(columns.values()) - columns.get("Note", 0) + 2 * len(columns)
        for column, width in columns.items():
            table.add_column(column, width=max(_LEAST_NOTE, self.size.width - others) if column == "Note" else width)
        for variant in page.variants:
            cells = dict(zip(_COLUMNS, self._cells(variant), strict=True))
            if len(variant.files) > 1 and "Format" not in columns:
                cells["Size"] = cells["Size"].partition(" in ")[0]
            texts = (plain_line(cells[column]) for column in columns)
            table.add_row(*(Text(text, no_wrap=True, overflow="ellipsis") for text in texts))
        table.move_cursor(row=row)
        model = page.model
        about = [
            f"{model.repo}  {model_marks(model)}",
            f"{short_count(model.parameter_count)} parameters, {short_count(model.downloads)} downloads,"
            f" changed {short_date(model.last_modified)}, commit {page.commit[:7]} of {page.revision}",
            self._outlook.advice,
        ]
        if self._problem:
            about.append(self._problem)
        self.query_one("#about", Static).update("\n".join(plain_line(line) for line in about if line))
        self._show_note()

    def _show_note(self) -> None:
        """What stands in the last column, for the marked row and wherever there is no such column."""
        variant = self._marked
        look = self._outlook.looks.get(variant.name) if variant else None
        notes = [self._note(variant) if variant else "", look.summary if look else ""]
        words = "; ".join(note for note in notes if note)
        self.query_one("#note", Static).update(plain_line(f"{variant.name}: {words}" if variant and words else ""))
        self.refresh_bindings()

    def _cells(self, variant: HubVariant) -> tuple[str, ...]:
        return (variant.name, variant.format, variant_size(variant), *self._outlook.here(variant), self._note(variant))

    def _note(self, variant: HubVariant) -> str:
        if variant.missing:
            return f"{len(variant.missing)} of its parts are missing"
        job = self._job_of(variant)
        if job is None:
            return ""
        if job.is_running:
            waits = job.note.partition(": ")[2]
            return waits or progress_line(job, job.progress_at or job.created_at)
        if job.state == "succeeded" and not _is_here(job):
            return "was here and is deleted"
        if job.state == "succeeded":
            return "here: enter runs it" if variant.format == "gguf" else "here"
        return f"{STATE_WORDS[job.state]}: d goes on"


def _is_here(job: JobRecord | None) -> bool:
    """Whether what a download brought is still there."""
    return job is not None and job.state == "succeeded" and Path(job.output or "").exists()
