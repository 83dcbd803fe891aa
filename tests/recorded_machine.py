"""Unfolds a recorded machine (see tests/recorded/README.md) into a folder that probes can read."""

from __future__ import annotations

import re
from pathlib import Path

RECORDED = Path(__file__).parent / "recorded"
_ENTRY = re.compile(r"(?P<path>[^\s#]\S*?)(?: \+ \[(?P<repeat>[\d,-]+)\])?(?P<hex> \(hex\))?:(?: (?P<line>.*))?")
HEX = "hex"
_RANGE = re.compile(r"\[([\d,-]+)\]")


def unfold(name: str, folder: Path) -> Path:
    """Write every file of the machine `name` under `folder`; returns it."""
    entries: list[tuple[str, str | None, list[str]]] = []
    for number, line in enumerate((RECORDED / f"{name}.tree").read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("    "):
            entries[-1][2].append(line[4:])
        elif line and not line.startswith("#"):
            match = _ENTRY.fullmatch(line)
            assert match, f"{name}.tree, line {number}: {line!r}"
            entries.append(
                (match["path"], HEX if match["hex"] else match["repeat"], [match["line"]] if match["line"] else [])
            )
    for path, repeat, lines in entries:
        if repeat == HEX:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(bytes.fromhex(" ".join(lines)))
            continue
        content = "\n".join(lines).replace("\\x00", "\0") + "\n"
        if repeat:
            text = "\n".join(content.replace("{n}", str(n)) for n in _numbers(repeat))
            _append(folder / path, text)
        elif found := _RANGE.search(path):
            for n in _numbers(found[1]):
                _append(folder / path.replace(found[0], str(n)), content.replace("{n}", str(n)))
        else:
            _append(folder / path, content)
    return folder


def _append(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        if stream.tell():
            stream.write("\n")
        stream.write(text)


def _numbers(text: str) -> list[int]:
    numbers: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers
