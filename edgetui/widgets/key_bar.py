"""The line at the bottom: the keys that do something now. One widget without children, since it is always there."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.content import Content
from textual.widget import Widget

if TYPE_CHECKING:
    from textual import events
    from textual.screen import Screen


HELP_WHILE_TYPING = "f12"
"""Opens the help where `?` is a character that is typed."""


class KeyBar(Widget):
    """Shows every active binding with `show=True`, the screen's own first; what does not fit is in the help."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-bar--key"}

    def __init__(self) -> None:
        super().__init__()
        self._keys: list[tuple[str, str, str]] = []
        """Key, as shown, and description."""

    def on_mount(self) -> None:
        """Follow the screen's bindings."""
        self.screen.bindings_updated_signal.subscribe(self, self._update_keys)
        self._update_keys(self.screen)

    def _update_keys(self, screen: Screen[object]) -> None:
        if not self.is_attached:
            return
        keys: list[tuple[str, str, str]] = []
        seen: set[str] = set()
        for _, binding, enabled, _ in screen.active_bindings.values():
            if binding.show and enabled and binding.action not in seen:
                seen.add(binding.action)
                keys.append((binding.key, self.app.get_key_display(binding), binding.description))
        if "help" not in seen and (help_binding := screen.active_bindings.get(HELP_WHILE_TYPING)):
            # A text input swallows the question mark.
            keys.append((HELP_WHILE_TYPING, HELP_WHILE_TYPING, help_binding.binding.description))
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def render(self) -> Content:
        """As many keys as fit, the last one (help) always among them."""
        key_style = self.get_visual_style("key-bar--key")
        room = self.size.width
        shown = list(self._keys)
        while len(shown) > 1 and sum(len(key) + len(text) + 3 for _, key, text in shown) > room + 2:
            del shown[-2]
        parts: list[str | Content] = []
        for _, key, text in shown:
            parts += [Content.styled(key, key_style), f" {text}  "]
        return Content.assemble(*parts)

    def on_click(self, event: events.Click) -> None:
        """A click on a key's text presses it."""
        column = 0
        for key, shown, text in self._keys:
            column += len(shown) + len(text) + 3
            if event.x < column:
                self.app.simulate_key(key)
                break
