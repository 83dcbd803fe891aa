"""A model on a server as a session worker's engine."""

from __future__ import annotations

import asyncio
import math
import random
import time
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.server_request import program_name
from edgetui.engines.base import NOTHING_LOADED
from edgetui.engines.server import tokens
from edgetui.engines.server.bodies import generation_body, not_taken
from edgetui.engines.server.generation import Generation
from edgetui.engines.server.inspection import Said, inspected
from edgetui.engines.server.kinds import ServerModel, describe
from edgetui.engines.server.link import Link
from edgetui.worker.protocol import Embedded, Inspected, Loaded, Tokenized

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetui.core.engines import Ability
    from edgetui.engines.stopping import StopFlag
    from edgetui.worker.protocol import Finished, Generate, Load, SessionEvent

NAME = "server"
_STOPPED = "Stopped, as was asked for."


class ServerEngine:
    """One model of one server at a time (see `engines.base.Engine`); nothing of it is in this process's memory."""

    def __init__(self) -> None:
        self._link: Link | None = None
        self._model: ServerModel | None = None
        self._said: Said | None = None

    def load(self, command: Load, on_progress: Callable[[float], None], stop: StopFlag) -> Loaded:
        """Find the model and what the server tells of it; nothing is computed there."""
        started = time.perf_counter()
        if command.endpoint is None:
            raise EdgetuiError("bad_request", "No server is named: add one with `edgetui server add`.")
        self.unload()
        on_progress(0.0)
        link = Link(command.endpoint, command.key)
        try:
            model: ServerModel = link.run(describe(link, command.endpoint.model), stop)
        except asyncio.CancelledError:
            link.close()
            raise EdgetuiError("cancelled", _STOPPED) from None
        except BaseException:
            link.close()
            raise
        self._link, self._model = link, model
        on_progress(1.0)
        return Loaded(
            load_s=time.perf_counter() - started,
            context_tokens=model.context_tokens,
            trained_context_tokens=model.trained_context_tokens,
            batch_tokens=0,
            threads=0,
            kv_cache_type="",
            kv_cache_bytes=0,
            weights_bytes=model.weights_bytes,
            parameter_count=model.parameter_count,
            description=model.description,
            has_chat_template=model.has_chat_template,
            engine=NAME,
            engine_version=f"{model.kind} {model.version}".strip(),
            backend="",
            abilities=_abilities(model),
            remarks=_remarks(link, model),
            models=model.models,
        )

    def generate(
        self, command: Generate, arrived_ns: int, emit: Callable[[SessionEvent], None], stop: StopFlag
    ) -> Finished:
        """Answer; prompt tokens are 0 in the first events where the server counts only at the end."""
        link, model = self._required()
        if not (command.messages or (command.prompt or "").strip()):
            raise EdgetuiError("bad_request", "The prompt is empty: write something for the model to go on from.")
        seed = command.sampling.seed if command.sampling.seed is not None else random.getrandbits(31)
        body = generation_body(command, model, seed)
        text: list[str] = []

        def keep(event: SessionEvent) -> None:
            text.append(getattr(event, "text", ""))
            emit(event)

        generation = Generation(link, model, command, seed, arrived_ns, keep)
        self._said = None
        finished = generation.run(body, stop)
        self._said = Said(command, "".join(text), finished)
        return finished

    def tokenize(self, text: str) -> Tokenized:
        """By the server, where it offers that: llama-server does."""
        link, model = self._required()
        if model.kind != "llama.cpp":
            raise _lacks(model, "cut a text into tokens")
        return Tokenized(tokens=link.run(tokens.pieces(link, text)))

    def inspect(self, alternatives: int, stop: StopFlag) -> Inspected:
        """By llama-server: the answer is decoded once more, each token forced, so generating costs nothing more."""
        link, model = self._required()
        if model.kind != "llama.cpp":
            raise _lacks(model, "tell what else a token could have been")
        if self._said is None or not self._said.text:
            raise EdgetuiError("bad_request", "There is no answer to inspect: ask something first.")
        try:
            return Inspected(tokens=link.run(inspected(link, self._said, alternatives), stop))
        except asyncio.CancelledError:
            raise EdgetuiError("cancelled", _STOPPED) from None

    def embed(self, texts: Sequence[str], stop: StopFlag) -> Embedded:
        """One question a text, since a server counts the tokens of a question only."""
        link, model = self._required()
        if model.kind == "llama.cpp" and not model.can_embed:
            raise EdgetuiError(
                "unsupported", f"{link.sentences.name} was started without embeddings: start it with --embeddings."
            )
        try:
            answers = link.run(_embed(link, model, texts), stop)
        except asyncio.CancelledError:
            raise EdgetuiError("cancelled", _STOPPED) from None
        return Embedded(
            vectors=tuple(vector for vector, _ in answers), token_counts=tuple(count for _, count in answers)
        )

    def unload(self) -> None:
        """Hang up; the server keeps its model."""
        if self._link is not None:
            self._link.close()
        self._link = self._model = self._said = None

    def _required(self) -> tuple[Link, ServerModel]:
        if self._link is None or self._model is None:
            raise EdgetuiError("bad_request", NOTHING_LOADED)
        return self._link, self._model


def _abilities(model: ServerModel) -> tuple[Ability, ...]:
    found: list[Ability] = []
    if model.kind == "llama.cpp":
        found += ["tokenize", "inspect", "grammar"]
    if model.can_embed:
        found.append("embed")
    return tuple(found)


def _remarks(link: Link, model: ServerModel) -> tuple[str, ...]:
    remarks = []
    if link.is_open_to_all:
        remarks.append(f"The key travels in clear to {link.host}: anyone on the way can read it; https:// hides it.")
    if told := not_taken(model):
        remarks.append(told)
    return tuple(remarks)


async def _embed(link: Link, model: ServerModel, texts: Sequence[str]) -> list[tuple[tuple[float, ...], int]]:
    found = []
    for text in texts:
        answer = await link.post("embeddings", {"model": model.name, "input": text}, models=model.models)
        vector, count = _vector_of(answer)
        length = math.sqrt(sum(value * value for value in vector))
        if not length or not math.isfinite(length):
            raise link.sentences.failure("network", "answers with something that is no vector: is it a text model?")
        found.append((tuple(value / length for value in vector), count))
    return found


def _vector_of(answer: Any) -> tuple[list[float], int]:
    try:
        vector = [float(value) for value in answer["data"][0]["embedding"]]
        return vector, int((answer.get("usage") or {}).get("prompt_tokens") or 0)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return [], 0


def _lacks(model: ServerModel, what: str) -> EdgetuiError:
    return EdgetuiError(
        "unsupported",
        f"{program_name(model.kind)} cannot {what} by this protocol: llama-server can, and every engine here does.",
    )
