"""The worker boundary with a real worker process and the real model."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import sys
import time
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import LoadSettings, SamplingSettings
from edgetui.worker.protocol import (
    Finished,
    Generate,
    Load,
    Loaded,
    PrefillProgress,
    PromptReady,
    SessionEvent,
    Tokens,
    Unload,
    Unloaded,
)
from edgetui.worker.session import SessionWorker, session_worker
from tests.waiting import until

# One thread: two that wait for each other at every layer crawl when a test machine is busy with something else.
SMALL = LoadSettings(context_tokens=2048, threads=1)
ENDLESS = Generate(turn=1, prompt="Once upon a time", sampling=SamplingSettings(seed=1, ignore_eos=True))


async def answers(worker: SessionWorker, command: Load | Generate | Unload) -> list[SessionEvent]:
    async with aclosing(worker.request(command)) as events:
        return [event async for event in events]


async def test_a_model_is_loaded_and_unloaded(tmp_path: Path, demo_model: Path) -> None:
    async with session_worker(tmp_path) as worker:
        *progress, loaded = await answers(worker, Load(path=str(demo_model), settings=SMALL))
        assert progress and isinstance(loaded, Loaded)
        assert (loaded.context_tokens, loaded.parameter_count) == (2048, 134_515_008)
        assert loaded.kv_cache_bytes == 45 * 1024 * 1024  # 30 layers x 2048 x (192 + 192) x 2 bytes
        assert await answers(worker, Unload()) == [Unloaded()]
        with pytest.raises(EdgetuiError, match="No model is loaded"):
            await answers(worker, ENDLESS)


async def test_the_engines_own_output_goes_to_the_log(
    tmp_path: Path, demo_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with session_worker(tmp_path) as worker:
        await answers(worker, Load(path=str(demo_model), settings=SMALL))
        log = worker.log.read_text()
    assert "llama_model_loader" in log
    assert capfd.readouterr() == ("", "")


async def test_stop_ends_a_generation_and_the_worker_goes_on(tmp_path: Path, demo_model: Path) -> None:
    async with session_worker(tmp_path) as worker:
        await answers(worker, Load(path=str(demo_model), settings=SMALL))
        finished = None
        async with aclosing(worker.request(ENDLESS)) as events:
            async for event in events:
                if isinstance(event, Tokens):
                    await worker.stop()
                if isinstance(event, Finished):
                    finished = event
        assert finished is not None and finished.reason == "stopped"
        again = await answers(worker, Generate(turn=2, prompt="Two", sampling=SamplingSettings(max_tokens=2)))
        assert isinstance(again[-1], Finished)


async def test_stop_ends_a_long_prefill_before_it_is_done(tmp_path: Path, demo_model: Path) -> None:
    async with session_worker(tmp_path) as worker:
        await answers(worker, Load(path=str(demo_model), settings=LoadSettings(batch_tokens=128, threads=1)))
        finished = None
        async with aclosing(worker.request(Generate(turn=1, prompt="Once upon a time " * 1500))) as events:
            async for event in events:
                if isinstance(event, PrefillProgress):
                    await worker.stop()
                if isinstance(event, Finished):
                    finished = event
        assert finished is not None
        assert (finished.reason, finished.generated_tokens, finished.ttft_s) == ("stopped", 0, None)
        assert finished.prefill_tokens < finished.prompt_tokens


async def test_leaving_the_iteration_stops_the_generation(tmp_path: Path, demo_model: Path) -> None:
    async with session_worker(tmp_path) as worker:
        await answers(worker, Load(path=str(demo_model), settings=SMALL))
        async with aclosing(worker.request(ENDLESS)) as events:
            async for event in events:
                if isinstance(event, Tokens):
                    break
        after = await answers(worker, Generate(turn=7, prompt="Two", sampling=SamplingSettings(max_tokens=1)))
        assert {event.turn for event in after if isinstance(event, Tokens | Finished)} == {7}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT, signal.SIGTERM])
async def test_a_worker_that_dies_in_mid_stream_is_one_sentence(
    tmp_path: Path, demo_model: Path, number: signal.Signals
) -> None:
    async with session_worker(tmp_path) as worker:
        await answers(worker, Load(path=str(demo_model), settings=SMALL))
        with pytest.raises(EdgetuiError) as caught:
            async with aclosing(worker.request(ENDLESS)) as events:
                async for event in events:
                    if isinstance(event, Tokens):
                        os.kill(worker.pid, number)
        assert caught.value.failure.kind == "crashed"
        assert number.name in str(caught.value) and str(worker.log) in str(caught.value)
        with pytest.raises(EdgetuiError) as later:
            await answers(worker, ENDLESS)
        assert later.value.failure.kind == "crashed"


async def test_a_stopped_worker_that_does_not_answer_is_killed(tmp_path: Path, demo_model: Path) -> None:
    async with session_worker(tmp_path) as worker:
        await answers(worker, Load(path=str(demo_model), settings=SMALL))
        async with aclosing(worker.request(ENDLESS)) as events:
            async for event in events:
                if isinstance(event, PromptReady):
                    os.kill(worker.pid, signal.SIGSTOP)
                    break
        assert not worker.alive


async def test_the_worker_dies_with_its_parent_even_on_sigkill(tmp_path: Path, demo_model: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _ENDLESS_PARENT, str(tmp_path), str(demo_model), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    worker = psutil.Process(int(await parent.stdout.readline()))
    assert worker.is_running()
    parent.kill()
    await parent.wait()
    deadline = time.monotonic() + 20
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the worker outlived its parent"
        await asyncio.sleep(0.02)


_ENDLESS_PARENT = """
import asyncio, sys
from pathlib import Path
from edgetui.core.run_settings import LoadSettings, SamplingSettings
from edgetui.worker.protocol import Generate, Load, Tokens
from edgetui.worker.session import SessionWorker

