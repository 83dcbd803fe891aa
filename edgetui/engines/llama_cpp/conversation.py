"""Generation over one KV cache: prefill of what is new, then token after token until something ends it."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.engines.answer_stream import AnswerStream
from edgetui.engines.chat_template import ChatTemplate, render_plain
from edgetui.engines.llama_cpp.sampler import SamplerChain
from edgetui.engines.llama_cpp.tokens import Vocabulary, common_prefix
from edgetui.worker.protocol import Finished, Generate, PrefillProgress, PromptReady

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.engines.llama_cpp.model import LoadedModel
    from edgetui.engines.stopping import StopFlag
    from edgetui.worker.protocol import SessionEvent

_ABORTED = 2
"""`llama_decode`'s status when the abort callback said so."""


class Conversation:
    """Keeps what the KV cache holds, so that a turn computes only what is new."""

    def __init__(self, lib: Any, model: LoadedModel) -> None:
        self._lib = lib
        self._model = model
        self._vocabulary = Vocabulary(lib, model.vocab)
        self._vocabulary_size = int(lib.llama_vocab_n_tokens(model.vocab))
        self._template: ChatTemplate | None = None
        self._text = ""
        """What the tokens say, as text: the next prompt usually begins with it."""
        self._tokens: list[int] = []
        """All tokens of the conversation; the last one chosen may not be decoded yet."""
        self._decoded = 0
        """How many of them are in the KV cache."""

    def generate(
        self, command: Generate, arrived_ns: int, emit: Callable[[SessionEvent], None], stop: StopFlag
    ) -> Finished:
        """Answer `command`, handing events to `emit`; `arrived_ns` is when it reached this process.

        Raises `EdgetuiError`: `context_overflow`, `bad_file` (chat template), `internal`.
        """
        self._model.watch(stop)
        text = command.prompt if command.prompt is not None else self._render(command)
        prompt = self._prompt_tokens(text)
        if not prompt:
            raise EdgetuiError("bad_request", "The prompt is empty: write something for the model to go on from.")
        prompt_tokens, room = len(prompt), self._model.context_tokens
        if prompt_tokens >= room:
            raise EdgetuiError(
                "context_overflow",
                f"The prompt has {prompt_tokens} tokens and the context {room}: shorten it, begin a new conversation,"
                " or load the model with a larger context.",
            )
        reused = self._reuse(prompt)
        seed = command.sampling.seed if command.sampling.seed is not None else random.getrandbits(32)
        emit(PromptReady(turn=command.turn, prompt_tokens=prompt_tokens, reused_tokens=reused, seed=seed))
        sampler = SamplerChain(self._lib, self._vocabulary_size, command.sampling, seed)
        answer = AnswerStream(command, arrived_ns, emit)
        try:
            for token in prompt[prompt_tokens - min(sampler.remembers, prompt_tokens) :]:
                sampler.accept(token)
            self._tokens, self._text = prompt, text
            prefill_started = time.perf_counter_ns()
            whole = self._prefill(command.turn, reused, emit, stop)
            prefill_s = (time.perf_counter_ns() - prefill_started) / 1e9
            prefill_tokens = self._decoded - reused
            reason = _Decode(self, command, sampler, answer, stop).run() if whole else "stopped"
        finally:
            sampler.close()
            answer.close(self._decoded)
        # What a stop sequence cut off stands in the tokens all the same.
        self._text = text + answer.text if whole and not answer.stop_text else ""
        return Finished(
            turn=command.turn,
            reason=reason,
            prompt_tokens=prompt_tokens,
            reused_tokens=reused,
            prefill_tokens=prefill_tokens,
            prefill_s=prefill_s,
            ttft_s=answer.ttft_s,
            generated_tokens=len(answer.times_ns),
            decode_s=answer.decode_s,
            context_used=self._decoded,
            context_tokens=room,
            seed=seed,
            stop_text=answer.stop_text,
        )

    def _render(self, command: Generate) -> str:
        source = self._model.chat_template
        if source is None:
            return render_plain(command.messages)
        if self._template is None:
            self._template = ChatTemplate(
                source, bos_token=self._vocabulary.bos_text, eos_token=self._vocabulary.eos_text
            )
        return self._template.render(command.messages)

    def _prompt_tokens(self, text: str) -> list[int]:
        """Tokens of `text`, continuing the ones already known where the text does.

        Tokenising an answer anew need not give the tokens that the model chose, and each that differs would
        throw the cache away from there on; so only the text after the known part is tokenised.
        """
        if self._text and text.startswith(self._text):
            return [*self._tokens, *self._vocabulary.tokenize(text[len(self._text) :], add_special=False)]
        bos = self._vocabulary.bos_text
        if self._vocabulary.adds_bos and bos and text.startswith(bos):
            # The template wrote it out and the tokenizer adds it too; one is right.
            return self._vocabulary.tokenize(text.removeprefix(bos), add_special=True)
        return self._vocabulary.tokenize(text, add_special=True)

    def _reuse(self, prompt: list[int]) -> int:
        """Cut the KV cache back to what it shares with `prompt`; returns how many tokens stay."""
        lib, memory = self._lib, self._model.memory
        # At least one token must be decoded to have logits to sample from.
        shared = min(common_prefix(self._tokens[: self._decoded], prompt), len(prompt) - 1)
        if shared < self._decoded:
            window = int(lib.llama_model_n_swa(self._model.model))
            oldest = int(lib.llama_memory_seq_pos_min(memory, 0))
            # A sliding-window cache has dropped old positions; going back behind them is not possible.
            lost = window > 0 and oldest > max(0, shared - window)
            if lost or not lib.llama_memory_seq_rm(memory, 0, shared, -1):
                lib.llama_memory_clear(memory, True)
                shared = 0
        self._decoded = shared
        return shared

    def _prefill(self, turn: int, reused: int, emit: Callable[[SessionEvent], None], stop: StopFlag) -> bool:
        """Decode what is not in the cache yet; False when stopped on the way."""
        total = len(self._tokens) - reused
        batch = self._model.batch_tokens
        started_ns = time.perf_counter_ns()
        while self._decoded < len(self._tokens):
            if stop.is_set or not self.decode(self._tokens[self._decoded : self._decoded + batch]):
                self._forget_text()
                return False
            elapsed_s = (time.perf_counter_ns() - started_ns) / 1e9
            done = self._decoded - reused
            emit(PrefillProgress(turn=turn, done_tokens=done, total_tokens=total, elapsed_s=elapsed_s))
        return True

    def decode(self, tokens: list[int]) -> bool:
        """Run `tokens` through the model; False when aborted, the cache then as before."""
        lib = self._lib
        # The batch only points at the array, which therefore needs a name that outlives the call.
        array = (lib.llama_token * len(tokens))(*tokens)
        status = lib.llama_decode(self._model.context, lib.llama_batch_get_one(array, len(tokens)))
        if status == 0:
            lib.llama_synchronize(self._model.context)
            self._decoded += len(tokens)
            return True
        lib.llama_memory_seq_rm(self._model.memory, 0, self._decoded, -1)
        if status == _ABORTED:
            return False
        self._forget_text()
        raise EdgetuiError(
            "internal",
            f"llama.cpp stopped with status {status} after {self._decoded} tokens: begin a new conversation,"
            " or load the model again.",
        )

    def append(self, token: int) -> None:
        """Note a chosen token; it is decoded when the next one is wanted."""
        self._tokens.append(token)

    def _forget_text(self) -> None:
        """After an abort the known tokens end where the cache ends, and no longer match the known text."""
        del self._tokens[self._decoded :]
        self._text = ""


class _Decode:
    """One answer: chooses tokens and sees every reason to stop."""

    def __init__(
        self,
        conversation: Conversation,
        command: Generate,
        sampler: SamplerChain,
        answer: AnswerStream,
        stop: StopFlag,
    ) -> None:
        self._conversation = conversation
        self._settings = command.sampling
        self._sampler = sampler
        self._answer = answer
        self._stop = stop

    def run(self) -> str:
        """Decode until something ends it; returns the reason as `Finished` names it."""
        conversation, settings, answer = self._conversation, self._settings, self._answer
        limit = settings.max_tokens or None
        vocabulary, context = conversation._vocabulary, conversation._model.context
        room = conversation._model.context_tokens
        while True:
            if self._stop.is_set:
                return "stopped"
            token = self._sampler.sample(context)
            if vocabulary.ends_generation(token) and not settings.ignore_eos:
                return "end"
            conversation.append(token)
            if answer.add(vocabulary.piece(token), conversation._decoded):
                return "stop_text"
            if limit is not None and len(answer.times_ns) >= limit:
                return "max_tokens"
            if conversation._decoded + 1 > room:
                return "context_full"
            if not conversation.decode([token]):
                return "stopped"
