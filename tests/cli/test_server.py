"""`edgetui server`, and `edgetui run` with a model on one."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest

from tests.cli.command import edgetui
from tests.servers.raw import RawServer, finish, stream, usage
from tests.servers.recorded import RECORDED, RecordedServer

CHAT = "/v1/chat/completions"
pytestmark = pytest.mark.usefixtures("home")


async def test_a_server_is_added_tried_asked_and_forgotten() -> None:
    with RawServer({CHAT: [stream("Hel", "lo", finish(), usage(5, 2))]}) as server:
        status, out, _ = await edgetui("server", "add", "here", server.url)
        assert status == 0 and "here added" in out
        assert (await edgetui("server", "models", "here"))[1] == "tiny\n"
        status, out, err = await edgetui("server", "test", "here")
        assert status == 0 and "tiny" in out and "one token 'Hel' after" in out and "top-k" in err
        assert "went on beyond max-tokens (1)" in err
        status, out, err = await edgetui("run", "here", "Hi")
        assert (status, out) == (0, "Hello\n") and "(2 tokens, end)" in err
        status, _, err = await edgetui("run", "here/huge", "Hi")
        assert status == 1 and "has no model huge; it has tiny" in err
    assert json.loads((await edgetui("server", "list", "--json"))[1])[0]["name"] == "here"
    assert (await edgetui("server", "remove", "here"))[0] == 0
    status, _, err = await edgetui("server", "test", "here")
    assert status == 1 and "edgetui server add NAME URL" in err


async def test_a_name_with_a_blank_works_and_is_quoted_in_what_is_proposed() -> None:
    with RawServer({CHAT: [stream("Hi", finish(), usage(5, 1))]}) as server:
        status, out, _ = await edgetui("server", "add", "a b", server.url)
        assert status == 0 and "edgetui server test 'a b' tries it" in out
        assert (await edgetui("run", "a b", "Hi"))[:2] == (0, "Hi\n")


async def test_json_on_a_terminal_holds_no_control_character_of_an_answer() -> None:
    with RawServer({CHAT: [stream("a\x9b31mred", finish(), usage(5, 2))]}) as server:
        await edgetui("server", "add", "here", server.url)
        ours, terminal = os.openpty()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "edgetui", "run", "here", "Hi", "--json", stdout=terminal
            )
            assert await process.wait() == 0
            # What one answer takes fits into the terminal's buffer.
            shown = os.read(ours, 4096).decode()
        finally:
            os.close(terminal)
            os.close(ours)
        assert json.loads(shown)["text"] == "a\x9b31mred" and "\x9b" not in shown
        assert "\x9b" in (await edgetui("run", "here", "Hi", "--json"))[1]


async def test_a_load_test_prints_a_table_or_json() -> None:
    with RawServer({CHAT: [stream("a", "b", finish("length"), usage(20, 2))]}) as server:
        await edgetui("server", "add", "here", server.url)
        options = ("--concurrency", "1,2", "-p", "16", "-n", "2", "-r", "1")
        status, out, err = await edgetui("server", "bench", "here", *options)
        assert status == 0 and [line.split("|")[1:3] for line in out.splitlines()[3:]] == [
            ["       1 ", " 1/1 "],
            ["       2 ", " 2/2 "],
        ]
        assert "tok/s" in err
        status, out, _ = await edgetui("server", "bench", "here", *options, "--json")
        told = json.loads(out)
        assert status == 0 and [row["generated_tokens"] for row in told["rows"]] == [2, 4]
        assert told["rows"][0]["output_tps"] == pytest.approx(2 / told["rows"][0]["wall_s"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["server", "add", "x", "localhost:8080"], "An address begins with http"),
        (["server", "bench", "x", "--concurrency", "1,two"], "whole numbers"),
        (["server", "bench", "x", "--concurrency", "0"], "from 1 to 512"),
    ],
)
async def test_wrong_use_is_a_sentence(arguments: list[str], words: str) -> None:
    status, out, err = await edgetui(*arguments)
    assert (status, out) == (2, "") and words in err and err.count("\n") == 1


async def test_a_recorded_llama_server_answers_like_a_model_here() -> None:
    with RecordedServer(RECORDED / "llama-server.jsonl") as server:
        await edgetui("server", "add", "llama", server.url)
        status, out, _ = await edgetui("server", "models", "llama", "--json")
    assert status == 0 and json.loads(out)["models"] == ["smollm2"]
    assert json.loads(out)["server"].startswith("llama.cpp b")
