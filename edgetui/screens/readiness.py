"""Readiness: what is installed and works here, each line with what to do about it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Static

from edgetui.core.readiness import Report
from edgetui.core.terminal import draws_unicode
from edgetui.screens.base import LabScreen
from edgetui.widgets.checklist import Checklist, state_text
from edgetui.widgets.facts_panel import FactsPanel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.readiness import Check


class ReadinessScreen(LabScreen):
    """A list of checks, and under it what the marked one means."""

    MODE = "readiness"
    HELP = (
        "What edgetui and the models need on this machine. The line under the cursor is explained below, with the"
        " command or key that mends it. A value that could not be read is marked unknown, never taken for good."
        " t proves each engine by running it."
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
    ]

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[str, Check] = {}

    def compose_body(self) -> ComposeResult:
        """Verdict, list, explanation."""
        yield Static("", id="verdict", markup=False)
        with VerticalScroll(id="checks", can_focus=False):
            yield Checklist(self.lab.readiness.titles, self.lab.readiness.groups)
        with VerticalScroll(id="explanation"):
            yield FactsPanel()

    def on_mount(self) -> None:
        """Look as soon as the screen is painted."""
        self.call_after_refresh(self.action_check_again)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is something to copy only for a line that needs something done."""
        if action == "copy_action":
            marked = self.query_one(Checklist).marked if self.is_mounted else None
            return marked is not None and bool(marked.action)
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
