"""llama-bench's columns: a benchmark row as they say it, and a row of ours out of them; no file forms here."""

from __future__ import annotations

import calendar
import math
import re
import time
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Literal, NamedTuple

from edgetui.core.bench import BenchRow, Machine
from edgetui.core.statistics import mean, standard_deviation

if TYPE_CHECKING:
    from collections.abc import Mapping

LLAMA_BENCH = "llama-bench"
"""`BenchRow.source` of its rows."""
LLAMA_CPP = "llama.cpp"
TIME_FORM = "%Y-%m-%dT%H:%M:%SZ"
"""Of `test_time`, in UTC."""
_ENGINES = (LLAMA_CPP, "onnxruntime-genai", "onnxruntime", "mlx", "server")
"""What `build_commit` begins with in a row that edgetui wrote."""

TEXT, BOOL, INT, FLOAT = "TEXT", "BOOL", "INT", "FLOAT"
COLUMNS: dict[str, tuple[str, str]] = {
    "build_commit": (TEXT, ""),
    "build_number": (INT, "0"),
    "cpu_info": (TEXT, ""),
    "gpu_info": (TEXT, ""),
    "backends": (TEXT, ""),
    "model_filename": (TEXT, ""),
    "model_type": (TEXT, ""),
    "model_size": (INT, "0"),
    "model_n_params": (INT, "0"),
    "n_batch": (INT, "2048"),
    "n_ubatch": (INT, "512"),
    "n_threads": (INT, "0"),
    "cpu_mask": (TEXT, "0x0"),
    "cpu_strict": (BOOL, "0"),
    "poll": (INT, "50"),
    "type_k": (TEXT, "f16"),
    "type_v": (TEXT, "f16"),
    "n_gpu_layers": (INT, "-1"),
    "n_cpu_moe": (INT, "0"),
    "split_mode": (TEXT, "layer"),
    "main_gpu": (INT, "0"),
    "no_kv_offload": (BOOL, "0"),
    "flash_attn": (INT, "-1"),
    "devices": (TEXT, "auto"),
    "tensor_split": (TEXT, "0.00"),
    "tensor_buft_overrides": (TEXT, "none"),
    "load_mode": (TEXT, "auto"),
    "lazy_mode": (TEXT, "auto"),
    "embeddings": (BOOL, "0"),
    "no_op_offload": (INT, "0"),
    "no_host": (BOOL, "0"),
    "repack": (BOOL, "1"),
    "fit_target": (INT, "0"),
    "fit_min_ctx": (INT, "0"),
    "n_prompt": (INT, "0"),
    "n_gen": (INT, "0"),
    "n_depth": (INT, "0"),
    "test_time": (TEXT, ""),
    "avg_ns": (INT, "0"),
    "stddev_ns": (INT, "0"),
    "avg_ts": (FLOAT, "0"),
    "stddev_ts": (FLOAT, "0"),
}
"""Its columns in its order, each with its type and its default; JSON has `samples_ns` and `samples_ts` besides."""

_FLASH_ATTENTION = {"-1": "auto", "0": "off", "1": "on", "false": "off", "true": "on", "auto": "auto"}
_OWN = frozenset(
    (
        *("cpu_info", "backends", "model_filename", "model_size", "model_n_params", "n_batch", "n_ubatch", "n_threads"),
        *("type_k", "type_v", "n_gpu_layers", "flash_attn", "n_prompt", "n_gen", "n_depth", "avg_ts", "stddev_ts"),
    )
)
"""Columns that a row has fields for; the others are kept beside."""
_MOST_NS = 366 * 86_400 * 10**9
"""Of a sample."""
_MODEL_TYPE = re.compile(r"^.+? (?:[\d.]+[KMBTx\d.]*|\?B)[A-Za-z]* (?:\(guessed\) )?(?:mostly |all )?(?P<quant>.+)$")
_SIZES_OF_MIXES = {" - Extra Small": "_XS", " - Small": "_S", " - Medium": "_M", " - Large": "_L"}


class Given(NamedTuple):
    """A row as a file gives it."""

    line: int
    """Where it stands, from 1."""
    columns: Mapping[str, str]
    samples_ns: tuple[int, ...] = ()


def carries(row: BenchRow) -> bool:
    """Whether llama-bench's columns can say this test."""
    return row.test in ("pp", "tg", "pg")


