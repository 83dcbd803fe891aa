"""llama-bench's forms both ways: JSON, JSONL, CSV, Markdown and SQL, so that both tools' rows stand in one table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.failures import EdgetuiError
from edgetui.core.file_form import form_named
from edgetui.core.llama_bench_columns import BOOL, COLUMNS, FLOAT, INT, TEXT, carries, columns_of, row_of
from edgetui.core.llama_bench_readers import FORMS, Form, Passed, Unreadable, form_of, rows_in
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetui.core.bench import BenchRecord, BenchRow, Machine

MOST_BYTES = 64 << 20
"""Of a file to import; a year of rows takes a few megabytes."""
MOST_ROWS = 100_000
_LOST = {
    "json": "",
    "jsonl": "",
    "csv": "CSV has no samples: such rows cannot be compared with an interval",
    "sql": "SQL has no samples: such rows cannot be compared with an interval",
    "md": "Markdown has no samples, no times, no file names and no processor, and its figures are rounded",
}
_OF_MARKDOWN: dict[str, tuple[str, int]] = {
    "n_gpu_layers": ("ngl", 3),
    "n_threads": ("threads", 7),
    "n_batch": ("n_batch", 7),
    "n_ubatch": ("n_ubatch", 8),
    "type_k": ("type_k", 6),
    "type_v": ("type_v", 6),
    "flash_attn": ("fa", 3),
    "load_mode": ("lm", 10),
}
"""Columns that its Markdown has where a row differs from the default, with their headings and widths."""


class Imported(NamedTuple):
    """What a file holds."""

    form: Form
    rows: tuple[tuple[BenchRow, Machine], ...]
    remarks: tuple[str, ...]
    """What the form cannot carry, and how many lines are no rows, a clause each."""


class Exported(NamedTuple):
    """Rows as text."""

    text: str
    rows: int
    remarks: tuple[str, ...]
    """What the form cannot carry, a clause each."""


def read(text: str, name: str, otherwise_at: float) -> Imported:
    """Rows of a file in any of the forms; `name` is for sentences, `otherwise_at` the time of rows that say none.

    Raises `EdgetuiError("bad_file")` with the line of what cannot be read: then nothing is taken.
    """
    text = text.replace("\r\n", "\n")
    found = form_of(text)
    if found is None:
        raise EdgetuiError(
            "bad_file",
            f"{name} is none of llama-bench's forms ({', '.join(FORMS)}): write one with `llama-bench -o json`.",
        )
    form, first_line = found
    rows: list[tuple[BenchRow, Machine]] = []
    line, passed = first_line, 0
    try:
        for given in rows_in(text, form, first_line):
            if isinstance(given, Passed):
                passed += 1
                continue
            line = given.line
            rows.append(row_of(given, otherwise_at))
            if len(rows) > MOST_ROWS:
                raise Unreadable(line, f"more than {MOST_ROWS} rows came before it")
    except Unreadable as error:
        raise _bad(name, error.line, str(error)) from error
    except ValueError as error:
        raise _bad(name, line, str(error)) from error
    if not rows:
        raise EdgetuiError("bad_file", f"{name} is in llama-bench's form {form} and has no rows: nothing was imported.")
    remarks = [_LOST[form]] if not any(row.samples_ns for row, _ in rows) and _LOST[form] else []
    if form == "md":
        remarks.append(
            "the file's time stands for the rows', and settings not shown are taken as llama-bench's defaults"
        )
    if passed:
        remarks.append(f"{passed} line{' that is no row was' if passed == 1 else 's that are no rows were'} skipped")
    return Imported(form, tuple(rows), tuple(remarks))


def write(form: str, records: Sequence[BenchRecord]) -> Exported:
    """The records in one of `FORMS`, oldest first, with llama-bench's own columns and no others.

    Raises `EdgetuiError("bad_request")` for another form, or where nothing is left to write.
    """
    writers: dict[str, Callable[[Sequence[BenchRecord]], str]] = {
        "json": _json, "jsonl": _jsonl, "csv": _csv, "md": _markdown, "sql": _sql,
    }  # fmt: skip
    writer = writers[form_named(form, FORMS)]
    carried = [record for record in records if carries(record.row)]
    carried.sort(key=lambda record: (record.row.measured_at, record.record_id))
    if not carried:
        raise EdgetuiError("bad_request", "There is nothing to export: no row is a test that llama-bench knows.")
    remarks = []
    if left := len(records) - len(carried):
        remarks.append(f"{left} row{'s are' if left > 1 else ' is'} no test that llama-bench knows and left out")
    if _LOST[form]:
        remarks.append(_LOST[form])
    if any(record.row.energy_j is not None or record.row.conditions is not None for record in carried):
        remarks.append("energy and conditions have no columns there and are left out")
    if any(record.row.huge_pages for record in carried):
        remarks.append("that weights lay in huge pages has no column there and is left out")
    return Exported(writer(carried), len(carried), tuple(remarks))


def _bad(name: str, line: int, why: str) -> EdgetuiError:
    return EdgetuiError("bad_file", f"Line {line} of {name} cannot be read: {why}. Nothing was imported.")


def _fields(record: BenchRecord) -> list[tuple[str, str]]:
    """Each column with its value as JSON."""
    pairs = []
    for name, value in columns_of(record.row, record.machine).items():
        kind = COLUMNS[name][0]
        if kind == TEXT:
            value = json.dumps(value, ensure_ascii=False)
        elif kind == BOOL:
            value = "false" if value in ("0", "false", "False", "") else "true"
        pairs.append((name, value or "0"))
    row = record.row
    pairs.append(("samples_ns", f"[ {', '.join(map(str, row.samples_ns))} ]"))
    pairs.append(("samples_ts", f"[ {', '.join(f'{tps:.6g}' for tps in row.samples_tps)} ]"))
    return pairs


def _json(records: Sequence[BenchRecord]) -> str:
    objects = [
        "  {\n" + ",\n".join(f'    "{name}": {value}' for name, value in _fields(record)) + "\n  }"
        for record in records
    ]
    return "[\n" + ",\n".join(objects) + "\n]\n"


def _jsonl(records: Sequence[BenchRecord]) -> str:
    return "".join(
        "{" + ", ".join(f'"{name}": {value}' for name, value in _fields(record)) + "}\n" for record in records
    )


def _csv(records: Sequence[BenchRecord]) -> str:
    lines = [",".join(COLUMNS)]
    for record in records:
        values = columns_of(record.row, record.machine).values()
        lines.append(",".join('"' + value.replace('"', '""') + '"' for value in values))
    return "\n".join(lines) + "\n"


def _sql(records: Sequence[BenchRecord]) -> str:
    types = {TEXT: "TEXT", BOOL: "INTEGER", INT: "INTEGER", FLOAT: "REAL"}
    declared = ",\n".join(f"  {name} {types[kind]}" for name, (kind, _) in COLUMNS.items())
    lines = [f"CREATE TABLE IF NOT EXISTS llama_bench (\n{declared}\n);\n"]
    for record in records:
        values = columns_of(record.row, record.machine).values()
        quoted = ", ".join("'" + " ".join(value.replace("'", "''").splitlines()) + "'" for value in values)
        lines.append(f"INSERT INTO llama_bench ({', '.join(COLUMNS)}) VALUES ({quoted});")
    return "\n".join(lines) + "\n"


def _markdown(records: Sequence[BenchRecord]) -> str:
    """A table with llama-bench's line on the build under it, for each build."""
    builds: dict[tuple[str, str], list[BenchRecord]] = {}
    for record in records:
        columns = columns_of(record.row, record.machine)
        builds.setdefault((columns["build_commit"], columns["build_number"]), []).append(record)
    return "\n".join(
        _table(group) + f"\nbuild: {commit or 'unknown'} ({number})\n" for (commit, number), group in builds.items()
    )


