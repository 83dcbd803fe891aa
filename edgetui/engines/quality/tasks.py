"""The built-in tasks: does greedy decoding give exactly the expected answer?

That is told without decoding. Prompt and answer go through the model together, and greedy decoding gives the answer
exactly when each of its tokens is the likeliest one after all before it. So logits are enough, one pass a task is, and
every engine is judged alike. The answer's end of line is part of it: `19` is not right where `190` would come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy

from edgetui.core.quality import TaskScore
from edgetui.engines.quality.rows import no_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from edgetui.engines.logits import LogitSource
    from edgetui.worker.requests.quality import Task


def try_tasks(
    source: LogitSource, name: str, tasks: Sequence[Task], on_task: Callable[[int, int], None]
) -> tuple[TaskScore, ...]:
    """Scores by kind, in the order of the tasks; `on_task` gets how many were tried and were right.

    Raises `EdgetuiError` as the source does, and `bad_file` where logits are no numbers.
    """
    scores = []
    tried = right_before = 0
    for kind in dict.fromkeys(task.kind for task in tasks):
        prepared = [_tokens(source, task) for task in tasks if task.kind == kind]
        # One call for all of a kind: an engine may then compute the examples before them once.
        first = min(given for _, given in prepared) - 1
        right = 0
        found = source.logits([whole for whole, _ in prepared], first)
        for (whole, given), logits in zip(prepared, found, strict=True):
            right += _is_right(logits[given - 1 - first : -1], whole[given:], name)
            tried += 1
            on_task(tried, right_before + right)
        right_before += right
        scores.append(TaskScore(kind=kind, right=right, asked=len(prepared)))
    return tuple(scores)


def _tokens(source: LogitSource, task: Task) -> tuple[list[int], int]:
    """Prompt and answer, and how many of the tokens are given."""
    prompt = source.tokenize(task.prompt, add_special=True)
    whole = source.tokenize(task.prompt + task.answer, add_special=True)
    # Where the last piece of the prompt and the answer make one token, that token is asked for too.
    given = next((at for at, (a, b) in enumerate(zip(prompt, whole, strict=False)) if a != b), len(prompt))
    return whole, max(1, given)


def _is_right(logits: NDArray[numpy.float32], answer: Sequence[int], name: str) -> bool:
    if not numpy.isfinite(logits.max(axis=1)).all():
        raise no_numbers(name)
    return bool((logits.argmax(axis=1) == numpy.asarray(answer)).all())
