"""The built-in tasks, read from `edgetui/data/tasks.toml` by edgetui's own interpreter and handed on in a request."""

from __future__ import annotations

from importlib.resources import files

import msgspec

from edgetui.worker.requests.quality import Task


class _Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    examples: str
    """What stands before each task: the same solved."""
    tasks: tuple[tuple[str, str], ...]
    """What is asked, and the answer."""


def read_tasks() -> tuple[Task, ...]:
    """Every task with its examples, in the order of the file."""
    import tomlkit

    text = (files("edgetui") / "data" / "tasks.toml").read_text(encoding="utf-8")
    kinds = msgspec.convert(tomlkit.parse(text).unwrap()["kind"], tuple[_Kind, ...])
    return tuple(
        Task(kind.name, f"{kind.examples}{asked}", f" {answer}\n") for kind in kinds for asked, answer in kind.tasks
    )
