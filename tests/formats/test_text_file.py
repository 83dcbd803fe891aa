"""Texts that people name: whatever is wrong with one is a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.formats.text_file import MOST_BYTES, read_text


def test_a_text_is_read_without_its_last_line_end(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("größer\n\n".encode())
    assert read_text(path) == "größer\n"


@pytest.mark.parametrize(
    ("content", "kind", "sentence"),
    [
        (b"", "bad_request", "is empty"),
        (b" \n\n", "bad_request", "is empty"),
        (b"caf\xe9", "bad_file", "not UTF-8 text (byte 3)"),
        ("text".encode("utf-16"), "bad_file", "not UTF-8 text (byte 0)"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, kind: str, sentence: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(EdgetuiError) as caught:
        read_text(path)
    assert caught.value.failure.kind == kind and sentence in str(caught.value)


def test_a_text_that_is_not_there_or_a_folder_or_huge_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgetuiError, match="There is no text"):
        read_text(tmp_path / "gone.txt")
    with pytest.raises(EdgetuiError, match="a folder"):
        read_text(tmp_path)
    huge = tmp_path / "huge.txt"
    with huge.open("wb") as stream:
        stream.truncate(MOST_BYTES + 1)
    with pytest.raises(EdgetuiError, match=r"larger than 64\.0 MiB"):
        read_text(huge)
