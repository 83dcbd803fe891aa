"""What keeps a screen from chasing sizes that the window no longer has, and its work from outliving its widgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from textual import events, messages
    from textual.screen import Screen


class Steady:
    """Stands before Textual's class among the bases of every screen.

    A layout sends the screen its own new size back. With two sizes on their way at once, as when a window is dragged,
    each is laid out, sends itself back, and the screen would change between them for ever.

    Textual takes a screen's widgets away one by one and cancels the screen's work only after the last: work that goes
    on in between finds no widget any more, and its error would end the app.
    """

    def on_resize(self, event: events.Resize) -> None:
        """Leave out a size that is not the window's any more."""
        if event.size != cast("Screen[object]", self).app.size:
            event.prevent_default()
            event.stop()

    async def on_prune(self, event: messages.Prune) -> None:
        """End the work while the widgets are still there."""
        screen = cast("Screen[object]", self)
        screen.workers.cancel_node(screen)
