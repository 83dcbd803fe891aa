"""The server engine keeps what every engine promises, over what a real llama-server answered.

`EDGETUI_TEST_SERVER=URL` runs the same checks against a server that is up, which should serve the demo model.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from edgetui.core.run_settings import ChatMessage, LoadSettings, SamplingSettings
from edgetui.core.servers import ServerEndpoint
from edgetui.worker.protocol import Embed, Embedded, Generate, Load, Loaded
from edgetui.worker.session import session_worker
from tests.engines.conformance import EngineConformance, Subject, answer, ask, refused
from tests.servers.recorded import RECORDED, RecordedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgetui.worker.session import SessionWorker


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    """A server that was named, else the recorded one."""
    if real := os.environ.get("EDGETUI_TEST_SERVER"):
        yield real
        return
    with RecordedServer(RECORDED / "llama-server.jsonl") as server:
        yield server.url


@pytest.fixture(scope="module")
def server_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where workers write."""
    return tmp_path_factory.mktemp("logs")


class TestLlamaServer(EngineConformance):
    @pytest.fixture(scope="class")
    def subject(self, server_url: str, server_logs: Path) -> Subject:
        return Subject(
            engine="server",
            load=lambda settings: Load(
                path="", settings=settings, endpoint=ServerEndpoint(name="local", url=server_url), key="key"
            ),
            log_dir=server_logs,
            tokens=8,
            small_context=0,
            frees_memory=False,
        )

    async def test_a_prompt_without_room_says_both_figures(self, worker: SessionWorker, loaded: Loaded) -> None:
        error = await refused(worker, Generate(turn=1, prompt="one " * 1200, sampling=SamplingSettings(temperature=0)))
        assert error.failure.kind == "context_overflow"
        assert str(loaded.context_tokens) in str(error) and "1201" in str(error)

    async def test_an_answer_that_ends_by_itself_counts_as_the_server_does(self, worker: SessionWorker) -> None:
        ends = (ChatMessage("user", "Say OK and nothing else."),)
        said = await answer(worker, ends, max_tokens=200)
        assert said.finished.reason == "end" and said.text
        assert len(said.times_ns) == said.finished.generated_tokens < 200
        assert said.finished.network_s is not None and said.finished.ttft_s is not None
        assert said.finished.ttft_s == pytest.approx(said.finished.network_s + said.finished.prefill_s)
        assert not said.finished.remarks

    async def test_what_is_told_of_the_model_is_the_servers(self, loaded: Loaded) -> None:
        assert (loaded.context_tokens, loaded.trained_context_tokens) == (1024, 8192)
        assert (loaded.parameter_count, loaded.weights_bytes) == (134515008, 96576768)
        assert loaded.engine_version.startswith("llama.cpp b") and loaded.models == (loaded.description,)
        assert loaded.abilities == ("tokenize", "inspect", "grammar")


async def test_a_server_that_embeds_gives_vectors_of_length_one(server_logs: Path) -> None:
    url = os.environ.get("EDGETUI_TEST_EMBEDDING_SERVER")
    with ExitStack() as stack:
        if not url:
            url = stack.enter_context(RecordedServer(RECORDED / "llama-server-embeddings.jsonl")).url
        async with session_worker(server_logs, "server") as worker:
            endpoint = ServerEndpoint(name="local", url=f"{url}/v1/")
            loaded = (await ask(worker, Load(path="", settings=LoadSettings(), endpoint=endpoint)))[-1]
            assert isinstance(loaded, Loaded) and "embed" in loaded.abilities
            (event,) = await ask(worker, Embed(texts=("A cat sleeps.", "Rockets burn fuel.", "A cat sleeps.")))
    assert isinstance(event, Embedded) and event.token_counts == (5, 5, 5)
    assert [sum(value * value for value in vector) for vector in event.vectors] == pytest.approx([1] * 3)
    assert event.vectors[0] == pytest.approx(event.vectors[2], abs=1e-4)
    assert event.vectors[0] != pytest.approx(event.vectors[1], abs=1e-2)