async def main():
    worker = await SessionWorker.start(Path(sys.argv[1]))
    async for _ in worker.request(Load(path=sys.argv[2], settings=LoadSettings(context_tokens=2048, threads=1))):
        pass
    told = False
    endless = Generate(turn=1, prompt="Once", sampling=SamplingSettings(ignore_eos=True))
    async for event in worker.request(endless):
        if isinstance(event, Tokens) and not told:
            told = True
            print(worker.pid, flush=True)

asyncio.run(main())
"""


async def test_a_command_that_cannot_be_read_is_answered_and_the_worker_goes_on(tmp_path: Path) -> None:
    # JSON has no infinity, so it arrives as nothing.
    unreadable = Load(path="x", settings=LoadSettings(rope_freq_base=math.inf))
    async with session_worker(tmp_path) as worker:
        with pytest.raises(EdgetuiError, match="cannot read what it is asked for") as caught:
            await asyncio.wait_for(answers(worker, unreadable), 30)
        assert caught.value.failure.kind == "internal"
        assert await answers(worker, Unload()) == [Unloaded()]


@pytest.mark.parametrize("line", [b'{"type":"Nothing"}\n', b'{"type":"\xff"}\n', b"x" * 4096])
async def test_an_answer_that_cannot_be_read_ends_the_worker_in_a_sentence(tmp_path: Path, line: bytes) -> None:
    async with session_worker(tmp_path) as worker:
        # As a worker whose native code writes into the pipe, or that never ends its line.
        worker._events._limit = 1024  # type: ignore[attr-defined]
        worker._events.feed_data(line)
        with pytest.raises(EdgetuiError, match="sent what cannot be read and was ended") as caught:
            await asyncio.wait_for(answers(worker, Unload()), 30)
        assert caught.value.failure.kind == "crashed"
        assert not worker.alive


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_stop_in_the_middle_of_a_long_command_waits_for_its_end(tmp_path: Path, leaves: bool) -> None:
    async with session_worker(tmp_path) as worker:
        # Longer than a pipe holds, and nobody reads: the write hangs in the middle.
        os.kill(worker.pid, signal.SIGSTOP)
        asking = asyncio.create_task(answers(worker, Generate(turn=1, prompt="word " * 100_000)))
        await until(worker._writing.locked, asyncio.sleep)
        if leaves:
            asking.cancel()
        else:
            stopping = asyncio.create_task(worker.stop())
        await asyncio.sleep(0)
        os.kill(worker.pid, signal.SIGCONT)
        if leaves:
            with pytest.raises(asyncio.CancelledError):
                await asking
        else:
            await stopping
            with pytest.raises(EdgetuiError, match="No model is loaded"):
                await asking
        assert await answers(worker, Unload()) == [Unloaded()]


async def test_a_stop_ends_a_worker_that_does_not_read_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetui.worker.session.STOP_PATIENCE_S", 0.1)
    async with session_worker(tmp_path) as worker:
        os.kill(worker.pid, signal.SIGSTOP)
        asking = asyncio.create_task(answers(worker, Generate(turn=1, prompt="word " * 100_000)))
        await until(worker._writing.locked, asyncio.sleep)
        await worker.stop()
        with pytest.raises(EdgetuiError, match="did not stop and was ended"):
            await asking
        assert not worker.alive


async def test_a_file_named_as_one_of_our_modules_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "msgspec.py").write_text("raise SystemExit('trapped')")
    monkeypatch.chdir(trap)
    async with session_worker(tmp_path) as worker:
        assert worker.alive


async def test_a_worker_that_does_not_stop_is_ended_and_says_so(
    tmp_path: Path, demo_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetui.worker.session.STOP_PATIENCE_S", 0.3)
    async with session_worker(tmp_path) as worker:
        await answers(worker, Load(path=str(demo_model), settings=SMALL))

        async def ask() -> None:
            async with aclosing(worker.request(ENDLESS)) as events:
                async for event in events:
                    if isinstance(event, Tokens):
                        # As native code that never looks up: it neither reads nor answers.
                        os.kill(worker.pid, signal.SIGSTOP)
                        await worker.stop()

        with pytest.raises(EdgetuiError, match="did not stop and was ended"):
            await asyncio.wait_for(ask(), 30)
        assert not worker.alive


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends a child with its parent")
def test_a_worker_dies_with_its_parent_even_when_no_thread_of_it_can_run(tmp_path: Path) -> None:
    # A worker that is stopped cannot see its pipe close; only the kernel can end it.
    script = (
        "import asyncio, os, signal, sys; from pathlib import Path\n"
        "from edgetui.worker.session import SessionWorker\n"
        "async def main():\n"
        "    worker = await SessionWorker.start(Path(sys.argv[1]))\n"
        "    os.kill(worker.pid, signal.SIGSTOP)\n"
        "    print(worker.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60)
    pid = int(done.stdout)
    deadline = time.monotonic() + 30
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"worker {pid} outlived its parent"
        time.sleep(0.05)
