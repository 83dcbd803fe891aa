"""What an autotune's finals show, in one sentence: by the paired figures that its chart is drawn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.bench_noise import crowd_in, noise_in, noise_sentence
from edgetui.core.tuning import gain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.statistics import Ratio
    from edgetui.core.studies import AbResult, Candidate, Goal

WIDE = 1.05
"""A gain of so much that the finals could not exclude is worth another look."""


def winner(finals: Sequence[AbResult]) -> AbResult | None:
    """The final with the greatest gain of those that show one, a quiet one before those beside other programs; None
    where none does.

    Each final is wrong in this direction in at most 2.5 of 100 cases, so two of them are in 5.
    """
    shown = [
        (not crowd_in(each.conditions), each.ratio.ratio, each)
        for each in finals
        if each.ratio and each.ratio.is_shown and each.ratio.ratio > 1
    ]
    return max(shown, key=lambda found: found[:2])[2] if shown else None


def recommended(finals: Sequence[AbResult]) -> AbResult | None:
    """The winner, unless other programs took more than their share of its final.

    What is fastest beside them, such as a thread fewer than there are processors, may be slower without them.
    """
    won = winner(finals)
    return None if won is None or crowd_in(won.conditions) else won


def telling(finals: Sequence[AbResult]) -> AbResult | None:
    """The final that the verdict is about: the winner's, else that of the greatest ratio; None without a final."""
    compared = [(each.ratio.ratio, each) for each in finals if each.ratio]
    return winner(finals) or (max(compared, key=lambda pair: pair[0])[1] if compared else None)


def left_out(candidates: Sequence[Candidate], finals: Sequence[AbResult]) -> list[Candidate]:
    """Those measured beside the defaults that came to no final, the greatest gain first."""
    compared = {each.a.label for each in finals}
    found = [each for each in candidates if each.defaults_ns and each.label not in compared and not each.problem]
    return sorted(found, key=gain, reverse=True)


def verdict(goal: Goal, candidates: Sequence[Candidate], finals: Sequence[AbResult], *, saved: str = "") -> str:
    """The sentence where there was at least one final; `saved` is a clause about the winner's profile.

    Without a winner the defaults are called best only where every interval excludes a gain beyond `WIDE`, nothing that
    looked faster was left out, and the machine was quiet.
    """
    final = telling(finals)
    assert final is not None and final.ratio is not None, "a verdict needs a final"
    tried = sum(1 for each in candidates if each.samples_ns)
    said = f"{final.a.label} at {_interval(final.ratio)} of the defaults"
    noise = noise_sentence(final.conditions)
    if winner(finals) is final:
        if crowd := crowd_in(final.conditions):
            return (
                f"{final.a.label} came out before the defaults for {goal}, by the final after a search of {tried}"
                f" settings: {_interval(final.ratio)}. But {crowd} meanwhile, and without them it may be otherwise, so"
                " the defaults stay and nothing was saved: run it again on a quiet machine."
            )
        return (
            f"{final.a.label} is faster than the defaults for {goal}, by the final after a search of {tried} settings:"
            f" {_interval(final.ratio)}{saved}.{noise}"
        )
    open_ended = [each for each in finals if each.ratio and each.ratio.high > WIDE]
    if any(each.ratio and each.ratio.low < 1 / WIDE for each in open_ended):
        widest = max(open_ended, key=lambda each: each.ratio.high if each.ratio else 0.0)
        assert widest.ratio is not None
        return (
            f"Too noisy to say which settings are best for {goal}, so the defaults stay: {widest.a.label} may be faster"
            f" or slower, {_interval(widest.ratio)}; a longer budget or a quieter machine would narrow that."
            f"{noise_sentence(widest.conditions)}"
        )
    if open_ended:
        return (
            f"Undecided for {goal}, so the defaults stay: {said} may be faster; a longer budget or a quieter machine"
            f" would narrow that.{noise}"
        )
    dropped = left_out(candidates, finals)
    if dropped and gain(dropped[0]) > WIDE:
        return (
            f"Undecided for {goal}, so the defaults stay: {said} is not shown to be faster, and the budget had no time"
            f" for a final of {dropped[0].label}, {gain(dropped[0]):.3f}x in the search.{noise}"
        )
    head = "Nothing is shown to be faster than the defaults" if _is_noisy(finals) else "The defaults are best"
    return f"{head} for {goal}: of {tried - 1} other settings {said} came closest.{noise}"


def _is_noisy(finals: Sequence[AbResult]) -> bool:
    return any(noise_in(each.conditions) for each in finals)


def _interval(ratio: Ratio) -> str:
    return f"{ratio.ratio:.3f}x (95 % interval {ratio.low:.3f} to {ratio.high:.3f})"
