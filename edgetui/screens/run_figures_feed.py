"""Turns the events of an answer, and looks at the machine, into what the panel of figures shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edgetui.core.kept_figures import figures_of
from edgetui.core.reading import Reading, known, unknown
from edgetui.core.run_figures import MachineNow, RunFigures
from edgetui.core.token_rate import RateHistory, TokenRate, decode_tps, prefill_tps
from edgetui.widgets.run_figures import CHART_SPANS

if TYPE_CHECKING:
    from edgetui.core.bandwidth import BandwidthLimit
    from edgetui.core.conversations import Answer
    from edgetui.core.models import ModelEntry
    from edgetui.services.chat import Chat
    from edgetui.services.lab import Lab
    from edgetui.widgets.run_figures import RunFiguresPanel
    from edgetui.worker.protocol import Finished, PrefillProgress, PromptReady, Tokens

LOOK_EVERY_S = 2.0
"""Between two looks at the machine: about a millisecond of a processor each."""
_RATE_EVERY_NS = 450_000_000
"""Between two updates of the decode rate while tokens stream, on the worker's clock."""
_COMPANY_EVERY = 3
"""Every which of those also brings the other figures: they change slowly, and each row costs bytes."""
_TOO_SHORT = unknown(f"the answer is too short for a meter that is read every {LOOK_EVERY_S:g} s")


