"""Turns what happens in the columns of a comparison into what they show."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING

from edgetui.core.frame_rate import frames_per_second, usable_processors
from edgetui.core.side_by_side import ComparedAnswer, ComparisonRecord
from edgetui.core.token_rate import TokenRate, prefill_tps
from edgetui.services.compared_column import ColumnLoading
from edgetui.services.side_by_side import Remark
from edgetui.widgets.compare_column import ColumnFigures
from edgetui.worker.protocol import Finished, Loaded, PrefillProgress, PromptReady, Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetui.app import EdgetuiApp
    from edgetui.services.side_by_side import SideBySide
    from edgetui.widgets.compare_column import CompareColumn

_RATE_EVERY_NS = 450_000_000
"""Between two updates of a column's figures while tokens stream, on the worker's clock."""
_MOST_BACKLOG = 2
"""Writes still on their way to the terminal at which a frame is left out."""
_STATES = {
    "end": "done",
    "stopped": "stopped",
    "max_tokens": "at the limit of tokens",
    "context_full": "context full",
    "stop_text": "at a stop text",
}


class _Stream:
    """What a column has heard and not shown yet."""

    def __init__(self) -> None:
        self.rate = TokenRate()
        self.text = ""
        self.tokens = 0
        self.percent = -1
        self.shown_ns = 0
        self.has_ended = False


class ColumnsFeed:
    """Asks the service and shows the answers; knows the last comparison."""

    def __init__(self, app: EdgetuiApp, service: SideBySide) -> None:
        self._app = app
        self._service = service
        self._columns: Sequence[CompareColumn] = ()
        self._streams: list[_Stream] = []
        self._painted_at = 0.0
        self.record: ComparisonRecord | None = None
        """The last prompt that all columns are done with."""
        self.preferred: int | None = None
        """Which of its answers the person liked best."""

    def show(self, columns: Sequence[CompareColumn]) -> None:
        """Show these from now on, each with the conversation that it has."""
        self._columns = columns
        self.record = self.preferred = None
        for widget, column in zip(columns, self._service.columns, strict=True):
            widget.transcript.clear_blocks()
            widget.transcript.set_hint("Write below and press enter: every column answers.")
            for message in column.messages:
                widget.transcript.add_block("user" if message.role == "user" else "answer", message.content)
            if column.messages:
                widget.transcript.finish_block()
            widget.panel.show(ColumnFigures())

    def clear(self) -> None:
        """Begin anew."""
        self.show(self._columns)

    async def prefer(self, index: int) -> None:
        """Note which answer is best, or that none is; raises `EdgetuiError`."""
        if self.record is not None:
            chosen = None if self.preferred == index else index
            await self._service.prefer(self.record.record_id, chosen)
            self.preferred = chosen

    async def ask(self, text: str, say: Callable[[str], None], on_change: Callable[[], None]) -> None:
        """Let all columns answer; `say` is told what holds for all. Raises `EdgetuiError`."""
        self.record = self.preferred = None
        self._streams = [_Stream() for _ in self._columns]
        asked = False
        interval_s = self._interval_s()
        async with aclosing(self._service.ask(text, interval_s)) as events:
            async for index, event in events:
                if isinstance(event, Remark):
                    say(event.text)
                    continue
                if isinstance(event, ComparisonRecord):
                    self.record = event
                    continue
                if not asked:
                    asked = True
                    self._begin(text)
                    on_change()
                if index is not None:
                    self._take(index, event, interval_s)

    def _begin(self, text: str) -> None:
        for widget in self._columns:
            widget.transcript.add_block("user", text)
            widget.transcript.add_block("answer")
            widget.panel.show(ColumnFigures(state="waiting", is_shared=self._service.together))

    def _interval_s(self) -> float:
        """Time between two repaints, as the threads that will decode allow."""
        processors = usable_processors()
        threads = [
            column.last_loaded.threads if column.last_loaded is not None else column.load.threads or processors
            for column in self._service.columns
        ]
        busy = sum(threads) if self._service.together else max(threads)
        return 1 / frames_per_second(self._app.lab.settings.frames_per_second, busy, processors)

    def _take(self, index: int, event: object, interval_s: float) -> None:
        stream, panel = self._streams[index], self._columns[index].panel
        if isinstance(event, Tokens):
            stream.rate.add(event.times_ns)
            stream.text += event.text
            stream.tokens += len(event.times_ns)
            self._paint(index, interval_s)
        elif isinstance(event, ColumnLoading):
            # Every percent would be a repaint.
            percent = int(event.fraction * 20) * 5
            if percent != stream.percent:
                stream.percent = percent
                panel.show(panel.figures._replace(state=f"loading {percent} %"))
        elif isinstance(event, Loaded):
            panel.show(panel.figures._replace(state="loaded", load_s=self._service.columns[index].load_s))
        elif isinstance(event, PromptReady):
            panel.show(panel.figures._replace(state="prefill"))
        elif isinstance(event, PrefillProgress) and event.done_tokens < event.total_tokens:
            rate = prefill_tps(event.done_tokens, event.elapsed_s)
            state = f"prefill {event.done_tokens}/{event.total_tokens}"
            panel.show(panel.figures._replace(state=state, prefill_tps=rate))
        elif isinstance(event, Finished):
            self._show_text(index)
        elif isinstance(event, ComparedAnswer):
            self._end(index, event)

    def _paint(self, index: int, interval_s: float) -> None:
        """Columns that stream together are painted together: a frame each would be as many frames as columns."""
        now = time.monotonic()
        first = self._columns[index].panel.figures.ttft_s is None
        # A little less than the interval: events come at that interval, and jitter must not cost a frame.
        due = now - self._painted_at >= interval_s * 0.8
        if self._app.terminal_backlog > _MOST_BACKLOG or not (first or due):
            return
        self._painted_at = now
        for place in range(len(self._columns)):
            self._show_text(place)
            stream = self._streams[place]
            late = stream.rate.token_count and stream.rate.last_ns - stream.shown_ns >= _RATE_EVERY_NS
            # One that has ended shows the figures of its end, also when its last tokens never made a frame.
            if not stream.has_ended and (late or (place == index and first)):
                stream.shown_ns = stream.rate.last_ns
                self._show_rate(place)

    def _show_rate(self, index: int) -> None:
        panel, rate = self._columns[index].panel, self._streams[index].rate
        panel.show(
            panel.figures._replace(
                state="decoding",
                decode_tps=rate.recent_tps(),
                ttft_s=rate.ttft_s,
                itl_p50_s=rate.interval_s(50),
                itl_p99_s=rate.interval_s(99),
                tokens=rate.token_count,
                memory_bytes=self._service.columns[index].resident_bytes or None,
            )
        )

    def _show_text(self, index: int) -> None:
        stream = self._streams[index]
        if stream.text:
            self._columns[index].transcript.append(stream.text, stream.tokens)
            stream.text, stream.tokens = "", 0

    def _end(self, index: int, answer: ComparedAnswer) -> None:
        widget = self._columns[index]
        self._streams[index].has_ended = True
        self._show_text(index)
        widget.transcript.finish_block()
        if answer.failure:
            widget.transcript.add_block("note", answer.failure)
        figures = answer.figures
        if figures is None:
            widget.panel.show(widget.panel.figures._replace(state="failed" if answer.failure else ""))
            return
        widget.panel.show(
            ColumnFigures(
                state=_STATES.get(figures.reason, figures.reason),
                decode_tps=figures.decode_tps,
                ttft_s=figures.ttft_s,
                prefill_tps=figures.prefill_tps,
                itl_p50_s=figures.itl_p50_s,
                itl_p99_s=figures.itl_p99_s,
                tokens=figures.generated_tokens,
                memory_bytes=figures.memory_bytes,
                load_s=answer.load_s,
                joules_per_token=figures.joules_per_token,
                is_shared=self._service.together,
            )
        )
