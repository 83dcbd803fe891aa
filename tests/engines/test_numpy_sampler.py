"""The sampler chooses as llama.cpp's chain does, however few tokens it looks at for that."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy
import pytest

from edgetui.core.run_settings import SamplingSettings
from edgetui.engines.numpy_sampler import Sampler

DRAWS = 200
RNG = numpy.random.default_rng(7)
PEAKED = RNG.standard_normal(40_000).astype(numpy.float32) * 4
FLAT = RNG.standard_normal(40_000).astype(numpy.float32) * 0.01


def kept_by(logits: numpy.ndarray, settings: SamplingSettings) -> list[int]:
    """The obvious way: sort everything, cut by top-k, top-p, min-p."""
    tokens = sorted(range(len(logits)), key=lambda token: (-logits[token], token))[: settings.top_k or None]
    exact: Any = logits[tokens].astype(numpy.float64)
    shares = numpy.exp(exact - exact[0])
    shares /= shares.sum()
    if settings.top_p < 1:
        kept = int(numpy.searchsorted(shares.cumsum(), settings.top_p)) + 1
        tokens, shares = tokens[:kept], shares[:kept]
    return [token for token, share in zip(tokens, shares, strict=True) if share >= settings.min_p * shares[0]]


@pytest.mark.parametrize("logits", [PEAKED, FLAT], ids=["peaked", "flat"])
@pytest.mark.parametrize(
    ("top_k", "top_p", "min_p"),
    [(40, 0.95, 0.05), (5, 1.0, 0.0), (0, 0.5, 0.0), (0, 0.9, 0.2), (0, 1.0, 0.3), (5000, 0.7, 0.0), (1, 1.0, 0.0)],
)
def test_only_tokens_that_the_settings_keep_are_drawn(
    logits: numpy.ndarray, top_k: int, top_p: float, min_p: float
) -> None:
    settings = SamplingSettings(temperature=1.0, top_k=top_k, top_p=top_p, min_p=min_p)
    kept = kept_by(logits, settings)
    sampler = Sampler(settings, seed=3)
    drawn = {sampler.sample(logits.copy()) for _ in range(DRAWS)}
    assert drawn <= set(kept)
    if len(kept) <= 8:
        assert drawn == set(kept)


def test_tokens_are_drawn_as_often_as_their_probability_has_it() -> None:
    logits = numpy.log(numpy.array([0.5, 0.3, 0.15, 0.05], dtype=numpy.float32))
    sampler = Sampler(SamplingSettings(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0), seed=1)
    counts = Counter(sampler.sample(logits.copy()) for _ in range(4000))
    for token, share in enumerate((0.5, 0.3, 0.15, 0.05)):
        assert counts[token] / 4000 == pytest.approx(share, abs=0.03)
    cold = Sampler(SamplingSettings(temperature=0.25, top_k=0, top_p=1.0, min_p=0.0), seed=1)
    sharp = numpy.array([0.5, 0.3, 0.15, 0.05]) ** 4
    counts = Counter(cold.sample(logits.copy()) for _ in range(4000))
    assert counts[0] / 4000 == pytest.approx(sharp[0] / sharp.sum(), abs=0.03)


def test_a_seed_repeats_and_another_differs() -> None:
    def run(seed: int) -> list[int]:
        sampler = Sampler(SamplingSettings(temperature=1.0), seed)
        return [sampler.sample(PEAKED.copy()) for _ in range(20)]

    assert run(5) == run(5) != run(6)


def test_greedy_takes_the_likeliest_whatever_else_is_set() -> None:
    sampler = Sampler(SamplingSettings(temperature=0.0, top_k=3, min_p=0.5), seed=0)
    assert sampler.sample(PEAKED.copy()) == int(PEAKED.argmax())


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("value", [numpy.nan, numpy.inf])
def test_logits_that_are_no_numbers_choose_nothing(value: float, temperature: float) -> None:
    logits = PEAKED.copy()
    logits[3] = value
    with pytest.raises(FloatingPointError):
        Sampler(SamplingSettings(temperature=temperature), seed=0).sample(logits)
    with pytest.raises(FloatingPointError):
        Sampler(SamplingSettings(temperature=temperature), seed=0).sample(numpy.full_like(logits, -numpy.inf))


def test_penalties_count_what_is_in_their_window_only() -> None:
    logits = numpy.array([2.0, 1.9, -1.0, 1.5], dtype=numpy.float32)
    sampler = Sampler(SamplingSettings(temperature=0.0, repeat_penalty=2.0, repeat_last_tokens=2), seed=0)
    # Each choice halves the logit of what was chosen, for two tokens.
    assert [sampler.sample(logits.copy()) for _ in range(4)] == [0, 1, 3, 0]
    sampler = Sampler(SamplingSettings(temperature=0.0, presence_penalty=0.2), seed=0)
    sampler.accept((0,))
    assert sampler.sample(logits.copy()) == 1
    sampler = Sampler(SamplingSettings(temperature=0.0, frequency_penalty=0.3), seed=0)
    sampler.accept((0, 0, 1))
    # 2.0 - 0.6, 1.9 - 0.3
    assert sampler.sample(logits.copy()) == 1
    sampler = Sampler(SamplingSettings(temperature=0.0, repeat_penalty=2.0, repeat_last_tokens=0), seed=0)
    sampler.accept((0,))
    assert sampler.sample(logits.copy()) == 0
