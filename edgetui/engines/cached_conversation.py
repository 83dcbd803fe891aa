"""A conversation over one KV cache: what is known is not computed again, then token after token until an end."""

from __future__ import annotations

import random
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, ClassVar

from edgetui.core.failures import EdgetuiError
from edgetui.engines.answer_stream import AnswerStream
from edgetui.engines.base import lacks
from edgetui.engines.prompt_writer import PromptWriter
from edgetui.engines.token_prefix import common_prefix
from edgetui.worker.protocol import Finished, Generate, PrefillProgress, PromptReady

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edgetui.core.inspection import InspectedToken
    from edgetui.engines.stopping import StopFlag
    from edgetui.engines.tokenizer_vocabulary import TokenizerVocabulary
    from edgetui.worker.protocol import SessionEvent


class Asked:
    """One answer under way: what is wanted, and where it goes."""

    def __init__(
        self,
        command: Generate,
        seed: int,
        new_tokens: int,
        answer: AnswerStream,
        emit: Callable[[SessionEvent], None],
        stop: StopFlag,
    ) -> None:
        """`new_tokens` of the prompt are not in the cache yet; the time of prefill runs from now on."""
        self.settings = command.sampling
        self.seed = seed
        self.answer = answer
        self.stop = stop
        self._turn = command.turn
        self._new_tokens = new_tokens
        self._emit = emit
        self._began_ns = time.perf_counter_ns()

    def tell_prefill(self, done_tokens: int) -> None:
        """Say how many of the new tokens are computed."""
        self._emit(
            PrefillProgress(
                turn=self._turn,
                done_tokens=done_tokens,
                total_tokens=self._new_tokens,
                elapsed_s=(time.perf_counter_ns() - self._began_ns) / 1e9,
            )
        )


