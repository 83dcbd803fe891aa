"""`add`, `note`, `diff`, `duplicates`: the library's commands on real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import edgetui
from tests.gguf_files import STRING, Key, with_keys, write_gguf

DEMO = "SmolLM2-135M-Instruct.Q4_1"
pytestmark = pytest.mark.usefixtures("home")


async def test_a_file_is_added_once_and_its_copy_is_found(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf")
    status, out, err = await edgetui("add", "--copy", str(path))
    assert (status, out) == (0, "tiny\n") and "a copy goes to" in err
    status, out, err = await edgetui("add", str(path))
    assert status == 1 and out == "" and "is already there: remove it, or take another name" in err
    status, _, err = await edgetui("add", "--copy", "--move", str(path))
    assert status == 2 and "not both" in err
    path.rename(tmp_path / "again.gguf")
    status, _, err = await edgetui("add", str(tmp_path / "again.gguf"))
    assert status == 0 and "tiny has the same content already" in err
    status, out, _ = await edgetui("duplicates")
    assert status == 0 and out.splitlines()[0].startswith(("again: 2 times", "tiny: 2 times"))
    _, out, _ = await edgetui("duplicates", "--json")
    (group,) = json.loads(out)
    assert len(group["paths"]) == 2 and group["wasted_bytes"] > 0


async def test_notes_are_written_shown_listed_and_taken_back() -> None:
    status, out, _ = await edgetui("note", DEMO, "quick", "--tags", "  small   demo ", "--favourite")
    assert (status, out) == (0, f"* {DEMO}\ntags: small demo\nnote: quick\n")
    _, out, _ = await edgetui("models", "--favourites", "--tag", "demo")
    assert f"* {DEMO}" in out
    _, out, err = await edgetui("models", "--tag", "large")
    assert out == "" and "No model is marked so" in err
    status, out, _ = await edgetui("note", DEMO, "", "--tags", "", "--no-favourite")
    assert (status, out) == (0, f"{DEMO}\n")
    status, _, err = await edgetui("note", DEMO, "x" * 3000)
    assert status == 2 and "at most 2,000 characters" in err


async def test_two_models_are_compared_as_text_and_json(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", with_keys(Key("general.name", STRING, "Tiny\x1b[31m")))
    status, out, _ = await edgetui("diff", DEMO, str(path))
    assert status == 0 and "\x1b" not in out
    assert "Size by part" in out and "general.name" in out and "272" in out
    status, out, _ = await edgetui("diff", DEMO, DEMO, "--json")
    rows = json.loads(out)
    assert status == 0 and {row["section"] for row in rows} == {"Files", "Size by part"}
    assert all(row["left"] == row["right"] for row in rows)
