"""Olive's JSON: a template filled with settings, what a person wrote, and the line that something stands in."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgetui.core.workflows.olive import OliveWorkflow

TEXT_DATASET = "edgetui_text"
"""Type of dataset that edgetui adds to Olive's: windows of tokens of a local text, for PyTorch and ONNX models."""

OUR_KEYS = (
    "output_dir",
    "cache_dir",
    "cache_config",
    "workflow_id",
    "clean_cache",
    "clean_evaluation_cache",
    "packaging_config",
)
"""Where things are put is edgetui's business: what a workflow says of these is not heeded."""

_LEVELS = (1, 2, 99)
"""Of graph optimization in ONNX Runtime: basic, extended, all."""

_TOKEN = re.compile(r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<mark>[{}\[\]:,])|(?P<word>[^\s{}\[\]:,"]+))', re.DOTALL)


class NamedPass(NamedTuple):
    """One pass of a workflow."""

    name: str
    """As the workflow calls it."""
    type: str
    """Olive's name of what it does, such as `Gptq`."""


def config_of(settings: OliveWorkflow, model: str, threads: int) -> dict[str, Any]:
    """The workflow that settings become for a model; `threads` are those that this machine has."""
    most = getattr(settings, "most_threads", 0) or threads
    values = {
        **{name: getattr(settings, name) for name in settings.__struct_fields__},
        "model": model,
        "threads": sorted({*(2**power for power in range(most.bit_length())), most}),
        "levels": list(_LEVELS) if getattr(settings, "all_levels", False) else [_LEVELS[-1]],
    }
    text = (files("edgetui") / "data" / "olive" / f"{settings.template}.json").read_text(encoding="utf-8")
    filled = _filled(json.loads(text), values)
    assert isinstance(filled, dict)
    return filled


def config_text(config: Mapping[str, Any]) -> str:
    """A workflow as a person edits it."""
    return json.dumps(config, indent=4, ensure_ascii=False)


def read_config(text: str, name: str) -> dict[str, Any]:
    """A workflow out of JSON; raises `EdgetuiError("bad_request")`, naming the line, for what cannot be one.

    `name` is how the sentence calls it, such as a file's name.
    """
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise EdgetuiError(
            "bad_request", f"{name} is not valid JSON at line {error.lineno} ({error.msg}): mend that line."
        ) from error
    except RecursionError as error:
        raise EdgetuiError("bad_request", f"{name} is nested too deeply to be a workflow: mend it.") from error
    if not isinstance(config, dict):
        raise EdgetuiError("bad_request", f'{name} is no workflow: it must be a JSON object with "passes".')
    passes = config.get("passes")
    if not isinstance(passes, dict) or not passes:
        raise EdgetuiError(
            "bad_request", f'{name} has no passes: name at least one under "passes", as in the templates.'
        )
    for key, each in passes.items():
        told = each[0] if isinstance(each, list) and each else each
        if not isinstance(told, dict) or not isinstance(told.get("type"), str):
            line = line_of(text, ("passes", key))
            raise EdgetuiError(
                "bad_request", f'The pass {plain_line(key)} of {name} (line {line}) has no "type": name Olive\'s pass.'
            )
    return config


def passes_of(config: Mapping[str, Any]) -> tuple[NamedPass, ...]:
    """The passes of a workflow that `read_config` has accepted, in order."""
    firsts = ((name, each[0] if isinstance(each, list) else each) for name, each in config["passes"].items())
    return tuple(NamedPass(name, first["type"]) for name, first in firsts)


def with_model(config: Mapping[str, Any], model: str, *, is_onnx: bool) -> dict[str, Any]:
    """The same workflow for another model."""
    told = config.get("input_model")
    before: dict[str, Any] = dict(told) if isinstance(told, dict) else {}
    inner = before.pop("config", None)
    kept = {**before, **inner} if isinstance(inner, dict) else before
    return {**config, "input_model": {**kept, "type": "ONNXModel" if is_onnx else "HfModel", "model_path": model}}


def line_of(text: str, path: Sequence[str | int]) -> int:
    """Line, from 1, of what stands at a path of keys and indices in valid JSON, or of the closest around it."""
    found, best = 1, -1
    for where, offset in _positions(text):
        if len(where) > best and tuple(path[: len(where)]) == where:
            found, best = text.count("\n", 0, offset) + 1, len(where)
    return found


def _positions(text: str) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """The path of every member and element, and where it begins."""
    stack: list[str | int] = []
    opened: list[bool] = []
    """Of each object or list that is open, whether it is a list."""
    expects_key, at = False, 0
    while match := _TOKEN.match(text, at):
        at = match.end()
        mark, start = match["mark"], match.start(match.lastgroup or 0)
        if mark in ("{", "["):
            if opened and opened[-1]:
                yield tuple(stack), start
            opened.append(mark == "[")
            stack.append(0 if mark == "[" else "")
            expects_key = mark == "{"
        elif mark in ("}", "]"):
            opened.pop()
            stack.pop()
            expects_key = False
        elif mark == ",":
            expects_key = not opened[-1]
            if isinstance(last := stack[-1], int):
                stack[-1] = last + 1
        elif mark is None and expects_key:
            stack[-1] = json.loads(match["string"])
            expects_key = False
            yield tuple(stack), start
        elif mark is None and opened and opened[-1]:
            yield tuple(stack), start


def _filled(template: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(template, dict):
        return {key: _filled(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [_filled(value, values) for value in template]
    if isinstance(template, str) and template.startswith("$"):
        return values[template[1:]]
    return template
