"""From what single tokens scored to the figures of a row, by the formulas of llama-perplexity; no arrays."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgetui.core.quality import Divergence, Estimate
from edgetui.core.statistics import median, percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

_FEWEST_FOR_ERROR = 10
"""llama-perplexity tells no error over so few tokens or fewer."""
_LARGEST_LOG = 300.0
"""A model that knows nothing at all must not end in a figure that no file can hold."""


def mean_estimate(values: Sequence[float]) -> Estimate:
    """Mean with its standard error: deviation (over n) by root of n - 1, as `mean_and_uncertainty` has it."""
    count = len(values)
    centre = math.fsum(values) / count
    if count <= _FEWEST_FOR_ERROR:
        return Estimate(centre, 0.0)
    return Estimate(centre, math.sqrt(math.fsum((value - centre) ** 2 for value in values) / count / (count - 1)))


def perplexity(nll: Sequence[float]) -> Estimate:
    """exp of the mean negative log-likelihood; the error follows by the derivative. `nll` is in nats, one a token."""
    log = mean_estimate(nll)
    value = math.exp(min(log.value, _LARGEST_LOG))
    return Estimate(value, value * log.error)


def divergence(
    *,
    nll: Sequence[float],
    base_nll: Sequence[float],
    kld: Sequence[float],
    same_top1: Sequence[float],
    same_top5: Sequence[float],
) -> Divergence:
    """All figures of a comparison, of one value a scored token each; `kld` and both `nll` in nats, shares 0 to 1."""
    model, base = mean_estimate(nll), mean_estimate(base_nll)
    changes = [math.exp(-own) - math.exp(-others) for own, others in zip(nll, base_nll, strict=True)]
    squares = mean_estimate([change * change for change in changes])
    rms = math.sqrt(squares.value)
    variance = model.error**2 + base.error**2 - 2 * _covariance_of_means(nll, base_nll, model.value, base.value)
    return Divergence(
        mean=mean_estimate(kld),
        median=median(kld),
        p99=percentile(kld, 0.99),
        maximum=max(kld),
        same_top1=mean_estimate(same_top1),
        same_top5=mean_estimate(same_top5),
        mean_dp=mean_estimate(changes),
        rms_dp=Estimate(rms, 0.5 / rms * squares.error if rms else 0.0),
        # Of a model compared with itself the difference of two equal sums may come out below zero.
        ln_perplexity_ratio=Estimate(model.value - base.value, math.sqrt(max(0.0, variance))),
        base_perplexity=perplexity(base_nll),
    )


def _covariance_of_means(a: Sequence[float], b: Sequence[float], mean_a: float, mean_b: float) -> float:
    count = len(a)
    if count <= _FEWEST_FOR_ERROR:
        return 0.0
    return math.fsum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True)) / count / (count - 1)
