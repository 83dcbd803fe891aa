"""llama-bench's five forms taken apart: which one a text is in, and the columns of each of its rows."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from edgetui.core.llama_bench_columns import Given

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Form = Literal["json", "jsonl", "csv", "md", "sql"]
FORMS: tuple[Form, ...] = ("json", "jsonl", "csv", "md", "sql")
"""As llama-bench's -o names them."""

_SHORT = {
    "ngl": "n_gpu_layers",
    "sm": "split_mode",
    "threads": "n_threads",
    "nkvo": "no_kv_offload",
    "fa": "flash_attn",
    "lm": "load_mode",
    "mmap": "use_mmap",
    "embd": "embeddings",
    "nopo": "no_op_offload",
    "noh": "no_host",
    "rpk": "repack",
    "dev": "devices",
    "ts": "tensor_split",
    "ot": "tensor_buft_overrides",
    "fitt": "fit_target",
    "fitc": "fit_min_ctx",
    "model": "model_type",
    "backend": "backends",
}
"""Headings of its Markdown to columns."""
_SIGNS: tuple[tuple[Form, re.Pattern[str]], ...] = (
    ("jsonl", re.compile(r"\s*\{\s*\"")),
    ("json", re.compile(r"\s*\[\s*(\{|$|\])")),
    ("md", re.compile(r"\s*\|(?=.*\bt/s\b)")),
    ("sql", re.compile(r"\s*(CREATE\s+TABLE|INSERT\s+INTO)\b", re.IGNORECASE)),
    ("csv", re.compile(r"\s*\"?[a-z_]+\"?\s*,(?=.*\bn_prompt\b)")),
)
_TEST = re.compile(r"^(?:pp ?(?P<prompt>\d+))?\+?(?:tg ?(?P<generated>\d+))?(?: @ d(?P<depth>\d+))?$")
"""Of tables of 2023 too, which have a blank before the number."""
_RATE = re.compile(r"^(?P<mean>[\d.]+)(?:\s*(?:±|\+-|\+/-)\s*(?P<sd>[\d.]+))?$")
_AMOUNT = re.compile(r"^(?P<value>[\d.]+)\s*(?P<unit>[KMGT]iB|[KMBT])$")
_UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_ARRAY = re.compile(r"(?:^|(?<=\]))[ \t\r]*\[(?=\s*[{\]])", re.MULTILINE)
_BUILD = re.compile(r"^build:\s*(?P<commit>.+?)(?:\s+\((?P<number>\d+)\))?\s*$")
_INSERT = re.compile(
    r"^\s*INSERT\s+INTO\s+\S+?\s*(?:\((?P<names>[^()']*)\))?\s*VALUES\s*\((?P<values>.*)\)\s*;\s*$", re.I
)
_VALUE = re.compile(r"\s*(?:'((?:[^']|'')*)'|([^',\s][^',]*?))\s*(?:,|$)")


class Passed(NamedTuple):
    """A line that is no part of the rows, such as a log's or of another table."""

    line: int


