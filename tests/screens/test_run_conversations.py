"""Kept conversations, alternatives, profiles, presets and prompts on the Run screen, by keys, with the real model."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import msgspec
import pytest
from textual.widgets import Input, OptionList, Static

from edgetui.app import EdgetuiApp
from edgetui.core.profiles import Profile
from edgetui.core.run_settings import LoadSettings, SamplingSettings
from edgetui.screens.choice_picker import ChoicePicker
from edgetui.screens.conversations_dialog import ConversationsDialog
from edgetui.screens.fields_dialog import FieldsDialog
from edgetui.screens.figures_dialog import FiguresDialog
from edgetui.screens.profiles_dialog import ProfilesDialog
from edgetui.screens.run import RunScreen
from edgetui.screens.run_settings_dialog import RunSettingsDialog
from edgetui.services.profiles import model_key
from edgetui.store.profiles import SavedProfiles
from edgetui.widgets.transcript import Transcript
from tests.screens.test_run import Person

if TYPE_CHECKING:
    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab


@pytest.fixture
def app(lab: Lab) -> EdgetuiApp:
    """The app on its Run screen, with short answers that differ from each other."""
    lab.settings = msgspec.structs.replace(
        lab.settings,
        load=msgspec.structs.replace(lab.settings.load, context_tokens=512),
        sampling=SamplingSettings(max_tokens=8, ignore_eos=True, temperature=1.5),
    )
    return EdgetuiApp(lab, mode="run")


class Talker(Person):
    """Someone who looks for what was said."""

    @property
    def asked(self) -> list[str]:
        return self.screen.query_one(Transcript).text_of("user")

    @property
    def line(self) -> str:
        return str(self.screen.query_one("#model", Static).render())

    async def hears(self, text: str) -> str:
        """Say something and wait for the whole answer."""
        before = len(self.answers)
        await self.says(text)
        await self.sees(lambda: len(self.answers) > before and self.figures.state == "ready")
        return self.answers[-1]

    async def presses_outside(self, key: str) -> None:
        """Leave the prompt, then press a single key."""
        if self.prompt.has_focus:
            await self.pilot.press("escape")
        await self.pilot.press(key)

    async def opens_dialog(self, kind: type) -> None:
        await self.sees(lambda: isinstance(self.pilot.app.screen, kind))

    async def is_back(self) -> None:
        await self.sees(lambda: isinstance(self.pilot.app.screen, RunScreen))


async def test_what_was_said_is_found_again_and_gone_on_with(app: EdgetuiApp, demo_entry: ModelEntry) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Talker(pilot)
        await person.opens(demo_entry)
        first = await person.hears("Tell me about lighthouses.")
        await pilot.press("ctrl+n")
        await person.hears("Name a colour.")
        await pilot.press("ctrl+g")
        await person.opens_dialog(ConversationsDialog)
        rows = app.screen.query_one(OptionList)
        await person.sees(lambda: rows.option_count == 2)
        await pilot.press(*"LIGHTH")
        await person.sees(lambda: rows.option_count == 1)
        await pilot.press("enter")
        await person.sees(lambda: isinstance(app.screen, RunScreen) and person.answers == [first])
        assert person.asked == ["Tell me about lighthouses."] and person.prompt.has_focus
        await person.hears("Go on.")
        assert len(person.answers) == 2
        (row,) = await app.lab.conversations.find("go on")
        assert row.turn_count == 4


async def test_figures_come_back_with_a_conversation_and_with_each_older_answer(
    app: EdgetuiApp, demo_entry: ModelEntry
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Talker(pilot)
        await person.opens(demo_entry)
        await person.hears("Tell me about lighthouses.")
        first = person.figures
        await person.hears("Go on.")
        second = person.figures
        # An older answer, then the last one again, whose figures this session made.
        await person.presses_outside("[")
        await person.sees(lambda: person.figures.kept is not None)
        assert person.figures.kept is not None and person.figures.kept.place == "1 of 2"
        assert person.figures.ttft_s == first.ttft_s and person.figures.itl_p99_s == first.itl_p99_s
        assert "ANSWER          1 of 2" in person.panel and "TEMP" not in person.panel
        await pilot.press("[")
        assert person.figures.kept is not None and person.figures.kept.place == "1 of 2"
        await pilot.press("]")
        await person.sees(lambda: person.figures.kept is None)
        assert person.figures.ttft_s == second.ttft_s
        # Reopened, everything is as it was measured.
        await pilot.press("ctrl+n", "ctrl+g")
        await person.opens_dialog(ConversationsDialog)
        rows = app.screen.query_one(OptionList)
        await person.sees(lambda: rows.option_count == 1 and not rows.get_option_at_index(0).disabled)
        await pilot.press("enter")
        await person.is_back()
        await person.sees(lambda: person.figures.kept is not None)
        shown = person.figures
        assert shown.kept is not None and shown.kept.place == "2 of 2" and shown.kept.model_name == demo_entry.name
        assert "max-tokens 8" in shown.kept.settings and "thread" in shown.kept.engine
        for name in (
            "mean_tps",
            "prefill_tps",
            "ttft_s",
            "itl_p50_s",
            "itl_p95_s",
            "itl_p99_s",
            "tokens",
            "context_used",
        ):
            assert getattr(shown, name) == getattr(second, name) is not None, name
        assert shown.resident_bytes and shown.kv_cache_bytes == second.kv_cache_bytes
        await person.presses_outside("[")
        await person.sees(lambda: person.figures.kept is not None and person.figures.kept.place == "1 of 2")
        assert person.figures.ttft_s == first.ttft_s
        # A new answer has its own again.
        await pilot.press("enter")
        await person.hears("And then?")
        assert person.figures.kept is None and person.figures.tokens


async def test_a_conversation_is_deleted_after_a_yes_and_leaves_the_screen(
    app: EdgetuiApp, demo_entry: ModelEntry
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Talker(pilot)
        await person.opens(demo_entry)
        await person.hears("Tell me about lighthouses.")
        await pilot.press("ctrl+g")
        await person.opens_dialog(ConversationsDialog)
        rows = app.screen.query_one(OptionList)
        await person.sees(lambda: rows.option_count == 1 and not rows.get_option_at_index(0).disabled)
        await pilot.press("ctrl+d")
        await person.sees(lambda: not isinstance(app.screen, ConversationsDialog))
        await pilot.press("y")
        await person.sees(lambda: isinstance(app.screen, ConversationsDialog))
        await person.sees(lambda: rows.get_option_at_index(0).disabled)
        assert await app.lab.conversations.find() == []
        await pilot.press("escape")
        await person.sees(lambda: isinstance(app.screen, RunScreen) and not person.answers)


async def test_an_answer_is_made_anew_and_the_one_before_comes_back(app: EdgetuiApp, demo_entry: ModelEntry) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Talker(pilot)
        await person.opens(demo_entry)
        first = await person.hears("Tell a story.")
        await pilot.press("ctrl+r")
        await person.sees(lambda: person.answers and person.answers[0] not in ("", first))
        await person.sees(lambda: person.figures.state == "ready")
        assert person.asked == ["Tell a story."] and len(person.answers) == 1
        assert any("answer 2 of 2" in note for note in person.screen.query_one(Transcript).text_of("note"))
        await person.presses_outside("a")
        await person.opens_dialog(ChoicePicker)
        await pilot.press("up", "enter")
        await person.sees(lambda: isinstance(app.screen, RunScreen) and person.answers == [first])


async def test_an_earlier_message_is_edited_and_gone_on_from(app: EdgetuiApp, demo_entry: ModelEntry) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Talker(pilot)
        await person.opens(demo_entry)
        await person.hears("Name a colour.")
        await person.hears("Another.")
        await person.presses_outside("e")
        await person.opens_dialog(ChoicePicker)
        await pilot.press("down", "enter")
        await person.is_back()
        await person.sees(lambda: person.prompt.text == "Name a colour.")
        assert str(person.screen.query_one("#sign", Static).render()) == "e"
        await pilot.press(*" Please", "enter")
        await person.sees(lambda: person.asked == ["Name a colour. Please"])
        await person.sees(lambda: person.figures.state == "ready" and person.answers and person.answers[0])
        assert str(person.screen.query_one("#sign", Static).render()) == ">"
        (row,) = await app.lab.conversations.find()
        assert row.turn_count == 6
        assert person.figures.tokens
        # The branch before comes back with its own figures, and without the tokens of the other one's answer.
        await person.presses_outside("a")
        await person.opens_dialog(ChoicePicker)
        await pilot.press("up", "enter")
        await person.is_back()
        await person.sees(lambda: "Another." in person.asked)
        assert person.figures.kept is not None and person.figures.kept.place == "2 of 2"
        await pilot.press("ctrl+t")
        await person.sees(lambda: "not in memory" in person.failure)


async def test_raw_text_is_continued_in_a_conversation_of_its_own(app: EdgetuiApp, demo_entry: ModelEntry) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Talker(pilot)
        await person.opens(demo_entry)
        await person.hears("Hello")
        chat_tokens = person.figures.prompt_tokens or 0
        await person.presses_outside("x")
        await person.sees(lambda: not person.answers and "raw text" in person.line)
        await person.hears("Hello")
        assert (person.figures.prompt_tokens or 0) < chat_tokens
        assert len(await app.lab.conversations.find()) == 2


async def test_a_killed_worker_says_under_the_answer_why_it_ends_there(app: EdgetuiApp, demo_entry: ModelEntry) -> None:
    app.lab.settings = msgspec.structs.replace(app.lab.settings, sampling=SamplingSettings(ignore_eos=True))
    async with app.run_test(size=(80, 24)) as pilot:
        person = Talker(pilot)
        await person.opens(demo_entry)
        await person.says("Tell me about rain.")
        await person.sees(lambda: person.answers and person.answers[0])
        os.kill(app.lab.inference.worker_pid or 0, signal.SIGKILL)
        await person.sees(lambda: person.figures.state == "not loaded")
        assert any("SIGKILL" in note for note in person.screen.query_one(Transcript).text_of("note"))
        await pilot.press("escape", "ctrl+n", "ctrl+g")
        await person.opens_dialog(ConversationsDialog)
        await person.sees(lambda: app.screen.query_one(OptionList).option_count == 1)
        await pilot.press("enter")
        await person.sees(lambda: isinstance(app.screen, RunScreen) and person.answers)
        assert any("SIGKILL" in note for note in person.screen.query_one(Transcript).text_of("note"))


async def test_a_profile_is_saved_in_the_settings_and_comes_back_with_the_model(
    app: EdgetuiApp, demo_entry: ModelEntry
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Talker(pilot)
        await person.opens(demo_entry)
        await pilot.press("ctrl+s")
        await person.opens_dialog(RunSettingsDialog)
        settings = app.screen
        settings.query_one("#top_k", Input).value = "7"
        settings.query_one("#stop", Input).value = r"END|\n\n"
        await pilot.press("ctrl+l")
        await person.opens_dialog(ProfilesDialog)
        await pilot.press("s")
        await person.sees(lambda: isinstance(app.screen, FieldsDialog) and app.screen is not settings)
        app.screen.query_one("#name", Input).value = "mine"
        app.screen.query_one("#note", Input).value = "for stories"
        await pilot.press("enter")
        await person.sees(lambda: app.screen is settings)
        assert [each.message for each in app._notifications] == [f"Saved: the profile 'mine' of {demo_entry.name}"]
        await pilot.press("enter")
        await person.is_back()
        await person.sees(lambda: "profile mine" in person.line)
        saved = await app.lab.profiles.get(model_key(demo_entry), "mine")
        assert saved.sampling is not None
        assert (saved.sampling.top_k, saved.sampling.stop, saved.note) == (7, ("END", "\n\n"), "for stories")
        other = msgspec.structs.replace(demo_entry, name="another", fingerprint="another")
        await person.screen.open_model(other)
        await person.sees(lambda: person.line.startswith("another") and "profile" not in person.line)
        await person.screen.open_model(demo_entry)
        await person.sees(lambda: "profile mine" in person.line and person.figures.state == "ready")


async def test_a_tuned_profile_leaves_what_the_person_set(app: EdgetuiApp, demo_entry: ModelEntry) -> None:
    tuned = Profile(
        name="tuned",
        load=LoadSettings(threads=2),
        sampling=None,
        system_prompt=None,
        load_fields=("threads", "flash_attention"),
    )
    async with app.run_test(size=(80, 24)) as pilot:
        person = Talker(pilot)
        await person.opens(demo_entry)
        SavedProfiles(app.lab.database).put(model_key(demo_entry), await app.lab.profiles.machine(), tuned, 1)
        await pilot.press("ctrl+s")
        await person.opens_dialog(RunSettingsDialog)
        settings = app.screen
        settings.query_one("#max_tokens", Input).value = "50"
        settings.query_one("#batch_tokens", Input).value = "64"
        await pilot.press("ctrl+l")
        await person.opens_dialog(ProfilesDialog)
        await person.sees(lambda: "threads=2" in str(app.screen.query_one(OptionList).get_option_at_index(0).prompt))
        await pilot.press("enter")
        await person.sees(lambda: app.screen is settings and settings.query_one("#threads", Input).value == "2")
        assert settings.query_one("#max_tokens", Input).value == "50"
        assert settings.query_one("#batch_tokens", Input).value == "64"
        await pilot.press("enter")
        await person.is_back()
        await person.sees(lambda: "profile tuned" in person.line)
        # With another model only what was tuned for this one goes.
        await person.screen.open_model(msgspec.structs.replace(demo_entry, name="another", fingerprint="another"))
        chat = person.screen._chat
        assert (chat.profile, chat.load_settings.threads) == ("", app.lab.settings.load.threads)
        assert (chat.sampling.max_tokens, chat.load_settings.batch_tokens) == (50, 64)


async def test_the_settings_show_what_the_models_engine_has_and_move_by_groups(
    app: EdgetuiApp, demo_entry: ModelEntry
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Talker(pilot)
        await pilot.press("ctrl+s")
        await person.opens_dialog(RunSettingsDialog)
        assert {"flash_attention", "draft_model", "grammar", "stop"} <= {field.id for field in app.screen.query(Input)}
        await pilot.press("pagedown", "pagedown", "pagedown")
        assert app.screen.focused is not None and app.screen.focused.id == "temperature"
        assert app.screen.focused.region.bottom <= 24
        app.screen.query_one("#grammar", Input).value = "@none.gbnf"
        await pilot.press("enter")
        await person.sees(lambda: "none.gbnf" in str(app.screen.query_one("#grammar-problem", Static).render()))
        app.screen.query_one("#grammar", Input).value = 'root ::= "a"'
        app.screen.query_one("#json_schema", Input).value = "{}"
        await pilot.press("enter")
        await person.sees(lambda: "not both" in str(app.screen.query_one("#json_schema-problem", Static).render()))
        await pilot.press("escape")
        await person.is_back()
        person.screen._chat.entry = msgspec.structs.replace(demo_entry, format="server")
        await pilot.press("ctrl+s")
        await person.opens_dialog(RunSettingsDialog)
        shown = {field.id for field in app.screen.query(Input)}
        assert "temperature" in shown and not shown & {"threads", "flash_attention", "context_tokens"}


async def test_presets_prompts_and_reasons_are_one_key_away(app: EdgetuiApp, demo_entry: ModelEntry) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Talker(pilot)
        await person.opens(demo_entry)
        await pilot.press("ctrl+f")
        await person.opens_dialog(ChoicePicker)
        await pilot.press(*"greedy", "enter")
        await person.is_back()
        await person.sees(lambda: person.screen._chat.sampling.temperature == 0)
        assert person.screen._chat.sampling.max_tokens == 8
        await person.presses_outside("p")
        await person.opens_dialog(ChoicePicker)
        await pilot.press(*"three boxes", "enter")
        await person.is_back()
        await person.sees(lambda: "Three boxes" in person.prompt.full_text)
        await person.presses_outside("f")
        await person.opens_dialog(FiguresDialog)
        assert isinstance(app.screen, FiguresDialog)
        assert "OF BANDWIDTH  -  this machine is not calibrated" in app.screen.text
        await pilot.press("escape")
        await person.is_back()


async def test_a_damaged_profile_says_so_and_the_model_runs_without_it(app: EdgetuiApp, demo_entry: ModelEntry) -> None:
    key = model_key(demo_entry)
    await app.lab.profiles.save(key, "mine", app.lab.settings.load, SamplingSettings(temperature=0))
    app.lab.database.write("UPDATE profiles SET profile = replace(profile, '\"batch_tokens\":', '\"batch_tokens\":-')")
    async with app.run_test(size=(80, 24)) as pilot:
        person = Talker(pilot)
        await person.screen.open_model(demo_entry)
        await person.sees(lambda: person.figures.state == "ready")
        assert "'mine' cannot be read (batch-tokens: expected int" in person.failure
        assert "profile" not in person.line
        await pilot.press("escape", "ctrl+s")
        await person.opens_dialog(RunSettingsDialog)
        await pilot.press("ctrl+l")
        await person.opens_dialog(ProfilesDialog)
        said = app.screen.query_one("#said", Static)
        await person.sees(lambda: "'mine' cannot be read" in str(said.render()))
    assert "-512" in app.lab.database.read("SELECT profile FROM profiles")[0]["profile"]
