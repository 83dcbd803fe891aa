from __future__ import annotations

import itertools
import random

import msgspec
import pytest

from edgetui.core.recipe_search import (
    Choice,
    GroupSensitivity,
    Measured,
    RecipeResult,
    RecipeSettings,
    allocate,
    group_of,
    may_be_quantized,
    padded_bytes,
    paired_verdict,
    parse_file_size,
    size_for_rate,
    speed_sentence,
    verdict_sentence,
)


def cost_of(choices: list[list[Choice]], picked: list[int]) -> float:
    return sum(options[number].cost for options, number in zip(choices, picked, strict=True))


def size_of(choices: list[list[Choice]], picked: list[int]) -> int:
    return sum(options[number].size_bytes for options, number in zip(choices, picked, strict=True))


@pytest.mark.parametrize("seed", range(20))
def test_the_allocation_is_the_best_that_fits(seed: int) -> None:
    random_ = random.Random(seed)
    choices = [
        [Choice(f"T{number}", 32 * random_.randint(1, 40), random_.random()) for number in range(random_.randint(1, 4))]
        for _ in range(6)
    ]
    sizes = [size_of(choices, list(picked)) for picked in itertools.product(*(range(len(of)) for of in choices))]
    budget = random_.randint(min(sizes), max(sizes))
    best = min(
        cost_of(choices, list(picked))
        for picked in itertools.product(*(range(len(of)) for of in choices))
        if size_of(choices, list(picked)) <= budget
    )
    found = allocate(choices, budget)
    assert found is not None
    assert size_of(choices, found) <= budget and cost_of(choices, found) == pytest.approx(best)


def test_a_coarse_allocation_of_a_large_model_still_fits() -> None:
    random_ = random.Random(1)
    choices = [
        [Choice("a", random_.randint(10**6, 10**8), 1.0), Choice("b", random_.randint(10**8, 10**9), 0.1)]
        for _ in range(50)
    ]
    budget = 20 * 10**9
    found = allocate(choices, budget)
    assert found is not None and budget * 0.97 < size_of(choices, found) <= budget


def test_a_budget_below_the_smallest_choices_has_no_allocation() -> None:
    choices = [[Choice("a", 64, 0.0), Choice("b", 32, 1.0)]] * 2
    assert allocate(choices, 63) is None and allocate(choices, 64) == [1, 1]


def test_layers_at_both_ends_are_groups_of_their_own() -> None:
    groups = [group_of(f"blk.{layer}.ffn_down.weight", 30) for layer in range(30)]
    assert groups[3] == "ffn_down 1/4" and groups[4] == "ffn_down 2/4"
    assert groups[14] == "ffn_down 2/4" and groups[15] == "ffn_down 3/4" and groups[27] == "ffn_down 4/4"
    assert group_of("token_embd.weight", 30) == "token_embd"


def test_norms_and_vectors_are_left_alone() -> None:
    assert may_be_quantized("blk.0.ffn_up.weight", (576, 1536))
    assert not may_be_quantized("blk.0.attn_norm.weight", (576,)) and not may_be_quantized("a.bias", (8, 8))
    assert not may_be_quantized("blk.0.ffn_gate_inp.weight", (8, 8)) and not may_be_quantized("a.weight", (8, 1, 1))


def test_sizes_are_those_in_a_file() -> None:
    assert padded_bytes("Q8_0", (32, 1)) == 64 and padded_bytes("Q4_K", (256, 2)) == 288


def test_a_difference_is_shown_only_when_its_interval_leaves_out_zero() -> None:
    better = paired_verdict([1.0, 2.0, 3.0, 4.0], [1.2, 2.1, 3.3, 4.2])
    # Differences -0.2 -0.1 -0.3 -0.2: mean -0.2, deviation 0.0816, t for 3 degrees of freedom 3.182.
    assert better.difference == pytest.approx(-0.2) and better.word == "better"
    assert better.high == pytest.approx(-0.2 + 3.182 * 0.08165 / 2, abs=1e-4)
    assert paired_verdict([1.2, 2.1, 3.3, 4.2], [1.0, 2.0, 3.0, 4.0]).word == "worse"
    assert paired_verdict([1.0, 2.0, 3.0], [1.5, 1.5, 3.2]).word == "no difference shown"


def test_a_rate_is_translated_between_measured_sizes_and_not_beyond_them() -> None:
    points = [(100, 0.01), (200, 0.02)]
    assert size_for_rate(points, 1 / 0.015) == pytest.approx(150, abs=1)
    assert size_for_rate(points, 1 / 0.05) == 200 and size_for_rate(points, 1 / 0.005) is None
    # A type that is slow for its size does not hide a larger one that is fast enough.
    assert size_for_rate([(100, 0.03), (200, 0.02)], 1 / 0.02) == 200


@pytest.mark.parametrize(("text", "size"), [("90MiB", 90 * 2**20), ("1.5 GiB", 3 * 2**29), ("12m", 12 * 2**20)])
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert parse_file_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-4MiB", "0", "1e9", "9" * 40])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no size|is nothing"):
        parse_file_size(text)


def test_a_type_that_does_not_exist_cannot_be_chosen_from() -> None:
    with pytest.raises(ValueError, match=r"no tensor type Q9_Z; there are .*Q4_K"):
        RecipeSettings(target_bytes=1, types=("Q4_0", "Q9_Z"))


def result(recipe: tuple[float, ...], stock: tuple[float, ...], stock_bytes: int = 1000) -> RecipeResult:
    of = Measured(name="", size_bytes=1000, kl_chunks=recipe, same_top1=0.9, perplexity=12.0, decode_tps=90.0)
    return RecipeResult(
        parent_name="a",
        target_bytes=1000,
        recipe=of,
        stock=msgspec.structs.replace(of, size_bytes=stock_bytes, kl_chunks=stock, decode_tps=100.0),
        stock_type="Q4_0",
        verdict=paired_verdict(recipe, stock),
        types=(),
        predicted_kl=None,
        predicted_stock_kl=None,
        overrides=(),
        base_type="Q4_0",
        imatrix="",
        text_name="topics",
        context_tokens=64,
        choosing_chunks=0,
    )


def test_the_sentence_says_what_was_shown_and_what_makes_it_uneven() -> None:
    worse, better = (0.5, 0.6, 0.7), (0.1, 0.21, 0.3)
    assert "worse than Q4_0: take that" in verdict_sentence(result(worse, better))
    told = verdict_sentence(result(better, worse, stock_bytes=900))
    assert told.startswith("The recipe beats Q4_0") and "10.0% smaller, which favours the recipe" in told
    assert "No difference from Q4_0 is shown" in verdict_sentence(result(worse, worse))
    recovered = msgspec.structs.replace(result(better, worse), recovered_from="Q4_1", wanted_tps=95.0)
    assert "recovered from Q4_1, which favours that type" in verdict_sentence(recovered)
    assert speed_sentence(recovered) == (
        "Decode 90.0 tok/s, Q4_0 100.0 tok/s. It does not reach the 95.0 tok/s asked for."
    )


def test_a_group_without_error_has_no_sensitivity() -> None:
    assert GroupSensitivity(group="a", kl=0.1, error=0.0).per_error == 0.0
    assert GroupSensitivity(group="a", kl=0.1, error=2.0).per_error == 0.05