class Unreadable(ValueError):
    """A line that cannot be read, with a clause that says why."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


def form_of(text: str) -> tuple[Form, int] | None:
    """The form and the line (from 1) where it begins: notes of backends may stand before it. None for another file."""
    for number, line in enumerate(text.split("\n"), start=1):
        for form, sign in _SIGNS:
            if sign.match(line):
                return form, number
    return None


def rows_in(text: str, form: Form, first_line: int) -> Iterator[Given | Passed]:
    """Each row of the text, and each line among them that is none; raises `Unreadable`."""
    readers: dict[Form, Callable[[str, int], Iterator[Given | Passed]]] = {
        "json": _json, "jsonl": _jsonl, "csv": _csv, "md": _markdown, "sql": _sql,
    }  # fmt: skip
    # Only line ends end a line: str.splitlines would also break names at what Unicode calls a line separator.
    yield from readers[form]("\n".join(text.split("\n")[first_line - 1 :]), first_line)


def _json(text: str, first_line: int) -> Iterator[Given | Passed]:
    """The arrays, of which each run appends one, element by element, so that each error has its line."""
    decoder = json.JSONDecoder()
    at = text.index("[") + 1
    while True:
        at = _skip(text, at, " \t\r\n,")
        line = first_line + text.count("\n", 0, at)
        if at >= len(text):
            raise Unreadable(line, "the file ends before its closing bracket, as when llama-bench was stopped")
        if text[at] == "]":
            following = _ARRAY.search(text, at + 1)
            end = following.end() if following else len(text)
            between = text[at + 1 : end].rstrip("[").split("\n")
            yield from (Passed(line + number) for number, each in enumerate(between) if each.strip())
            if following is None:
                return
            at = end
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            where = error.lineno - 1 + first_line if isinstance(error, json.JSONDecodeError) else line
            raise Unreadable(where, f"it is no JSON ({_reason(error)})") from error
        yield _from_object(value, line)


def _jsonl(text: str, first_line: int) -> Iterator[Given | Passed]:
    for number, line in enumerate(text.split("\n"), start=first_line):
        if not line.strip():
            continue
        if not line.lstrip().startswith("{"):
            yield Passed(number)
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Unreadable(number, f"it is no JSON ({_reason(error)})") from error
        yield _from_object(value, number)


def _from_object(value: object, line: int) -> Given:
    if not isinstance(value, dict):
        raise Unreadable(line, "it is no row of llama-bench but another value")
    samples = value.get("samples_ns") or []
    if not isinstance(samples, list) or not all(type(ns) is int for ns in samples):
        raise Unreadable(line, "its samples_ns is no list of whole numbers")
    columns = {
        str(name): _as_text(each)
        for name, each in value.items()
        if not isinstance(each, list | dict) and each is not None
    }
    for name, text in columns.items():
        if any("\ud800" <= character <= "\udfff" for character in text + name):
            raise Unreadable(line, f"its {ascii(name)[1:-1]} has half a character (a surrogate alone)")
    _require(columns, line)
    return Given(line, columns, tuple(samples))


def _csv(text: str, first_line: int) -> Iterator[Given | Passed]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines = text.split("\n")
    try:
        names = [name.strip() for name in next(reader)]
        begins_at = reader.line_num
        for cells in reader:
            line = first_line - 1 + reader.line_num
            begun, begins_at = lines[begins_at], reader.line_num
            if not cells or cells == names:
                continue
            if len(cells) != len(names):
                # A row begins with a commit, and llama-bench quotes it.
                if not begun.lstrip().startswith('"') and (len(cells) == 1 or " " in cells[0].strip()):
                    yield Passed(line)
                    continue
                raise Unreadable(line, f"it has {len(cells)} cells where the head has {len(names)}")
            columns = dict(zip(names, cells, strict=True))
            _require(columns, line)
            yield Given(line, columns)
    except csv.Error as error:
        raise Unreadable(first_line - 1 + reader.line_num, f"it is no CSV ({error})") from error


def _sql(text: str, first_line: int) -> Iterator[Given | Passed]:
    """Only the rows are looked at: nothing of the text is run."""
    declared: list[str] = []
    in_table = False
    for number, line in enumerate(text.split("\n"), start=first_line):
        word = line.strip()
        if re.match(r"CREATE\s+TABLE", word, re.IGNORECASE):
            declared, in_table = [], True
        elif in_table and (match := re.match(r"([a-z_]\w*)\s+(?:TEXT|INTEGER|REAL)\b", word, re.IGNORECASE)):
            declared.append(match[1])
        elif in_table and word.startswith(")"):
            in_table = False
        elif word[:6].upper() == "INSERT":
            match = _INSERT.match(line)
            if match is None:
                raise Unreadable(number, "it is no whole INSERT of one row")
            names = [name.strip() for name in match["names"].split(",")] if match["names"] else declared
            values = _sql_values(match["values"], len(names))
            if values is None:
                raise Unreadable(number, f"its values do not match the {len(names)} columns")
            columns = dict(zip(names, values, strict=True))
            _require(columns, number)
            yield Given(number, columns)


def _sql_values(text: str, count: int) -> list[str] | None:
    """Values with quotes doubled as SQL wants, or as llama-bench writes them: not doubled."""
    values: list[str] = []
    at = 0
    while at < len(text) and (match := _VALUE.match(text, at)):
        quoted, bare = match.groups()
        values.append(quoted.replace("''", "'") if bare is None else "" if bare.upper() == "NULL" else bare)
        at = match.end()
    if at >= len(text) and len(values) == count:
        return values
    inner = text.strip()
    apart = inner[1:-1].split("', '") if inner[:1] == inner[-1:] == "'" else []
    return apart if len(apart) == count else None


def _markdown(text: str, first_line: int) -> Iterator[Given | Passed]:
    names: list[str] = []
    waiting: list[tuple[int, dict[str, str]]] = []
    lines = text.split("\n")
    for number, line in enumerate(lines, start=first_line):
        word = line.strip()
        if match := _BUILD.match(word):
            build = {"build_commit": match["commit"], "build_number": match["number"] or ""}
            yield from (Given(at, columns | build) for at, columns in waiting)
            waiting = []
            continue
        cells = _cells_of(word)
        following = lines[number - first_line + 1] if number - first_line + 1 < len(lines) else ""
        if "t/s" in cells and "test" in cells:
            names = [_SHORT.get(cell, cell) for cell in cells]
        elif cells and _is_rule(_cells_of(following.strip())):
            # The head of another table.
            names = []
            yield Passed(number)
        elif cells and names:
            if _is_rule(cells):
                continue
            if len(cells) != len(names):
                raise Unreadable(number, f"it has {len(cells)} cells where the head has {len(names)}")
            waiting.append((number, _from_cells(dict(zip(names, cells, strict=True)), number)))
        elif word:
            yield Passed(number)
    yield from (Given(at, columns) for at, columns in waiting)


def _cells_of(line: str) -> list[str]:
    if not line.startswith("|"):
        return []
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _is_rule(cells: list[str]) -> bool:
    return bool(cells) and all(re.fullmatch(r":?-+:?", cell) for cell in cells)


def _from_cells(cells: dict[str, str], line: int) -> dict[str, str]:
    test, rate = _TEST.match(cells.pop("test")), _RATE.match(cells.pop("t/s"))
    if test is None or not (test["prompt"] or test["generated"]):
        raise Unreadable(line, "its test is none such as pp512, tg128 or pp512+tg128 @ d4096")
    if rate is None:
        raise Unreadable(line, "its t/s is no rate such as 112.43 ± 0.52")
    size, parameters = _amount(cells.pop("size", ""), line), _amount(cells.pop("params", ""), line)
    return cells | {
        "n_prompt": test["prompt"] or "0",
        "n_gen": test["generated"] or "0",
        "n_depth": test["depth"] or "0",
        "avg_ts": rate["mean"],
        "stddev_ts": rate["sd"] or "0",
        "model_size": size,
        "model_n_params": parameters,
    }


def _amount(text: str, line: int) -> str:
    if not text:
        return ""
    match = _AMOUNT.match(text)
    if match is None or match["value"].count(".") > 1:
        raise Unreadable(line, f"{text[:40]!r} is no size or count such as 92.10 MiB or 134.52 M")
    return str(round(float(match["value"]) * _UNITS[match["unit"]]))


def _require(columns: dict[str, str], line: int) -> None:
    missing = [name for name in ("n_prompt", "n_gen") if name not in columns]
    if missing or not ({"model_filename", "model_type"} & columns.keys()):
        named = missing[0] if missing else "model_filename"
        raise Unreadable(line, f"it is no row of llama-bench: it has no {named}")


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return str(value)


def _skip(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return error.msg[:1].lower() + error.msg[1:]
    return "nested too deeply" if isinstance(error, RecursionError) else "a number in it has thousands of digits"
