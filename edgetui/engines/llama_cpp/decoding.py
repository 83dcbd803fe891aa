"""One answer: tokens chosen one by one, or several verified at once, and every reason to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgetui.core.run_settings import SamplingSettings
    from edgetui.engines.answer_stream import AnswerStream
    from edgetui.engines.llama_cpp.conversation import Conversation
    from edgetui.engines.llama_cpp.sampler import Sampler
    from edgetui.engines.llama_cpp.speculation import Proposer
    from edgetui.engines.stopping import StopFlag


class Decoding:
    """Goes on from a prompt whose last token has just been computed."""

    def __init__(
        self,
        conversation: Conversation,
        sampler: Sampler,
        answer: AnswerStream,
        settings: SamplingSettings,
        stop: StopFlag,
        room: int,
    ) -> None:
        self._tokens = conversation.tokens
        self._cache = conversation.cache
        self._vocabulary = conversation.vocabulary
        self._sampler = sampler
        self._answer = answer
        # Behind the end of a grammar there is only the end.
        self._goes_on_past_end = settings.ignore_eos and not sampler.has_grammar
        self._limit = settings.max_tokens or room + 1
        self._stop = stop
        self._room = room
        self.proposed = 0
        """Tokens that were guessed ahead."""
        self.accepted = 0
        """How many of them the model chose too."""

    def run(self, proposer: Proposer | None, draft_tokens: int) -> str:
        """Decode until something ends it; returns the reason as `Finished` names it."""
        if self._stop.is_set:
            return "stopped"
        if reason := self._take(-1):
            return reason
        if proposer is None:
            return self._one_by_one()
        return self._by_proposals(proposer, draft_tokens)

    def _one_by_one(self) -> str:
        tokens, decode_one, stop, take = self._tokens, self._cache.decode_one, self._stop, self._take
        while True:
            if not decode_one(tokens[-1]) or stop.is_set:
                return "stopped"
            if reason := take(-1):
                return reason

    def _by_proposals(self, proposer: Proposer, draft_tokens: int) -> str:
        """Compute the last token with guesses behind it; the model's own choices say how many of those were right.

        Each token is drawn from the model's own distribution at its place, so the answer is the one that would have
        come without guesses, up to the rounding of tokens that are computed together.
        """
        tokens, cache = self._tokens, self._cache
        while True:
            computed = len(cache.tokens)
            left = min(draft_tokens, self._limit - len(self._answer.times_ns) - 1, self._room - computed - 1)
            guesses = proposer.propose(tokens, left, self._stop) if left > 0 else []
            if self._stop.is_set or not cache.decode([*tokens[computed:], *guesses], every_row=bool(guesses)):
                return "stopped"
            self.proposed += len(guesses)
            reason, right = "", 0
            for place in range(len(guesses) + 1):
                reason = self._take(place if guesses else -1)
                is_right = place < len(guesses) and len(tokens) > computed + 1 + place
                if not is_right or tokens[-1] != guesses[place]:
                    break
                right += 1
                if reason:
                    break
            self.accepted += right
            cache.keep(computed + 1 + right)
            if reason:
                return reason

    def _take(self, row: int) -> str:
        """Choose a token from a row of logits and say it; returns why that was the last one, or nothing."""
        token = self._sampler.sample(row)
        vocabulary, answer = self._vocabulary, self._answer
        if vocabulary.ends_generation(token) and not self._goes_on_past_end:
            return "end"
        self._tokens.append(token)
        # Guesses behind this token do not count as used.
        if answer.add(vocabulary.piece(token), len(self._tokens) - 1):
            return "stop_text"
        if len(answer.times_ns) >= self._limit:
            return "max_tokens"
        if len(self._tokens) > self._room:
            return "context_full"
        return ""
