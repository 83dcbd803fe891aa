"""A text in the buffer of a real tmux."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgetui.services.tmux_buffer import fill_tmux_buffer


async def test_a_text_stands_in_the_buffer_as_it_is(tmux_buffer: Callable[[], str]) -> None:
    text = "run 'a b' \\\n  -p \"$(x)\" # \u00fc\n"
    assert await fill_tmux_buffer(text)
    assert tmux_buffer() == text


@pytest.mark.parametrize("variable", [None, "/nowhere/socket,1,0"])
async def test_without_a_tmux_that_answers_nothing_is_taken(
    variable: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable is None:
        monkeypatch.delenv("TMUX", raising=False)
    else:
        monkeypatch.setenv("TMUX", variable)
    assert not await fill_tmux_buffer("text")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not await fill_tmux_buffer("text")
