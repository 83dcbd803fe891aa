"""The job that looks for the fastest settings: short tests, the better half again and longer, then an A/B.

Only what the A/B shows to be faster than the defaults is recommended and saved.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.bench_noise import noise_sentence
from edgetui.core.failures import EdgetuiError
from edgetui.core.profiles import Profile
from edgetui.core.run_settings import SamplingSettings
from edgetui.core.studies import AbSettings, BenchSide, Candidate, TuneResult
from edgetui.core.tuning import (
    DEFAULTS,
    better_half,
    candidates,
    fastest,
    nothing_else,
    profile_load,
    test_for,
)
from edgetui.engines import host
from edgetui.engines.reporting import Outcome
from edgetui.meters.recorder import EnergyRecorder
from edgetui.store.profiles import SavedProfiles
from edgetui.worker.measuring_process import MeasuringProcess
from edgetui.worker.runners.alternating import Alternation
from edgetui.worker.runners.kept_study import energy_use, keep_study

if TYPE_CHECKING:
    from edgetui.core.bench import BenchSettings, BenchTest
    from edgetui.core.studies import AbResult
    from edgetui.worker.requests import TuneRequest
    from edgetui.worker.runners import RunningJob

SEARCH_SHARE = 0.5
"""Of the budget; the A/B has the rest."""
FIRST_ROUND_SHARE = 0.3
"""Of the budget: candidates that the first round does not reach in this time are not tried."""
ENOUGH_CANDIDATES = 8
"""For a look at each setting by itself."""
UNTIL_PERCENT = 1.0
"""How narrow the A/B's interval gets where the budget allows it."""

WIDE = 1.05
"""A gain of so much that the A/B could not exclude is worth another look."""


def run(request: TuneRequest, job: RunningJob) -> Outcome:
    """Search, compare, and save a profile where something is shown to be faster."""
    result = _Tuning(request, job).run()
    keep_study(result, request.machine, job)
    return Outcome(summary=f"{request.side.model_name}: {result.sentence}")


