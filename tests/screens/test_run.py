"""The Run screen, driven by keys, on the real inference service and the real model."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from textual import events
from textual.widgets import Input, OptionList, Static

from edgetui.app import EdgetuiApp
from edgetui.core.run_figures import RunFigures
from edgetui.core.run_settings import SamplingSettings
from edgetui.screens.fields_dialog import FieldsDialog
from edgetui.screens.model_picker import ModelPicker
from edgetui.screens.run import RunScreen
from edgetui.services.chat import Chat
from edgetui.widgets.failure_bar import FailureBar
from edgetui.widgets.prompt_input import PromptInput
from edgetui.widgets.run_figures import RunFiguresPanel
from edgetui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from textual.pilot import Pilot
    from textual.strip import Strip

    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab
    from edgetui.worker.protocol import SessionEvent


@pytest.fixture
def app(lab: Lab) -> EdgetuiApp:
    """The app on its Run screen, with a short context and answers that do not end by themselves."""
    lab.settings = msgspec.structs.replace(
        lab.settings,
        load=msgspec.structs.replace(lab.settings.load, context_tokens=1024),
        sampling=SamplingSettings(seed=7, ignore_eos=True),
    )
    return EdgetuiApp(lab, mode="run")


class Person:
    """Someone at the keyboard of the Run screen."""

    def __init__(self, pilot: Pilot[None]) -> None:
        self.pilot = pilot

    @property
    def screen(self) -> RunScreen:
        screen = self.pilot.app.screen
        assert isinstance(screen, RunScreen)
        return screen

    @property
    def figures(self) -> RunFigures:
        return self.screen.query_one(RunFiguresPanel).figures

    @property
    def panel(self) -> str:
        return self.screen.query_one(RunFiguresPanel).text

    @property
    def failure(self) -> str:
        return self.screen.query_one(FailureBar).message

    @property
    def answers(self) -> list[str]:
        return self.screen.query_one(Transcript).text_of("answer")

    @property
    def prompt(self) -> PromptInput:
        return self.screen.query_one(PromptInput)

    async def sees(self, condition: Callable[[], object]) -> None:
        """Wait until something is so; the test's own time limit ends a wait that is in vain."""
        while not condition():
            await self.pilot.pause(0.01)

    async def says(self, text: str) -> None:
        """Write a prompt and press enter."""
        self.prompt.insert(text)
        await self.pilot.press("enter")

    async def opens(self, entry: ModelEntry) -> None:
        await self.screen.open_model(entry)
        await self.sees(lambda: self.figures.state == "ready")

    async def has_an_answer_begun(self, entry: ModelEntry) -> None:
        await self.opens(entry)
        await self.says("Tell me about rain.")
        await self.sees(lambda: self.answers and self.answers[0])


async def test_an_answer_streams_in_with_its_figures(app: EdgetuiApp, demo_entry: ModelEntry) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.opens(demo_entry)
        assert "ctx 1024" in str(person.screen.query_one("#model", Static).render())
        await person.says("Tell me about rain.")
        await person.sees(lambda: person.answers and person.answers[0])
        assert person.prompt.text == ""
        await person.sees(lambda: (person.figures.tokens or 0) > 8)
        figures = person.figures
        assert figures.state == "decoding"
        assert figures.decode_tps and figures.mean_tps and figures.prefill_tps and figures.ttft_s
        assert figures.itl_p50_s and figures.itl_p95_s and figures.itl_p99_s
        assert figures.context_used and figures.context_used > (figures.tokens or 0)
        assert figures.context_tokens == 1024
        assert figures.reused_tokens == 0 and figures.prompt_tokens
        assert figures.resident_bytes and figures.resident_bytes > demo_entry.size_bytes
        assert "tok/s" in person.panel and "MiB" in person.panel
        await pilot.press("escape")
        await person.sees(lambda: person.figures.state == "ready")
        assert person.figures.tokens is not None and person.figures.rates_tps
        assert not person.failure


