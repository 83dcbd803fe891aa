"""One job in full: what it is, how far, what it does just now or how it ended, and the end of its log."""

from __future__ import annotations

import textwrap
import time
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.message import Message

from edgetui.core.job_text import STATE_SIGNS, STATE_WORDS, job_title, progress_line
from edgetui.core.units import format_duration
from edgetui.widgets.bars import default_glyphs, meter
from edgetui.widgets.line_panel import Line, LinePanel, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.binding import BindingType

    from edgetui.core.jobs import JobKind, JobRecord, JobState

_TONES: dict[JobState, str] = {
    "running": "label",
    "succeeded": "good",
    "failed": "error",
    "cancelled": "warn",
    "interrupted": "warn",
    "paused": "warn",
}
_BAR_CELLS = 20
SHOWN_IN: dict[JobKind, str] = {"bench": "Bench", "sweep": "Frontier"}
"""Where the result of a kind that makes no model is shown."""


class JobPanel(LinePanel):
    """Shows a record and log lines handed to it; enter asks for what the job made."""

    class ResultAsked(Message):
        """The person wants to go on with what the job made: run the model, or see the measurement."""

    DEFAULT_CSS = """
    JobPanel { height: 1fr; padding: 0 1; }
    JobPanel:focus { background: $boost; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "open_result", "Open")]
    can_focus = True

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.record: JobRecord | None = None
        """The job shown."""
        self.log_lines: tuple[str, ...] = ()
        """The end of its log."""

    def show(self, record: JobRecord | None, log: Sequence[str] = ()) -> None:
        """Show a job as it is now."""
        self.record = record
        self.log_lines = tuple(log)
        self.update_lines()
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what is finished can be opened."""
        return self.has_result if action == "open_result" else True

    @property
    def has_result(self) -> bool:
        """Whether the job shown has done its work."""
        return self.record is not None and self.record.state == "succeeded"

    @property
    def made_a_model(self) -> bool:
        """Whether the job shown has made a model."""
        return self.has_result and self.record is not None and self.record.makes_a_model

    def action_open_result(self) -> None:
        """Enter."""
        self.post_message(self.ResultAsked())

    def on_resize(self, event: events.Resize) -> None:
        """The log takes the rows that are left."""
        super().on_resize(event)
        self.update_lines()

    def layout_lines(self, width: int) -> list[Line]:
        """State, progress or ending, then the log."""
        record = self.record
        if record is None:
            return []
        now = time.time()
        state = f"{STATE_SIGNS[record.state]} {STATE_WORDS[record.state]}"
        lines: list[Line] = [(Span(state, _TONES[record.state]), Span(f"  {job_title(record)}"))]
        if record.is_running:
            lines += self._progress(record, now)
        else:
            lines += self._ending(record, now, width)
        room = self.size.height - len(lines) - 1
        if room > 0 and self.log_lines:
            lines.append((Span("log", "label"),))
            # llama.cpp pads its columns to more than a narrow terminal has.
            lines += [(Span(" ".join(line.split())[:width], "muted"),) for line in self.log_lines[-room:]]
        return lines

    def _progress(self, record: JobRecord, now: float) -> list[Line]:
        glyphs = default_glyphs()
        filled, track = meter(record.fraction, _BAR_CELLS, glyphs)
        lines: list[Line] = [(Span(filled, "bar"), Span(track, "track"), Span(f" {progress_line(record, now)}"))]
        lines.append((Span(record.note),))
        return lines

    def _ending(self, record: JobRecord, now: float, width: int) -> list[Line]:
        lines: list[Line] = [(Span(text),) for text in textwrap.wrap(record.summary, max(10, width))]
        if self.made_a_model:
            lines.append(
                (Span("enter", "label"), Span(f" {_next_step(record)}   "), Span("b", "label"), Span(" benches it"))
            )
        elif self.has_result and record.kind in SHOWN_IN:
            lines.append((Span("enter", "label"), Span(f" shows it in {SHOWN_IN[record.kind]}")))
        elif not self.has_result:
            lines.append(
                (Span("r", "label"), Span(f" starts it again   it ran {format_duration(record.duration_s(now))}"))
            )
        return lines


def _next_step(record: JobRecord) -> str:
    """What enter does with a model that was made."""
    if record.kind in ("onnx", "olive", "mlx"):
        return "measures its quality"
    if record.kind == "convert" and not (record.output or "").endswith(".gguf"):
        return "goes on with it in another toolchain"
    return "runs it"
