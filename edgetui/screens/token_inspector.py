"""The token inspector: an answer token by token, and what each could have been."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.core.inspection_text import summary
from edgetui.core.plain_text import plain_line
from edgetui.screens.steady import Steady
from edgetui.widgets.key_bar import KeyBar
from edgetui.widgets.token_flow import TokenFlow
from edgetui.widgets.token_panel import TokenPanel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.inspection import InspectedToken
    from edgetui.screens.base import LabScreen


class TokenInspector(Steady, ModalScreen[None]):
    """Pushed over Run with the tokens of the last answer, at least one."""

    HELP = (
        "Each token of the answer with the probability that the model gave it, before temperature and other samplers."
        " Underlined ones were less likely than all others together, bold ones below 10 %. Perplexity is that of the"
        " answer under the model itself: what it had to choose among, on average."
    )
    DEFAULT_CSS = """
    TokenInspector { background: $background; layout: vertical; }
    TokenInspector #all { width: 100%; height: 100%; }
    TokenInspector #summary { height: auto; max-height: 3; padding: 0 1; border-bottom: solid $primary; }
    TokenInspector #both { height: 1fr; }
    TokenInspector TokenFlow { padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close", id="tokens.close"),
        Binding("o,s", "export", "Export", key_display="o", id="tokens.export"),
        Binding("question_mark", "app.help", "Help", key_display="?"),
    ]
    AUTO_FOCUS = "TokenFlow"

    def __init__(self, model: str, tokens: Sequence[InspectedToken]) -> None:
        super().__init__()
        self._model = model
        self._tokens = tokens
        self._panel = TokenPanel()

    def compose(self) -> ComposeResult:
        """Summary, tokens and panel, keys."""
        with Vertical(id="all"):
            yield Static(Content(f"{plain_line(self._model)}   {summary(self._tokens)}"), id="summary", markup=False)
            with Horizontal(id="both"):
                yield TokenFlow(self._tokens)
                yield self._panel
            yield KeyBar()

    def on_mount(self) -> None:
        """Begin with the first token."""
        self._panel.show(self._tokens[0], 1, len(self._tokens))

    def on_token_flow_marked(self, message: TokenFlow.Marked) -> None:
        """Another token."""
        self._panel.show(self._tokens[message.index], message.index + 1, len(self._tokens))

    @work(exclusive=True, group="dialog")
    async def action_export(self) -> None:
        """Write all tokens to a file; the ending says how."""
        from edgetui.screens.name_file import NameFileDialog
        from edgetui.services.inspection_export import export_inspection

        async def write(name: str) -> Path:
            return await asyncio.to_thread(export_inspection, Path(name), self._tokens, self._model)

        title = "Export as .json or .csv: enter writes it, esc closes"
        path = await self.app.push_screen_wait(NameFileDialog(str(Path.cwd() / "tokens.json"), write, title))
        if path is not None:
            self.notify(f"Written: {path}", markup=False)


async def inspect_last_answer(screen: LabScreen) -> None:
    """Ask the loaded engine about its last answer and open the inspector; what stands in the way is said on `screen`.

    Costs a prefill of the answer, so nothing else may be under way.
    """
    inference = screen.lab.inference
    entry, loaded = inference.entry, inference.loaded
    if entry is None or loaded is None:
        screen.show_failure(Failure("bad_request", "No model is in memory: ask something first, then look inside."))
        return
    if "inspect" not in loaded.abilities:
        screen.show_failure(
            Failure("unsupported", f"{loaded.engine} does not tell what else a token could have been with this model.")
        )
        return
    try:
        found = await inference.inspect()
    except EdgetuiError as error:
        screen.show_failure(error)
        return
    if found.tokens:
        await screen.app.push_screen_wait(TokenInspector(entry.name, found.tokens))
    else:
        screen.show_failure(Failure("bad_request", "The last answer has no tokens: ask something first."))
