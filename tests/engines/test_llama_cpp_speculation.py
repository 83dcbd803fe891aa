"""Tokens guessed ahead change how long an answer takes, and never what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp.speculation import PromptLookup
from edgetui.engines.stopping import StopFlag
from tests.engines.llama_cpp_driver import driven

if TYPE_CHECKING:
    from pathlib import Path

REPETITIVE = "1. The cat sat on the mat.\n2. The cat sat on the mat.\n3. The cat sat on the mat.\n4. The cat"
TOKENS = 40


@pytest.fixture(scope="module")
def plain(demo_model: Path) -> str:
    """What the model says by itself."""
    with driven(demo_model) as alone:
        text, finished = alone.say(REPETITIVE, max_tokens=TOKENS, ignore_eos=True)
    assert (finished.draft_tokens, finished.accepted_tokens) == (0, 0)
    return text


def test_prompt_lookup_says_the_same(demo_model: Path, plain: str) -> None:
    with driven(demo_model, prompt_lookup=True) as guessing:
        text, finished = guessing.say(REPETITIVE, max_tokens=TOKENS, ignore_eos=True)
        again, second = guessing.say(REPETITIVE + text, max_tokens=4)
    assert text == plain and finished.generated_tokens == TOKENS
    assert 5 < finished.accepted_tokens <= finished.draft_tokens
    assert finished.context_used == finished.prompt_tokens + TOKENS - 1
    # What was guessed wrongly has left the cache.
    assert again and second.reused_tokens == finished.context_used


def test_a_draft_model_says_the_same(demo_model: Path, plain: str) -> None:
    with driven(demo_model, draft_model=str(demo_model), draft_tokens=5) as guessing:
        assert "speculation" in guessing.loaded.abilities and not guessing.loaded.remarks
        text, finished = guessing.say(REPETITIVE, max_tokens=TOKENS, ignore_eos=True)
        # Another conversation: the draft model's own cache has to follow.
        other, _ = guessing.say("The capital of France is", max_tokens=6)
    assert text == plain
    assert finished.accepted_tokens > TOKENS / 2
    with driven(demo_model) as alone:
        assert other == alone.say("The capital of France is", max_tokens=6)[0]


@pytest.mark.parametrize("settings", [{"physical_batch_tokens": rows} for rows in (1, 2, 4)] + [{"batch_tokens": 4}])
def test_no_more_is_guessed_than_a_small_batch_can_verify(
    demo_model: Path, plain: str, settings: dict[str, Any]
) -> None:
    with driven(demo_model, prompt_lookup=True, **settings) as guessing:
        text, finished = guessing.say(REPETITIVE, max_tokens=12, ignore_eos=True)
    assert plain.startswith(text) and finished.generated_tokens == 12
    assert bool(finished.draft_tokens) == (settings != {"physical_batch_tokens": 1})
    assert ("no room for another" in " ".join(guessing.loaded.remarks)) == (not finished.draft_tokens)


def test_sampled_answers_are_the_same_too(demo_model: Path) -> None:
    sampling = {"temperature": 0.9, "seed": 5, "max_tokens": 24, "ignore_eos": True, "repeat_penalty": 1.1}
    with driven(demo_model) as alone:
        expected = alone.say(REPETITIVE, **sampling)[0]
    with driven(demo_model, prompt_lookup=True) as guessing:
        text, finished = guessing.say(REPETITIVE, **sampling)
    assert text == expected and finished.draft_tokens > 0


def test_every_reason_to_end_holds_while_guessing(demo_model: Path, plain: str) -> None:
    with driven(demo_model, prompt_lookup=True, context_tokens=256) as guessing:
        stop = plain[30:34]
        text, finished = guessing.say(REPETITIVE, max_tokens=TOKENS, ignore_eos=True, stop=(stop,))
        assert (text, finished.reason) == (plain[: plain.index(stop)], "stop_text")
        for limit in (1, 2, 7):
            assert guessing.say(REPETITIVE, max_tokens=limit, ignore_eos=True)[1].generated_tokens == limit
        full = guessing.say(REPETITIVE, max_tokens=0, ignore_eos=True)[1]
        assert (full.reason, full.context_used) == ("context_full", 256)
        assert full.generated_tokens == 256 - full.prompt_tokens + 1


def test_a_draft_model_of_another_vocabulary_is_refused(demo_model: Path, other_vocabulary: Path) -> None:
    with (
        pytest.raises(EdgetuiError, match=r"cannot draft for .* take a small model of the same family") as caught,
        driven(demo_model, draft_model=str(other_vocabulary)),
    ):
        pass
    assert caught.value.failure.kind == "unsupported"


@pytest.fixture(scope="module")
def other_vocabulary(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model with one of its tokens spelled otherwise."""
    raw = bytearray(demo_model.read_bytes())
    # As it stands in the list of tokens: length, then text, which begins with a space written as two bytes.
    place = raw.index(b"\x06\0\0\0\0\0\0\0\xc4\xa0just") + 10
    raw[place : place + 4] = b"tsuj"
    path = tmp_path_factory.mktemp("vocabulary") / "other.gguf"
    path.write_bytes(raw)
    return path


def test_lookup_finds_the_latest_place_of_the_longest_run() -> None:
    lookup, stop = PromptLookup(), StopFlag()
    assert lookup.propose([1, 2, 3], 4, stop) == []
    assert lookup.propose([1, 2, 9, 9, 1, 2, 8, 5, 1, 2], 2, stop) == [8, 5]
    assert lookup.propose([7, 1, 2, 3, 6, 6, 2, 3, 4, 1, 2, 3], 2, stop) == [6, 6]


def test_lookup_forgets_another_conversation() -> None:
    lookup, stop = PromptLookup(), StopFlag()
    lookup.propose([1, 2, 9, 9, 1, 2], 2, stop)
    assert lookup.propose([5, 6, 7, 8, 9, 1, 2], 2, stop) == []