def columns_of(row: BenchRow, machine: Machine) -> dict[str, str]:
    """All of `COLUMNS`; the model's file by its name alone, since a path may tell whose machine it was."""
    kept = dict(row.other_columns)
    durations = [float(ns) for ns in row.samples_ns]
    own = {
        "build_commit": f"{row.engine} {row.engine_version}".strip(),
        "cpu_info": machine.cpu,
        "backends": row.backend,
        "model_filename": _file_of(row),
        "model_type": model_type_of(row),
        "model_size": str(row.model_size_bytes),
        "model_n_params": str(row.model_parameter_count),
        "n_batch": str(row.batch_tokens),
        "n_ubatch": str(row.physical_batch_tokens or COLUMNS["n_ubatch"][1]),
        "n_threads": str(row.threads),
        "type_k": row.kv_cache_type,
        "type_v": row.kv_cache_type_v or row.kv_cache_type,
        "n_gpu_layers": "-1" if row.gpu_layers is None else str(row.gpu_layers),
        "flash_attn": {"off": "0", "on": "1"}.get(row.flash_attention, "-1"),
        "load_mode": {True: "mmap", False: "none", None: "auto"}[row.use_mmap],
        "n_prompt": str({"pp": row.tokens, "pg": row.prompt_tokens}.get(row.test, 0)),
        "n_gen": str(0 if row.test == "pp" else row.tokens),
        "n_depth": str(row.depth_tokens),
        "test_time": time.strftime(TIME_FORM, time.gmtime(row.measured_at)),
        "avg_ts": f"{row.mean_tps:.6f}",
        "stddev_ts": f"{row.sd_tps or 0:.6f}",
    }
    if durations:
        own["avg_ns"] = str(int(mean(durations)))
        own["stddev_ns"] = str(int(standard_deviation(durations) or 0))
    elif "avg_ns" not in kept:
        # Of Markdown, which has rates alone. 0 would say that all repetitions took the same time.
        avg_ns = (row.prompt_tokens + row.tokens) * 1e9 / row.mean_tps
        own["avg_ns"] = str(round(avg_ns))
        own["stddev_ns"] = str(round(avg_ns * (row.sd_tps or 0) / row.mean_tps))
    defaults = {name: default for name, (_, default) in COLUMNS.items()}
    return defaults | own | {name: value for name, value in kept.items() if name in COLUMNS}


def row_of(given: Given, otherwise_at: float) -> tuple[BenchRow, Machine]:
    """A row and its machine; `otherwise_at` is the time of a row that says none.

    Raises `ValueError` with a clause that says what is wrong.
    """
    columns = given.columns
    prompt, generated = _whole(columns, "n_prompt"), _whole(columns, "n_gen")
    test, tokens = _test_of(prompt, generated)
    stated, stated_sd = _rate(columns, given.samples_ns, prompt + generated)
    told = columns.get("build_commit", "")
    engine, version, is_own = _engine_of(told, columns)
    model_type = columns.get("model_type", "")
    path = columns.get("model_filename", "")
    name = _name_of(path) or model_type or "unnamed"
    quant_type = quant_type_of(model_type)
    if is_own and model_type.startswith(f"{name} "):
        quant_type = model_type[len(name) + 1 :]
    row = BenchRow(
        test=test,
        tokens=tokens,
        prompt_tokens=prompt if test == "pg" else 0,
        samples_ns=given.samples_ns,
        threads=_whole(columns, "n_threads"),
        batch_tokens=_whole(columns, "n_batch", 2048),
        physical_batch_tokens=_whole(columns, "n_ubatch"),
        kv_cache_type=columns.get("type_k") or "f16",
        kv_cache_type_v=columns.get("type_v") or "f16",
        flash_attention=_FLASH_ATTENTION.get(columns.get("flash_attn", "").lower(), ""),
        gpu_layers=_whole(columns, "n_gpu_layers", least=-1) if columns.get("n_gpu_layers") else None,
        model_name=name,
        model_path=path,
        model_size_bytes=_whole(columns, "model_size"),
        model_parameter_count=_whole(columns, "model_n_params"),
        model_quant_type=quant_type,
        engine=engine,
        engine_version=version,
        backend=columns.get("backends", ""),
        depth_tokens=_whole(columns, "n_depth"),
        measured_at=_moment(columns.get("test_time", ""), otherwise_at),
        load_average=None,
        use_mmap=_is_mapped(columns),
        source="" if is_own else LLAMA_BENCH,
        stated_tps=None if given.samples_ns else stated,
        stated_sd_tps=None if given.samples_ns else stated_sd,
        other_columns=tuple(
            (name, value)
            for name, value in columns.items()
            if name not in _OWN and value and not (given.samples_ns and name in ("avg_ns", "stddev_ns"))
        ),
    )
    return row, Machine(cpu=columns.get("cpu_info", ""))


