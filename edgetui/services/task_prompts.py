"""The prompts by task, read from `edgetui/data/prompts.toml`."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.resources import files

from edgetui.core.failures import EdgetuiError
from edgetui.core.task_prompts import Task


@cache
def read_tasks() -> tuple[Task, ...]:
    """Every task, in the order of the file."""
    import msgspec
    import tomlkit

    text = (files("edgetui") / "data" / "prompts.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomlkit.parse(text).unwrap()["task"], tuple[Task, ...])


def task_prompt(named: str, own_text: str | None = None) -> tuple[Task, str]:
    """The task and the prompt of `NAME`, of `NAME:2` (its second text), or its instruction over a text of one's own.

    Raises `not_found`, naming the closest task, and `bad_request` for a number that it has not.
    """
    name, _, number = named.partition(":")
    tasks = {task.name.lower(): task for task in read_tasks()}
    wanted = name.strip().lower().replace("-", " ")
    with_word = [task for known, task in tasks.items() if wanted in known.split()]
    # `json` is enough where one name has that word.
    task = tasks.get(wanted) or (with_word[0] if len(with_word) == 1 else None)
    if task is None:
        close = difflib.get_close_matches(wanted, tasks, n=1)
        advice = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(tasks)}."
        raise EdgetuiError("not_found", f"There is no task {name!r}; {advice}")
    if number and not (number.isdigit() and 1 <= int(number) <= len(task.texts)):
        raise EdgetuiError(
            "bad_request", f"The task {task.name!r} has the texts 1 to {len(task.texts)}: {number!r} is none of them."
        )
    if own_text is not None:
        return task, task.prompt(own_text)
    return task, task.prompt(task.texts[int(number or 1) - 1].content)
