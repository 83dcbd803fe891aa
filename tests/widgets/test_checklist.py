"""The checklist widget by keys alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import App

from edgetui.core.readiness import Check, CheckState
from edgetui.widgets.checklist import Checklist, state_text

if TYPE_CHECKING:
    from textual.app import ComposeResult


def check(key: str, state: CheckState, found: str = "value") -> Check:
    return Check(key=key, title=key, state=state, found=found, needed="something", why="because")


class ListApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.marked: list[Check | None] = []

    def compose(self) -> ComposeResult:
        yield Checklist({"a": "First", "b": "Second", "c": "Third"})

    def on_checklist_marked(self, message: Checklist.Marked) -> None:
        self.marked.append(message.check)


async def test_rows_keep_their_order_however_results_arrive() -> None:
    app = ListApp()
    async with app.run_test(size=(60, 10)) as pilot:
        checklist = app.query_one(Checklist)
        checklist.put(check("c", "fail"))
        checklist.put(check("a", "ok"))
        await pilot.pause()
        first, second, third = checklist.text.splitlines()
        assert "ok" in first and "First" in first and "value" in first
        assert "checking" in second and "Second" in second
        assert "fail" in third and "Third" in third


async def test_keys_move_the_cursor_and_tell_what_is_under_it() -> None:
    app = ListApp()
    async with app.run_test(size=(60, 10)) as pilot:
        checklist = app.query_one(Checklist)
        result = check("b", "warn")
        checklist.put(result)
        await pilot.press("down")
        assert app.marked[-1] == result == checklist.marked
        assert checklist.text.splitlines()[1].startswith("> ")
        await pilot.press("end", "down")
        assert checklist.marked is None and checklist.text.splitlines()[2].startswith("> ")
        await pilot.press("home")
        assert checklist.text.splitlines()[0].startswith("> ")


async def test_a_long_value_is_cut_with_dots_and_never_wraps() -> None:
    app = ListApp()
    async with app.run_test(size=(50, 10)) as pilot:
        checklist = app.query_one(Checklist)
        checklist.put(check("a", "ok", "x" * 200 + "\x1b[31m"))
        await pilot.pause()
        assert checklist.text.splitlines()[0].endswith("x..")
        assert all(len(line) <= 50 for line in checklist.text.splitlines())


def test_every_state_reads_without_colour_and_in_ascii() -> None:
    states: tuple[CheckState, ...] = ("ok", "warn", "fail", "unknown", "skip")
    texts = [state_text(check("a", state), unicode=False) for state in states]
    assert texts == ["+ ok", "! warn", "x fail", "? unknown", "- skipped"]
    assert state_text(None, unicode=False) == ". checking"


class GroupedApp(App[None]):
    def compose(self) -> ComposeResult:
        yield Checklist({"a": "First", "b": "Second"}, {"a": "Top", "b": "Top", "c": "Below"})


async def test_lines_stand_under_headings_and_more_can_follow() -> None:
    app = GroupedApp()
    async with app.run_test(size=(60, 10)) as pilot:
        checklist = app.query_one(Checklist)
        checklist.put(check("a", "ok"))
        checklist.clear({"c": "Third"})
        await pilot.pause()
        lines = checklist.text.splitlines()
        assert [lines[0], lines[3]] == ["Top", "Below"] and "ok" in lines[1] and "checking" in lines[4]
        await pilot.press("end")
        assert checklist.text.splitlines()[4].startswith("> ")
        await pilot.click(Checklist, offset=(5, 2))
        assert checklist.text.splitlines()[2].startswith("> ")
        await pilot.click(Checklist, offset=(5, 3))
        assert checklist.text.splitlines()[2].startswith("> "), "a heading cannot be marked"
