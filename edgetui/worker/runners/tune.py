"""The job that looks for the fastest settings: short tests, the better half again and longer, then finals as A/B.

Each candidate is measured beside the defaults in every round, so that a quiet moment of the machine favours none. Only
what a final shows to be faster than the defaults, with no other programs beside it, is recommended and saved.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.bench_noise import noise_sentence
from edgetui.core.failures import EdgetuiError
from edgetui.core.profiles import Profile
from edgetui.core.statistics import median
from edgetui.core.studies import AbSettings, BenchSide, Candidate, TuneResult
from edgetui.core.tune_verdict import recommended, telling, verdict, winner
from edgetui.core.tuning import (
    DEFAULTS,
    LEAST_FINALISTS,
    better_half,
    candidates,
    finalists,
    nothing_else,
    profile_load,
    profile_load_fields,
    ranked,
    test_for,
)
from edgetui.engines import host, huge_pages
from edgetui.engines.reporting import Outcome
from edgetui.meters.recorder import EnergyRecorder
from edgetui.store.profiles import SavedProfiles
from edgetui.worker.runners.alternating import Alternation
from edgetui.worker.runners.held_sides import HeldSides
from edgetui.worker.runners.kept_study import energy_use, keep_study

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.bench import BenchSettings, BenchTest
    from edgetui.core.studies import AbResult
    from edgetui.worker.requests import TuneRequest
    from edgetui.worker.runners import RunningJob

SEARCH_SHARE = 0.5
"""Of the budget; the finals have the rest."""
FIRST_ROUND_SHARE = 0.3
"""Of the budget: candidates that the first round does not reach in this time are not tried, but for the likeliest two,
which have until `SEARCH_SHARE`."""
ENOUGH_CANDIDATES = 8
"""For a look at each setting by itself."""
UNTIL_PERCENT = 1.0
"""How narrow a final's interval gets where the budget allows it."""
BESIDE_COST = 1.5
"""Times what the defaults took by themselves (loaded, warmed up, measured): a candidate with the defaults beside it."""
_DEFAULTS, _OTHER = 0, 1


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
        self._sides = HeldSides(self._toolchains)
        self._meters = EnergyRecorder()
        self._rest_w: float | None = None
        self._spans: dict[tuple[str, BenchTest], list[tuple[float, float]]] = {}
        """Of each candidate's repetitions in a test."""
        self._backend: dict[str, str] = {}
        """Of each candidate by its label."""
        self._start = Candidate(label=DEFAULTS, settings=request.settings.start)
        """The defaults with all that was measured of them in the search."""
        self._alive: frozenset[str] = frozenset()
        """Labels of the candidates that the search left."""
        self._came_to: dict[str, bool] = {}
        """What the defaults leave to the machine, as it was settled."""
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
            self._sides.end()
        start = measured[0]
        if start.problem and not ranked(measured):
            raise EdgetuiError("unsupported", f"Nothing could be measured, not even the defaults: {start.problem}")
        finals = [] if start.problem else self._finals(measured)
        final, won = telling(finals), recommended(finals)
        best = next((each for each in measured if won is not None and each.label == won.a.label), None)
        profile, saved = "", ""
        if best is not None and self._request.profile_model:
            try:
                profile = self._save(best, won)
                saved = f"; saved as the profile {profile!r}"
            except EdgetuiError as error:
                # What was measured for minutes is worth keeping without its profile.
                saved = f"; not saved as a profile ({error})"
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
            sentence=self._sentence(measured, finals, saved),
            settings=self._settings,
            finals=tuple(finals),
        )

    def _search(self) -> list[Candidate]:
        """Every candidate with what was measured of it, the defaults first."""
        self._start = self._measure_defaults()
        every = candidates(
            msgspec.structs.replace(self._settings.start, **self._came_to),
            self._test,
            self._request.side.model_format,
            physical=host.default_threads(),
            logical=host.usable_threads(),
            has_accelerator=self._is_accelerated,
            allow_kv_types=self._settings.allow_kv_types,
        )
        some = min(len(every) - 1, ENOUGH_CANDIDATES)
        self._first_round_s = (time.perf_counter() - self._began) * (1 + some * BESIDE_COST)
        measured = {}
        for number, candidate in enumerate(every[1:]):
            # A busy moment at the beginning must not leave the rest of the budget unused.
            share = SEARCH_SHARE if number < LEAST_FINALISTS else FIRST_ROUND_SHARE
            measured[candidate.label] = candidate if self._is_over(share) else self._measure(candidate, 1)
        alive, repetitions = better_half(list(measured.values())), 2
        # The last two are told apart by finals, which are the better measure.
        while len(alive) > LEAST_FINALISTS and not self._is_over(SEARCH_SHARE):
            for candidate in alive:
                if self._is_over(SEARCH_SHARE):
                    break
                measured[candidate.label] = self._measure(candidate, repetitions)
            # A round that the budget cut short drops nobody.
            furthest = max(each.rounds for each in measured.values())
            reached = [measured[each.label] for each in alive if measured[each.label].rounds == furthest]
            if len(reached) < len(alive):
                break
            alive, repetitions = better_half(reached), repetitions * 2
        self._alive = frozenset(each.label for each in alive)
        return [self._start, *measured.values()]

    def _measure_defaults(self) -> Candidate:
        """By the long test of a prefill where the budget has time for it, which takes a first look at the speed."""
        defaults = Candidate(label=DEFAULTS, settings=self._settings.start)
        short = self._measure_alone(defaults)
        long_test = test_for(self._settings.goal, self._settings.depth_tokens, is_long=True)
        if long_test == self._test or not short.samples_ns:
            return short
        # Each candidate computes the test twice, to warm up and to be measured, and the defaults do once beside it.
        each_s = 3 * short.samples_ns[0] / 1e9 * long_test.prompt_tokens / self._test.prompt_tokens
        if ENOUGH_CANDIDATES * each_s > FIRST_ROUND_SHARE * self._settings.budget_s:
            return short
        short_test, self._test = self._test, long_test
        found = self._measure_alone(defaults)
        if found.problem:
            # Such as a model whose context is shorter.
            self._test = short_test
            return short
        return found

    def _measure_alone(self, candidate: Candidate) -> Candidate:
        """The defaults after a first look."""
        try:
            took_ns = self._take(_DEFAULTS, candidate)
        except EdgetuiError as error:
            return msgspec.structs.replace(candidate, problem=str(error))
        return self._with(candidate, [took_ns])

    def _measure(self, candidate: Candidate, repetitions: int) -> Candidate:
        """The candidate after another round, with the defaults right beside each repetition, in turns first."""
        own, beside = list(candidate.samples_ns), list(candidate.defaults_ns)
        try:
            # Loaded before either is measured: a load between two of a pair would set them apart.
            self._ready(_OTHER, candidate)
            for _ in range(repetitions):
                if self._start.problem:
                    own.append(self._take(_OTHER, candidate))
                    continue
                took: dict[int, int] = {}
                for place in (_DEFAULTS, _OTHER) if len(own) % 2 else (_OTHER, _DEFAULTS):
                    took[place] = self._take(place, self._start if place == _DEFAULTS else candidate)
                own.append(took[_OTHER])
                beside.append(took[_DEFAULTS])
        except EdgetuiError as error:
            return msgspec.structs.replace(candidate, problem=str(error))
        if beside:
            taken = beside[len(candidate.defaults_ns) :]
            self._start = self._with(self._start, [*self._start.samples_ns, *taken])
        return self._with(candidate, own, beside)

    def _ready(self, place: int, candidate: Candidate) -> None:
        side = msgspec.structs.replace(self._request.side, settings=candidate.settings)
        facts = self._sides.ready(place, side, self._test)
        self._backend[candidate.label] = str(facts["backend"])
        if not self._came_to and candidate.label == DEFAULTS and isinstance(is_mapped := facts.get("use_mmap"), bool):
            has_huge_pages = candidate.settings.huge_pages and huge_pages.are_available()
            self._came_to = {"use_mmap": is_mapped, "huge_pages": has_huge_pages}
        self._is_accelerated = self._is_accelerated or self._backend[candidate.label].upper() != "CPU"

    def _take(self, place: int, candidate: Candidate) -> int:
        """Nanoseconds of a repetition."""
        self._ready(place, candidate)
        took_ns = self._sides.run(place)
        ended = self._meters.sample()
        self._spans.setdefault((candidate.label, self._test), []).append((ended - took_ns / 1e9, ended))
        self._say(f"{candidate.label}: {self._test.computed_tokens * 1e9 / took_ns:.2f} tok/s")
        return took_ns

    def _with(self, candidate: Candidate, samples: list[int], beside: Sequence[int] = ()) -> Candidate:
        spans = self._spans[candidate.label, self._test]
        tokens = self._test.computed_tokens * len(spans)
        return msgspec.structs.replace(
            candidate,
            samples_ns=tuple(samples),
            defaults_ns=tuple(beside),
            rounds=candidate.rounds + 1,
            energy=energy_use(self._meters, spans, tokens, self._rest_w, self._backend[candidate.label]),
        )

    def _finals(self, measured: list[Candidate]) -> list[AbResult]:
        """The best of the search against the defaults, one after another while the budget lasts.

        Two of them share what is left; further ones have their turn only while nothing is shown to be faster.
        One that fails has its problem told in `measured`.
        """
        finals: list[AbResult] = []
        waiting = finalists(measured[1:], self._alive)
        for number, candidate in enumerate(waiting):
            left_s = self._settings.budget_s - (time.perf_counter() - self._began)
            # Two blocks, and to warm up both sides before.
            least_s = 5 * (median(candidate.samples_ns) + median(self._start.samples_ns)) / 1e9
            if finals and (left_s < least_s or (len(finals) >= LEAST_FINALISTS and winner(finals) is not None)):
                break
            has_next = not finals and number + 1 < len(waiting) and left_s / 2 >= least_s
            try:
                finals.append(self._compare(candidate, max(1.0, left_s / 2 if has_next else left_s)))
            except EdgetuiError as error:
                place = next(place for place, each in enumerate(measured) if each.label == candidate.label)
                measured[place] = msgspec.structs.replace(candidate, problem=str(error))
        return finals

    def _compare(self, chosen: Candidate, budget_s: float) -> AbResult:
        side = self._request.side
        settings = AbSettings(test=self._test, blocks=4, until_percent=UNTIL_PERCENT, budget_s=budget_s)

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
            is_mapped=self._came_to.get("use_mmap"),
        )
        profile = Profile(
            name=name,
            load=load,
            sampling=None,
            system_prompt=None,
            load_fields=profile_load_fields(
                settings,
                self._settings.start,
                self._settings.goal,
                self._request.side.model_format,
                has_accelerator=self._is_accelerated,
                allow_kv_types=self._settings.allow_kv_types,
            ),
            note=f"Found by autotune: {best.label}. {self._test.name}: {gain}.{_noise_of(final)}",
            model_name=self._request.side.model_name,
            saved_at=now,
        )
        SavedProfiles(self._job.database).put(self._request.profile_model, self._request.profile_machine, profile, now)
        return name

    def _sentence(self, measured: list[Candidate], finals: list[AbResult], saved: str) -> str:
        goal = self._settings.goal
        others = ranked(measured[1:])
        if measured[0].problem:
            return (
                f"The defaults cannot be measured ({measured[0].problem}); of {len(others)} settings {others[0].label}"
                f" is the fastest for {goal}, with nothing to compare it with."
            )
        if telling(finals) is None:
            return nothing_else(measured[1:], goal, self._settings.budget_s, self._first_round_s / FIRST_ROUND_SHARE)
        return verdict(goal, measured, finals, saved=saved)

    def _is_over(self, share: float) -> bool:
        return time.perf_counter() - self._began >= share * self._settings.budget_s

    def _say(self, note: str) -> None:
        elapsed = min(self._settings.budget_s, time.perf_counter() - self._began)
        self._job.progress(elapsed, self._settings.budget_s, "s", note)


def _noise_of(final: AbResult | None) -> str:
    return noise_sentence(final.conditions) if final is not None else ""
