"""The entry of `edgetui`: how it ends when something of its own goes wrong."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import pytest

import edgetui.cli
from edgetui.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("error", "status"), [(RuntimeError("boom"), 1), (KeyboardInterrupt(), 130)])
def test_fault_of_its_own_is_one_sentence_and_a_log(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
) -> None:
    def fail(_arguments: list[str]) -> int:
        raise error

    monkeypatch.setattr(edgetui.cli, "run_command_line", fail)
    monkeypatch.setattr(sys, "argv", ["edgetui", "models"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == status
    said, log = capsys.readouterr().err, home / "state" / "logs" / "app.log"
    if status == 1:
        assert said == f"edgetui: This met a fault of edgetui's own (RuntimeError); {log} says which.\n"
        assert "boom" in log.read_text()
    else:
        assert said == "" and not log.exists()


def test_what_asyncio_says_of_its_own_is_in_the_log_and_not_on_the_terminal(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lose_a_child(_arguments: list[str]) -> int:
        logging.getLogger("asyncio").warning("Unknown child process pid %d", 4242)
        return 0

    monkeypatch.setattr(edgetui.cli, "run_command_line", lose_a_child)
    monkeypatch.setattr(sys, "argv", ["edgetui", "models"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == ""
    assert "asyncio: Unknown child process pid 4242" in (home / "state" / "logs" / "app.log").read_text()
