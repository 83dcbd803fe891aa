"""Where the time of a profiled session went: operators and nodes, a bar each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.onnx_latency_text import profile_title, share
from edgetui.widgets.bars import default_glyphs, meter
from edgetui.widgets.line_panel import Line, LinePanel, Span

if TYPE_CHECKING:
    from edgetui.core.onnx_latency import OnnxProfile, OperatorTime

_FIGURES = 26
"""Cells of calls, milliseconds and share."""
_LEAST_BAR, _MOST_BAR = 8, 40
_LONGEST_NAME = 60


class OperatorPanel(LinePanel):
    """`show` replaces the profile; None shows nothing."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._profile: OnnxProfile | None = None

    def show(self, profile: OnnxProfile | None) -> None:
        """Show this one."""
        self._profile = profile
        self.update_lines()

    def layout_lines(self, width: int) -> list[Line]:
        """A title, all operators by type, the dearest nodes, the trace."""
        profile = self._profile
        if profile is None:
            return []
        lines: list[Line] = [(Span(profile_title(profile), "label"),)]
        lines += self._block("By type", profile.by_type, profile, width)
        lines += self._block("Dearest nodes", profile.by_node, profile, width)
        lines += [(), (Span("Trace  ", "label"), Span(profile.trace))]
        lines.append((Span("Open it in Perfetto, or in Chrome's about:tracing.", "muted"),))
        return lines

    def _block(self, title: str, times: tuple[OperatorTime, ...], profile: OnnxProfile, width: int) -> list[Line]:
        glyphs = default_glyphs()
        names = [f"{each.kind} {each.name}" if each.kind else each.name for each in times]
        widest = min(max(map(len, names), default=0), _LONGEST_NAME, max(8, width - _FIGURES - _LEAST_BAR))
        cells = max(0, min(_MOST_BAR, width - widest - _FIGURES - 1))
        head = f"{title[:widest]:<{widest}} {'calls':>7} {'ms':>9} {'share':>6}"
        lines: list[Line] = [(), (Span(head, "muted"),)]
        for name, each in zip(names, times, strict=True):
            part = share(each, profile)
            bar, track = meter(part, cells, glyphs)
            figures = f" {each.count:>7} {each.total_us / 1e3:>9.3f} {100 * part:>5.1f}% "
            # The end of a node's name tells it from its neighbours.
            shown = name if len(name) <= widest else f"...{name[len(name) - widest + 3 :]}"
            lines.append((Span(shown.ljust(widest)), Span(figures), Span(bar, "bar"), Span(track, "track")))
        return lines
