"""What every screen of the app has in common: the lines at top and bottom, failures, going back."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding
from textual.screen import Screen

from edgetui.core.failures import EdgetuiError
from edgetui.screens.modes import LAB_MODES
from edgetui.screens.steady import Steady
from edgetui.widgets.failure_bar import FailureBar
from edgetui.widgets.key_bar import KeyBar
from edgetui.widgets.nav_bar import NavBar, NavItem

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.app import EdgetuiApp
    from edgetui.core.failures import Failure
    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab


class LabScreen(Steady, Screen[None]):
    """Base of the modes' screens: subclasses set `MODE` and `HELP` and implement `compose_body`.

    Keep CSS in `DEFAULT_CSS` of the screen or widget that needs it: it is then only read when first shown.
    """

    MODE: ClassVar[str]
    """Name of the mode in `modes.LAB_MODES`."""
    HELP: ClassVar[str | None] = None
    """A sentence or two for the help screen, plain text."""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "Back", show=False, id="back")]

    @property
    def lab(self) -> Lab:
        """The services."""
        return self.lab_app.lab

    @property
    def lab_app(self) -> EdgetuiApp:
        """The app, as what it is."""
        return cast("EdgetuiApp", self.app)

    @property
    def has_widgets(self) -> bool:
        """False before the screen is composed and once it goes away: work that ends then has nothing to show."""
        return bool(self.query(KeyBar))

    def compose(self) -> ComposeResult:
        """Nav bar, the screen's own body, failure bar, key bar."""
        yield NavBar([NavItem(mode.name, mode.key, mode.title, mode.short) for mode in LAB_MODES], self.MODE)
        yield from self.compose_body()
        yield FailureBar()
        yield KeyBar()

    def compose_body(self) -> ComposeResult:
        """What a subclass shows between the bars."""
        yield from ()

    def on_mount(self) -> None:
        """Show the job count as the app learns of it."""
        self.watch(self.app, "running_jobs", self._show_running_jobs)

    async def open_model(self, entry: ModelEntry) -> None:
        """Take up a model chosen on another screen; called once the screen is mounted.

        Return soon: long work such as a load belongs in a Textual worker.
        """

    def show_failure(self, error: EdgetuiError | Failure) -> None:
        """Show one sentence until it is dismissed or replaced."""
        failure = error.failure if isinstance(error, EdgetuiError) else error
        # Work that fails while the app ends finds no bar any more.
        for bar in self.query(FailureBar):
            bar.show(failure)

    def clear_failure(self, only: Failure | None = None) -> bool:
        """Dismiss the sentence, or only that of `only`; says whether there was one."""
        return any([bar.hide() for bar in self.query(FailureBar) if only is None or bar.failure == only])

    def action_back(self) -> None:
        """Dismiss a failure, else go to the mode shown before."""
        if not self.clear_failure():
            self.lab_app.go_back()

    def on_nav_bar_chosen(self, message: NavBar.Chosen) -> None:
        """A mode was clicked."""
        self.lab_app.open_mode(message.name)

    def _show_running_jobs(self, count: int) -> None:
        for bar in self.query(NavBar):
            bar.running_jobs = count
