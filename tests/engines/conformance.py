"""What every engine promises, checked over a real session worker with a real model.

A test module of an engine says what it tests and inherits the checks:

    @pytest.fixture(scope="class")
    def subject(demo_model: Path, ...) -> Subject: ...

    class TestLlamaCpp(EngineConformance): ...

One worker serves all checks of a class (fixtures in `conftest.py`) but those that need one of their own.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import ChatMessage, LoadSettings, SamplingSettings
from edgetui.worker.protocol import (
    Embed,
    Embedded,
    Finished,
    Generate,
    Inspect,
    Inspected,
    Load,
    Loaded,
    LoadProgress,
    PrefillProgress,
    PromptReady,
    Tokenize,
    Tokenized,
    Tokens,
    Unload,
    Unloaded,
)
from edgetui.worker.session import session_worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgetui.core.engines import EngineName
    from edgetui.worker.protocol import Command, SessionEvent
    from edgetui.worker.session import SessionWorker

SYSTEM = ChatMessage("system", "You are a helpful assistant.")
QUESTION = ChatMessage("user", "Name three colours.")
CHAT = (SYSTEM, QUESTION)
RENDERED_CHATML = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\nName three colours.<|im_end|>\n<|im_start|>assistant\n"
)
"""What the template of SmolLM2, and of other models that speak ChatML, makes of `CHAT`."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An engine with a model, and what may be expected of both."""

    engine: EngineName
    load: Callable[[LoadSettings], Load]
    log_dir: Path
    toolchains_dir: Path | None = None
    settings: LoadSettings = field(default_factory=lambda: LoadSettings(context_tokens=1024, threads=1))
    """Of the worker that serves most checks."""
    tokens: int = 24
    """Tokens of one answer that can be afforded; at least 4."""
    small_context: int = 256
    """Context of the checks that fill one; 0 where the engine cannot choose it (a server)."""
    reuses_cache: bool = True
    """Whether a second turn computes only what is new."""
    grows_cache: bool = True
    """Whether `PromptReady` and `Finished` count the prompt's tokens exactly; a server may not tell."""
    frees_memory: bool = True
    """Whether the weights are in the worker; not for a server."""
    stop_within_s: float = 2.0
    """The promise is 0.1 s on a quiet machine, and a step of the model where native code cannot be interrupted."""
    rendered: str = RENDERED_CHATML
    """The text that the model's template makes of `CHAT`; empty where that is not known."""
    special_text: str = "<|im_start|>"
    """A special token as text; empty where there is none."""
    unicode_prompt: str = "🎉😀🎉😀🎉😀🎉😀🎉😀🎉😀"
    """A raw prompt that the model continues greedily with characters of several tokens."""


@dataclass
class Answer:
    """One generation's events, taken apart."""

    events: list[SessionEvent]

    @property
    def ready(self) -> PromptReady:
        return next(event for event in self.events if isinstance(event, PromptReady))

    @property
    def progress(self) -> list[PrefillProgress]:
        return [event for event in self.events if isinstance(event, PrefillProgress)]

    @property
    def tokens(self) -> list[Tokens]:
        return [event for event in self.events if isinstance(event, Tokens)]

    @property
    def finished(self) -> Finished:
        event = self.events[-1]
        assert isinstance(event, Finished), event
        return event

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.tokens)

    @property
    def times_ns(self) -> list[int]:
        return [time_ns for event in self.tokens for time_ns in event.times_ns]


async def ask(worker: SessionWorker, command: Command) -> list[SessionEvent]:
    """All events of a command."""
    async with aclosing(worker.request(command)) as events:
        return [event async for event in events]


async def answer(
    worker: SessionWorker,
    messages: tuple[ChatMessage, ...] = (),
    *,
    prompt: str | None = None,
    turn: int = 1,
    **sampling: Any,
) -> Answer:
    """Generate, greedily unless told otherwise."""
    settings = SamplingSettings(**{"temperature": 0.0, **sampling})
    return Answer(await ask(worker, Generate(turn=turn, messages=messages, prompt=prompt, sampling=settings)))


