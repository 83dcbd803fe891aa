"""A long prompt is tokenized whole, and hears a stop all the same."""

from __future__ import annotations

import threading

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.engines.prompt_writer import PromptWriter
from edgetui.engines.stopping import StopFlag


class SlowVocabulary:
    """One token a character; a text of many takes until it is let go on, as native code does."""

    adds_bos = False
    bos_text = eos_text = ""
    longest_token_bytes = None

    def __init__(self) -> None:
        self.began, self.may_end = threading.Event(), threading.Event()
        self.threads: list[str] = []

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        self.threads.append(threading.current_thread().name)
        if len(text) > 1000:
            self.began.set()
            self.may_end.wait(20)
        return [ord(char) for char in text]


def test_a_stop_ends_the_wait_and_the_next_prompt_comes_after_what_was_left() -> None:
    vocabulary, stop = SlowVocabulary(), StopFlag()
    writer = PromptWriter(vocabulary, "", 1000)

    def stop_once_it_began() -> None:
        vocabulary.began.wait(20)
        stop.set()

    stopper = threading.Thread(target=stop_once_it_began)
    stopper.start()
    with pytest.raises(EdgetuiError, match="stopped before the prompt was read"):
        writer.tokens("x" * 100_000, "", [], stop)
    stopper.join()
    vocabulary.may_end.set()
    assert writer.tokens("ab", "", [], StopFlag()) == [97, 98]
    assert writer.tokens("abc", "ab", [97, 98], StopFlag()) == [97, 98, 99]
    assert vocabulary.threads[0] != "MainThread"
    assert writer.tokens("y" * 100_000, "", [], StopFlag()) == [121] * 100_000
    writer.close()
    assert writer.tokens("c", "", [], StopFlag()) == [99] and vocabulary.threads[-1] == "MainThread"
