"""What an autotune tries, and which candidates go on."""

from __future__ import annotations

import msgspec
import pytest

from edgetui.core import tuning
from edgetui.core.bench import BenchSettings
from edgetui.core.models import ModelFormat
from edgetui.core.studies import AS_A_CHAT, Candidate, Goal
from edgetui.core.tuning import (
    DEFAULTS,
    better_half,
    candidates,
    finalists,
    gain,
    nothing_else,
    profile_load,
    profile_load_fields,
    ranked,
    thread_counts,
)


def tried(goal: Goal, model_format: ModelFormat = "gguf", *, gpu: bool = False, kv: bool = False) -> list[Candidate]:
    return candidates(
        BenchSettings(),
        tuning.test_for(goal, 0, is_long=True),
        model_format,
        physical=4,
        logical=8,
        has_accelerator=gpu,
        allow_kv_types=kv,
    )


def tried_shortly(start: BenchSettings, goal: Goal) -> list[Candidate]:
    """From a start of one's own, by the short test, on one processor."""
    return candidates(
        start,
        tuning.test_for(goal, 0),
        "gguf",
        physical=1,
        logical=1,
        has_accelerator=False,
        allow_kv_types=False,
    )


def test_the_defaults_come_first_and_every_label_is_its_own() -> None:
    for goal in ("decode", "prefill"):
        found = tried(goal, gpu=True, kv=True)
        assert found[0].label == DEFAULTS and found[0].settings == BenchSettings()
        assert len({each.label for each in found}) == len(found) == len({each.settings for each in found})


def test_threads_are_the_counts_worth_trying() -> None:
    assert thread_counts(4, 8) == (8, 3, 2, 7, 1) and thread_counts(2, 2) == (1,) and thread_counts(1, 1) == ()
    assert {each.settings.threads for each in tried("decode")} == {0, 8, 3, 2, 7, 1}


def test_what_changes_answers_is_tried_only_when_it_may_be() -> None:
    assert {each.settings.kv_cache_type for each in tried("decode")} == {"f16"}
    assert {each.settings.kv_cache_type for each in tried("decode", kv=True)} == {"f16", "q8_0"}


def test_layers_on_a_gpu_are_tried_where_there_is_one() -> None:
    assert {each.settings.gpu_layers for each in tried("decode")} == {-1}
    assert {each.settings.gpu_layers for each in tried("decode", gpu=True)} == {-1, 0}


def test_the_physical_batch_matters_to_prefill_alone() -> None:
    assert {each.settings.physical_batch_tokens for each in tried("decode")} == {512}
    assert {each.settings.physical_batch_tokens for each in tried("prefill")} == {512, 128, 256, 1024}


def test_a_physical_batch_that_is_the_same_work_is_not_tried() -> None:
    found = tried_shortly(BenchSettings(), "prefill")
    # 256 tokens at once are all that a prompt of 256 has, in a batch of 256, of 512 and of 1024.
    assert {each.settings.physical_batch_tokens for each in found} == {512, 128}


@pytest.mark.parametrize(
    ("goal", "model_format", "threads", "expected"),
    [
        ("decode", "gguf", 1, (1, 4)),
        ("prefill", "gguf", 8, (0, 8)),
        # Left at 0, they would follow the threads of whoever takes the profile up.
        ("prefill", "gguf", 0, (0, 4)),
        ("prefill", "onnx", 8, (8, 0)),
    ],
)
def test_threads_that_won_are_for_what_was_measured(
    goal: Goal, model_format: ModelFormat, threads: int, expected: tuple[int, int]
) -> None:
    best = BenchSettings(threads=threads, flash_attention="on")
    load = profile_load(best, BenchSettings(), goal, model_format, default_threads=4)
    assert (load.threads, load.threads_prefill) == expected and load.flash_attention == "on"


@pytest.mark.parametrize(("model_format", "varied"), [("onnx", {"threads"}), ("mlx", set())])
def test_an_engine_is_asked_for_what_it_has(model_format: ModelFormat, varied: set[str]) -> None:
    default = msgspec.structs.asdict(BenchSettings())
    found = {
        name
        for each in tried("prefill", model_format)
        for name, value in msgspec.structs.asdict(each.settings).items()
        if value != default[name]
    }
    assert found == varied


def test_what_the_defaults_leave_to_the_machine_is_varied_by_what_it_came_to() -> None:
    came_to = msgspec.structs.replace(AS_A_CHAT, use_mmap=False)
    found = tried_shortly(came_to, "decode")
    assert {each.settings.use_mmap for each in found} == {False, True}
    assert len({each.settings for each in found}) == len(found)
    assert all(each.settings.huge_pages for each in found)


@pytest.mark.parametrize(
    ("best", "came_to", "expected"), [(False, False, None), (True, False, True), (True, True, None)]
)
def test_a_profile_leaves_open_what_the_defaults_did_where_that_was_best(
    best: bool, came_to: bool, expected: bool | None
) -> None:
    won = msgspec.structs.replace(AS_A_CHAT, use_mmap=best, flash_attention="off")
    load = profile_load(won, AS_A_CHAT, "decode", "gguf", default_threads=2, is_mapped=came_to)
    assert (load.use_mmap, load.huge_pages, load.flash_attention) == (expected, True, "off")


