"""The side-by-side screen, driven by keys, on real workers and the real model."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import msgspec
import pytest
from textual.widgets import OptionList, Static

from edgetui.app import EdgetuiApp
from edgetui.core.repeat_commands import facts_of
from edgetui.core.run_settings import LoadSettings, SamplingSettings
from edgetui.core.side_by_side import AnswerFigures, ComparedAnswer
from edgetui.screens.comparisons_dialog import ComparisonsDialog
from edgetui.screens.model_picker import ModelPicker
from edgetui.screens.repeat_dialog import RepeatDialog
from edgetui.screens.side_by_side import SideBySideScreen, open_side_by_side
from edgetui.screens.side_by_side_feed import ColumnsFeed
from edgetui.services.side_by_side import ColumnEvent
from edgetui.widgets.compare_column import ColumnFigures, CompareColumn
from edgetui.widgets.failure_bar import FailureBar
from edgetui.widgets.prompt_input import PromptInput
from edgetui.worker.protocol import Tokens
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from textual.pilot import Pilot

    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab


@pytest.fixture
def app(lab: Lab) -> EdgetuiApp:
    """The app on Run, with a short context and short greedy answers."""
    lab.settings = msgspec.structs.replace(
        lab.settings,
        load=msgspec.structs.replace(lab.settings.load, context_tokens=512),
        sampling=SamplingSettings(temperature=0, max_tokens=6),
    )
    return EdgetuiApp(lab, mode="run")


class Person:
    """Someone at the keyboard."""

    def __init__(self, pilot: Pilot[None]) -> None:
        self.pilot = pilot

    @property
    def screen(self) -> SideBySideScreen:
        screen = self.pilot.app.screen
        assert isinstance(screen, SideBySideScreen)
        return screen

    @property
    def columns(self) -> list[CompareColumn]:
        return list(self.screen.query(CompareColumn))

    @property
    def shown(self) -> list[int]:
        return [number for number, column in enumerate(self.columns) if column.display]

    @property
    def how(self) -> str:
        return str(self.screen.query_one("#how", Static).content)

    def figures(self, column: int) -> ColumnFigures:
        return self.columns[column].panel.figures

    def answers(self, column: int) -> list[str]:
        return self.columns[column].transcript.text_of("answer")

    async def opens(self, entry: ModelEntry, loads: list[LoadSettings]) -> None:
        app = self.pilot.app
        assert isinstance(app, EdgetuiApp)
        for load in loads:
            app.lab.side_by_side.add(entry, load)
        await open_side_by_side(app)
        await until(lambda: isinstance(app.screen, SideBySideScreen), self.pilot.pause)
        await until(lambda: f"{len(loads)} columns" in self.how, self.pilot.pause)

    async def says(self, text: str) -> None:
        self.screen.query_one(PromptInput).insert(text)
        await self.pilot.press("enter")

    async def sees(self, state: str, *columns: int) -> None:
        await until(lambda: all(self.figures(column).state == state for column in columns), self.pilot.pause)


async def test_from_models_a_second_column_is_asked_for_and_both_answer(
    app: EdgetuiApp, demo_entry: ModelEntry
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        app.open_mode("models")
        await until(lambda: getattr(app.screen, "marked", None) is not None, pilot.pause)
        await pilot.press("ctrl+k")
        await until(lambda: isinstance(app.screen, ModelPicker), pilot.pause)
        await until(lambda: app.screen.query_one(OptionList).highlighted == 0, pilot.pause)
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, SideBySideScreen) and len(person.columns) == 2, pilot.pause)
        assert person.shown == [0, 1] and "one after another" in person.how
        await person.says("What is rain?")
        await person.sees("at the limit of tokens", 0, 1)
        for column in (0, 1):
            figures = person.figures(column)
            assert figures.decode_tps and figures.ttft_s and figures.prefill_tps and figures.itl_p99_s
            assert figures.tokens == 6 and figures.load_s and figures.memory_bytes
            assert demo_entry.name in person.columns[column].heading
        assert person.answers(0) == person.answers(1) and person.answers(0)[0]

        # The second is marked; what repeats its answer, and which answer is best.
        await pilot.press("ctrl+e")
        await until(lambda: isinstance(app.screen, RepeatDialog), pilot.pause)
        await pilot.press("right", "y", "escape")
        assert "What is rain?" in app.clipboard and "llama-cli -m " in app.clipboard
        await pilot.press("escape", "2")
        await until(lambda: "best: " in person.columns[1].heading, pilot.pause)
        await pilot.press("ctrl+l")
        await until(lambda: isinstance(app.screen, ComparisonsDialog) and app.screen.marked is not None, pilot.pause)
        assert isinstance(app.screen, ComparisonsDialog)
        assert app.screen.marked is not None and app.screen.marked.preferred == 1
        assert "(preferred)" in str(app.screen.query_one("#text", Static).content)
        await pilot.press("x", "x")
        await until(lambda: app.screen.marked is None, pilot.pause)  # type: ignore[attr-defined]
        await pilot.press("escape")


async def test_four_columns_take_turns_on_a_narrow_terminal_and_stand_beside_each_other_on_a_wide_one(
    app: EdgetuiApp, demo_entry: ModelEntry
) -> None:
    load = app.lab.settings.load
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.opens(demo_entry, [load] * 4)
        assert person.shown == [0, 1] and person.how.startswith("Side by side: 4 columns, ")
        assert person.how.endswith("; 2 shown, tab moves") and len(person.how) <= 80
        await pilot.press("tab", "tab")
        assert person.shown == [1, 2]
        await pilot.press("tab", "tab")
        assert person.shown == [0, 1]
        await pilot.press("ctrl+a", "ctrl+t")
        assert "together" in person.how and isinstance(app.screen, SideBySideScreen)
        await pilot.press("ctrl+d")
        await until(lambda: len(person.columns) == 3, pilot.pause)
        await pilot.resize_terminal(200, 60)
        await until(lambda: person.shown == [0, 1, 2], pilot.pause)


async def test_a_column_that_dies_says_so_in_its_place_and_a_stop_ends_the_rest(
    app: EdgetuiApp, demo_entry: ModelEntry
) -> None:
    load = app.lab.settings.load
    other = msgspec.structs.replace(load, kv_cache_type="q8_0")
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.opens(demo_entry, [load, other])
        for column in app.lab.side_by_side.columns:
            column.sampling = SamplingSettings(temperature=0, ignore_eos=True)
        await pilot.press("ctrl+t")
        await person.says("What is rain?")
        await until(lambda: all(person.answers(place) and person.answers(place)[0] for place in (0, 1)), pilot.pause)
        pid = app.lab.side_by_side.columns[0].worker_pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await person.sees("failed", 0)
        assert "SIGKILL" in person.columns[0].transcript.text_of("note")[0]
        assert person.figures(1).state == "decoding" and app.lab.side_by_side.is_asking
        await person.says("Too soon")
        assert "still at work" in person.screen.query_one(FailureBar).message
        await pilot.press("escape")
        await person.sees("stopped", 1)
        assert person.figures(1).is_shared and "beside others" in person.columns[1].panel.text
        assert "kv cache type q8_0" in person.columns[1].heading


async def test_a_column_that_has_ended_says_so_while_the_next_one_decodes(
    app: EdgetuiApp, demo_entry: ModelEntry
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.opens(demo_entry, [app.lab.settings.load] * 2)
        # The next column's first token comes less than a frame after the end of the first column's.
        feed = ColumnsFeed(app, app.lab.side_by_side)
        feed.show(person.columns)

        async def answers(_text: str, _interval_s: float) -> AsyncGenerator[ColumnEvent, None]:
            slow = (1_000_000, 900_000_000)
            yield ColumnEvent(0, Tokens(turn=1, text="Rain", times_ns=slow[:1], context_used=1))
            yield ColumnEvent(0, Tokens(turn=1, text=" falls", times_ns=slow[1:], context_used=2))
            figures = AnswerFigures(reason="end", prompt_tokens=1, prefill_tokens=1, generated_tokens=2, seed=1)
            facts = facts_of(demo_entry, LoadSettings(), SamplingSettings())
            yield ColumnEvent(0, ComparedAnswer(facts=facts, label="first", figures=figures))
            yield ColumnEvent(1, Tokens(turn=1, text="Snow", times_ns=slow[:1], context_used=1))

        service = app.lab.side_by_side
        service.ask = answers  # type: ignore[method-assign,assignment]
        await feed.ask("What is rain?", lambda _text: None, lambda: None)
        assert (person.figures(0).state, person.figures(1).state) == ("done", "decoding")
        assert person.figures(0).tokens == 2
