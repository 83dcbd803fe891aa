"""The token inspector, over an answer of the real model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from textual.widgets import Input, Static

from edgetui.app import EdgetuiApp
from edgetui.core.run_settings import SamplingSettings
from edgetui.screens.name_file import NameFileDialog
from edgetui.screens.run import RunScreen
from edgetui.screens.token_inspector import TokenInspector
from edgetui.widgets.failure_bar import FailureBar
from edgetui.widgets.token_flow import TokenFlow
from edgetui.widgets.token_panel import TokenPanel
from edgetui.widgets.transcript import Transcript
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab


@pytest.fixture
def app(lab: Lab) -> EdgetuiApp:
    """The app on Run, with short answers."""
    lab.settings = msgspec.structs.replace(
        lab.settings,
        load=msgspec.structs.replace(lab.settings.load, context_tokens=512),
        sampling=SamplingSettings(seed=7, max_tokens=12, temperature=1.5, top_k=0, ignore_eos=True),
    )
    return EdgetuiApp(lab, mode="run")


async def test_an_answer_is_walked_token_by_token(app: EdgetuiApp, demo_entry: ModelEntry, tmp_path: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        screen = app.screen
        assert isinstance(screen, RunScreen)
        await pilot.press("ctrl+t")
        await until(lambda: bool(screen.query_one(FailureBar).message), pilot.pause)
        assert "No model" in screen.query_one(FailureBar).message
        await screen.open_model(demo_entry)
        await until(lambda: app.lab.inference.loaded is not None, pilot.pause)
        await pilot.press(*"Rain", "enter")
        await until(lambda: "ended at the limit of tokens" in screen.query_one(Transcript).text_of("note"), pilot.pause)
        await pilot.pause(0.1)
        await pilot.press("ctrl+t")
        await until(lambda: isinstance(app.screen, TokenInspector) and bool(app.screen.query(TokenFlow)), pilot.pause)
        inspector = app.screen
        flow, panel = inspector.query_one(TokenFlow), inspector.query_one(TokenPanel)
        await until(lambda: bool(panel.text), pilot.pause)
        tokens = flow.tokens
        assert len(tokens) == 12
        assert "".join(token.text for token in tokens) == screen.query_one(Transcript).text_of("answer")[-1]
        for token in tokens:
            assert 0 < token.probability <= 1 and token.rank >= 1 and token.entropy_bits is not None
            shares = [each.probability for each in token.alternatives]
            assert len(shares) == 8 and shares == sorted(shares, reverse=True) and sum(shares) <= 1 + 1e-6
            if token.chosen_alternative is not None:
                assert token.alternatives[token.chosen_alternative].probability == pytest.approx(token.probability)
        assert panel.text.startswith("Token 1 of 12")
        await pilot.press("right", "right", "left")
        assert flow.index == 1 and panel.text.startswith("Token 2 of 12")
        await pilot.press("end")
        assert flow.index == 11
        await pilot.press("home", "n")
        # At this temperature some token was not the model's first thought.
        assert tokens[flow.index].probability < 0.5
        await pilot.press("o")
        await until(lambda: isinstance(app.screen, NameFileDialog), pilot.pause)
        app.screen.query_one(Input).value = str(tmp_path / "tokens.txt")
        await pilot.press("enter")
        problem = app.screen.query_one(".problem", Static)
        await until(lambda: "let it end in .json or .csv" in str(problem.render()), pilot.pause)
        path = tmp_path / "tokens.json"
        app.screen.query_one(Input).value = str(path)
        await pilot.press("enter")
        await until(lambda: app.screen is inspector and path.is_file(), pilot.pause)
        assert [each["text"] for each in json.loads(path.read_text())["tokens"]] == [each.text for each in tokens]
        await pilot.press("escape")
        await until(lambda: app.screen is screen, pilot.pause)