@pytest.mark.parametrize(
    ("batch", "together", "expected"),
    [
        (2048, 512, (512, 0)),
        (2048, 256, (512, 256)),
        (2048, 1024, (1024, 0)),
        (256, 512, (256, 0)),
        (768, 64, (768, 64)),
    ],
)
def test_a_batch_that_nobody_chose_is_a_chats_own(batch: int, together: int, expected: tuple[int, int]) -> None:
    won = BenchSettings(batch_tokens=batch, physical_batch_tokens=together)
    load = profile_load(won, AS_A_CHAT, "prefill", "gguf", default_threads=2)
    assert (load.batch_tokens, load.physical_batch_tokens) == expected


def decided(
    best: BenchSettings,
    start: BenchSettings = AS_A_CHAT,
    goal: Goal = "decode",
    model_format: ModelFormat = "gguf",
    *,
    gpu: bool = False,
    kv: bool = False,
) -> set[str]:
    return set(profile_load_fields(best, start, goal, model_format, has_accelerator=gpu, allow_kv_types=kv))


def test_a_profile_decides_what_was_varied_and_what_the_start_says() -> None:
    always = {"flash_attention", "use_mmap", "huge_pages"}
    same, other = AS_A_CHAT, msgspec.structs.replace(AS_A_CHAT, threads=1)
    assert decided(same) == {"threads", *always}
    assert decided(other) == {"threads", "threads_prefill", *always}
    batches = {"batch_tokens", "physical_batch_tokens"}
    # Threads of a decode are not tuned by a prefill.
    assert decided(other, goal="prefill") == {"threads_prefill", *batches, *always}
    assert decided(same, gpu=True, kv=True) == {"threads", "gpu_layers", "kv_cache_type", "kv_cache_type_v", *always}
    said = msgspec.structs.replace(AS_A_CHAT, threads=1, batch_tokens=64, kv_cache_type="q8_0", gpu_layers=0)
    assert decided(said, said, "prefill") == {
        *("threads", "threads_prefill", "gpu_layers", "kv_cache_type", "kv_cache_type_v"),
        *(*batches, *always),
    }
    assert decided(other, model_format="onnx") == {"threads"}


def candidate(label: str, *ms: int, beside: tuple[int, ...] = (), rounds: int = 1, problem: str = "") -> Candidate:
    own, defaults = (tuple(each * 1_000_000 for each in some) for some in (ms, beside))
    return Candidate(
        label=label, settings=BenchSettings(), samples_ns=own, defaults_ns=defaults, rounds=rounds, problem=problem
    )


def test_a_quiet_moment_that_the_defaults_had_too_favours_none() -> None:
    lucky = candidate("lucky", 2, beside=(1,))
    steady = candidate("steady", 50, beside=(100,))
    assert gain(lucky) == 0.5 and gain(steady) == 2
    assert [each.label for each in ranked([lucky, steady])] == ["steady", "lucky"]


def test_the_faster_half_goes_on_without_those_that_failed_and_never_one_alone() -> None:
    measured = [
        candidate("slow", 9, 9, 1, beside=(5, 5, 5)),
        candidate("a", 2, 50, 2, beside=(5, 5, 5)),
        candidate("b", 3, beside=(5,)),
        candidate("x", 1, beside=(5,), problem="no"),
    ]
    assert [each.label for each in better_half(measured)] == ["a", "b"]
    assert [each.label for each in better_half(measured[:2])] == ["a", "slow"]
    assert [each.label for each in better_half(measured[:1])] == ["slow"]
    assert better_half(measured[3:]) == []
    many = [candidate(str(ms), ms, beside=(5,)) for ms in (9, 8, 7, 6, 5)]
    assert [each.label for each in better_half(many)] == ["5", "6", "7"]


def test_those_that_came_furthest_come_first() -> None:
    lucky = candidate("lucky once", 1, beside=(9,))
    further = [candidate("a", 4, 5, beside=(9, 9), rounds=2), candidate("b", 3, 4, beside=(9, 9), rounds=2)]
    assert [each.label for each in ranked([lucky, *further])] == ["b", "a", "lucky once"]
    # Without defaults to hold them against, their own times count.
    assert [each.label for each in ranked([candidate("long", 9), candidate("short", 3)])] == ["short", "long"]


def test_a_round_that_was_cut_short_puts_no_finalist_ahead() -> None:
    reached = candidate("reached", 4, 5, beside=(5, 5), rounds=2)
    waiting = candidate("waiting", 1, beside=(4,))
    dropped = candidate("dropped", 1, beside=(9,))
    found = finalists([dropped, reached, waiting], {"reached", "waiting"})
    assert [each.label for each in found] == ["waiting", "reached", "dropped"]


def test_why_nothing_else_was_tried_is_told() -> None:
    untried, failed = candidate("threads 1"), candidate("threads 8", problem="It broke.")
    assert "too short to try any other setting for decode: a budget of 1m 30s would do" in nothing_else(
        [untried], "decode", 30, 89.2
    )
    assert "threads 8 could not be measured (It broke.)" in nothing_else([untried, failed], "decode", 30, 90)
    assert "no other settings" in nothing_else([], "prefill", 30, 90)
