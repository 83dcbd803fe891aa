"""Servers by name: what is kept, what is found, where keys come from, and a measurement under load."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import ChatMessage, LoadSettings
from edgetui.core.server_load import ServerBenchSettings, ServerLoadResult
from edgetui.core.server_load_text import load_problems, load_table
from edgetui.core.servers import ServerEndpoint
from edgetui.services.lab import Lab
from edgetui.store.server_keys import find_key
from edgetui.worker.job_events import JobFailed, JobStudy
from edgetui.worker.protocol import Finished, Tokens
from tests.servers.raw import RawServer, finish, stream, usage, whole
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

CHAT = "/v1/chat/completions"


async def test_what_was_added_is_there_for_the_next_edgetui(lab: Lab, home: Path) -> None:
    await lab.servers.add(name="here", url="http://127.0.0.1:8080", model=None, key_variable=None, timeout_s=None)
    await lab.servers.add(name="cloud", url="https://x.example/v1", model="big", key_variable="CLOUD_KEY", timeout_s=9)
    other = Lab()
    assert await other.servers.endpoints() == (
        ServerEndpoint(name="here", url="http://127.0.0.1:8080"),
        ServerEndpoint(name="cloud", url="https://x.example/v1", model="big", key_variable="CLOUD_KEY", timeout_s=9),
    )
    assert [entry.name for entry in await other.servers.entries()] == ["here", "cloud/big"]
    assert (await lab.servers.remove("here")).name == "here"
    assert [each.name for each in await other.servers.endpoints()] == ["cloud"]
    await other.close()


async def test_models_of_servers_are_found_by_name(lab: Lab) -> None:
    await lab.servers.add(name="here", url="http://127.0.0.1:8080")
    for name, model in (("here", ""), ("here/org/other:7b", "org/other:7b")):
        entry = await lab.find_model(name)
        assert entry.can_run and entry.format == "server" and not entry.is_gguf
        assert entry.endpoint == ServerEndpoint(name="here", url="http://127.0.0.1:8080", model=model)
    with pytest.raises(EdgetuiError) as caught:
        await lab.find_model("her")
    assert caught.value.failure.kind == "not_found"
    with pytest.raises(EdgetuiError, match="no server her: there is here"):
        await lab.servers.get("her")


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"url": "127.0.0.1:8080"}, "An address begins with http"),
        ({"url": "ftp://x"}, "An address begins with http"),
        ({"url": "http://me:secret@x"}, "more than an address"),
        ({"url": "http://x/?key=secret"}, "more than an address"),
        ({"url": "http://[::1"}, "cannot be used: write http://HOST:PORT"),
        ({"url": "http://x:99999"}, "cannot be used: write http://HOST:PORT"),
        ({"url": "http://"}, "cannot be used: write http://HOST:PORT"),
        ({"key_variable": "KEY\n"}, "key-variable cannot be used: it is the name of an environment variable"),
        ({"key_variable": "\n"}, "key-variable cannot be used"),
        ({"name": ""}, "name cannot be used"),
        ({"name": "a/b"}, "without a slash"),
        ({"name": "a\x1b[31m"}, "without a slash"),
        ({"key_variable": "sk-secret"}, "key-variable cannot be used"),
        ({"timeout_s": 0.0}, "timeout-s cannot be used"),
        ({"name": "taken"}, "already"),
    ],
)
async def test_what_cannot_be_a_server_is_a_sentence(lab: Lab, told: dict[str, object], words: str) -> None:
    await lab.servers.add(name="taken", url="http://x")
    with pytest.raises(EdgetuiError, match=words) as caught:
        await lab.servers.add(**{"name": "new", "url": "http://x", **told})
    assert "secret" not in str(caught.value) and len(await lab.servers.endpoints()) == 1


@pytest.mark.parametrize(
    "text", ["[[server]\n", "server = 3\n", '[[server]]\nname = "x"\nurl = "http://x"\nkey = "k"\n', "[[server]]\n"]
)
async def test_a_broken_file_names_itself_and_spoils_no_other_list(lab: Lab, home: Path, text: str) -> None:
    home.joinpath("servers.toml").write_text(text)
    with pytest.raises(EdgetuiError, match=r"servers\.toml") as caught:
        await lab.servers.endpoints()
    assert caught.value.failure.kind == "bad_settings" and "\n" not in str(caught.value)
    assert await lab.servers.entries() == []
    with pytest.raises(EdgetuiError):
        await lab.servers.add(name="new", url="http://x")
    assert home.joinpath("servers.toml").read_text() == text


async def test_a_key_comes_from_its_variable_and_is_written_nowhere(
    lab: Lab, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer({CHAT: [stream("Hi", finish(), usage(3, 1))]}) as server:
        await lab.servers.add(name="here", url=server.url, key_variable="THE_KEY")
        entry = await lab.find_model("here")
        with pytest.raises(EdgetuiError, match="THE_KEY, which is not set"):
            await lab.inference.load(entry, LoadSettings())
        monkeypatch.setenv("THE_KEY", "sk-very\udcff")
        with pytest.raises(EdgetuiError, match="THE_KEY holds bytes that are no text") as refused:
            await lab.inference.load(entry, LoadSettings())
        assert "sk-very" not in str(refused.value)
        monkeypatch.setenv("THE_KEY", "sk-very-secret\n")
        await lab.inference.load(entry, LoadSettings())
        async with aclosing(lab.inference.generate([ChatMessage("user", "Hi")])) as events:
            said = [event async for event in events]
        await lab.inference.unload()
        keys = {headers["authorization"] for _, headers, _ in server.requests}
    assert keys == {"Bearer sk-very-secret"}
    assert "".join(event.text for event in said if isinstance(event, Tokens)) == "Hi"
    assert isinstance(said[-1], Finished)
    written = _everything(home)
    assert written and b"sk-very-secret" not in written


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other commands")
def test_a_key_comes_from_the_keyring_by_the_systems_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "secret-tool"
    command.write_text(
        '#!/bin/sh\n[ "$*" = "lookup service edgetui server my box" ] && printf from-keyring || exit 1\n'
    )
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert find_key(ServerEndpoint(name="my box", url="http://x")) == "from-keyring"
    assert find_key(ServerEndpoint(name="another", url="http://x")) == ""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert find_key(ServerEndpoint(name="my box", url="http://x")) == ""


async def test_a_look_and_a_check_tell_what_is_there(lab: Lab) -> None:
    with RawServer({CHAT: [stream("OK", finish("length"), usage(3, 1))]}) as server:
        endpoint = await lab.servers.add(name="here", url=server.url)
        assert (await lab.servers.look(endpoint)).models == ("tiny",)
        check = await lab.servers.check(endpoint)
    assert (check.text, check.finished.reason, check.loaded.description) == ("OK", "max_tokens", "tiny")


async def test_load_is_measured_in_a_job_whose_result_is_kept(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", "sk-very-secret")
    answer = stream("a", " b", " c", finish("length"), usage(20, 3))
    refusal = whole({"error": {"message": "too many"}}, 429)
    settings = ServerBenchSettings(concurrency=(1, 3), prompt_tokens=16, generated_tokens=3, requests=2)
    # One to warm up, two alone, then six, the last of which are refused.
    with RawServer({CHAT: [*[answer] * 7, refusal]}) as server:
        endpoint = await lab.servers.add(name="here", url=server.url, key_variable="THE_KEY")
        job = await lab.servers.measure(endpoint, settings)
        async with aclosing(lab.jobs.watch(job.job_id)) as watched:
            events = [event async for event in watched]
        asked = [body for path, _, body in server.requests if path == CHAT]
    assert not [event.failure for event in events if isinstance(event, JobFailed)]
    (result,) = [event.result for event in events if isinstance(event, JobStudy)]
    assert isinstance(result, ServerLoadResult) and result.model == "tiny"
    alone, together = result.rows
    assert (alone.requests, alone.failed, alone.prompt_tokens, alone.generated_tokens) == (2, 0, 40, 6)
    assert (together.requests, together.failed, together.generated_tokens) == (6, 2, 12)
    assert "too many" in together.problem and alone.output_tps == pytest.approx(6 / alone.wall_s)
    assert result.sentence.endswith("2 of 8 questions failed.")
    for row in result.rows:
        assert row.ttft_s and row.itl_s and 0 < row.ttft_s.p50 <= row.ttft_s.p95 <= row.ttft_s.p99 <= row.wall_s
        assert row.network_s is None and row.decode_tps
    # No question begins like another, or a server's cache would answer for its model.
    assert len(set(asked)) == len(asked) == 9
    assert [len(row) for row in load_table(result)] == [13] * 3
    from edgetui.store.studies import Studies

    (kept,) = Studies(lab.database).all()
    assert kept.result == result and kept.job_id == job.job_id
    assert kept.machine == await lab.bench.machine() and kept.machine.cpu
    assert b"sk-very-secret" not in _everything(lab.paths.jobs_dir / job.job_id)


async def test_a_server_that_is_down_fails_its_measurement_in_a_sentence(lab: Lab) -> None:
    with RawServer() as server:
        url = server.url
    endpoint = await lab.servers.add(name="gone", url=url)
    job = await lab.servers.measure(endpoint, ServerBenchSettings())
    async with aclosing(lab.jobs.watch(job.job_id)) as watched:
        last = [event async for event in watched][-1]
    assert isinstance(last, JobFailed) and last.failure.kind == "network"
    assert "gone" in last.failure.message and "cannot be reached" in last.failure.message


async def test_a_server_that_dies_half_way_leaves_the_levels_before(lab: Lab) -> None:
    answer = stream("a", " b", finish("length"), usage(20, 2))
    # One to warm up, two alone, one of two; then every stream ends in mid-answer.
    with RawServer({CHAT: [*[answer] * 4, stream("a", end=b"")]}) as server:
        endpoint = await lab.servers.add(name="here", url=server.url)
        settings = ServerBenchSettings(concurrency=(1, 2, 4, 8), requests=2)
        job = await lab.servers.measure(endpoint, settings)
        last = await lab.bench.follow(job.job_id)
        asked = len([path for path, _, _ in server.requests if path == CHAT])
    assert not isinstance(last, JobFailed), last
    (study,) = await lab.bench.studies()
    assert isinstance(study.result, ServerLoadResult)
    assert [(row.concurrency, row.failed, row.requests) for row in study.result.rows] == [
        (1, 0, 2),
        (2, 3, 4),
        (4, 8, 8),
    ]
    # Nobody waits for eight at once of a server that is gone.
    assert asked == 1 + 2 + 4 + 8 and last.summary.endswith("4 at once got no answer at all, which ended the test.")
    assert load_problems(study.result)[1].startswith("8 of 8 failed with 4 at once: here (")


async def test_levels_that_were_measured_are_kept_of_a_test_that_is_cancelled(lab: Lab) -> None:
    answer = stream("a", " b", finish("length"), usage(20, 2))
    # One to warm up and two alone; then no answer comes to its end.
    with RawServer({CHAT: [*[answer] * 3, [stream("a", end=b""), b""]]}) as server:
        endpoint = await lab.servers.add(name="here", url=server.url)
        job = await lab.servers.measure(endpoint, ServerBenchSettings())
        await until(lambda: len([path for path, _, _ in server.requests if path == CHAT]) == 5, asyncio.sleep)
        await lab.jobs.cancel(job.job_id)
        last = await lab.bench.follow(job.job_id)
    assert isinstance(last, JobFailed) and last.failure.kind == "cancelled"
    assert last.failure.message.endswith("What was measured is kept: 1 of 3 levels.")
    (study,) = await lab.bench.studies()
    assert isinstance(study.result, ServerLoadResult) and [row.concurrency for row in study.result.rows] == [1]
    assert study.result.sentence.endswith("Only 1 of 3 levels were measured: it was cancelled.")


async def test_a_server_that_answers_nothing_after_its_warm_up_is_no_study(lab: Lab) -> None:
    answer = stream("a", " b", finish("length"), usage(20, 2))
    with RawServer({CHAT: [answer, stream("a", end=b"data: {")]}) as server:
        endpoint = await lab.servers.add(name="here", url=server.url)
        job = await lab.servers.measure(endpoint, ServerBenchSettings())
        last = await lab.bench.follow(job.job_id)
    assert isinstance(last, JobFailed) and "in the middle of an event" in last.failure.message
    assert await lab.bench.studies() == []


async def test_a_load_test_beside_another_measurement_is_refused(lab: Lab) -> None:
    # An answer that never goes on: the first measurement runs until it is cancelled.
    with RawServer({CHAT: [[stream("a", end=b""), b""]]}) as server:
        endpoint = await lab.servers.add(name="here", url=server.url)
        first = await lab.servers.measure(endpoint, ServerBenchSettings())
        with pytest.raises(EdgetuiError, match=r"bench of here\) is running and would spoil the figures") as caught:
            await lab.servers.measure(endpoint, ServerBenchSettings())
        assert caught.value.failure.kind == "busy"
        assert (await lab.jobs.cancel(first.job_id)).state == "cancelled"
    assert len(await lab.jobs.list()) == 1 and await lab.bench.studies() == []


async def test_levels_beyond_their_limits_start_no_job(lab: Lab) -> None:
    endpoint = await lab.servers.add(name="here", url="http://127.0.0.1:1")
    with pytest.raises(EdgetuiError, match="concurrency cannot be used"):
        await lab.servers.measure(endpoint, ServerBenchSettings(concurrency=(0,)))
    assert await lab.jobs.list() == ()


def _everything(folder: Path) -> bytes:
    """Content of all files."""
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
