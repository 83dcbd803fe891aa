"""A word must come out of a shell as it went in, whatever it holds."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from edgetui.core.shell_words import MOST_ARGUMENT_BYTES, fits_argument, number, piped, shell_command, shell_word

PLAIN = (
    "",
    "two words",
    'it\'s "odd"',
    "$HOME `ls` $(id) !x *",
    "-n",
    "--",
    "two\nlines\n",
    "\tnaïve 漢字 🙂",
    "a\\nb",
)
NOT_FOR_A_FILE = ("\x1b[31mred", "bell\a8", "carriage\rreturn", os.fsdecode(b"latin \xe9t\xe9"), "'\x7f\\'", "\x85")


@pytest.mark.parametrize("word", PLAIN)
def test_a_posix_shell_reads_the_word_back(word: str) -> None:
    done = subprocess.run(["sh", "-c", f"printf %s {shell_word(word)}"], capture_output=True, check=True)
    assert done.stdout == word.encode()


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("word", NOT_FOR_A_FILE)
def test_what_a_terminal_would_obey_is_escaped_and_read_back_all_the_same(word: str) -> None:
    written = shell_word(word)
    assert written.isprintable()
    done = subprocess.run(["bash", "-c", f"printf %s {written}"], capture_output=True, check=True)
    assert done.stdout == os.fsencode(word)


def test_a_text_too_long_for_an_argument_goes_through_a_pipe() -> None:
    text = "x'" * MOST_ARGUMENT_BYTES
    assert not fits_argument(text) and fits_argument("x'") and not fits_argument("a\0b")
    # As a file: the shell itself could not be handed this as an argument.
    done = subprocess.run(["sh"], input=piped(text, "wc -c").encode(), capture_output=True, check=True)
    assert int(done.stdout) == len(text)


def test_a_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        shell_command(["edgetui", "a\0b"])


@pytest.mark.parametrize(("value", "text"), [(0.7, "0.7"), (1.0, "1"), (0.1234567891, "0.1234567891"), (0, "0")])
def test_a_number_keeps_its_value(value: float, text: str) -> None:
    assert number(value) == text
