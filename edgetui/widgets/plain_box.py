"""Widgets whose size is their whole story."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widget import Widget

if TYPE_CHECKING:
    from textual.geometry import Size


class Unscrolled(Widget):
    """A base of widgets that cannot be scrolled.

    Textual takes a new size for a new extent of what can be scrolled, and lays the whole screen out once more for it,
    which changes nothing but paints everything a second time.
    """

    def _size_updated(self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True) -> bool:
        return super()._size_updated(size, virtual_size, container_size, layout=False)


class Row(Unscrolled):
    """Widgets beside each other."""

    DEFAULT_CSS = "Row { width: 1fr; height: 1fr; layout: horizontal; overflow: hidden hidden; }"
