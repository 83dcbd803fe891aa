"""The built-in tasks, and how an answer is judged."""

from __future__ import annotations

from collections import Counter

import pytest

from edgetui.core.quality import TASK_CONTEXT_TOKENS
from edgetui.engines.llama_cpp.logits import LlamaLogits
from edgetui.engines.quality.tasks import try_tasks
from edgetui.worker.requests.quality import Task
from edgetui.worker.tasks import read_tasks

COUNTING = "1, 2, 3\n4, 5, 6\n7, 8,"


def greedy(source: LlamaLogits, prompt: str, count: int) -> list[int]:
    """What decoding without any choice gives, token by token."""
    tokens = source.tokenize(prompt, add_special=True)
    given = len(tokens)
    for _ in range(count):
        (logits,) = source.logits([tokens], len(tokens) - 1)
        tokens.append(int(logits[0].argmax()))
    return tokens[given:]


def test_each_kind_has_enough_tasks_that_differ_and_fit() -> None:
    tasks = read_tasks()
    assert min(Counter(task.kind for task in tasks).values()) >= 20
    assert len({(task.prompt, task.answer) for task in tasks}) == len(tasks)
    for task in tasks:
        assert task.answer.startswith(" ") and task.answer.count("\n") == 1 and task.answer.endswith("\n")
        assert not task.prompt.endswith((" ", "\n"))
        # The answer must not be read off the examples' last line.
        assert task.prompt.count("\n") >= 4


def test_the_longest_task_fits_the_room_that_is_made_for_it(demo_source: LlamaLogits) -> None:
    lengths = [len(demo_source.tokenize(task.prompt + task.answer, add_special=True)) for task in read_tasks()]
    # Other vocabularies take up to half as many tokens more.
    assert max(lengths) * 1.5 < TASK_CONTEXT_TOKENS


def test_arithmetic_in_the_tasks_is_right() -> None:
    for task in read_tasks():
        if task.kind == "arithmetic":
            asked = task.prompt.splitlines()[-1].removesuffix(" =").split()
            a, operator, b = int(asked[0]), asked[1], int(asked[2])
            assert int(task.answer) == {"+": a + b, "-": a - b, "*": a * b}[operator], task


def test_a_task_is_right_exactly_when_greedy_decoding_gives_its_answer(demo_source: LlamaLogits) -> None:
    decoded = greedy(demo_source, COUNTING, 4)
    scores = []
    for answer in (" 9\n", " 9", " 9, 10\n", " 11\n", " 9\n10, 11, 13\n"):
        whole = demo_source.tokenize(COUNTING + answer, add_special=True)
        expected = whole[len(demo_source.tokenize(COUNTING, add_special=True)) :]
        (score,) = try_tasks(demo_source, "demo", [Task("kind", COUNTING, answer)], lambda tried, right: None)
        assert bool(score.right) == (decoded[: len(expected)] == expected[:4]), answer
        scores.append(score.right)
    assert scores == [1, 1, 0, 0, 0]


def test_tasks_that_share_their_beginning_score_as_each_alone(demo_source: LlamaLogits) -> None:
    tasks = [task for task in read_tasks() if task.kind == "arithmetic"][:4]
    told: list[tuple[int, int]] = []
    (together,) = try_tasks(demo_source, "demo", tasks, lambda tried, right: told.append((tried, right)))
    alone = [try_tasks(demo_source, "demo", [task], lambda tried, right: None)[0].right for task in tasks]
    assert together.right == sum(alone) and together.right > 0
    assert told == [(number, sum(alone[:number])) for number in range(1, len(tasks) + 1)]


@pytest.mark.parametrize("kinds", [("a", "b", "a")])
def test_scores_come_by_kind(demo_source: LlamaLogits, kinds: tuple[str, ...]) -> None:
    tasks = [Task(kind, COUNTING, " 9\n") for kind in kinds]
    scores = try_tasks(demo_source, "demo", tasks, lambda tried, right: None)
    assert [(score.kind, score.right, score.asked) for score in scores] == [("a", 2, 2), ("b", 1, 1)]