class FiguresFeed:
    """Figures of one answer at a time; `state` says in a word or two what the model does."""

    def __init__(self, panel: RunFiguresPanel, lab: Lab, chat: Chat) -> None:
        self._panel = panel
        self._lab = lab
        self._chat = chat
        self._figures = RunFigures()
        self._kept: RunFigures | None = None
        """Those of an answer of another time, while they are shown instead."""
        self._rate = TokenRate()
        self._history = RateHistory(CHART_SPANS)
        self._rate_shown_ns = 0
        self._rates_shown = 0
        self._limit: Reading[BandwidthLimit] = unknown("no model is loaded")
        self._answering = False
        self._energy_from: tuple[float, int] | None = None
        """Joules and tokens at the first look of this answer."""
        chat.joules_per_token = lambda: self._figures.joules_per_token.value

    @property
    def figures(self) -> RunFigures:
        """As they stand."""
        return self._figures

    @property
    def state(self) -> str:
        """`ready`, `loading 40 %`, `prefill`, `decoding`, `stopping`, `not loaded`, `no model`."""
        return self._figures.state

    def set_state(self, state: str) -> None:
        """Say what the model does now."""
        if state in ("ready", "not loaded"):
            self._answering = False
        self._figures = self._figures._replace(state=state)
        self.show()

    def show(self) -> None:
        """Have the panel show everything as it stands."""
        if self._kept is not None:
            self._panel.update(self._kept._replace(state=self._figures.state))
            return
        loaded = self._chat.loaded
        self._panel.update(
            self._figures._replace(
                resident_bytes=self._lab.inference.resident_bytes(),
                kv_cache_bytes=loaded.kv_cache_bytes if loaded is not None else None,
            )
        )

    @property
    def has_answer(self) -> bool:
        """Whether there are figures of an answer that this session made, or makes."""
        figures = self._figures
        return not (figures.tokens is None and figures.prompt_tokens is None) or figures.state.startswith("prefill")

    def show_kept(self, answer: Answer, place: str) -> None:
        """Have the panel show what was kept with an answer of another time; `place` is such as `2 of 5`."""
        self._kept = figures_of(answer, place, self.state)
        self.show()

    def show_present(self) -> None:
        """Have the panel show the answer under way again, or the last one."""
        self._kept = None
        self.show()

    def reset(self) -> None:
        """Begin without figures of an answer; the machine's stay."""
        self._kept = None
        self._rate = TokenRate()
        self._history = RateHistory(CHART_SPANS)
        self._rate_shown_ns = self._rates_shown = 0
        self._energy_from = None
        loaded = self._chat.loaded
        self._figures = RunFigures(
            state=self._figures.state,
            context_tokens=loaded.context_tokens if loaded is not None else None,
            machine=self._figures.machine,
            joules_per_token=self._without_energy(self._figures.machine),
            bandwidth_share=unknown(self._limit.reason or "no answer was measured yet"),
        )

    async def find_limit(self, entry: ModelEntry) -> None:
        """Learn what bounds the decode of a model that was just loaded."""
        loaded = self._chat.loaded
        if loaded is None:
            return
        settings = msgspec.structs.replace(self._chat.load_settings, threads=loaded.threads)
        if loaded.backend not in ("CPU", "BLAS"):
            where = loaded.backend or "elsewhere"
            self._limit = unknown(f"it is computed on {where}, whose bandwidth no calibration measures")
        else:
            self._limit = await self._lab.speed.limit_of(entry, settings)
        self._figures = self._figures._replace(bandwidth_share=self._share(self._figures.mean_tps))
        self.show()

    # --- an answer ----------------------------------------------------------------------------------------

    def prompt_ready(self, event: PromptReady) -> None:
        """Prefill begins."""
        self._answering = True
        self._figures = self._figures._replace(reused_tokens=event.reused_tokens, prompt_tokens=event.prompt_tokens)
        self.show()

    def prefilled(self, event: PrefillProgress) -> None:
        """So much of the prompt is computed."""
        self._figures = self._figures._replace(prefill_tps=prefill_tps(event.done_tokens, event.elapsed_s))
        if event.done_tokens < event.total_tokens and self.state != "stopping":
            self.set_state(f"prefill {event.done_tokens}/{event.total_tokens}")

    def add(self, event: Tokens) -> None:
        """Take the times of tokens, whether they are shown or not."""
        self._rate.add(event.times_ns)
        self._history.add(event.times_ns)

    def show_tokens(self, event: Tokens) -> None:
        """Show the rate when it is time for that."""
        first = self._figures.ttft_s is None
        if not first and self._rate.last_ns - self._rate_shown_ns < _RATE_EVERY_NS:
            return
        self._rate_shown_ns = self._rate.last_ns
        self._rates_shown += 1
        if self.state.startswith("prefill"):
            self._figures = self._figures._replace(state="decoding")
        if first or self._rates_shown % _COMPANY_EVERY == 0:
            self._measure(event.context_used)
        else:
            self._figures = self._figures._replace(
                decode_tps=self._rate.recent_tps(), rates_tps=self._history.rates_tps
            )
        self.show()

    def finish(self, event: Finished) -> None:
        """The answer's own figures, as its worker measured them."""
        self._answering = False
        self._measure(event.context_used)
        mean = decode_tps(event.generated_tokens, event.decode_s)
        self._figures = self._figures._replace(
            mean_tps=mean,
            prefill_tps=prefill_tps(event.prefill_tokens, event.prefill_s),
            ttft_s=event.ttft_s,
            network_s=event.network_s,
            tokens=event.generated_tokens,
            context_tokens=event.context_tokens or None,
            bandwidth_share=self._share(mean),
            draft_tokens=event.draft_tokens,
            accepted_tokens=event.accepted_tokens,
        )
        self.show()

    def look(self, machine: MachineNow) -> None:
        """Take what was seen of the machine."""
        self._figures = self._figures._replace(machine=machine)
        tokens, joules = self._rate.token_count, machine.joules.value
        if joules is None:
            self._figures = self._figures._replace(joules_per_token=self._without_energy(machine))
        elif self._answering and tokens:
            if self._energy_from is None:
                self._energy_from = (joules, tokens)
            elif tokens > self._energy_from[1]:
                before, tokens_before = self._energy_from
                self._figures = self._figures._replace(
                    joules_per_token=known((joules - before) / (tokens - tokens_before))
                )
        self.show()

    # --- how ----------------------------------------------------------------------------------------------

    def _measure(self, context_used: int) -> None:
        """Figures from the tokens so far."""
        rate = self._rate
        loaded = self._chat.loaded
        self._figures = self._figures._replace(
            decode_tps=rate.recent_tps(),
            rates_tps=self._history.rates_tps,
            mean_tps=rate.mean_tps,
            itl_p50_s=rate.interval_s(50),
            itl_p95_s=rate.interval_s(95),
            itl_p99_s=rate.interval_s(99),
            ttft_s=rate.ttft_s,
            tokens=rate.token_count,
            context_used=context_used,
            context_tokens=(loaded.context_tokens if loaded is not None else 0) or None,
        )
        self._figures = self._figures._replace(bandwidth_share=self._share(rate.mean_tps))

    def _share(self, tps: float | None) -> Reading[float]:
        if self._limit.value is None:
            return unknown(self._limit.reason)
        if tps is None:
            return unknown("no answer was measured yet")
        return known(self._limit.value.share(tps, self._figures.context_used or 0))

    def _without_energy(self, machine: MachineNow) -> Reading[float]:
        return unknown(machine.joules.reason) if machine.joules.value is None else _TOO_SHORT