def _table(records: Sequence[BenchRecord]) -> str:
    rows = [columns_of(record.row, record.machine) for record in records]
    more = [name for name in _OF_MARKDOWN if name == "n_threads" or any(row[name] != COLUMNS[name][1] for row in rows)]
    heads = [("model", -30), ("size", 10), ("params", 10), ("backend", -10)]
    heads += [_OF_MARKDOWN[name] for name in more] + [("test", 15), ("t/s", 20)]
    lines = [[name for name, _ in heads], ["-" * (abs(width) - 1) + ("-" if width < 0 else ":") for _, width in heads]]
    for record, row in zip(records, rows, strict=True):
        lines.append(
            [
                plain_line(row["model_type"]).replace("|", "\\|"),
                _size(int(row["model_size"])),
                _count(int(row["model_n_params"])),
                row["backends"],
                *(row[name] for name in more),
                record.row.name,
                f"{record.row.mean_tps:.2f} ± {record.row.sd_tps or 0:.2f}",
            ]
        )
    widths = [abs(width) for _, width in heads]
    is_left = [width < 0 for _, width in heads]
    return "".join(
        "| "
        + " | ".join(
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(line, widths, is_left, strict=True)
        )
        + " |\n"
        for line in lines
    )


def _size(size_bytes: int) -> str:
    """As llama-bench writes it."""
    return f"{size_bytes / 2**20:.2f} MiB" if size_bytes < 2**30 else f"{size_bytes / 2**30:.2f} GiB"


def _count(count: int) -> str:
    return f"{count / 1e6:.2f} M" if count < 1e9 else f"{count / 1e9:.2f} B"
