"""A model on a server, on Run: chosen by ctrl+o, streamed, and told when it is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input

from edgetui.app import EdgetuiApp
from edgetui.screens.model_picker import ModelPicker
from edgetui.screens.run import RunScreen
from edgetui.widgets.failure_bar import FailureBar
from edgetui.widgets.prompt_input import PromptInput
from edgetui.widgets.transcript import Transcript
from tests.servers.raw import RawServer, finish, stream, usage
from tests.waiting import until

if TYPE_CHECKING:
    from edgetui.services.lab import Lab


async def test_a_servers_model_answers_and_its_end_is_told_where_one_looks(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="run")
    whole, broken = stream("Hel", "lo", finish(), usage(5, 2)), stream("Half", end=b'data: {"cho')
    with RawServer({"/v1/chat/completions": [whole, broken]}) as server:
        await lab.servers.add(name="my box", url=server.url)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("ctrl+o")
            await until(lambda: isinstance(app.screen, ModelPicker), pilot.pause)
            app.screen.query_one(Input).value = "my box"
            await pilot.pause()
            await pilot.press("enter")
            await until(lambda: lab.inference.loaded is not None, pilot.pause)
            screen = app.screen
            assert isinstance(screen, RunScreen)
            await until(lambda: screen.query_one(PromptInput).has_focus, pilot.pause)
            screen.query_one(PromptInput).insert("Hi")
            await pilot.press("enter")
            await until(lambda: screen.query_one(Transcript).text_of("answer") == ["Hello"], pilot.pause)
            await until(lambda: not screen.query_one(FailureBar).message, pilot.pause)
            screen.query_one(PromptInput).insert("Again")
            await pilot.press("enter")
            await until(lambda: "before it was complete" in screen.query_one(FailureBar).message, pilot.pause)
            assert screen.query_one(Transcript).text_of("answer") == ["Hello", "Half"]
