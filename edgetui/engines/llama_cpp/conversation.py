"""Generation over one KV cache: prefill of what is new, then token after token until something ends it."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from edgetui.engines.answer_stream import AnswerStream
from edgetui.engines.llama_cpp.decoding import Decoding
from edgetui.engines.llama_cpp.kv_cache import KvCache
from edgetui.engines.llama_cpp.sampler import make_sampler
from edgetui.engines.llama_cpp.tokens import Vocabulary
from edgetui.engines.prompt_writer import PromptWriter
from edgetui.engines.token_prefix import common_prefix
from edgetui.worker.protocol import Finished, Generate, PrefillProgress, PromptReady

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.engines.llama_cpp.model import LoadedModel
    from edgetui.engines.llama_cpp.prompt_cache import PromptCache
    from edgetui.engines.llama_cpp.speculation import Proposer
    from edgetui.engines.stopping import StopFlag
    from edgetui.worker.protocol import SessionEvent


class Conversation:
    """Keeps what the KV cache holds, so that a turn computes only what is new."""

    def __init__(
        self,
        lib: Any,
        model: LoadedModel,
        proposer: Proposer | None = None,
        draft_tokens: int = 0,
        prompt_cache: PromptCache | None = None,
    ) -> None:
        """`proposer` guesses up to `draft_tokens` tokens ahead, which are verified together."""
        self._lib = lib
        self._model = model
        self._proposer = proposer
        # The last token is computed together with its guesses, and all their logits are read.
        self._draft_tokens = min(draft_tokens, model.output_rows - 1)
        self._prompt_cache = prompt_cache
        self.vocabulary = Vocabulary(lib, model.vocab)
        self._writer = PromptWriter(self.vocabulary, model.chat_template or "", model.context_tokens)
        self.cache = KvCache(lib, model)
        self.text = ""
        """What the tokens say, as text: the next prompt usually begins with it. Empty when that is not known."""
        self.tokens: list[int] = []
        """All tokens of the conversation; the last one chosen may not be computed yet."""
        self.answer_start = 0
        """Where the last answer begins in them; behind the last one when there is none."""

    def generate(
        self, command: Generate, arrived_ns: int, emit: Callable[[SessionEvent], None], stop: StopFlag
    ) -> Finished:
        """Answer `command`, handing events to `emit`; `arrived_ns` is when it reached this process.

        Raises `EdgetuiError`: `context_overflow`, `bad_request`, `bad_file` (chat template), `out_of_memory`,
        `cancelled` (while a long prompt is tokenized), `internal`.
        """
        self._model.watch(stop)
        text = self._writer.text(command)
        prompt = self._writer.tokens(text, self.text, self.tokens, stop)
        if self._prompt_cache and not self.cache.tokens and self._prompt_cache.take_up(self, text, prompt):
            prompt = self._writer.tokens(text, self.text, self.tokens, stop)
        self._writer.require_room(prompt)
        prompt_tokens, room = len(prompt), self._model.context_tokens
        seed = command.sampling.seed if command.sampling.seed is not None else random.getrandbits(32)
        sampler = make_sampler(self._lib, self._model, command.sampling, seed)
        # At least one token must be computed to have logits to sample from.
        reused = self.cache.keep(min(common_prefix(self.cache.tokens, prompt), prompt_tokens - 1))
        emit(PromptReady(turn=command.turn, prompt_tokens=prompt_tokens, reused_tokens=reused, seed=seed))
        answer = AnswerStream(command, arrived_ns, emit)
        self.tokens, self.text, self.answer_start = prompt, "", prompt_tokens
        decoding = Decoding(self, sampler, answer, command.sampling, stop, room)
        try:
            for token in prompt[prompt_tokens - min(sampler.remembers, prompt_tokens) :]:
                sampler.accept(token)
            prefill_started = time.perf_counter_ns()
            whole = self._prefill(command.turn, reused, emit, stop)
            prefill_s = (time.perf_counter_ns() - prefill_started) / 1e9
            prefill_tokens = len(self.cache.tokens) - reused
            reason = decoding.run(self._proposer, self._draft_tokens) if whole else "stopped"
        finally:
            sampler.close()
            answer.close(self._context_used)
        # What a stop sequence cut off stands in the tokens all the same.
        self.text = text + answer.text if whole and not answer.stop_text else ""
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
            context_used=self._context_used,
            context_tokens=room,
            seed=seed,
            stop_text=answer.stop_text,
            draft_tokens=decoding.proposed,
            accepted_tokens=decoding.accepted,
        )

    def adopt(self, computed: list[int], behind: list[int], text: str) -> None:
        """Take over a conversation whose `computed` tokens have just been put into the KV cache."""
        self.cache.tokens[:] = computed
        self.tokens, self.text = [*computed, *behind], text
        self.answer_start = len(self.tokens)

    def close(self) -> None:
        """Keep the KV cache on disk, where that was asked for, and let go of the model."""
        self._writer.close()
        if self._prompt_cache is not None:
            self._prompt_cache.save(self)

    @property
    def speculates(self) -> bool:
        """Whether tokens are guessed ahead."""
        return self._proposer is not None

    @property
    def _context_used(self) -> int:
        return len(self.cache.tokens)

    def _prefill(self, turn: int, reused: int, emit: Callable[[SessionEvent], None], stop: StopFlag) -> bool:
        """Compute what is not in the cache yet; False when stopped on the way."""
        tokens, computed = self.tokens, self.cache.tokens
        batch = self._model.batch_tokens
        started_ns = time.perf_counter_ns()
        while len(computed) < len(tokens):
            if stop.is_set or not self.cache.decode(tokens[len(computed) : len(computed) + batch]):
                # The known tokens end where the cache does.
                del tokens[len(computed) :]
                self.answer_start = len(tokens)
                return False
            elapsed_s = (time.perf_counter_ns() - started_ns) / 1e9
            emit(
                PrefillProgress(
                    turn=turn,
                    done_tokens=len(computed) - reused,
                    total_tokens=len(tokens) - reused,
                    elapsed_s=elapsed_s,
                )
            )
        return True
