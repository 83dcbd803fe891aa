"""What keeps a screen from chasing sizes that the window no longer has."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from textual import events
    from textual.screen import Screen


class SteadySize:
    """Stands before Textual's class among the bases of every screen.

    A layout sends the screen its own new size back. With two sizes on their way at once, as when a window is dragged,
    each is laid out, sends itself back, and the screen would change between them for ever.
    """

    def on_resize(self, event: events.Resize) -> None:
        """Leave out a size that is not the window's any more."""
        if event.size != cast("Screen[object]", self).app.size:
            event.prevent_default()
            event.stop()
