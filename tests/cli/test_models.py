from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.cli.command import edgetui
from tests.formats.test_model_folder import CONFIG, fill
from tests.gguf_files import write_gguf

MODEL = "SmolLM2-135M-Instruct.Q4_1"
pytestmark = pytest.mark.usefixtures("home")


async def test_the_list_is_a_table_and_json() -> None:
    status, out, err = await edgetui("models")
    assert (status, err) == (0, "")
    header, row = out.splitlines()
    assert header.split()[:4] == ["name", "type", "params", "size"]
    assert row.split()[:3] == [MODEL, "Q4_1", "135M"]
    status, out, _ = await edgetui("models", "--json")
    (entry,) = json.loads(out)
    assert status == 0 and entry["name"] == MODEL and entry["parameter_count"] == 134_515_008


async def test_one_model_is_shown_with_metadata_and_tensors() -> None:
    status, out, _ = await edgetui("models", MODEL, "--tensors")
    assert status == 0
    assert "llama.block_count = 30" in out and "token_embd.weight" in out
    status, out, _ = await edgetui("models", MODEL, "--json")
    assert len(json.loads(out)["tensors"]) == 272


async def test_a_folder_is_shown_with_its_files_and_tensors(home: Path) -> None:
    fill(home / "data" / "models" / "Plain", "model.safetensors", "tokenizer.json", config=CONFIG)
    fill(home / "data" / "models", "net.onnx")
    status, out, _ = await edgetui("models", "Plain", "--tensors")
    assert status == 0 and "6 parameters, BF16, safetensors" in out
    assert "3 files: model.safetensors, config.json, tokenizer.json" in out
    assert any(line.split()[:5] == ["a", "BF16", "2", "x", "3"] for line in out.splitlines())
    status, out, _ = await edgetui("models", "net")
    assert status == 0 and "operators = MatMul 1" in out and "input.x = [batch, 4]" in out


async def test_a_bad_file_is_listed_with_its_reason(home: Path) -> None:
    folder = home / "data" / "models"
    folder.mkdir(parents=True)
    write_gguf(folder / "short.gguf", cut=8)
    status, out, _ = await edgetui("models")
    assert status == 0 and "! short: short.gguf is cut short" in out


async def test_an_unreadable_models_folder_is_one_sentence_and_a_status(home: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "models").write_text("a file where the folder should be")
    status, out, err = await edgetui("models")
    assert status == 1 and MODEL in out
    assert err.count("\n") == 1 and str(home / "data" / "models") in err


async def test_an_unknown_name_fails_with_the_closest() -> None:
    status, out, err = await edgetui("models", "SmolLM2-135M-Instruct.Q8_0")
    assert (status, out) == (1, "") and MODEL in err and "Traceback" not in err


async def test_a_wrong_settings_file_stops_every_command(home: Path) -> None:
    (home / "settings.toml").write_text("modelsdir = 'x'\n")
    for command in (["models"], ["run", MODEL, "x"], ["bench", MODEL], ["hw"], ["doctor"], ["jobs", "list"]):
        status, out, err = await edgetui(*command)
        assert (status, out) == (2, "")
        assert "line 1" in err and "models_dir" in err and err.count("\n") == 1


async def test_what_is_no_model_file_is_listed_with_its_reason_and_nothing_reaches_the_terminal(home: Path) -> None:
    folder = home / "data" / "models"
    folder.mkdir(parents=True)
    (folder / "loop.gguf").symlink_to("loop.gguf")
    os.mkfifo(folder / "pipe.gguf")
    (folder / "e\x1b[31mvil\nname.gguf").write_text("no model at all, and no GGUF")
    status, out, _ = await edgetui("models")
    assert status == 0 and "\x1b" not in out
    assert "pipe.gguf is a named pipe" in out and "Too many levels of symbolic links" in out
    status, out, err = await edgetui("models", "e\x1b[31mvil\nname")
    assert status == 1 and "\x1b" not in err and err.count("\n") == 1 and "not a usable GGUF" in err


@pytest.mark.parametrize("name", [b"x-00001-of-00000.gguf", b"x-00003-of-00002.gguf", b"b\xe9.gguf"])
async def test_no_name_of_one_file_hides_the_others(home: Path, demo_model: Path, name: bytes) -> None:
    folder = home / "data" / "models"
    folder.mkdir(parents=True)
    (folder / os.fsdecode(name)).symlink_to(demo_model)
    status, out, err = await edgetui("models")
    assert (status, err) == (0, "") and any(line.startswith(MODEL) for line in out.splitlines())


async def test_who_stops_reading_ends_the_command_quietly() -> None:
    script = f"{sys.executable} -m edgetui models --json"
    process = await asyncio.create_subprocess_shell(f"{script} | true", stderr=asyncio.subprocess.PIPE)
    _, err = await process.communicate()
    assert err == b""
    process = await asyncio.create_subprocess_shell(f"{script} >/dev/full", stderr=asyncio.subprocess.PIPE)
    _, err = await process.communicate()
    assert process.returncode == 1 and err.count(b"\n") == 1
    assert err.startswith(b"edgetui: The output cannot be written")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
async def test_closed_streams_are_no_fault(closed: str) -> None:
    process = await asyncio.create_subprocess_shell(
        f"{sys.executable} -m edgetui models {closed}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")


async def test_home_of_nobody_is_one_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "settings.toml").write_text('models_dir = "~nosuchuser/models"\n')
    status, out, err = await edgetui("models")
    assert status == 1 and MODEL in out and "does not exist" in err and err.count("\n") == 1