class CachedConversation:
    """Keeps what the KV cache holds, so that a turn computes only what is new; a subclass has the cache."""

    ENGINE: ClassVar[str]
    """Its name in sentences."""
    FEWEST_COMPUTED: ClassVar[int] = 1
    """Of a prompt, however much of it is known: at least the last token, whose logits give the first of the answer."""

    def __init__(self, name: str, vocabulary: TokenizerVocabulary, template: str, context_tokens: int) -> None:
        """`name` is what sentences call the model, `template` its chat template, empty for none."""
        self._name = name
        self._vocabulary = vocabulary
        self._writer = PromptWriter(vocabulary, template, context_tokens)
        self._context_tokens = context_tokens
        self._text = ""
        """What the tokens say, as text: the next prompt usually begins with it."""
        self._tokens: list[int] = []
        """All tokens of the conversation; the last one chosen may not be computed yet."""
        self._answer_begins = 0
        """Where in the tokens the last answer begins; 0 for none."""

    # --- what a subclass has ------------------------------------------------------------------------------

    @property
    def length(self) -> int:
        """How many of the tokens are in the cache."""
        raise NotImplementedError

    def cut_back(self, length: int) -> None:
        """Have at most so many tokens in the cache; a cache that cannot go back begins anew."""
        raise NotImplementedError

    def drop_cache(self) -> None:
        """Begin anew with an empty cache, whatever it holds; raises nothing."""
        raise NotImplementedError

    def telling(self, doing: str) -> AbstractContextManager[None]:
        """Whatever the runtime raises inside becomes an `EdgetuiError` that says what was being done."""
        raise NotImplementedError

    def heeding(self, stop: StopFlag) -> AbstractContextManager[None]:
        """End a run under way as soon as `stop` is set, where the runtime can."""
        return nullcontext()

    def prefill(self, asked: Asked, reused: int) -> Callable[[], str] | None:
        """Compute what is not in the cache yet, beyond the `reused` tokens; None when stopped on the way.

        Gives what says tokens until something ends the answer, and returns the reason as `Finished` names it.
        """
        raise NotImplementedError

    def inspected(self, place: int, alternatives: int, stop: StopFlag) -> InspectedToken | None:
        """What else the token at `place` could have been, by what is before it; None when stopped on the way."""
        raise NotImplementedError

    # --- what an engine asks ------------------------------------------------------------------------------

    def tokenize(self, text: str) -> list[tuple[int, str]]:
        """Each token of a text and what it stands for."""
        return [
            (token, self._vocabulary.text_of(token)) for token in self._vocabulary.tokenize(text, add_special=False)
        ]

    def generate(
        self, command: Generate, arrived_ns: int, emit: Callable[[SessionEvent], None], stop: StopFlag
    ) -> Finished:
        """Answer `command`, handing events to `emit`; `arrived_ns` is when it reached this process.

        Raises `EdgetuiError`: `context_overflow`, `bad_request`, `unsupported` for a grammar, `bad_file` (chat
        template, weights that compute no numbers), `out_of_memory`.
        """
        settings, turn = command.sampling, command.turn
        if settings.grammar or settings.json_schema:
            raise lacks(self.ENGINE, "hold an answer to a grammar or a schema")
        text = self._writer.text(command)
        prompt = self._writer.tokens(text, self._text, self._tokens)
        self._writer.require_room(prompt)
        prompt_tokens = len(prompt)
        answer = AnswerStream(command, arrived_ns, emit)
        with self._computing("Running"):
            reused = self._reuse(prompt)
            seed = settings.seed if settings.seed is not None else random.getrandbits(32)
            emit(PromptReady(turn=turn, prompt_tokens=prompt_tokens, reused_tokens=reused, seed=seed))
            self._tokens, self._text, self._answer_begins = prompt, "", 0
            try:
                with self.heeding(stop):
                    began_ns = time.perf_counter_ns()
                    decode = self.prefill(Asked(command, seed, prompt_tokens - reused, answer, emit, stop), reused)
                    prefill_s = (time.perf_counter_ns() - began_ns) / 1e9
                    prefill_tokens = self.length - reused
                    if decode is None:
                        # The known tokens end where the cache does.
                        del prompt[self.length :]
                        reason = "stopped"
                    else:
                        self._answer_begins = prompt_tokens
                        reason = decode()
            finally:
                answer.close(self.length)
        # What a stop sequence cut off stands in the tokens all the same.
        self._text = text + answer.text if decode is not None and not answer.stop_text else ""
        return Finished(
            turn=turn,
            reason=reason,
            prompt_tokens=prompt_tokens,
            reused_tokens=reused,
            prefill_tokens=prefill_tokens,
            prefill_s=prefill_s,
            ttft_s=answer.ttft_s,
            generated_tokens=len(answer.times_ns),
            decode_s=answer.decode_s,
            context_used=self.length,
            context_tokens=self._context_tokens,
            seed=seed,
            stop_text=answer.stop_text,
        )

    def inspect(self, alternatives: int, stop: StopFlag) -> tuple[InspectedToken, ...]:
        """What else each token of the last answer could have been, from logits computed anew as they were.

        Raises `EdgetuiError`: `bad_request` without an answer, `cancelled`.
        """
        begins, end = self._answer_begins, len(self._tokens)
        if not begins or begins == end:
            raise EdgetuiError("bad_request", "There is no answer to inspect: let the model answer first.")
        found: list[InspectedToken] = []
        with self._computing("Inspecting"), self.heeding(stop):
            # Each token was chosen by the logits of the one before, computed as here: the prompt's end as in a prefill,
            # the answer one by one. Together they would round otherwise and tell of other choices.
            self.cut_back(max(0, begins - self.FEWEST_COMPUTED))
            for place in range(begins, end):
                each = None if stop.is_set else self.inspected(place, alternatives, stop)
                if each is None:
                    break
                found.append(each)
        if len(found) < end - begins:
            raise EdgetuiError("cancelled", "Inspecting was stopped.")
        return tuple(found)

    # --- for both -----------------------------------------------------------------------------------------

    def say(self, asked: Asked, token: int, known: int) -> str:
        """Take a chosen token, with `known` ones in the cache; returns why the answer ends with it, or nothing."""
        if self._vocabulary.ends_generation(token) and not asked.settings.ignore_eos:
            return "end"
        self._tokens.append(token)
        if asked.answer.add(self._vocabulary.piece(token), known):
            return "stop_text"
        if asked.settings.max_tokens and len(asked.answer.times_ns) >= asked.settings.max_tokens:
            return "max_tokens"
        return "context_full" if known + 1 > self._context_tokens else ""

    def _reuse(self, prompt: Sequence[int]) -> int:
        """Cut the cache back to what it shares with `prompt`; returns how many tokens stay."""
        shared = common_prefix(self._tokens[: self.length], prompt)
        self.cut_back(min(shared, max(0, len(prompt) - self.FEWEST_COMPUTED)))
        return self.length

    @contextmanager
    def _computing(self, doing: str) -> Iterator[None]:
        """What is raised inside becomes one sentence; what the cache holds then is not known, so all is forgotten."""
        with self.telling(doing):
            try:
                yield
            except BaseException:
                self._tokens, self._text, self._answer_begins = [], "", 0
                self.drop_cache()
                raise
