"""Figures of one answer out of its events, whether it comes to its end or not."""

from __future__ import annotations

from edgetui.core.conversations import FAILED, Answer
from edgetui.services.answer_figures import AnswerFigures
from edgetui.worker.protocol import Finished, PromptReady, Tokens

MADE_WITH = Answer(model_name="m", engine="llama.cpp")
TIMES_NS = (100_000_000, 110_000_000, 120_000_000, 150_000_000)


def after_tokens() -> AnswerFigures:
    figures = AnswerFigures(MADE_WITH)
    figures.take(PromptReady(turn=1, prompt_tokens=9, reused_tokens=3, seed=5))
    figures.take(Tokens(turn=1, text="a b", times_ns=TIMES_NS[:2], context_used=11))
    figures.take(Tokens(turn=1, text=" c d", times_ns=TIMES_NS[2:], context_used=13))
    return figures


def test_an_answer_that_ends_has_its_workers_figures_and_the_latencies_of_its_tokens() -> None:
    figures = after_tokens()
    figures.note_memory(1000)
    figures.take(
        Finished(
            turn=1,
            reason="max_tokens",
            prompt_tokens=9,
            reused_tokens=3,
            prefill_tokens=6,
            prefill_s=0.09,
            ttft_s=0.1,
            generated_tokens=4,
            decode_s=0.05,
            context_used=13,
            context_tokens=512,
            seed=5,
        )
    )
    answer = figures.ended(joules_per_token=0.5, reason="stopped")
    assert (answer.reason, answer.failure, answer.prefill_tokens, answer.seed) == ("max_tokens", "", 6, 5)
    assert (answer.itl_p50_s, answer.itl_p95_s, answer.itl_p99_s) == (0.01, 0.03, 0.03)
    assert (answer.resident_bytes, answer.joules_per_token, answer.decode_s) == (1000, 0.5, 0.05)


def test_an_answer_whose_worker_died_keeps_what_was_seen_of_it() -> None:
    answer = after_tokens().ended(joules_per_token=None, reason=FAILED, failure="It died.")
    assert (answer.reason, answer.failure, answer.prompt_tokens) == (FAILED, "It died.", 9)
    assert (answer.ttft_s, answer.generated_tokens) == (0.1, 4)
    assert answer.decode_s is not None and abs(answer.decode_s - 0.05) < 1e-9
    assert answer.itl_p50_s == 0.01 and answer.resident_bytes is None and answer.joules_per_token is None


def test_an_answer_without_a_token_has_no_latencies() -> None:
    answer = AnswerFigures(MADE_WITH).ended(joules_per_token=None, reason="stopped")
    assert answer.reason == "stopped"
    assert answer.ttft_s is None and answer.generated_tokens is None and answer.itl_p50_s is None
