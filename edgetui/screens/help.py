"""Help for where the person is, made from the bindings that are active there."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from edgetui.screens.steady import Steady

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.screen import Screen


class HelpScreen(Steady, ModalScreen[None]):
    """The keys of a screen, of the widget that has the focus, and of the whole app."""

    DEFAULT_CSS = """
    HelpScreen #help { max-height: 100%; }
    HelpScreen Static { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss(None)", "Close", key_display="esc"),
    ]

    def __init__(self, screen: Screen[object]) -> None:
        super().__init__()
        self._text = _describe(screen)

    def compose(self) -> ComposeResult:
        """One scrolling text."""
        with VerticalScroll(id="help", classes="dialog"):
            yield Static(self._text)


def _describe(screen: Screen[object]) -> Content:
    sections: dict[str, dict[tuple[str, str], list[str]]] = {"Here": {}, "In this field or list": {}, "Everywhere": {}}
    for node, binding, enabled, _ in screen.active_bindings.values():
        if not binding.description or not enabled or binding.system:
            continue
        section = "Here" if node is screen else "Everywhere" if node is screen.app else "In this field or list"
        keys = sections[section].setdefault((binding.action, binding.description), [])
        keys.append(screen.app.get_key_display(binding))
    parts: list[str | Content] = []
    purpose = getattr(screen, "HELP", None)
    if purpose:
        parts += [purpose, "\n"]
    for title, rows in sections.items():
        if rows:
            parts += ["\n" if parts else "", Content.styled(f"{title}\n", "bold")]
            parts += [f"  {'  '.join(keys):<18} {description}\n" for (_, description), keys in rows.items()]
    return Content.assemble(*parts).rstrip()
