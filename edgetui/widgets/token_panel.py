"""One token of an answer: how likely it was, and what else it could have been."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from textual.content import Content
from textual.widgets import Static

from edgetui.core.inspection_text import mark_of, percent, token_text
from edgetui.widgets.bars import default_glyphs, meter

if TYPE_CHECKING:
    from textual import events

    from edgetui.core.inspection import InspectedToken

_SHARE_CELLS = 8
_FEWEST_BAR_CELLS = 4


class TokenPanel(Static):
    """Figures of the marked token, then its alternatives as bars with numbers."""

    DEFAULT_CSS = """
    TokenPanel { width: 40; height: 1fr; padding: 0 1; border-left: solid $primary; }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)
        self._shown: tuple[InspectedToken, int, int] | None = None
        self.text = ""
        """What it says, without style."""

    def show(self, token: InspectedToken, number: int, count: int) -> None:
        """Show a token, the `number`th of `count`."""
        self._shown = (token, number, count)
        self._draw()

    def on_resize(self, _event: events.Resize) -> None:
        """Bars as long as there is room."""
        self._draw()

    def _draw(self) -> None:
        if self._shown is None:
            return
        token, number, count = self._shown
        width = max(20, self.size.width)
        entropy = "-" if token.entropy_bits is None else f"{token.entropy_bits:.2f} bit"
        sign = mark_of(token.probability)
        lines: list[tuple[str, str]] = [
            (f"Token {number:,} of {count:,}", ""),
            (set_cell_size(token_text(token.text), width).rstrip(), "bold"),
            (f"PROBABILITY  {percent(token.probability)} {sign}".rstrip(), ""),
            (f"LOG          {token.log_probability:.3f}", ""),
            (f"RANK         {token.rank_text}", ""),
            (f"ENTROPY      {entropy}", ""),
            ("", ""),
        ]
        covered = sum(each.probability for each in token.alternatives)
        lines.append((f"LIKELIEST {len(token.alternatives)}, together {percent(min(1.0, covered))}", ""))
        glyphs = default_glyphs()
        for place, each in enumerate(token.alternatives):
            chosen = place == token.chosen_alternative
            words = token_text(each.text)
            bar_cells = max(_FEWEST_BAR_CELLS, min(14, width - 2 - _SHARE_CELLS - 2 - min(cell_len(words), 14)))
            bar, _ = meter(each.probability, bar_cells, glyphs)
            room = max(3, width - 2 - _SHARE_CELLS - bar_cells - 2)
            text = f"{'>' if chosen else ' '} {percent(each.probability):>{_SHARE_CELLS - 1}} {bar:<{bar_cells}} "
            shown = words if cell_len(words) <= room else set_cell_size(words, room - 1) + "…"
            lines.append((text + shown, "bold" if chosen else ""))
        if token.chosen_alternative is None:
            lines.append((f"> {percent(token.probability):>{_SHARE_CELLS - 1}} it was none of these", "bold"))
        self.text = "\n".join(text for text, _ in lines)
        parts = [Content.styled(text, style) if style else Content(text) for text, style in lines]
        self.update(Content("\n").join(parts))
