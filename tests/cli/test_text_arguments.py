"""Arguments whose bytes are no UTF-8: text loses those bytes, files keep their names, and nothing is a fault."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import pytest
import typer

from edgetui.cli.text_arguments import mend_texts, unreadable_in_words
from edgetui.core.failures import EdgetuiError
from tests.cli.command import edgetui

BAD = os.fsdecode(b"\xff")


def test_texts_become_readable_and_names_of_files_stay_as_they_are(tmp_path: Path) -> None:
    there = tmp_path / f"m{BAD}.gguf"
    try:
        there.touch()
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    got: list[object] = []
    app, inner = typer.Typer(), typer.Typer()

    @inner.command()
    def use(
        words: Annotated[list[str], typer.Argument()],
        text: Annotated[str | None, typer.Option()] = None,
        out: Annotated[Path | None, typer.Option()] = None,
    ) -> None:
        got.extend((words, text, out))

    @inner.command()
    def other() -> None: ...

    app.add_typer(inner, name="inner")
    mend_texts(app)
    with pytest.raises(SystemExit):
        app(["inner", "use", f"a{BAD}", str(there), "--text", BAD, "--out", f"new{BAD}"])
    assert got == [["a\ufffd", str(there)], "\ufffd", Path(f"new{BAD}")]


def test_a_file_name_that_nothing_takes_is_one_sentence() -> None:
    with (
        pytest.raises(EdgetuiError, match=r"m\ufffd\.gguf has a name that is no UTF-8"),
        unreadable_in_words(["run", f"m{BAD}.gguf"]),
    ):
        f"m{BAD}.gguf".encode()
    with pytest.raises(UnicodeEncodeError), unreadable_in_words(["run"]):
        BAD.encode()


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("arguments", [("chats", BAD), ("chats", "--show", BAD), ("onnx", "list", BAD)])
async def test_no_command_takes_them_for_a_fault(arguments: tuple[str, ...]) -> None:
    _, out, err = await edgetui(*arguments)
    assert "fault" not in err and (out or err)
