"""The Textual app: modes, global keys, palette, theme, and a clean end. It composes and decides nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.reactive import reactive

from edgetui.core.failures import EdgetuiError
from edgetui.core.heap import give_memory_back
from edgetui.core.terminal import terminal_is_gone
from edgetui.crash_log import log_crash, log_text
from edgetui.screens.base import LabScreen
from edgetui.screens.modes import LAB_MODES
from edgetui.widgets.key_bar import HELP_WHILE_TYPING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from rich.console import RenderableType
    from textual import events
    from textual.binding import BindingType
    from textual.dom import DOMNode
    from textual.driver import Driver
    from textual.screen import Screen
    from textual.widget import AwaitMount

    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.screens.hub import HubScreen
    from edgetui.screens.models import ModelsScreen
    from edgetui.services.lab import Lab

TERMINAL_CHECK_S = 2.0
"""How soon a vanished terminal is noticed where no signal tells of it."""


class EdgetuiApp(App[None]):
    """edgetui in a terminal, over the services of a `Lab`."""

    TITLE = "edgetui"
    CSS_PATH = "edgetui.tcss"
    ENABLE_COMMAND_PALETTE = True
    MODES = {mode.name: mode.make_screen for mode in LAB_MODES}  # noqa: RUF012 - Textual's own declaration
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(mode.key, f"open_mode('{mode.name}')", mode.title, show=False) for mode in LAB_MODES),
        *(
            Binding(
                # There is no F0.
                f"f{mode.key if mode.key != '0' else '10'}",
                f"open_mode('{mode.name}')",
                mode.title,
                show=False,
                priority=True,
                id=f"mode.{mode.name}",
            )
            for mode in LAB_MODES
        ),
        Binding(HELP_WHILE_TYPING, "help", "Help", show=False, priority=True),
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True, id="quit"),
        Binding("question_mark", "help", "Help", key_display="?", id="help"),
    ]

    running_jobs: reactive[int] = reactive(0, repaint=False)
    """How many jobs run; the nav bar of each screen watches it."""

    def __init__(self, lab: Lab, open_model: str | None = None, mode: str | None = None) -> None:
        """`open_model` is opened in Run; `mode` is shown first.

        Raises `EdgetuiError("bad_settings")` for a theme that does not exist.
        """
        # Textual reads the first mode from here; no other screen should be made before it.
        self.DEFAULT_MODE = mode or ("run" if open_model else LAB_MODES[0].name)  # type: ignore[misc]
        # Without colour there are no shades of grey either, which Textual would make of its own colours.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.lab = lab
        self.animation_level = "none"
        self._open_model = open_model
        self._history: list[str] = []
        self._crash_log: Path | None = None
        self._following: asyncio.Task[None] | None = None
        self._hanging_up: asyncio.Task[None] | None = None
        self._choose_theme()

    def run_to_exit(self) -> int:
        """Run until the person quits; returns the exit status. The terminal is restored first."""
        try:
            self.run()
        except Exception as error:
            self._crash_log = log_crash(self.lab.paths.log_dir, error)
        if self._crash_log is not None:
            print(f"edgetui: The app met a fault of its own and closed; {self._crash_log} says which.", file=sys.stderr)
            return 1
        return self.return_code or 0

    def get_driver_class(self) -> type[Driver]:
        """Textual's choice, but thriftier on a POSIX terminal."""
        from textual.drivers.linux_driver import LinuxDriver

        from edgetui.terminal import LeanDriver

        chosen = super().get_driver_class()
        return LeanDriver if chosen is LinuxDriver else chosen

    @property
    def terminal_backlog(self) -> int:
        """Frames that the terminal has not taken yet; a slow line should be sent fewer."""
        return int(getattr(self._driver, "backlog", 0))

    # --- modes --------------------------------------------------------------------------------------------

    def open_mode(self, name: str) -> AwaitMount:
        """Show a mode; `go_back` returns to the one shown before."""
        if name != self.current_mode:
            self._history.append(self.current_mode)
            del self._history[:-20]
        return self.switch_mode(name)

    def go_back(self) -> None:
        """Show the mode shown before, if there was one."""
        if self._history:
            self.switch_mode(self._history.pop())

    async def open_model_in(self, mode: Literal["run", "quantize", "bench", "frontier"], entry: ModelEntry) -> None:
        """Switch to a mode and hand the model to its screen."""
        await self.open_mode(mode)
        await cast("LabScreen", self._screen_stacks[mode][0]).open_model(entry)

    async def open_repo(self, repo: str) -> None:
        """Switch to the hub and show a model's page there."""
        await self.open_mode("hub")
        cast("HubScreen", self._screen_stacks["hub"][0]).open_repo(repo)

    def action_open_mode(self, name: str) -> None:
        """A mode's key was pressed."""
        self.open_mode(name)

    # --- help, palette, theme -----------------------------------------------------------------------------

    def action_help(self) -> None:
        """Show the keys of where the person is."""
        from edgetui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every action with a key, here and everywhere, and the themes."""
        seen = {"command_palette", "app.focus_next", "app.focus_previous", "back"}
        for node, binding, enabled, _ in screen.active_bindings.values():
            here_or_everywhere = node is self or node is screen
            if enabled and binding.description and here_or_everywhere and binding.action not in seen:
                seen.add(binding.action)
                key = self.get_key_display(binding)
                yield SystemCommand(binding.description, f"Key: {key}", self._run_binding(binding.action, node))
        yield SystemCommand("Add a server", "One that speaks OpenAI's protocol, by its address", self._add_server)
        yield SystemCommand("Light or dark", "Change between the light and the dark theme", self.action_toggle_dark)
        yield SystemCommand("Theme", "Choose among all themes", self.action_change_theme)

    def action_toggle_dark(self) -> None:
        """Change between light and dark."""
        dark = self.current_theme.dark
        family = "ansi" if self.current_theme.ansi else "textual"
        self.theme = f"{family}-light" if dark else f"{family}-dark"

    async def _add_server(self) -> None:
        await self.open_mode("models")
        cast("ModelsScreen", self._screen_stacks["models"][0]).add_server()

    def _run_binding(self, action: str, node: DOMNode) -> Callable[[], object]:
        async def run() -> None:
            await self.run_action(action, node)

        return run

    def _choose_theme(self) -> None:
        wanted = self.lab.settings.theme
        if not wanted:
            # With 16 colours or none the terminal's own palette reads better than the nearest of its colours.
            few_colours = self.no_color or self.console.color_system in (None, "standard", "windows")
            self.theme = "ansi-dark" if few_colours else "textual-dark"
        elif wanted in self.available_themes:
            self.theme = wanted
        else:
            raise EdgetuiError(
                "bad_settings",
                f"The settings file {self.lab.paths.config_file} asks for the theme {wanted!r}, which does not exist;"
                f" there are {', '.join(sorted(self.available_themes))}.",
            )

    # --- beginning and end --------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Begin what must not delay the first frame, after it."""
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(signal.SIGTERM, lambda: self.exit(return_code=128 + signal.SIGTERM))
            loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        self.call_after_refresh(self._begin)

    def on_resize(self, _event: events.Resize) -> None:
        """Paint everything: a window that shrank and grew again has lost what Textual believes to be there."""
        self.call_after_refresh(self.refresh)

    async def on_unmount(self) -> None:
        """Close the services; a fault there must not keep the terminal."""
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.remove_signal_handler(signal.SIGTERM)
            loop.remove_signal_handler(signal.SIGHUP)
        if self._following is not None:
            self._following.cancel()
        try:
            await self.lab.close()
        except Exception as error:
            self._crash_log = log_crash(self.lab.paths.log_dir, error)

    def _begin(self) -> None:
        give_memory_back()
        # Not a worker of Textual's: it never completes, and who waits for the workers means those that do.
        self._following = asyncio.create_task(self._follow_jobs())
        self._following.add_done_callback(self._report)
        if not self.is_headless:
            self.set_interval(TERMINAL_CHECK_S, self._check_terminal)
        if self._open_model:
            self.run_worker(self._open_named_model(self._open_model), group="app")

    async def _follow_jobs(self) -> None:
        def count(records: tuple[JobRecord, ...]) -> None:
            self.running_jobs = sum(record.is_running for record in records)

        # The first import takes longer than a frame.
        await asyncio.to_thread(import_module, "edgetui.services.jobs")
        try:
            self.lab.jobs.changed.subscribe(count)
            await self.lab.jobs.follow()
        except EdgetuiError as error:
            self._show_failure(error)

    def _report(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._handle_exception(error)

    def _show_failure(self, error: EdgetuiError) -> None:
        if isinstance(self.screen, LabScreen):
            self.screen.show_failure(error)
        else:
            self.notify(str(error), severity="error", markup=False)

    async def _open_named_model(self, name: str) -> None:
        try:
            entry = await self.lab.find_model(name)
        except EdgetuiError as error:
            self._show_failure(error)
        else:
            await self.open_model_in("run", entry)

    def _check_terminal(self) -> None:
        """See a terminal that went away without SIGHUP (not our controlling one): reading from it would spin."""
        if terminal_is_gone(0) and self._hanging_up is None:
            self._hang_up()

    def _hang_up(self) -> None:
        """The terminal is gone: nothing can be restored, and writing to it could wait for ever."""

        async def close() -> None:
            with suppress(Exception):
                await asyncio.wait_for(self.lab.close(), 2)
            os._exit(128 + signal.SIGHUP)

        self._hanging_up = asyncio.create_task(close())

    def _handle_exception(self, error: Exception) -> None:
        """Textual's hook for what nobody caught: to the log, never over the terminal."""
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self._crash_log = log_crash(self.lab.paths.log_dir, error)
        self._close_messages_no_wait()

    def panic(self, *renderables: RenderableType) -> None:
        """Textual's way to end with a message, used by its input thread: to the log as well."""
        self._return_code = 1
        with self.console.capture() as capture:
            self.console.print(*renderables)
        self._crash_log = log_text(self.lab.paths.log_dir, capture.get())
        self._close_messages_no_wait()
