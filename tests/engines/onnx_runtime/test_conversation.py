"""What a conversation of onnxruntime-genai keeps of itself when something fails on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.toolchain_driver import Toolchain


@pytest.mark.parametrize("refuse_cache", [False, True], ids=["another cache", "no memory for another cache"])
def test_after_an_answer_that_failed_a_prompt_is_tokenized_alone(
    toolchain: Toolchain, decoder: Path, refuse_cache: bool
) -> None:
    prompt = "lambda expressions yield functions"
    told = toolchain("fail_and_ask_again", path=decoder, prompt=prompt, refuse_cache=refuse_cache)
    # Tokens of the answer that failed would otherwise stand behind the prompt.
    assert told["tokens_shown"] > 0 and told["prompt_tokens"] == [told["prompt_tokens"][0]] * 2
