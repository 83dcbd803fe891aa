"""A conversation goes on after a load without its prompt being computed again, and no file can stop that."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from edgetui.core.run_settings import ChatMessage
from edgetui.engines.llama_cpp import prompt_cache
from tests.engines.llama_cpp_driver import driven

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FIRST = (
    ChatMessage("system", "You are a patient teacher who answers in short sentences and never changes the subject."),
    ChatMessage("user", "What is the capital of France, and on which river does it lie?"),
)


@pytest.fixture
def kept(demo_model: Path, tmp_path: Path) -> tuple[Path, str]:
    """Folder with the cache of a conversation, and what was answered in it."""
    folder = tmp_path / "caches"
    with driven(demo_model, cache_dir=folder, prompt_cache=True) as before:
        said = before.say(FIRST, max_tokens=8)[0]
    return folder, said


def follow_up(said: str) -> tuple[ChatMessage, ...]:
    return (*FIRST, ChatMessage("assistant", said), ChatMessage("user", "Say it again."))


def test_a_conversation_is_taken_up_again(demo_model: Path, kept: tuple[Path, str]) -> None:
    folder, said = kept
    (path,) = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with driven(demo_model, cache_dir=folder, prompt_cache=True, context_tokens=384) as after:
        text, finished = after.say(follow_up(said), max_tokens=8)
        assert finished.reused_tokens > 50
    with driven(demo_model) as anew:
        expected, cold = anew.say(follow_up(said), max_tokens=8)
    assert cold.reused_tokens == 0 and text == expected
    # The longer conversation has taken the place of the shorter one.
    assert [each.name for each in folder.iterdir()] == [path.name]


def test_nothing_is_kept_unless_asked_for(demo_model: Path, tmp_path: Path) -> None:
    with driven(demo_model, cache_dir=tmp_path / "caches") as before:
        before.say(FIRST, max_tokens=2)
    assert not (tmp_path / "caches").exists()


@pytest.mark.parametrize("settings", [{"kv_cache_type": "q8_0"}, {"rope_freq_scale": 0.5}], ids=str)
def test_other_settings_take_nothing_up(demo_model: Path, kept: tuple[Path, str], settings: dict[str, object]) -> None:
    folder, said = kept
    with driven(demo_model, cache_dir=folder, prompt_cache=True, **settings) as after:
        assert after.say(follow_up(said), max_tokens=1)[1].reused_tokens == 0


def test_another_conversation_takes_nothing_up(demo_model: Path, kept: tuple[Path, str]) -> None:
    with driven(demo_model, cache_dir=kept[0], prompt_cache=True) as after:
        assert after.say("Completely different. " * 12, max_tokens=1)[1].reused_tokens == 0
    assert len(list(kept[0].iterdir())) == 2


def _cut(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def _flip(raw: bytes) -> bytes:
    middle = len(raw) // 2
    return raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :]


def _lie_about_tokens(raw: bytes) -> bytes:
    return raw[:8] + (2**31).to_bytes(4, "little") + raw[12:]


@pytest.mark.parametrize("damage", [_cut, _flip, _lie_about_tokens, lambda raw: b"", lambda raw: b"x" * 4000])
def test_a_damaged_file_is_removed_and_costs_only_a_prefill(
    demo_model: Path, kept: tuple[Path, str], damage: Callable[[bytes], bytes]
) -> None:
    folder, said = kept
    (path,) = folder.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    with driven(demo_model, cache_dir=folder, prompt_cache=True) as after:
        text, finished = after.say(follow_up(said), max_tokens=4)
        assert text and finished.reused_tokens == 0
        assert not path.exists()


def test_a_folder_that_cannot_be_written_loses_nothing(demo_model: Path, tmp_path: Path) -> None:
    (tmp_path / "caches").write_text("a file where the folder should be")
    with driven(demo_model, cache_dir=tmp_path / "caches", prompt_cache=True) as before:
        assert before.say(FIRST, max_tokens=2)[0]


def test_files_are_bounded(demo_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_cache, "MOST_FILES", 2)
    for number in range(4):
        with driven(demo_model, cache_dir=tmp_path, prompt_cache=True, context_tokens=256) as each:
            each.say(f"Story {number}: " + f"{number} sheep jump. " * 12, max_tokens=1)
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr(prompt_cache, "MOST_BYTES", 1000)
    with driven(demo_model, cache_dir=tmp_path / "none", prompt_cache=True, context_tokens=256) as each:
        each.say("A long enough story. " * 12, max_tokens=1)
    assert not (tmp_path / "none").exists()
