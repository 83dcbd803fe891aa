"""The app around the screens: modes, keys, help, palette, themes, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest
from textual.command import CommandPalette
from textual.widgets import Static

from edgetui.app import EdgetuiApp
from edgetui.core.failures import EdgetuiError, Failure
from edgetui.screens.base import LabScreen
from edgetui.screens.help import HelpScreen
from edgetui.screens.modes import LAB_MODES
from edgetui.widgets.failure_bar import FailureBar
from edgetui.widgets.key_bar import KeyBar
from edgetui.widgets.nav_bar import NavBar
from edgetui.widgets.prompt_input import PromptInput
from tests.e2e.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab


def nav_text(app: EdgetuiApp) -> str:
    return str(app.screen.query_one(NavBar).render())


@pytest.mark.parametrize("prefix", ["", "f"])
async def test_every_mode_has_a_number_and_a_function_key(lab: Lab, prefix: str) -> None:
    app = EdgetuiApp(lab)
    async with app.run_test(size=(80, 24)) as pilot:
        assert app.current_mode == "hardware"
        for mode in reversed(LAB_MODES):
            # There is no F0.
            await pilot.press(f"{prefix}{mode.key}".replace("f0", "f10"))
            await pilot.pause()
            assert app.current_mode == mode.name
            assert isinstance(app.screen, LabScreen) and mode.name == app.screen.MODE
            assert f"[{mode.key} {mode.title}]" in nav_text(app)
            # Screens that begin with a text input are left first: digits belong to it.
            await pilot.press("escape")
            if app.current_mode != mode.name:
                app.open_mode(mode.name)
                await pilot.pause()


async def test_while_typing_digits_are_text_and_function_keys_switch(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="run")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2", "question_mark")
        assert app.current_mode == "run" and app.screen.query_one(PromptInput).text == "2?"
        await pilot.press("f2")
        await pilot.pause()
        assert app.current_mode == "models"


async def test_escape_goes_back_to_the_mode_before(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test(size=(80, 24)) as pilot:
        app.open_mode("run")
        await pilot.pause()
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert app.current_mode == "models"
        await pilot.press("escape")
        assert app.current_mode == "models"


async def test_a_model_is_handed_to_a_screen_that_was_never_shown(lab: Lab, demo_entry: ModelEntry) -> None:
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test(size=(80, 24)) as pilot:
        await app.open_model_in("run", demo_entry)
        await pilot.pause()
        assert app.current_mode == "run"
        assert demo_entry.name in str(app.screen.query_one("#model", Static).render())


@pytest.mark.parametrize("width", [200, 80, 72, 50, 30])
async def test_the_nav_bar_fits_and_marks_the_mode_without_colour(lab: Lab, width: int) -> None:
    app = EdgetuiApp(lab, mode="run")
    async with app.run_test(size=(width, 24)) as pilot:
        app.running_jobs = 2
        await pilot.pause()
        text = nav_text(app)
        assert len(text) <= width and "[4 Run]" in text and text.endswith("2 jobs")
        for mode in LAB_MODES:
            assert mode.key in text


async def test_keys_that_mean_nothing_do_nothing(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="run")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("escape")
        await pilot.press("z", "ctrl+w", "f11", "tab", "shift+tab", "insert", "ctrl+right", "é")
        await pilot.pause()
        assert app.current_mode == "run" and app.is_running
        assert not app.screen.query_one(FailureBar).message


async def test_help_names_the_keys_of_where_the_person_is(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="run")
    async with app.run_test(size=(80, 24)) as pilot:
        run_screen = app.screen
        await pilot.press("escape", "question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        text = str(app.screen.query_one(Static).render())
        assert "Write a prompt and press enter" in text
        for described in ("Settings", "New", "Quantize", "Quit"):
            assert described in text
        await pilot.press("question_mark")
        await pilot.pause()
        assert app.screen is run_screen
        # The question mark is text while typing; the function key is not.
        await pilot.press("enter", "f12")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        assert "In this field or list" in str(app.screen.query_one(Static).render())
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is run_screen


async def test_every_action_with_a_key_is_in_the_palette(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="run")
    async with app.run_test(size=(80, 24)) as pilot:
        titles = {command.title for command in app.get_system_commands(app.screen)}
        assert titles >= {mode.title for mode in LAB_MODES}
        assert titles >= {"Model", "Settings", "New", "Copy last answer", "Help", "Quit", "Light or dark", "Theme"}
        await pilot.press("ctrl+p")
        await pilot.pause()
        assert isinstance(app.screen, CommandPalette)
        await pilot.press(*"models")
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert app.current_mode == "models"


async def test_the_theme_changes_between_light_and_dark(lab: Lab) -> None:
    lab.settings = msgspec.structs.replace(lab.settings, theme="textual-light")
    app = EdgetuiApp(lab, mode="run")
    async with app.run_test(size=(80, 24)) as pilot:
        assert app.theme == "textual-light"
        app.action_toggle_dark()
        await pilot.pause()
        assert app.theme == "textual-dark"
        app.theme = "nord"
        app.action_toggle_dark()
        assert app.theme == "textual-light"


def test_an_unknown_theme_is_refused_with_the_names_of_those_that_exist(lab: Lab) -> None:
    lab.settings = msgspec.structs.replace(lab.settings, theme="purple")
    with pytest.raises(EdgetuiError, match=r"'purple', which does not exist; there are .*textual-light") as caught:
        EdgetuiApp(lab)
    assert caught.value.failure.kind == "bad_settings"


async def test_a_failure_stays_until_it_is_dismissed_or_replaced(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="run")
    async with app.run_test(size=(80, 24)) as pilot:
        screen = app.screen
        assert isinstance(screen, LabScreen)
        screen.show_failure(Failure("bad_file", "The file [bold]\x1b[31mx.gguf is cut off: download it again."))
        await pilot.pause()
        bar = screen.query_one(FailureBar)
        assert "Error: The file [bold]" in bar.message and "\x1b" not in bar.message
        assert bar.region.height >= 1 and bar.region.bottom <= 23
        screen.show_failure(EdgetuiError("bad_file", "Another one: do that."))
        await pilot.pause()
        assert "Another one" in bar.message and "x.gguf" not in bar.message
        await pilot.press("escape")
        assert bar.message == ""


async def test_the_key_bar_shows_help_even_when_there_is_little_room(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="run")
    async with app.run_test(size=(30, 24)) as pilot:
        await pilot.pause()
        text = str(app.screen.query_one(KeyBar).render())
        assert "Help" in text and len(text.rstrip()) <= 30


async def test_an_unknown_model_on_the_command_line_is_one_sentence(lab: Lab) -> None:
    app = EdgetuiApp(lab, open_model="no-such-model")
    async with app.run_test(size=(80, 24)) as pilot:
        assert app.current_mode == "run"
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert "no-such-model" in app.screen.query_one(FailureBar).message


async def test_quitting_closes_the_services(lab: Lab, demo_entry: ModelEntry) -> None:
    app = EdgetuiApp(lab, mode="run")
    async with app.run_test(size=(80, 24)) as pilot:
        await lab.inference.load(demo_entry, lab.settings.load)
        pid = lab.inference.worker_pid
        assert pid is not None
        await pilot.press("ctrl+q")
    assert app.return_code == 0
    assert lab.inference.worker_pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


# --- in a real terminal -------------------------------------------------------------------------------------

START = "import sys; from edgetui.app import EdgetuiApp; from edgetui.services.lab import Lab; "
RUN = START + "sys.exit(EdgetuiApp(Lab(), mode='run').run_to_exit())"


@pytest.fixture
def started() -> Iterator[list[Terminal]]:
    terminals: list[Terminal] = []
    yield terminals
    for terminal in terminals:
        terminal.close()


def start(started: list[Terminal], code: str, **environment: str) -> Terminal:
    started.append(Terminal([sys.executable, "-c", code], environment=environment))
    return started[-1]


def test_a_fault_of_our_own_goes_to_the_log_and_not_to_the_terminal(home: Path, started: list[Terminal]) -> None:
    broken = "EdgetuiApp.action_help = lambda self: 1 / 0; "
    terminal = start(started, START + broken + "sys.exit(EdgetuiApp(Lab(), mode='run').run_to_exit())")
    terminal.wait_for("[4 Run]")
    terminal.press("escape")
    terminal.wait_for("? Help")
    terminal.press("?")
    assert terminal.wait_for_exit() == 1
    assert terminal.is_restored
    log = home / "state" / "logs" / "app.log"
    assert "ZeroDivisionError" in log.read_text()
    assert f"edgetui: The app met a fault of its own and closed; {log} says which." in terminal.text.replace("\n", "")
    assert b"Traceback" not in terminal.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_app_and_restores_the_terminal(
    home: Path, started: list[Terminal], number: signal.Signals
) -> None:
    terminal = start(started, RUN)
    terminal.wait_for("[4 Run]")
    terminal.process.send_signal(number)
    assert terminal.wait_for_exit() == 128 + number
    if number == signal.SIGTERM:
        assert terminal.is_restored


def test_quitting_restores_the_terminal(home: Path, started: list[Terminal]) -> None:
    terminal = start(started, RUN)
    terminal.wait_for("[4 Run]")
    terminal.press("ctrl+q")
    assert terminal.wait_for_exit() == 0
    assert terminal.is_restored


COLOUR = re.compile(rb"\x1b\[(?:[\d;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[\d;]*)?m")


def test_no_color_is_respected(home: Path, started: list[Terminal]) -> None:
    terminal = start(started, RUN, NO_COLOR="1")
    terminal.wait_for("[4 Run]")
    assert not COLOUR.search(terminal.output)


def test_sixteen_colours_are_the_terminals_own(home: Path, started: list[Terminal]) -> None:
    terminal = start(started, RUN, TERM="xterm", COLORTERM="")
    terminal.wait_for("[4 Run]")
    assert COLOUR.search(terminal.output)
    assert b"38;2;" not in terminal.output and b"48;5;" not in terminal.output


def test_a_locale_without_utf_8_gets_ascii(home: Path, started: list[Terminal]) -> None:
    terminal = start(started, RUN, LC_ALL="C", LANG="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    terminal.wait_for("[4 Run]")
    terminal.press("ctrl+s")
    terminal.wait_for("Settings of this run")
    assert terminal.output.isascii()


def test_a_window_that_shrank_and_grew_at_once_shows_everything(home: Path, started: list[Terminal]) -> None:
    terminal = start(started, RUN)
    whole = terminal.wait_for("f12 Help")
    for _ in range(3):
        terminal.resize(30, 8)
        terminal.resize(80, 24)
        terminal.wait_for(lambda text: text == whole)
