"""One worker a class for the suite that every engine passes (`conformance.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

pytest.register_assert_rewrite("tests.engines.conformance")

from edgetui.worker.protocol import Loaded  # noqa: E402
from edgetui.worker.session import SessionWorker, session_worker  # noqa: E402
from tests.engines.conformance import CHAT, Answer, Subject, answer, ask  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgetui.worker.protocol import SessionEvent

    Loading = tuple[SessionWorker, list[SessionEvent]]


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def loading(subject: Subject) -> AsyncIterator[Loading]:
    """A worker with the model, and the events of its load."""
    async with session_worker(subject.log_dir, subject.engine, subject.toolchains_dir) as worker:
        yield worker, await ask(worker, subject.load(subject.settings))


@pytest.fixture(scope="class")
def worker(loading: Loading) -> SessionWorker:
    """The worker with the model."""
    return loading[0]


@pytest.fixture(scope="class")
def loaded(loading: Loading) -> Loaded:
    """What the engine said of the model."""
    event = loading[1][-1]
    assert isinstance(event, Loaded)
    return event


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def greedy(subject: Subject, worker: SessionWorker) -> Answer:
    """A greedy answer to `CHAT` that only its limit of tokens ends."""
    return await answer(worker, CHAT, max_tokens=subject.tokens, ignore_eos=True)
