"""Many conversations with one server at once, each timed from this side."""

from __future__ import annotations

import asyncio
import random
import time
from itertools import pairwise
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import ChatMessage, SamplingSettings
from edgetui.core.server_load import Percentiles, ServerLoadRow
from edgetui.core.statistics import median
from edgetui.core.token_rate import decode_tps
from edgetui.engines.server.bodies import generation_body
from edgetui.engines.server.generation import Generation
from edgetui.engines.server.kinds import describe
from edgetui.engines.server.link import Link
from edgetui.worker.protocol import Finished, Generate, Tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.core.server_load import ServerBenchSettings
    from edgetui.core.servers import ServerEndpoint
    from edgetui.engines.server.kinds import ServerModel
    from edgetui.worker.protocol import SessionEvent

_WORDS = (
    "time", "people", "water", "words", "place", "years", "house", "world", "school", "story", "light", "night",
    "river", "money", "paper", "music", "ground", "family", "morning", "table", "summer", "winter", "garden", "street",
    "letter", "number", "market", "window", "doctor", "mother", "father", "friend",
)  # fmt: skip
"""Each is one token for nearly every tokenizer."""
_ASKED = "Write a long text about all of these words:"
_ASKED_TOKENS = 40
"""The words above with a chat template around them, about."""


class LoadTest:
    """One server that is asked at several levels; raises `EdgetuiError` where it cannot be asked at all."""

    def __init__(self, endpoint: ServerEndpoint, key: str, settings: ServerBenchSettings) -> None:
        self._settings = settings
        self._link = Link(endpoint, key)
        self._random = random.Random(0)
        try:
            self._model: ServerModel = self._link.run(describe(self._link, endpoint.model))
        except BaseException:
            self._link.close()
            raise
        self.server = f"{self._model.kind} {self._model.version}".strip()
        self.model = self._model.name

    def warm_up(self) -> None:
        """One question that is not measured, whose failure is that of the whole test."""
        self._link.run(self._ask(self._question()))

    def measure(self, concurrency: int, on_done: Callable[[int], None]) -> ServerLoadRow:
        """One level; `on_done` gets the number of questions that are over."""
        row: ServerLoadRow = self._link.run(self._level(concurrency, on_done))
        return row

    def close(self) -> None:
        """Hang up."""
        self._link.close()

    async def _level(self, concurrency: int, on_done: Callable[[int], None]) -> ServerLoadRow:
        # Made before the clock runs.
        questions = [[self._question() for _ in range(self._settings.requests)] for _ in range(concurrency)]
        answers: list[_Timed] = []
        problems: list[str] = []

        async def converse(asked: list[str]) -> None:
            for question in asked:
                try:
                    answers.append(await self._ask(question))
                except EdgetuiError as error:
                    problems.append(str(error))
                on_done(len(answers) + len(problems))

        started = time.perf_counter()
        await asyncio.gather(*(converse(asked) for asked in questions))
        wall_s = time.perf_counter() - started
        finished = [answer.finished for answer in answers]
        networks = [each.network_s for each in finished if each.network_s is not None]
        rates = [rate for each in finished if (rate := decode_tps(each.generated_tokens, each.decode_s)) is not None]
        return ServerLoadRow(
            concurrency=concurrency,
            requests=len(answers) + len(problems),
            failed=len(problems),
            problem=problems[0] if problems else "",
            prompt_tokens=sum(each.prompt_tokens for each in finished),
            generated_tokens=sum(each.generated_tokens for each in finished),
            is_counted_here=any(each.is_counted_here for each in answers),
            wall_s=wall_s,
            ttft_s=Percentiles.of([each.ttft_s for each in finished if each.ttft_s is not None]),
            itl_s=Percentiles.of([gap for answer in answers for gap in answer.gaps_s]),
            decode_tps=median(rates) if rates else None,
            network_s=median(networks) if networks else None,
        )

    async def _ask(self, question: str) -> _Timed:
        command = Generate(
            turn=1,
            messages=(ChatMessage("user", question),),
            sampling=SamplingSettings(
                temperature=0.0, max_tokens=self._settings.generated_tokens, ignore_eos=True, seed=1
            ),
            flush_interval_s=0.0,
        )
        times: list[int] = []

        def keep(event: SessionEvent) -> None:
            if isinstance(event, Tokens):
                times.extend(event.times_ns)

        body = generation_body(command, self._model, 1)
        generation = Generation(self._link, self._model, command, 1, time.perf_counter_ns(), keep)
        try:
            await generation.read(body)
        finally:
            generation.close()
        return _Timed(generation.finished(), times, is_counted_here=generation.is_counted_here)

    def _question(self) -> str:
        """About so many tokens as were asked for, the first of which no other question has."""
        words = max(self._settings.prompt_tokens - _ASKED_TOKENS, 1)
        chosen = " ".join(self._random.choice(_WORDS) for _ in range(words))
        return f"{self._random.randrange(10**6)}. {_ASKED} {chosen}"


class _Timed:
    """One answer and the times between its pieces."""

    def __init__(self, finished: Finished, times_ns: list[int], *, is_counted_here: bool) -> None:
        self.finished = finished
        self.is_counted_here = is_counted_here
        # Tokens that came in one piece have one time: what lies between pieces is what a reader waits for.
        self.gaps_s = [(later - earlier) / 1e9 for earlier, later in pairwise(sorted(set(times_ns)))]