async def test_a_question_is_drawn_before_it_takes_every_processor(
    app: EdgetuiApp, demo_entry: ModelEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    drawn_when_asked: list[bool] = []
    render_line = Transcript.render_line

    def watched(self: Transcript, y: int) -> Strip:
        strip = render_line(self, y)
        drawn.append(strip.text)
        return strip

    ask = Chat.ask

    async def watched_ask(self: Chat, *arguments: Any) -> AsyncGenerator[SessionEvent, None]:
        assert self.takes_every_processor
        drawn_when_asked.append(any("about rain" in line for line in drawn))
        async for event in ask(self, *arguments):
            yield event

    monkeypatch.setattr(Transcript, "render_line", watched)
    monkeypatch.setattr(Chat, "ask", watched_ask)
    load = msgspec.structs.replace(app.lab.settings.load, threads=len(os.sched_getaffinity(0)))
    app.lab.settings = msgspec.structs.replace(app.lab.settings, load=load)
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.opens(demo_entry)
        await person.says("Tell me about rain.")
        await person.sees(lambda: person.answers and person.answers[0])
        await pilot.press("escape")
        await person.sees(lambda: person.figures.state == "ready")
    assert drawn_when_asked == [True]


async def test_escape_stops_the_answer_and_the_next_turn_reuses_the_cache(
    app: EdgetuiApp, demo_entry: ModelEntry
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.has_an_answer_begun(demo_entry)
        await pilot.press("escape")
        await person.sees(lambda: person.figures.state == "ready")
        first = person.figures
        assert "stopped" in person.screen.query_one(Transcript).text_of("note")
        assert person.prompt.has_focus
        await person.says("And about snow?")
        await person.sees(lambda: len(person.answers) == 2 and person.answers[1])
        second = person.figures
        assert second.reused_tokens is not None and first.prompt_tokens is not None
        # All of the first turn but what its end mark and the stop changed is not computed again.
        assert first.prompt_tokens <= second.reused_tokens < (second.prompt_tokens or 0)
        assert f"{second.reused_tokens} of {second.prompt_tokens}" in person.panel
        await pilot.press("escape")


async def test_a_killed_worker_costs_one_sentence_and_the_next_prompt_works(
    app: EdgetuiApp, demo_entry: ModelEntry
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.has_an_answer_begun(demo_entry)
        pid = app.lab.inference.worker_pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await person.sees(lambda: person.failure)
        assert "killed" in person.failure and "SIGKILL" in person.failure
        await person.sees(lambda: person.figures.state == "not loaded")
        assert person.figures.resident_bytes is None
        kept = person.answers[0]
        assert kept
        await person.says("Go on.")
        await person.sees(lambda: len(person.answers) == 2 and person.answers[1])
        assert person.answers[0] == kept and not person.failure
        assert app.lab.inference.worker_pid not in (None, pid)
        await pilot.press("escape")


async def test_a_question_said_again_comes_back_when_nothing_answers_it(
    app: EdgetuiApp, demo_entry: ModelEntry
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.opens(demo_entry)
        chat = person.screen._chat
        chat.sampling = SamplingSettings(max_tokens=2, ignore_eos=True)
        await person.says("Hello")
        await person.sees(lambda: person.answers and person.figures.state == "ready")
        chat.sampling = SamplingSettings(grammar="root ::= (")
        await person.says("Hello")
        await person.sees(lambda: person.failure and person.figures.state == "ready")
        assert person.prompt.text == "Hello" and len(person.answers) == 1


async def test_without_a_model_the_screen_says_what_to_press(app: EdgetuiApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await pilot.pause()
        assert "ctrl+o" in str(person.screen.query_one("#model", Static).render())
        assert person.figures.resident_bytes is None and "MEMORY               -" in person.panel
        await person.says("Hello")
        assert "ctrl+o" in person.failure
        assert person.prompt.text == "Hello"
        await pilot.press("escape")
        assert not person.failure


async def test_a_model_is_chosen_by_typing(app: EdgetuiApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await pilot.press("ctrl+o")
        await person.sees(lambda: isinstance(app.screen, ModelPicker))
        await pilot.press(*"no such model")
        await pilot.pause()
        await pilot.press("enter")
        assert isinstance(app.screen, ModelPicker)
        app.screen.query_one(Input).value = "smol q4"
        await pilot.pause()
        assert app.screen.query_one(OptionList).option_count == 1
        await pilot.press("enter")
        await person.sees(lambda: isinstance(app.screen, RunScreen) and person.figures.state == "ready")
        assert app.lab.inference.entry is not None and "SmolLM2" in app.lab.inference.entry.name


async def test_a_prompt_that_does_not_fit_is_given_back(app: EdgetuiApp, demo_entry: ModelEntry) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.opens(demo_entry)
        long = "one two three " * 400
        await person.says(long)
        await person.sees(lambda: person.failure)
        assert "context" in person.failure
        assert person.prompt.full_text == long
        person.prompt.text = ""
        await person.says("Short.")
        await person.sees(lambda: person.answers and person.answers[0])
        await pilot.press("escape")


async def test_a_context_larger_than_memory_is_refused_in_one_sentence(app: EdgetuiApp, demo_entry: ModelEntry) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.opens(demo_entry)
        await pilot.press("ctrl+s")
        await person.sees(lambda: isinstance(app.screen, FieldsDialog))
        app.screen.query_one("#context_tokens", Input).value = "16000000"
        await pilot.press("enter")
        await person.sees(lambda: isinstance(app.screen, RunScreen) and person.failure)
        assert person.figures.state == "not loaded"
        await pilot.press("ctrl+s")
        await person.sees(lambda: isinstance(app.screen, FieldsDialog))
        app.screen.query_one("#context_tokens", Input).value = "512"
        await pilot.press("enter")
        await person.sees(lambda: isinstance(app.screen, RunScreen))
        await person.says("Hello")
        await person.sees(lambda: person.figures.context_tokens == 512 and person.answers and person.answers[-1])
        assert not person.failure
        await pilot.press("escape")


async def test_a_setting_out_of_bounds_is_explained_beside_its_field(app: EdgetuiApp, demo_entry: ModelEntry) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.opens(demo_entry)
        await pilot.press("ctrl+s")
        await person.sees(lambda: isinstance(app.screen, FieldsDialog))
        wrong = {"threads": "-1", "kv_cache_type": "q9", "temperature": "hot", "top_p": "", "seed": "1.5"}
        for name, value in wrong.items():
            app.screen.query_one(f"#{name}", Input).value = value
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, FieldsDialog)
        for name in wrong:
            problem = app.screen.query_one(f"#{name}-problem", Static)
            assert problem.display and str(problem.render()).endswith(".")
        assert "at least 0" in str(app.screen.query_one("#threads-problem", Static).render())
        assert "iq4_nl" in str(app.screen.query_one("#kv_cache_type-problem", Static).render())
        assert not app.screen.query_one("#min_p-problem", Static).display
        for name, value in {"kv_cache_type": "f16", "temperature": "1", "top_p": "1", "seed": ""}.items():
            app.screen.query_one(f"#{name}", Input).value = value
        app.screen.query_one("#threads", Input).value = "999"
        await pilot.press("enter")
        problem = app.screen.query_one("#threads-problem", Static)
        await person.sees(lambda: "999 threads are far too many for " in str(problem.render()))
        assert isinstance(app.screen, FieldsDialog) and problem.display
        assert app.focused is app.screen.query_one("#threads", Input)
        await pilot.press("escape")
        await person.sees(lambda: isinstance(app.screen, RunScreen))
        assert person.figures.state == "ready"


async def test_settings_take_effect(app: EdgetuiApp, demo_entry: ModelEntry) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.opens(demo_entry)
        first_worker = app.lab.inference.worker_pid
        await pilot.press("ctrl+s")
        await person.sees(lambda: isinstance(app.screen, FieldsDialog))
        for name, value in {"max_tokens": "5", "kv_cache_type": "q8_0", "system_prompt": "Answer briefly."}.items():
            app.screen.query_one(f"#{name}", Input).value = value
        await pilot.press("enter")
        await person.sees(lambda: isinstance(app.screen, RunScreen) and app.lab.inference.worker_pid != first_worker)
        await person.sees(lambda: person.figures.state == "ready")
        assert "KV Q8_0" in str(person.screen.query_one("#model", Static).render())
        await person.says("Hello")
        await person.sees(lambda: person.figures.tokens == 5 and person.figures.state == "ready")
        assert any("limit" in note for note in person.screen.query_one(Transcript).text_of("note"))


async def test_a_load_can_be_cancelled(app: EdgetuiApp, demo_entry: ModelEntry) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.screen.open_model(demo_entry)
        await person.sees(lambda: person.figures.state.startswith("loading"))
        await pilot.press("escape")
        await person.sees(lambda: person.figures.state == "not loaded")
        assert app.lab.inference.loaded is None and app.lab.inference.worker_pid is None
        assert not person.failure
        await person.opens(demo_entry)


async def test_unloading_gives_the_memory_back_and_a_new_conversation_forgets(
    app: EdgetuiApp, demo_entry: ModelEntry
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.opens(demo_entry)
        await person.says("Hello")
        await person.sees(lambda: person.answers and person.answers[0])
        await pilot.press("ctrl+n")
        assert "esc" in person.failure and person.answers
        await pilot.press("escape")
        await person.sees(lambda: person.figures.state == "ready")
        await pilot.press("ctrl+l")
        await person.sees(lambda: person.figures.state == "not loaded")
        assert app.lab.inference.worker_pid is None and person.figures.resident_bytes is None
        person.screen.clear_failure()
        await pilot.press("escape")
        assert not person.prompt.has_focus
        await pilot.press("ctrl+n", "x")
        assert person.screen.query_one(Transcript).is_empty and person.prompt.text == "x"
        assert person.figures.tokens is None and person.figures.reused_tokens is None


async def test_earlier_prompts_come_back_with_the_arrows(app: EdgetuiApp, demo_entry: ModelEntry) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        prompt = person.prompt
        for text in ("first", "second"):
            prompt.remember(text)
        await pilot.press(*"draft", "up")
        assert prompt.text == "second"
        await pilot.press("up")
        assert prompt.text == "first"
        await pilot.press("up")
        assert prompt.text == "first"
        await pilot.press("down", "down")
        assert prompt.text == "draft"
        await pilot.press("ctrl+j", *"line two")
        assert prompt.text == "draft\nline two"


async def test_escape_leaves_the_prompt_and_enter_returns(app: EdgetuiApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await pilot.press("4")
        assert person.prompt.text == "4"
        await pilot.press("escape")
        assert person.screen.query_one(Transcript).has_focus
        await pilot.press("enter")
        assert person.prompt.has_focus


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (50, 12), (24, 6)])
async def test_the_layout_leaves_room_for_text_and_prompt_at_every_size(
    app: EdgetuiApp, demo_entry: ModelEntry, size: tuple[int, int]
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.opens(demo_entry)
        await pilot.resize_terminal(*size)
        await pilot.pause()
        width, height = size
        transcript, panel = person.screen.query_one(Transcript), person.screen.query_one(RunFiguresPanel)
        assert transcript.size.width >= width // 2 and transcript.size.height >= 1
        assert person.prompt.region.bottom <= height and person.prompt.size.height >= 1
        assert panel.size.height == (1 if width < 70 else transcript.size.height)
        assert all(len(row) <= width for row in panel.text.split("\n"))
        if height >= 24:
            assert "STATE" in panel.text and "KV REUSED" in panel.text


async def test_a_model_from_another_screen_comes_with_the_prompt_ready(app: EdgetuiApp, demo_entry: ModelEntry) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await pilot.press("escape")
        assert not person.prompt.has_focus
        await app.open_model_in("run", demo_entry)
        await pilot.press(*"why?")
        assert person.prompt.text == "why?"


async def test_keys_typed_faster_than_the_screen_reach_the_field_they_were_meant_for(app: EdgetuiApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await pilot.press("ctrl+s")
        await person.sees(lambda: isinstance(app.screen, FieldsDialog))
        first, second, *_ = app.screen.query(Input)
        # All at once, as a terminal hands over what came while the app was busy.
        for key in ("ctrl+a", "ctrl+k", "7", "3", "down", "ctrl+a", "ctrl+k", "5", "9"):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await person.sees(lambda: second.value == "59")
        assert first.value == "73"


async def test_another_model_begins_without_the_figures_of_the_one_before(
    app: EdgetuiApp, demo_entry: ModelEntry
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.opens(demo_entry)
        app.screen.query_one(PromptInput).insert("Hello")
        await pilot.press("enter")
        await person.sees(lambda: (person.figures.tokens or 0) > 2)
        await pilot.press("escape")
        await person.sees(lambda: person.figures.state == "ready" and person.figures.mean_tps)
        await person.opens(msgspec.structs.replace(demo_entry, name="another"))
        figures = person.figures
        assert figures.mean_tps is figures.decode_tps is figures.context_used is figures.reused_tokens is None


async def test_coming_back_to_the_screen_is_coming_to_write(app: EdgetuiApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await pilot.press("escape", "2")
        await person.sees(lambda: app.current_mode == "models")
        await pilot.press("4")
        await person.sees(lambda: app.current_mode == "run" and person.prompt.has_focus)


async def test_another_model_in_mid_answer_ends_it_first_and_the_same_one_changes_nothing(
    app: EdgetuiApp, demo_entry: ModelEntry
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.opens(demo_entry)
        await person.says("Tell a long story.")
        await person.sees(lambda: (person.figures.tokens or 0) > 4)
        await person.screen.open_model(demo_entry)
        tokens = person.figures.tokens or 0
        await person.sees(lambda: (person.figures.tokens or 0) > tokens + 4)
        assert person.screen.query_one(Transcript).text_of("note") == []
        await person.screen.open_model(msgspec.structs.replace(demo_entry, name="Other"))
        await person.sees(lambda: person.figures.state == "ready")
        # In this order: the rest of an answer never goes into the note behind it.
        assert person.screen.query_one(Transcript).text_of("note") == ["stopped", "Other answers from here on"]
        assert person.answers[0] and not person.failure


async def test_a_turn_that_comes_to_nothing_gives_the_figures_of_the_last_answer_back(
    app: EdgetuiApp, demo_entry: ModelEntry
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.opens(demo_entry)
        await person.says("Tell a story.")
        await person.sees(lambda: (person.figures.tokens or 0) > 4)
        await pilot.press("escape")
        await person.sees(lambda: person.figures.state == "ready")
        measured = person.figures
        await person.says("one two three " * 400)
        await person.sees(lambda: person.failure and person.figures.kept is not None)
        shown = person.figures
        assert shown.kept is not None and shown.kept.place == "1 of 1"
        assert (shown.tokens, shown.ttft_s, shown.itl_p50_s) == (measured.tokens, measured.ttft_s, measured.itl_p50_s)


async def test_a_stop_takes_back_that_the_model_is_at_work_and_the_footer_says_how_to_write_again(
    app: EdgetuiApp, demo_entry: ModelEntry
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.has_an_answer_begun(demo_entry)
        await person.says("Too soon")
        await person.sees(lambda: "still at work" in person.failure)
        await pilot.press("escape")
        await person.sees(lambda: not person.screen.session.busy)
        await person.sees(lambda: not person.failure)

        def offered() -> list[tuple[str, str]]:
            found = person.screen.active_bindings.values()
            return [(each.binding.key, each.binding.description) for each in found if each.binding.show]

        assert ("enter", "Write") not in offered()
        await pilot.press("escape")
        assert not person.prompt.has_focus and ("enter", "Write") in offered()
        await pilot.press("i")
        assert person.prompt.has_focus and person.prompt.text == "Too soon"
