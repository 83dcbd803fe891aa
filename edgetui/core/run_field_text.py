"""Settings of a run that are more than a word or a number, as a person types them on one line, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import Adapter

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_BYTES = 1 << 20
"""Of a grammar or a schema that is read from a file."""
_LINE_END = ";;"
_ESCAPES = (("\\", "\\\\"), ("\n", "\\n"), ("\t", "\\t"), ("|", "\\|"))


def stops_from(text: str) -> tuple[str, ...]:
    r"""Stop sequences between bars: `User:|\n\n`; `\n`, `\t`, `\|` and `\\` stand for what they say."""
    parts, part, escaped = [], "", False
    for char in text:
        if escaped:
            part += {"n": "\n", "t": "\t"}.get(char, char)
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == "|":
            parts.append(part)
            part = ""
        else:
            part += char
    return tuple(stop for stop in (*parts, part + ("\\" if escaped else "")) if stop)


def stops_text(stops: Iterable[str]) -> str:
    """What `stops_from` reads back."""
    shown = []
    for stop in stops:
        for char, written in _ESCAPES:
            stop = stop.replace(char, written)
        shown.append(stop)
    return "|".join(shown)


def adapters_from(texts: Iterable[str]) -> tuple[Adapter, ...]:
    """LoRA adapters as `PATH` or `PATH:SCALE` each; raises `bad_request` for a scale that is out of range."""
    adapters = []
    for text in texts:
        path, scale = text.strip(), 1.0
        head, colon, tail = path.rpartition(":")
        if colon and head:
            try:
                scale = float(tail)
                path = head
            except ValueError:
                # The colon belongs to the name.
                pass
        if not path:
            continue
        path = str(Path(path).expanduser().absolute())
        try:
            adapters.append(msgspec.convert({"path": path, "scale": scale}, Adapter))
        except msgspec.ValidationError as error:
            raise EdgetuiError(
                "bad_request", f"The adapter {path} cannot be laid over a model {scale:g} times: take -100 to 100."
            ) from error
    return tuple(adapters)


def adapters_text(adapters: Iterable[Adapter]) -> str:
    """What `adapters_from` reads back, between commas."""
    return ", ".join(
        adapter.path if adapter.scale == 1 else f"{adapter.path}:{adapter.scale:g}" for adapter in adapters
    )


def constraint_from(text: str, what: str) -> str:
    """A grammar or a schema as it is typed, or `@FILE`; raises `bad_request` for a file or a schema of no use.

    In a grammar a line ends at `;;`, which neither GBNF nor JSON has.
    """
    text = text.strip()
    if text.startswith("@"):
        text = read_constraint(Path(text[1:].strip()), what)
    if what == "JSON schema" and text:
        require_json(text)
        return text
    return "\n".join(part.strip() for part in text.split(_LINE_END)) if _LINE_END in text else text


def require_json(schema: str) -> None:
    """Raises `EdgetuiError("bad_request")`, naming the line, for a schema that is no JSON."""
    try:
        json.loads(schema)
    except (ValueError, RecursionError) as error:
        at = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise EdgetuiError("bad_request", f"The JSON schema is no JSON{at}: correct it.") from error


def constraint_text(text: str) -> str:
    """What `constraint_from` reads back, on one line."""
    lines = (line.rstrip() for line in text.strip().splitlines())
    return f" {_LINE_END} ".join(line for line in lines if line.strip())


def read_constraint(path: Path, what: str) -> str:
    """The text of a grammar or schema file; raises `EdgetuiError`, naming the file."""
    path = path.expanduser()
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise EdgetuiError("bad_request", f"{path} is larger than 1 MiB: no {what} is that long.")
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise EdgetuiError("bad_request", f"The {what} {path} cannot be read ({reason}): name another file.") from error
    if not text:
        raise EdgetuiError("bad_request", f"The {what} {path} is empty: name another file.")
    return text
