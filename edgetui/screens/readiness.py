"""Readiness: what is installed and works here, each line with what to do about it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual import work
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Static

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.core.readiness import Report, toolchain_key, toolchain_of
from edgetui.core.terminal import draws_unicode
from edgetui.core.units import format_bytes, format_duration
from edgetui.screens.base import LabScreen
from edgetui.widgets.checklist import Checklist, state_text
from edgetui.widgets.facts_panel import FactsPanel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.jobs import JobRecord
    from edgetui.core.readiness import Check


class ReadinessScreen(LabScreen):
    """A list of checks, and under it what the marked one means."""

    MODE = "readiness"
    HELP = (
        "What edgetui and the models need on this machine. The line under the cursor is explained below, with the"
        " command or key that mends it. A value that could not be read is marked unknown, never taken for good."
        " t proves each engine by running it. On the line of a toolchain i installs it, x removes it and p proves it."
    )
    AUTO_FOCUS = "Checklist"
    DEFAULT_CSS = """
    ReadinessScreen #verdict { height: 1; padding: 0 1; text-style: bold; text-wrap: nowrap; text-overflow: ellipsis; }
    ReadinessScreen #checks { height: auto; max-height: 60%; padding: 0 1; }
    ReadinessScreen #explanation { height: 1fr; padding: 0 1; border-top: solid $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "check_again", "Check again", id="readiness.again"),
        Binding("t", "self_test", "Self-test", id="readiness.self_test"),
        Binding("c,enter", "copy_action", "Copy what to do", key_display="c", id="readiness.copy"),
        Binding("i", "install_toolchain", "Install", id="readiness.install"),
        Binding("x,delete", "remove_toolchain", "Remove", key_display="x", id="readiness.remove"),
        Binding("p", "prove_toolchain", "Prove", id="readiness.prove"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[str, Check] = {}
        self._installing: dict[str, str] = {}
        """Name of each toolchain that is being installed, to its job."""
        self._unsubscribe: Callable[[], None] = lambda: None

    def compose_body(self) -> ComposeResult:
        """Verdict, list, explanation."""
        yield Static("", id="verdict", markup=False)
        with VerticalScroll(id="checks", can_focus=False):
            yield Checklist(self.lab.readiness.titles, self.lab.readiness.groups)
        with VerticalScroll(id="explanation"):
            yield FactsPanel()

    def on_mount(self) -> None:
        """Look as soon as the screen is painted."""
        self._unsubscribe = self.lab.jobs.changed.subscribe(self._take_jobs)
        self.call_after_refresh(self.action_check_again)

    def on_unmount(self) -> None:
        """Stop following the jobs."""
        self._unsubscribe()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is something to copy only for a line that needs something done."""
        if action == "copy_action":
            marked = self.query_one(Checklist).marked if self.is_mounted else None
            return marked is not None and bool(marked.action)
        if action in ("install_toolchain", "remove_toolchain", "prove_toolchain"):
            return self.is_mounted and self._marked_toolchain is not None
        return True

    def action_check_again(self) -> None:
        """Run every check anew."""
        self.run_worker(self._check(), group="readiness", exclusive=True)

    def action_copy_action(self) -> None:
        """Put the command of the marked line into the clipboard."""
        marked = self.query_one(Checklist).marked
        if marked is not None and marked.action:
            self.app.copy_to_clipboard(marked.action)
            self._say(f"Copied: {marked.action}")

    def on_checklist_marked(self, message: Checklist.Marked) -> None:
        """Explain the line under the cursor."""
        self.query_one(FactsPanel).show(_explanation(message.check))
        self.refresh_bindings()

    def action_self_test(self) -> None:
        """Prove each engine by running it."""
        self.run_worker(self._prove(), group="readiness", exclusive=True)

    # --- toolchains ---------------------------------------------------------------------------------------

    @property
    def _marked_toolchain(self) -> str | None:
        """Name of the toolchain under the cursor."""
        marked = self.query_one(Checklist).marked
        return toolchain_of(marked.key) if marked is not None else None

    @work(group="toolchain")
    async def action_install_toolchain(self) -> None:
        """Start installing the marked toolchain; asks where it is installed already."""
        name = self._marked_toolchain
        if name is None:
            return
        try:
            status = await self.lab.toolchains.status(name)
            if status.state == "ready" and not await self._agreed(
                f"Install {status.toolchain.title} again?",
                "It is made anew; until then the old one stays.",
            ):
                return
            await self.lab.toolchains.install(name)
        except EdgetuiError as error:
            self.show_failure(error)

    @work(group="toolchain")
    async def action_remove_toolchain(self) -> None:
        """Ask, then remove the marked toolchain, or stop installing it."""
        name = self._marked_toolchain
        if name is None:
            return
        try:
            if (job := await self.lab.toolchains.installation(name)) is not None:
                if await self._agreed(f"Stop installing {name}?", "What was installed so far is removed."):
                    await self.lab.jobs.cancel(job.job_id)
                return
            status = await self.lab.toolchains.status(name)
            if await self._agreed(f"Remove {status.toolchain.title}?", "Models that it made stay."):
                freed = await self.lab.toolchains.remove(name)
                await self._look_at(name)
                self._say(f"{status.toolchain.title} is removed: {format_bytes(freed)} are free again")
        except EdgetuiError as error:
            self.show_failure(error)

    @work(group="prove toolchain", exclusive=True)
    async def action_prove_toolchain(self) -> None:
        """Prove that the marked toolchain works."""
        name = self._marked_toolchain
        if name is None:
            return
        self._say(f"Proving {name}: it makes something small whose result is known")
        try:
            proof = await self.lab.toolchains.test(name)
        except EdgetuiError as error:
            self._say(f"{name} is not proved")
            self.show_failure(error)
            return
        self._say(f"{name} works, proved in {format_duration(proof.duration_s)}")
        check = self._found.get(toolchain_key(name))
        if check is not None:
            self._put(msgspec.structs.replace(check, found=f"{check.found}; proved: {proof.found}"))

    async def _agreed(self, question: str, explanation: str) -> bool:
        from edgetui.screens.confirm import ConfirmDialog

        agreed: bool = await self.app.push_screen_wait(ConfirmDialog(question, explanation))
        return agreed

    def _take_jobs(self, records: tuple[JobRecord, ...]) -> None:
        """Show how far installations are, and what came of those that have ended."""
        running = {job.subject: job for job in records if job.kind == "toolchain" and job.is_running}
        for name in running:
            self._look_at_soon(name)
        for name, job_id in self._installing.items():
            ended = next((job for job in records if job.job_id == job_id and not job.is_running), None)
            if ended is None:
                continue
            self._look_at_soon(name)
            if ended.state == "failed":
                self.show_failure(Failure("crashed", ended.summary))
            elif self.has_widgets:
                self._say(ended.summary)
        self._installing = {name: job.job_id for name, job in running.items()}

    def _look_at_soon(self, name: str) -> None:
        self.run_worker(self._look_at(name), group=f"look at {name}", exclusive=True)

    async def _look_at(self, name: str) -> None:
        check = await self.lab.readiness.toolchain(name)
        if self.has_widgets:
            self._put(check)

    def _put(self, check: Check) -> None:
        self._found[check.key] = check
        self.query_one(Checklist).put(check)

    # --- checks -------------------------------------------------------------------------------------------

    async def _check(self) -> None:
        titles = self.lab.readiness.titles
        await self._fill_in(titles, self.lab.readiness.run(), "Checking")

    async def _prove(self) -> None:
        titles = self.lab.readiness.proof_titles
        self.query_one(Checklist).clear(titles)
        self.query_one(Checklist).mark(next(iter(titles)))
        self.query_one(Checklist).reveal(next(iter(titles)), list(titles)[-1])
        await self._fill_in(titles, self.lab.readiness.prove(), "Proving the engines")

    async def _fill_in(self, titles: dict[str, str], running: AsyncGenerator[Check, None], doing: str) -> None:
        checklist = self.query_one(Checklist)
        checklist.clear(titles)
        self._say(f"{doing}: 0 of {len(titles)} done")
        done = 0
        async with aclosing(running) as checks:
            async for check in checks:
                done += 1
                self._found[check.key] = check
                checklist.put(check)
                self._say(f"{doing}: {done} of {len(titles)} done")
        # Self-tests of before stand until they are run again.
        keys = [key for key in self.lab.readiness.groups if key in self._found]
        report = Report(tuple(self._found[key] for key in keys))
        self._say(_verdict(report))
        # What needs doing comes under the cursor by itself, unless the person has moved it.
        if checklist.at_start and (first := _first_to_mend(report)):
            checklist.mark(first.key)

    def _say(self, text: str) -> None:
        self.query_one("#verdict", Static).update(text)


def _verdict(report: Report) -> str:
    counts = [
        f"{count} {word}"
        for state, word in (
            ("fail", "failed"),
            ("warn", "to improve"),
            ("unknown", "unknown"),
            ("ok", "ok"),
            ("skip", "skipped"),
        )
        if (count := sum(check.state == state for check in report.checks))
    ]
    return f"{report.verdict.capitalize()}: {', '.join(counts)}"


def _first_to_mend(report: Report) -> Check | None:
    for state in ("fail", "warn", "unknown"):
        for check in report.checks:
            if check.state == state:
                return check
    return None


def _explanation(check: Check | None) -> list[tuple[str, str]]:
    if check is None:
        return [("", "This check is still running.")]
    nothing = "Nothing." if check.state in ("ok", "skip") else "What FOUND says."
    return [
        ("STATE", f"{check.title}: {state_text(check, unicode=draws_unicode())}"),
        ("FOUND", check.found),
        ("NEEDED", check.needed),
        ("WHY", check.why),
        ("TO DO", check.action or nothing),
    ]