async def refused(worker: SessionWorker, command: Command) -> EdgetuiError:
    """The failure of a command that must fail, in one sentence."""
    with pytest.raises(EdgetuiError) as caught:
        await ask(worker, command)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.rstrip().endswith((".", "?", "!")) and len(sentence) < 400, sentence
    return caught.value


@pytest.mark.asyncio(loop_scope="class")
class EngineConformance:
    """The checks; a subclass is named `Test...`, and its module gives the fixture `subject`."""

    # --- load -------------------------------------------------------------------------------------------

    async def test_a_load_tells_its_progress_and_what_it_loaded(
        self, subject: Subject, loading: tuple[SessionWorker, list[SessionEvent]]
    ) -> None:
        *progress, loaded = loading[1]
        fractions = [event.fraction for event in progress if isinstance(event, LoadProgress)]
        assert len(fractions) == len(progress) and fractions, "a load tells how far it is, and nothing else"
        assert fractions == sorted(fractions) and fractions[0] >= 0 and fractions[-1] <= 1
        assert isinstance(loaded, Loaded) and loaded.engine == subject.engine
        assert loaded.load_s > 0 and all("\n" not in remark for remark in loaded.remarks)
        if subject.frees_memory:
            assert loaded.engine_version and loaded.backend and loaded.weights_bytes > 0
        if subject.small_context:
            assert loaded.context_tokens == subject.settings.context_tokens

    async def test_nothing_is_generated_without_a_model(self, subject: Subject) -> None:
        async with session_worker(subject.log_dir, subject.engine, subject.toolchains_dir) as worker:
            for command in (Generate(turn=1, messages=CHAT), Tokenize(text="a"), Inspect(), Embed(texts=("a",))):
                error = await refused(worker, command)
                assert error.failure.kind in ("bad_request", "unsupported")
            assert (await refused(worker, Generate(turn=2, messages=CHAT))).failure.kind == "bad_request"
            assert await ask(worker, Unload()) == [Unloaded()]

    async def test_unload_frees_the_memory_and_a_load_follows(self, subject: Subject) -> None:
        async with session_worker(subject.log_dir, subject.engine, subject.toolchains_dir) as worker:
            loaded = (await ask(worker, subject.load(subject.settings)))[-1]
            assert isinstance(loaded, Loaded)
            process = psutil.Process(worker.pid)
            before = process.memory_info().rss
            assert await ask(worker, Unload()) == [Unloaded()]
            if subject.frees_memory:
                assert process.memory_info().rss < before - loaded.weights_bytes / 2
            assert (await refused(worker, Generate(turn=1, messages=CHAT))).failure.kind == "bad_request"
            assert isinstance((await ask(worker, subject.load(subject.settings)))[-1], Loaded)
            again = await answer(worker, CHAT, max_tokens=1)
            assert again.finished.generated_tokens <= 1

    # --- the stream -------------------------------------------------------------------------------------

    async def test_events_come_in_order(self, greedy: Answer) -> None:
        kinds = [type(event) for event in greedy.events]
        assert kinds[0] is PromptReady and kinds[-1] is Finished
        first = kinds.index(Tokens)
        assert set(kinds[1:first]) == {PrefillProgress} and set(kinds[first:-1]) == {Tokens}
        assert (last := greedy.progress[-1]).done_tokens == last.total_tokens
        done = [event.done_tokens for event in greedy.progress]
        assert done == sorted(done)
        assert {event.turn for event in greedy.events} == {1}  # type: ignore[union-attr]

    async def test_every_token_has_a_time(self, greedy: Answer) -> None:
        times, finished = greedy.times_ns, greedy.finished
        assert len(times) == finished.generated_tokens
        assert all(earlier <= later for earlier, later in pairwise(times)) and times[0] > 0
        assert finished.ttft_s is not None and finished.ttft_s == pytest.approx(times[0] / 1e9)
        assert finished.decode_s == pytest.approx((times[-1] - times[0]) / 1e9)
        assert finished.prefill_s <= finished.ttft_s + 1e-6

    async def test_the_limit_of_tokens_is_exact(self, subject: Subject, greedy: Answer) -> None:
        assert (greedy.finished.reason, greedy.finished.generated_tokens) == ("max_tokens", subject.tokens)
        assert greedy.text

    async def test_tokens_of_the_prompt_add_up(self, subject: Subject, greedy: Answer) -> None:
        ready, finished = greedy.ready, greedy.finished
        assert finished.prompt_tokens > 0 and finished.seed == ready.seed
        if subject.grows_cache:
            assert (ready.prompt_tokens, ready.reused_tokens) == (finished.prompt_tokens, finished.reused_tokens)
            assert finished.prefill_tokens == finished.prompt_tokens - finished.reused_tokens
            used = [event.context_used for event in greedy.tokens]
            assert used == sorted(used) and used[0] >= finished.prompt_tokens
            # The last token need not be computed.
            total = finished.prompt_tokens + finished.generated_tokens
            assert finished.context_used in (total - 1, total)

    async def test_greedy_answers_repeat(self, subject: Subject, worker: SessionWorker, greedy: Answer) -> None:
        again = await answer(worker, CHAT, turn=2, max_tokens=subject.tokens, ignore_eos=True)
        assert again.text == greedy.text
        assert {event.turn for event in again.events} == {2}  # type: ignore[union-attr]

    async def test_seeded_answers_repeat(self, subject: Subject, worker: SessionWorker) -> None:
        draw = partial(answer, worker, CHAT, temperature=1.2, seed=11, max_tokens=subject.tokens, ignore_eos=True)
        first, second = await draw(), await draw()
        assert first.text == second.text and first.finished.seed == 11
        if subject.tokens >= 16:
            other = await answer(worker, CHAT, temperature=1.2, seed=12, max_tokens=subject.tokens, ignore_eos=True)
            assert other.text != first.text

    async def test_the_chat_template_is_applied(self, subject: Subject, worker: SessionWorker, greedy: Answer) -> None:
        if not subject.rendered:
            pytest.skip("nobody knows what this model's template makes")
        raw = await answer(worker, prompt=subject.rendered, max_tokens=subject.tokens, ignore_eos=True)
        assert raw.text == greedy.text
        if subject.grows_cache:
            assert raw.finished.prompt_tokens == greedy.finished.prompt_tokens

    async def test_a_stop_sequence_is_cut_off_wherever_tokens_end(
        self, subject: Subject, worker: SessionWorker, greedy: Answer
    ) -> None:
        text = greedy.text
        # From the middle of a token to the middle of another, or nearly so: four characters anywhere.
        stop = text[len(text) // 2 : len(text) // 2 + 4]
        cut = await answer(worker, CHAT, max_tokens=subject.tokens, ignore_eos=True, stop=("never said", stop))
        assert cut.text == text[: text.index(stop)]
        assert (cut.finished.reason, cut.finished.stop_text) == ("stop_text", stop)
        assert len(cut.times_ns) == cut.finished.generated_tokens <= subject.tokens

    async def test_what_only_began_like_a_stop_sequence_is_said(
        self, subject: Subject, worker: SessionWorker, greedy: Answer
    ) -> None:
        ends_so = greedy.text[-2:] + "\x00never"
        whole = await answer(worker, CHAT, max_tokens=subject.tokens, ignore_eos=True, stop=(ends_so,))
        assert (whole.text, whole.finished.reason) == (greedy.text, "max_tokens")

    async def test_characters_are_whole(self, subject: Subject, worker: SessionWorker) -> None:
        said = await answer(worker, prompt=subject.unicode_prompt, max_tokens=subject.tokens, ignore_eos=True)
        *early, last = said.tokens
        assert "\ufffd" not in "".join(event.text for event in early) + last.text[:-1]
        assert any(ord(character) > 0xFF for character in said.text), f"no such characters in {said.text!r}"

    async def test_stop_ends_an_answer_at_once(self, subject: Subject, worker: SessionWorker) -> None:
        command = Generate(
            turn=5, messages=CHAT, sampling=SamplingSettings(temperature=0.0, ignore_eos=True), flush_interval_s=0
        )
        seen: list[SessionEvent] = []
        stopped_at = 0.0
        async with aclosing(worker.request(command)) as events:
            async for event in events:
                seen.append(event)
                if isinstance(event, Tokens) and not stopped_at:
                    stopped_at = time.monotonic()
                    await worker.stop()
        took_s = time.monotonic() - stopped_at
        said = Answer(seen)
        assert said.finished.reason == "stopped" and took_s < subject.stop_within_s
        assert len(said.times_ns) == said.finished.generated_tokens >= 1
        after = await answer(worker, CHAT, max_tokens=2, ignore_eos=True)
        assert after.finished.generated_tokens == 2

    async def test_a_second_turn_computes_only_what_is_new(self, subject: Subject, worker: SessionWorker) -> None:
        first = await answer(worker, CHAT, max_tokens=4)
        more = (*CHAT, ChatMessage("assistant", first.text), ChatMessage("user", "More."))
        second = await answer(worker, more, max_tokens=2)
        finished = second.finished
        if subject.grows_cache:
            assert finished.prompt_tokens > first.finished.prompt_tokens
        if subject.reuses_cache:
            assert finished.reused_tokens >= first.finished.prompt_tokens - 1
            assert second.progress[-1].total_tokens == finished.prompt_tokens - finished.reused_tokens
        else:
            assert finished.reused_tokens == 0 or not subject.grows_cache

    async def test_an_empty_prompt_is_a_sentence(self, worker: SessionWorker) -> None:
        assert (await refused(worker, Generate(turn=1, prompt=""))).failure.kind == "bad_request"

    # --- the end of the context -------------------------------------------------------------------------

    async def test_the_context_ends_in_a_sentence_and_the_worker_goes_on(self, subject: Subject) -> None:
        if not subject.small_context:
            pytest.skip("the context is not ours to choose")
        settings = LoadSettings(context_tokens=subject.small_context, threads=1)
        async with session_worker(subject.log_dir, subject.engine, subject.toolchains_dir) as worker:
            loaded = (await ask(worker, subject.load(settings)))[-1]
            assert isinstance(loaded, Loaded) and loaded.context_tokens == subject.small_context
            error = await refused(worker, Generate(turn=1, prompt="one " * subject.small_context * 2))
            assert error.failure.kind == "context_overflow" and str(subject.small_context) in str(error)
            # So long that it is not even tokenized, which no stop could end.
            error = await refused(worker, Generate(turn=1, prompt="one " * 1_000_000))
            assert error.failure.kind == "context_overflow" and "has at least" in str(error)

            few = await answer(worker, prompt="one " * 8, max_tokens=1, ignore_eos=True)
            some = await answer(worker, prompt="one " * 16, max_tokens=1, ignore_eos=True)
            a_word = (some.finished.prompt_tokens - few.finished.prompt_tokens) / 8
            words = int((subject.small_context - 4 - few.finished.prompt_tokens) / a_word) + 8
            filled = (await answer(worker, prompt="one " * words, ignore_eos=True)).finished
            assert filled.reason == "context_full" and filled.context_tokens == subject.small_context
            assert 1 <= filled.generated_tokens <= subject.small_context - filled.prompt_tokens + 1
            after = await answer(worker, prompt="one", max_tokens=1, ignore_eos=True)
            assert after.finished.reason == "max_tokens"

    # --- what only some can -----------------------------------------------------------------------------

    async def test_text_is_cut_into_the_models_tokens(
        self, subject: Subject, worker: SessionWorker, loaded: Loaded
    ) -> None:
        if "tokenize" not in loaded.abilities:
            assert (await refused(worker, Tokenize(text="a"))).failure.kind == "unsupported"
            return
        text = "The quick brown fox:\n  12345 jumps."
        pieces = await self._tokens_of(worker, text)
        assert "".join(piece.text for piece in pieces) == text and len(pieces) > 8
        assert all(piece.token >= 0 for piece in pieces)
        assert await self._tokens_of(worker, "") == ()
        said = await answer(worker, prompt=text, max_tokens=1)
        # Some models want a token before each text.
        assert said.finished.prompt_tokens - len(pieces) in (0, 1)
        assert len(await self._tokens_of(worker, "日本🎉")) > 1
        if subject.special_text:
            (special,) = await self._tokens_of(worker, subject.special_text)
            assert special.text == subject.special_text

    async def _tokens_of(self, worker: SessionWorker, text: str) -> tuple[Any, ...]:
        (event,) = await ask(worker, Tokenize(text=text))
        assert isinstance(event, Tokenized)
        return event.tokens

    async def test_an_answers_tokens_are_inspected(
        self, subject: Subject, worker: SessionWorker, loaded: Loaded, greedy: Answer
    ) -> None:
        if "inspect" not in loaded.abilities:
            assert (await refused(worker, Inspect())).failure.kind == "unsupported"
            return
        said = await answer(worker, CHAT, max_tokens=subject.tokens, ignore_eos=True)
        (event,) = await ask(worker, Inspect(alternatives=5))
        assert isinstance(event, Inspected)
        assert len(event.tokens) == said.finished.generated_tokens
        if said.text.isascii():
            # Past its end the model says marks that are written out here and not in the answer.
            assert re.sub(r"<\|\w+\|>", "", "".join(token.text for token in event.tokens)) == said.text
        for token in event.tokens:
            probabilities = [each.probability for each in token.alternatives]
            assert len(probabilities) == 5 and probabilities == sorted(probabilities, reverse=True)
            assert 0 < token.probability <= 1 and all(0 < each <= 1 for each in probabilities)
            assert sum(probabilities) <= 1 + 1e-4
            # One pass over all tokens rounds otherwise than one token after another; a tie may turn round.
            assert token.rank == 1 or token.probability > 0.95 * probabilities[0]
            if token.rank == 1:
                assert token.alternatives[0].text == token.text
        again = await answer(worker, CHAT, max_tokens=subject.tokens, ignore_eos=True)
        assert again.text == said.text
        if subject.reuses_cache:
            # onnxruntime-genai computes two tokens at least (see its `Conversation`).
            assert again.finished.reused_tokens >= again.finished.prompt_tokens - 2

    async def test_texts_become_vectors(self, worker: SessionWorker, loaded: Loaded) -> None:
        if "embed" not in loaded.abilities:
            assert (await refused(worker, Embed(texts=("a",)))).failure.kind == "unsupported"
            return
        texts = ("A cat sleeps.", "Rockets burn fuel.", "A cat sleeps.")
        (event,) = await ask(worker, Embed(texts=texts))
        assert isinstance(event, Embedded) and len(event.vectors) == len(event.token_counts) == 3
        for vector in event.vectors:
            assert sum(value * value for value in vector) == pytest.approx(1, abs=1e-4)
        assert event.vectors[0] == pytest.approx(event.vectors[2], abs=1e-4)
        assert event.vectors[0] != pytest.approx(event.vectors[1], abs=1e-2)
        assert all(count > 1 for count in event.token_counts)

    async def test_an_answer_follows_a_schema(self, worker: SessionWorker, loaded: Loaded) -> None:
        schema = '{"type": "object", "properties": {"n": {"type": "boolean"}}, "required": ["n"]}'
        command = Generate(
            turn=1, messages=CHAT, sampling=SamplingSettings(temperature=0.0, json_schema=schema, max_tokens=24)
        )
        if "grammar" not in loaded.abilities:
            assert (await refused(worker, command)).failure.kind == "unsupported"
        else:
            said = Answer(await ask(worker, command))
            assert isinstance(json.loads(said.text)["n"], bool) and said.finished.reason == "end"
            bad = SamplingSettings(grammar='root ::= "never closed')
            assert (await refused(worker, Generate(turn=2, messages=CHAT, sampling=bad))).failure.kind == "bad_request"
        assert (await answer(worker, CHAT, max_tokens=1, ignore_eos=True)).finished.reason == "max_tokens"

    async def test_a_worker_that_is_killed_says_so(self, subject: Subject) -> None:
        async with session_worker(subject.log_dir, subject.engine, subject.toolchains_dir) as worker:
            asking = asyncio.ensure_future(ask(worker, subject.load(subject.settings)))
            await asyncio.sleep(0)
            psutil.Process(worker.pid).kill()
            with pytest.raises(EdgetuiError, match="SIGKILL") as caught:
                await asking
            assert caught.value.failure.kind == "crashed"