class _Tuning:
    def __init__(self, request: TuneRequest, job: RunningJob) -> None:
        self._request = request
        self._settings = request.settings
        self._job = job
        self._toolchains = Path(job.folder.order().toolchains)
        self._test = test_for(request.settings.goal, request.settings.depth_tokens)
        self._began = time.perf_counter()
        self._process = MeasuringProcess(request.side.model_format, self._toolchains)
        self._meters = EnergyRecorder()
        self._rest_w: float | None = None
        self._spans: dict[tuple[str, BenchTest], list[tuple[float, float]]] = {}
        """Of each candidate's repetitions in a test."""
        self._is_accelerated = False
        self._first_round_s = 0.0
        """What a first round of some candidates would take, by the time that the defaults took."""

    def run(self) -> TuneResult:
        with self._meters.following():
            self._rest_w = self._meters.power_at_rest()
            return self._run()

    def _run(self) -> TuneResult:
        try:
            measured = self._search()
        finally:
            self._process.end()
        chosen = fastest(measured)
        start = measured[0]
        if start.problem and chosen is None:
            raise EdgetuiError("unsupported", f"Nothing could be measured, not even the defaults: {start.problem}")
        final = None
        if chosen is not None and chosen.label != DEFAULTS and not start.problem:
            final = self._compare(chosen)
        is_better = final is not None and final.ratio is not None and final.ratio.is_shown and final.ratio.ratio > 1
        best = chosen if is_better else None
        profile = self._save(best, final) if best is not None and self._request.profile_model else ""
        return TuneResult(
            side=self._request.side,
            goal=self._settings.goal,
            test=self._test,
            candidates=tuple(measured),
            best=best.settings if best is not None else None,
            best_label=best.label if best is not None else DEFAULTS,
            final=final,
            profile=profile,
            took_s=time.perf_counter() - self._began,
            sentence=self._sentence(measured, chosen, final, best, profile) + _noise_of(final),
            settings=self._settings,
        )

    def _search(self) -> list[Candidate]:
        """Every candidate with what was measured of it, the defaults first."""
        start = self._measure_defaults()
        every = candidates(
            self._settings.start,
            self._test,
            self._request.side.model_format,
            physical=host.default_threads(),
            logical=host.usable_threads(),
            has_accelerator=self._is_accelerated,
            allow_kv_types=self._settings.allow_kv_types,
        )
        self._first_round_s = (time.perf_counter() - self._began) * min(len(every), ENOUGH_CANDIDATES)
        measured = {DEFAULTS: start}
        for candidate in every[1:]:
            measured[candidate.label] = candidate if self._is_over(FIRST_ROUND_SHARE) else self._measure(candidate, 1)
        alive, repetitions = better_half(list(measured.values())), 2
        while len(alive) > 1 and not self._is_over(SEARCH_SHARE):
            for candidate in alive:
                if self._is_over(SEARCH_SHARE):
                    break
                measured[candidate.label] = self._measure(candidate, repetitions)
            # A round that the budget cut short leaves the order of those that it reached.
            furthest = max(each.rounds for each in measured.values())
            reached = [measured[each.label] for each in alive if measured[each.label].rounds == furthest]
            if len(reached) < len(alive):
                break
            alive, repetitions = better_half(reached), repetitions * 2
        return list(measured.values())

    def _measure_defaults(self) -> Candidate:
        """By the long test of a prefill where the budget has time for it, which takes a first look at the speed."""
        defaults = Candidate(label=DEFAULTS, settings=self._settings.start)
        short = self._measure(defaults, 1)
        long_test = test_for(self._settings.goal, self._settings.depth_tokens, is_long=True)
        if long_test == self._test or not short.samples_ns:
            return short
        # Each candidate computes the test twice: to warm up, and to be measured.
        each_s = 2 * short.samples_ns[0] / 1e9 * long_test.prompt_tokens / self._test.prompt_tokens
        if ENOUGH_CANDIDATES * each_s > FIRST_ROUND_SHARE * self._settings.budget_s:
            return short
        short_test, self._test = self._test, long_test
        found = self._measure(defaults, 1)
        if found.problem:
            # Such as a model whose context is shorter.
            self._test = short_test
            return short
        return found

    def _measure(self, candidate: Candidate, repetitions: int) -> Candidate:
        """The candidate after another round."""
        samples = list(candidate.samples_ns)
        spans = self._spans.setdefault((candidate.label, self._test), [])
        try:
            if not self._process.is_alive:
                self._process.end()
                self._process = MeasuringProcess(self._request.side.model_format, self._toolchains)
            side = msgspec.structs.replace(self._request.side, settings=candidate.settings)
            facts = self._process.open(side, self._test)
            self._is_accelerated = self._is_accelerated or str(facts["backend"]).upper() != "CPU"
            for _ in range(repetitions):
                samples.append(self._process.run())
                ended = self._meters.sample()
                spans.append((ended - samples[-1] / 1e9, ended))
                tps = self._test.computed_tokens * 1e9 / samples[-1]
                self._say(f"{candidate.label}: {tps:.2f} tok/s")
        except EdgetuiError as error:
            return msgspec.structs.replace(candidate, problem=str(error))
        tokens = self._test.computed_tokens * len(spans)
        return msgspec.structs.replace(
            candidate,
            samples_ns=tuple(samples),
            rounds=candidate.rounds + 1,
            energy=energy_use(self._meters, spans, tokens, self._rest_w, str(facts["backend"])),
        )

    def _compare(self, chosen: Candidate) -> AbResult:
        side = self._request.side
        left_s = max(1.0, self._settings.budget_s - (time.perf_counter() - self._began))
        settings = AbSettings(test=self._test, blocks=4, until_percent=UNTIL_PERCENT, budget_s=left_s)

        def named(settings: BenchSettings, label: str) -> BenchSide:
            return msgspec.structs.replace(side, settings=settings, label=label)

        alternation = Alternation(
            named(chosen.settings, chosen.label),
            named(self._settings.start, DEFAULTS),
            settings,
            self._toolchains,
            self._meters,
            self._rest_w,
        )
        return alternation.run(lambda _done, note: self._say(f"against the defaults: {note}"))

    def _save(self, best: Candidate, final: AbResult | None) -> str:
        """Save the settings as a profile of this model on this machine; gives its name."""
        settings, name = best.settings, f"fastest {self._settings.goal}"
        ratio = final.ratio if final is not None else None
        gain = f"{ratio.ratio:.3f}x the defaults ({ratio.low:.3f} to {ratio.high:.3f})" if ratio else ""
        now = time.time()
        load = profile_load(
            settings,
            self._settings.start,
            self._settings.goal,
            self._request.side.model_format,
            default_threads=host.default_threads(),
        )
        profile = Profile(
            name=name,
            load=load,
            sampling=SamplingSettings(),
            note=f"Found by autotune: {best.label}. {self._test.name}: {gain}.{_noise_of(final)}",
            model_name=self._request.side.model_name,
            saved_at=now,
        )
        SavedProfiles(self._job.database).put(self._request.profile_model, self._request.profile_machine, profile, now)
        return name

    def _sentence(
        self,
        measured: list[Candidate],
        chosen: Candidate | None,
        final: AbResult | None,
        best: Candidate | None,
        profile: str,
    ) -> str:
        tried = sum(1 for each in measured if each.samples_ns)
        goal = self._settings.goal
        ratio = final.ratio if final is not None else None
        interval = f"{ratio.ratio:.3f}x (95 % interval {ratio.low:.3f} to {ratio.high:.3f})" if ratio else ""
        if best is not None:
            saved = f"; saved as the profile {profile!r}" if profile else ""
            return f"{best.label} is the fastest of {tried} settings for {goal}: {interval} of the defaults{saved}."
        if measured[0].problem and chosen is not None:
            return (
                f"The defaults cannot be measured ({measured[0].problem}); of {tried} settings {chosen.label} is the"
                f" fastest for {goal}, with nothing to compare it with."
            )
        if tried < 2:
            return nothing_else(measured[1:], goal, self._settings.budget_s, self._first_round_s / FIRST_ROUND_SHARE)
        if final is None or chosen is None:
            return f"The defaults are best for {goal}: none of {tried - 1} other settings was faster."
        if ratio is not None and ratio.high > WIDE:
            return (
                f"Undecided for {goal}, so the defaults stay: {chosen.label} may be faster, {interval}; a longer budget"
                " or a quieter machine would narrow that."
            )
        return (
            f"The defaults are best for {goal}: {chosen.label} came closest and is not shown to be faster, {interval}."
        )

    def _is_over(self, share: float) -> bool:
        return time.perf_counter() - self._began >= share * self._settings.budget_s

    def _say(self, note: str) -> None:
        elapsed = min(self._settings.budget_s, time.perf_counter() - self._began)
        self._job.progress(elapsed, self._settings.budget_s, "s", note)


def _noise_of(final: AbResult | None) -> str:
    return noise_sentence(final.conditions) if final is not None else ""
