"""Two sides measured alternately in blocks of A B B A, each in a process of its own."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.statistics import bootstrap_ratio
from edgetui.core.studies import AbResult, ab_sentence, mean_rate
from edgetui.engines import host
from edgetui.meters.conditions import MachineWatch
from edgetui.worker.runners.held_sides import Facts, HeldSides
from edgetui.worker.runners.kept_study import energy_use

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.core.statistics import Ratio
    from edgetui.core.studies import AbSettings, BenchSide, EnergyUse
    from edgetui.meters.recorder import EnergyRecorder

_BLOCK = (0, 1, 1, 0)
_MOST_BLOCKS = 500
_LEAST_BLOCKS = 2
LEAST_FOR_AN_INTERVAL = 8
"""Blocks before a narrow interval ends a comparison: of fewer it is often narrow by chance, and equal sides that were
left at such a moment (from 3 blocks on) were told apart in up to 12 of 100 simulated comparisons, where 5 are promised.
"""


class Alternation:
    """A comparison as it goes on."""

    def __init__(
        self,
        a: BenchSide,
        b: BenchSide,
        settings: AbSettings,
        toolchains: Path,
        meters: EnergyRecorder,
        rest_w: float | None = None,
    ) -> None:
        """`meters` are followed by the caller while it runs; `rest_w` is what they told before there was work."""
        self._sides = (a, b)
        self._settings = settings
        self._meters = meters
        self._rest_w = rest_w
        self._spans: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
        self._held = HeldSides(toolchains)
        self.facts: dict[int, Facts] = {}
        """Of both sides, once each was loaded."""
        self.samples: tuple[list[int], list[int]] = ([], [])

    def run(self, say: Callable[[int, str], None]) -> AbResult:
        """Measure until the settings are satisfied; `say` hears of the blocks done and what is done now.

        Raises `EdgetuiError` as loads and runs do.
        """
        a, b = self._sides
        with ExitStack() as stack:
            stack.callback(self._held.end)
            say(0, "loading both sides and warming up")
            self._ready(0)
            self._ready(1)
            watch = MachineWatch(lambda: host.cpu_seconds_of_others(self._held.pids))
            watch.begin()
            began = time.perf_counter()
            done = 0
            while not self._is_enough(done, time.perf_counter() - began):
                for side in _BLOCK:
                    self._ready(side)
                    took_ns = self._held.run(side)
                    ended = self._meters.sample()
                    self._spans[side].append((ended - took_ns / 1e9, ended))
                    self.samples[side].append(took_ns)
                    watch.look()
                done += 1
                say(done, self._note())
            conditions = watch.conditions()
        ratio = self.ratio()
        return AbResult(
            a=a,
            b=b,
            test=self._settings.test,
            a_ns=tuple(self.samples[0]),
            b_ns=tuple(self.samples[1]),
            ratio=ratio,
            seed=self._settings.seed,
            reloaded=self._held.reloads,
            conditions=conditions,
            sentence=ab_sentence(a.label, b.label, ratio, done, self._settings.seed, conditions),
            a_energy=self._energy(0),
            b_energy=self._energy(1),
            settings=self._settings,
        )

    def ratio(self) -> Ratio | None:
        """Rate of A over that of B by blocks so far; None for fewer than two."""
        rates = [
            [2e9 / (first + second) for first, second in zip(each[::2], each[1::2], strict=False)]
            for each in self.samples
        ]
        return bootstrap_ratio(rates[0], rates[1], self._settings.seed)

    def _energy(self, side: int) -> EnergyUse:
        spans = self._spans[side]
        tokens = self._settings.test.computed_tokens * len(spans)
        return energy_use(self._meters, spans, tokens, self._rest_w, str(self.facts[side]["backend"]))

    def _ready(self, side: int) -> None:
        self.facts[side] = self._held.ready(side, self._sides[side], self._settings.test)

    def _is_enough(self, done: int, elapsed_s: float) -> bool:
        settings = self._settings
        if settings.budget_s and done >= _LEAST_BLOCKS and elapsed_s >= settings.budget_s:
            return True
        if done < settings.blocks:
            return False
        if not settings.until_percent or done >= _MOST_BLOCKS:
            return True
        ratio = self.ratio()
        return (
            done >= LEAST_FOR_AN_INTERVAL
            and ratio is not None
            and max(ratio.high / ratio.ratio, ratio.ratio / ratio.low) - 1 <= settings.until_percent / 100
        )

    def _note(self) -> str:
        told = [
            f"{side.label} mean {mean_rate(self._settings.test, samples):.2f} tok/s"
            for side, samples in zip(self._sides, self.samples, strict=True)
        ]
        ratio = self.ratio()
        interval = f", ratio {ratio.ratio:.3f} ({ratio.low:.3f} to {ratio.high:.3f})" if ratio else ""
        return ", ".join(told) + interval
