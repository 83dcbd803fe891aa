"""Wrong usage is one sentence with what to do, whatever the command."""

from __future__ import annotations

import pytest

from tests.cli.command import edgetui

pytestmark = pytest.mark.usefixtures("home")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nosuch"], "No such command 'nosuch'; edgetui --help lists"),
        (["bench", "M", "--nosuch"], "No such option: --nosuch"),
        (["bench", "M", "-r", "x"], "'--repetitions': it takes a whole number; edgetui bench --help lists"),
        (["bench", "M", "-t", "999x"], "-t takes a number of threads such as 4, or a list 1,2, and not '999x'"),
        (["bench", "M", "-t", "-5"], "-t takes a number of threads such as 4, or a list 1,2, and not '-5'"),
        (["bench", "M", "-r", "0"], "a whole number of at least 1"),
        (["run", "M", "-t", "999x", "Hi"], "it takes a whole number; edgetui run --help lists"),
        (["imatrix", "M", "-t", "-5"], "it takes a number of at least 0; edgetui imatrix --help lists"),
        (["server", "add", "x"], "Missing argument 'URL'; edgetui server add --help lists"),
        (["history", "show", "x"], "it takes a whole number; edgetui history show --help lists"),
    ],
)
async def test_wrong_usage_is_one_sentence(arguments: list[str], words: str) -> None:
    status, out, err = await edgetui(*arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("edgetui: ") and words in err and err.endswith(".\n")


async def test_a_group_without_a_command_gives_its_help() -> None:
    status, out, err = await edgetui("history")
    assert status == 2 and "Commands:" in out + err


async def test_help_and_version_end_well() -> None:
    for arguments in (("--version",), ("--help",), ("bench", "--help")):
        status, out, err = await edgetui(*arguments)
        assert status == 0 and out and not err