def quant_type_of(model_type: str) -> str:
    """`llama 7B Q4_K - Medium` -> `Q4_K_M`; empty where the text has another form."""
    match = _MODEL_TYPE.match(model_type)
    if match is None:
        return ""
    quant = match["quant"]
    for words, ending in _SIZES_OF_MIXES.items():
        quant = quant.replace(words, ending)
    return quant


def model_type_of(row: BenchRow) -> str:
    """As llama-bench told it; of a row of ours its name and type."""
    told = dict(row.other_columns).get("model_type", "")
    return told or f"{row.model_name} {row.model_quant_type}".strip()


def file_name(path: str) -> str:
    """The last part of a path of any system."""
    return PureWindowsPath(path).name if "\\" in path else PurePosixPath(path).name


def _test_of(prompt: int, generated: int) -> tuple[Literal["pp", "tg", "pg"], int]:
    if not prompt and not generated:
        raise ValueError("it has neither prompt nor generated tokens")
    return ("pp", prompt) if not generated else ("pg", generated) if prompt else ("tg", generated)


def _rate(columns: Mapping[str, str], samples_ns: tuple[int, ...], tokens: int) -> tuple[float, float | None]:
    """Stated mean and standard deviation, checked; of a row with samples these are looked at instead."""
    if samples_ns:
        if min(samples_ns) <= 0:
            raise ValueError("one of its samples took no time")
        if max(samples_ns) > _MOST_NS:
            raise ValueError("one of its samples took more than a year")
        return tokens * 1e9 / mean([float(ns) for ns in samples_ns]), None
    if not columns.get("avg_ts"):
        raise ValueError("it has no rate (avg_ts or t/s)")
    try:
        rate, sd = float(columns["avg_ts"]), float(columns.get("stddev_ts") or 0)
    except ValueError as error:
        raise ValueError(f"its rate {columns['avg_ts'][:40]!r} is no number") from error
    if not (math.isfinite(rate) and rate > 0 and math.isfinite(sd) and sd >= 0):
        raise ValueError(f"its rate {columns['avg_ts'][:40]} cannot be")
    return rate, sd


def _whole(columns: Mapping[str, str], name: str, otherwise: int = 0, least: int = 0) -> int:
    text = columns.get(name, "")
    if not text:
        return otherwise
    if not re.fullmatch(r"-?\d{1,18}", text) or int(text) < least:
        raise ValueError(f"its {name} {text[:40]!r} is no count")
    return int(text)


def _moment(text: str, otherwise: float) -> float:
    if not text:
        return otherwise
    try:
        return float(calendar.timegm(time.strptime(text, TIME_FORM)))
    except ValueError as error:
        raise ValueError(f"its test_time {text[:40]!r} is no time such as 2026-11-26T00:30:21Z") from error


def _build(columns: Mapping[str, str]) -> str:
    commit, number = columns.get("build_commit", ""), columns.get("build_number", "")
    return f"b{number} ({commit})" if number and commit else commit or (f"b{number}" if number else "")


def _engine_of(told: str, columns: Mapping[str, str]) -> tuple[str, str, bool]:
    """Engine and version out of `build_commit`, and whether edgetui wrote it: a commit has no blank in it."""
    for engine in _ENGINES:
        if told == engine or told.startswith(f"{engine} "):
            return engine, told[len(engine) + 1 :], True
    if " " in told:
        engine, version = told.rsplit(" ", 1)
        return engine, version, True
    return LLAMA_CPP, _build(columns), False


def _is_mapped(columns: Mapping[str, str]) -> bool | None:
    """Out of `load_mode`, or `use_mmap` of an older llama-bench; None where that is left to the machine."""
    mode = columns.get("load_mode", "")
    if mode in ("", "auto"):
        return {"1": True, "0": False}.get(columns.get("use_mmap", ""))
    return "mmap" in mode


def _file_of(row: BenchRow) -> str:
    """The file's name; of a graph or weights, which are called the same in every folder, with the model's before it."""
    file, name = file_name(row.model_path), file_name(row.model_name)
    return file if not file or file == name or file.lower().endswith(".gguf") else f"{name}/{file}"


def _name_of(path: str) -> str:
    file = file_name(path)
    if file.lower().endswith(".gguf"):
        return file[:-5]
    return file_name(path[: -len(file) - 1]) or file if file else ""
