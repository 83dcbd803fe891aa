"""llama-bench's forms, held against what the real program wrote (tests/recorded/llama_bench)."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from pathlib import Path

import msgspec
import pytest

from edgetui.core.bench import BenchRecord, BenchRow, Machine
from edgetui.core.bench_identity import is_same
from edgetui.core.failures import EdgetuiError
from edgetui.core.llama_bench_columns import COLUMNS, quant_type_of
from edgetui.core.llama_bench_forms import Imported, read, write
from edgetui.core.llama_bench_readers import FORMS

RECORDED = Path(__file__).parent.parent / "recorded" / "llama_bench"
LLAMA_BENCH = sorted((Path(__file__).parents[2] / ".cache" / "llama-tools").glob("*/llama-bench"))


def recorded(name: str) -> str:
    return (RECORDED / name).read_text()


def records_of(imported: Imported) -> list[BenchRecord]:
    return [
        BenchRecord(record_id=number, job_id=None, row=row, machine=machine)
        for number, (row, machine) in enumerate(imported.rows)
    ]


def own_record(**changes: object) -> BenchRecord:
    row = BenchRow(
        test="tg",
        tokens=128,
        samples_ns=(1_120_000_001, 1_130_000_000, 1_125_000_000),
        threads=2,
        batch_tokens=512,
        kv_cache_type="q8_0",
        model_name='O\'Brien, "the" | \u2028 \x85 model',
        model_path="/home/someone/models/O'Brien.gguf",
        model_size_bytes=96_576_768,
        model_parameter_count=134_515_008,
        model_quant_type="Q4_1",
        engine="onnxruntime-genai",
        engine_version="0.18.0",
        backend="CPU",
        measured_at=1_790_000_000.0,
        load_average=None,
        depth_tokens=256,
    )
    return BenchRecord(
        record_id=1, job_id=None, row=msgspec.structs.replace(row, **changes), machine=Machine(cpu="AMD EPYC")
    )


@pytest.mark.parametrize("form", FORMS)
def test_what_llama_bench_wrote_is_read(form: str) -> None:
    imported = read(recorded(f"llama-bench.{form}"), "it", 1.0)
    assert imported.form == form
    rows = [row for row, _ in imported.rows]
    assert [row.name for row in rows] == ["pp16", "tg4", "pp8+tg4"]
    assert {row.source for row in rows} == {"llama-bench"}
    assert {row.engine_version for row in rows} == {"b1 (0c1e570)"}
    assert {(row.threads, row.model_quant_type, row.backend) for row in rows} == {(1, "Q4_1", "CPU")}
    assert all(row.mean_tps > 1 and row.sd_tps is not None for row in rows)
    if form != "md":
        assert {row.model_size_bytes for row in rows} == {96_576_768}
        assert {row.model_name for row in rows} == {"SmolLM2-135M-Instruct.Q4_1"}
        assert all(1_700_000_000 < row.measured_at < 1_900_000_000 for row in rows)
        assert {machine.cpu for _, machine in imported.rows} == {"AMD EPYC"}
    assert all(len(row.samples_ns) == (2 if form.startswith("json") else 0) for row in rows)


def test_figures_are_those_that_llama_bench_prints() -> None:
    given = json.loads(recorded("llama-bench.json"))
    for value, (row, _) in zip(given, read(recorded("llama-bench.json"), "it", 1.0).rows, strict=True):
        assert row.samples_ns == tuple(value["samples_ns"])
        assert row.mean_tps == pytest.approx(value["avg_ts"], rel=1e-6)
        assert row.sd_tps == pytest.approx(value["stddev_ts"], rel=1e-4)


def test_depth_threads_and_cache_types_come_out_of_markdown() -> None:
    rows = [row for row, _ in read(recorded("depth.md"), "it", 7.0).rows]
    assert [(row.threads, row.kv_cache_type, row.flash_attention, row.depth_tokens) for row in rows] == [
        (1, "f16", "on", 16),
        (2, "f16", "on", 16),
        (1, "q8_0", "on", 16),
        (2, "q8_0", "on", 16),
    ]
    assert rows[1].mean_tps == 3.19 and rows[1].sd_tps == 0.11 and rows[1].measured_at == 7.0


@pytest.mark.parametrize("form", ("json", "jsonl", "csv", "sql"))
def test_a_row_of_llama_bench_leaves_as_it_came(form: str) -> None:
    given = recorded(f"llama-bench.{form}")
    written = write(form, records_of(read(given, "it", 1.0))).text
    if form in ("json", "jsonl"):
        before = [json.loads(line) for line in given.splitlines()] if form == "jsonl" else json.loads(given)
        after = [json.loads(line) for line in written.splitlines()] if form == "jsonl" else json.loads(written)
        for old, new in zip(before, after, strict=True):
            assert list(old) == list(new)
            assert all(new[name] == pytest.approx(old[name], rel=1e-2) for name in ("avg_ns", "stddev_ns"))
            assert {**new, **dict.fromkeys(_FIGURES)} == {**old, **dict.fromkeys(_FIGURES)}
    else:
        assert written.split() == given.split()


_FIGURES = ("avg_ns", "stddev_ns", "avg_ts", "stddev_ts", "samples_ts")


def test_markdown_leaves_as_it_came() -> None:
    assert write("md", records_of(read(recorded("llama-bench.md"), "it", 1.0))).text == recorded("llama-bench.md")


def test_the_spread_of_rates_that_came_without_samples_is_told_of_durations_too() -> None:
    # 63.72 -+ some per cent of a rate is about as much of a duration; 0 would say that all took the same time.
    exported = write("json", records_of(read(recorded("llama-bench.md"), "it", 1.0)))
    for told, was in zip(json.loads(exported.text), json.loads(recorded("llama-bench.json")), strict=True):
        assert told["stddev_ns"] / told["avg_ns"] == pytest.approx(told["stddev_ts"] / told["avg_ts"], rel=1e-6)
        assert told["stddev_ts"] > 0 and was["n_gen"] == told["n_gen"]


@pytest.mark.parametrize("form", FORMS)
def test_a_row_of_ours_with_awkward_names_comes_back(form: str) -> None:
    mine = own_record()
    exported = write(form, [mine])
    assert "/home/someone" not in exported.text
    (row, machine), *more = read(exported.text, "it", 1.0).rows
    assert not more
    assert row.name == "tg128 @ d256" and (row.threads, row.kv_cache_type, row.batch_tokens) == (2, "q8_0", 512)
    assert (row.engine, row.engine_version, row.source) == ("onnxruntime-genai", "0.18.0", "")
    assert row.mean_tps == pytest.approx(mine.row.mean_tps, abs=0.01)
    assert is_same(row, mine.row) and is_same(mine.row, row)
    if form != "md":
        assert row.model_path == "O'Brien.gguf" and machine.cpu == "AMD EPYC"
    if form == "json":
        assert row.samples_ns == mine.row.samples_ns


def test_exported_sql_runs_in_sqlite_and_gives_the_figures() -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(write("sql", [own_record(), *records_of(read(recorded("both.json"), "it", 1.0))]).text)
    found = connection.execute("SELECT model_filename, n_gen, avg_ts FROM llama_bench ORDER BY n_gen DESC").fetchall()
    connection.close()
    assert [row[:2] for row in found] == [
        ("O'Brien.gguf", 128),
        *[("SmolLM2-135M-Instruct.Q4_1.gguf", n) for n in (4, 0)],
    ]
    assert found[0][2] == pytest.approx(own_record().row.mean_tps, rel=1e-6)


def test_one_run_in_two_forms_is_the_same_and_two_runs_are_not() -> None:
    of_json = [row for row, _ in read(recorded("both.json"), "it", 1.0).rows]
    of_markdown = [row for row, _ in read(recorded("both.md"), "it", 1.0).rows]
    assert [is_same(a, b) for a, b in zip(of_json, of_markdown, strict=True)] == [True, True]
    other_run = [row for row, _ in read(recorded("llama-bench.json"), "it", 1.0).rows]
    assert not any(is_same(a, b) for a in of_json for b in other_run)


def test_what_a_form_cannot_carry_is_told() -> None:
    assert write("json", [own_record()]).remarks == ()
    assert "no samples" in write("md", [own_record()]).remarks[0]
    assert "energy" in write("json", [own_record(energy_j=3.0)]).remarks[0]
    assert "huge pages" in write("json", [own_record(huge_pages=True)]).remarks[0]
    assert "no samples" in read(recorded("llama-bench.csv"), "it", 1.0).remarks[0]
    assert read(recorded("llama-bench.json"), "it", 1.0).remarks == ()


def cut(name: str, length: int) -> str:
    return recorded(name)[:length]


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        (cut("llama-bench.json", 1500), 61, "no JSON"),
        (recorded("llama-bench.json").rstrip()[:-1], 140, "ends before its closing bracket"),
        (cut("llama-bench.jsonl", 1500), 2, "no JSON"),
        (cut("llama-bench.csv", 1000), 3, "cells where the head has 42"),
        (cut("llama-bench.sql", 1500), 46, "no whole INSERT"),
        (cut("llama-bench.md", 450), 4, "cells where the head has 7"),
        (recorded("llama-bench.md").replace("32.71 ± 5.37", "fast"), 4, "no rate"),
        (recorded("llama-bench.md").replace("134.52 M", "many"), 3, "no size or count"),
        (recorded("llama-bench.csv").replace('"63.721806"', '"nan"'), 3, "cannot be"),
        (recorded("llama-bench.csv").replace('"16","0","0"', '"-3","0","0"'), 2, "no count"),
        (recorded("llama-bench.csv").replace('"16","0","0"', '"0","0","0"'), 2, "neither prompt nor generated"),
        (recorded("llama-bench.csv").replace("2026-11-26T00:30:24Z", "yesterday"), 3, "no time"),
        (recorded("llama-bench.json").replace("[ 149426266, 143996930 ]", "[ 0, 1 ]"), 2, "took no time"),
        (recorded("llama-bench.json").replace("[ 149426266, 143996930 ]", '[ "x" ]'), 2, "no list of whole numbers"),
        ('[\n  {"a": 1}\n]', 2, "no n_prompt"),
        ("[\n  3\n]", 2, "another value"),
        ("[\n" + "[" * 100_000, 2, "nested too deeply"),
        (recorded("llama-bench.json").replace("[ 149426266,", f"[ {10**400},"), 2, "more than a year"),
        (recorded("llama-bench.json").replace("[ 149426266,", f"[ {'9' * 5000},"), 2, "thousands of digits"),
        (recorded("llama-bench.jsonl").replace("[ 10", f"[ {'9' * 5000}", 1), 3, "thousands of digits"),
        (recorded("llama-bench.json").replace("AMD EPYC", "\\ud800", 1), 2, "its cpu_info has half a character"),
    ],
)  # fmt: skip
def test_damage_is_named_with_its_line(text: str, line: int, why: str) -> None:
    with pytest.raises(EdgetuiError) as caught:
        read(text, "rows.txt", 1.0)
    said = str(caught.value)
    assert f"Line {line} of rows.txt" in said and why in said and "Nothing was imported" in said


@pytest.mark.parametrize("text", ["", "hello\nworld", "\x00\x01", "a,b,c\n1,2,3\n", "| a | b |\n| - | - |\n"])
def test_another_file_is_refused(text: str) -> None:
    with pytest.raises(EdgetuiError, match="none of llama-bench's forms"):
        read(text, "x.bin", 1.0)


def test_notes_before_a_table_are_passed_over() -> None:
    text = "ggml_cuda_init: found 1 CUDA devices:\n  Device 0: x\n" + recorded("llama-bench.md")
    assert len(read(text, "it", 1.0).rows) == 3


@pytest.mark.parametrize(
    ("model_type", "quant_type"),
    [
        ("llama 7B Q4_K - Medium", "Q4_K_M"),
        ("llama 256M Q4_1", "Q4_1"),
        ("qwen2 ?B Q8_0", "Q8_0"),
        ("llama 8x7B mostly Q5_K - Small", "Q5_K_S"),
        ("llama 7B all F32", "F32"),
        ("something", ""),
    ],
)
def test_quantization_types_are_called_by_their_short_names(model_type: str, quant_type: str) -> None:
    assert quant_type_of(model_type) == quant_type


@pytest.mark.skipif(not LLAMA_BENCH, reason="llama-bench has not been built here (benchmarks/llama_tools.py)")
def test_the_real_program_still_writes_these_columns(demo_model: Path) -> None:
    ran = subprocess.run(
        [LLAMA_BENCH[-1], *("-m", demo_model, "-p", "4", "-n", "0", "-r", "2", "-t", "1", "-o", "json", "-oe", "csv")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert list(json.loads(ran.stdout)[0])[:-2] == list(COLUMNS)
    of_json, of_csv = read(ran.stdout, "it", 1.0).rows, read(ran.stderr, "it", 1.0).rows
    assert is_same(of_json[0][0], of_csv[0][0])


@pytest.mark.parametrize("form", FORMS)
def test_line_ends_of_windows_are_read(form: str) -> None:
    text = recorded(f"llama-bench.{form}").replace("\n", "\r\n")
    assert [row.name for row, _ in read(text, "it", 1.0).rows] == ["pp16", "tg4", "pp8+tg4"]


@pytest.mark.parametrize("form", ("json", "jsonl", "csv", "sql"))
@pytest.mark.parametrize(
    "changes",
    [
        {"model_name": "smol-int4", "model_path": "/home/anna/smol-int4/model.onnx", "model_quant_type": "int4"},
        {"model_name": "smol-4bit", "model_path": "/home/anna/x/model.safetensors", "engine": "mlx",
         "engine_version": "mlx 0.32.4, mlx-lm 0.32.2", "model_quant_type": "4-bit"},
        {"model_name": "Smol-Q4_1", "model_path": "/anna/Smol-Q4_1.gguf", "engine": "llama.cpp", "use_mmap": False},
        {"model_name": "Smol-Q4_1", "model_path": "/anna/Smol-Q4_1.gguf", "engine": "llama.cpp", "use_mmap": True},
    ],
)  # fmt: skip
def test_a_row_of_ours_comes_back_with_its_model_engine_and_settings(form: str, changes: dict[str, object]) -> None:
    mine = own_record(**changes).row
    text = write(form, [own_record(**changes)]).text
    assert "anna" not in text
    ((row, _),) = read(text, "it", 1.0).rows
    for name in ("model_name", "model_quant_type", "engine", "engine_version", "use_mmap", "source"):
        assert getattr(row, name) == getattr(mine, name), name
    assert is_same(row, mine) and is_same(mine, row)
    again = write(form, records_of(read(text, "it", 1.0))).text
    assert again == text


@pytest.mark.parametrize(
    ("column", "value", "use_mmap"),
    [("load_mode", "auto", None), ("load_mode", "mmap+mlock", True), ("load_mode", "dio", False),
     ("use_mmap", True, True), ("use_mmap", False, False)],
)  # fmt: skip
def test_both_columns_of_llama_bench_on_mmap_are_known(column: str, value: object, use_mmap: bool | None) -> None:
    value_of = json.loads(recorded("llama-bench.json"))[0]
    del value_of["load_mode"]
    ((row, _),) = read(json.dumps([value_of | {column: value}]), "it", 1.0).rows
    assert row.use_mmap is use_mmap


def test_arrays_that_runs_appended_to_one_file_are_all_read() -> None:
    both = recorded("both.json") + "llama_perf: done\n\n" + recorded("llama-bench.json")
    imported = read(both, "it", 1.0)
    assert [row.name for row, _ in imported.rows] == ["pp16", "tg4", "pp16", "tg4", "pp8+tg4"]
    assert imported.remarks == ("1 line that is no row was skipped",)
    assert len(read(2 * recorded("both.json").strip() + "[]", "it", 1.0).rows) == 4
    with pytest.raises(EdgetuiError, match=f"Line {both.count(chr(10)) + 1} of it"):
        read(both + recorded("both.json")[:-200].replace("\n", "") + "x", "it", 1.0)


def test_a_table_of_2023_is_read() -> None:
    text = (
        "| model                | backend | ngl | test   |              t/s |\n"
        "| -------------------- | ------- | --: | ------ | ---------------: |\n"
        "| LLaMA 7B mostly Q4_0 | CUDA    |  99 | pp 512 |  2368.80 ± 93.24 |\n"
        "| LLaMA 7B mostly Q4_0 | CUDA    |  99 | tg 128 |    131.42 ± 0.59 |\n"
    )
    rows = [row for row, _ in read(text, "it", 1.0).rows]
    assert [(row.name, row.model_quant_type, row.mean_tps) for row in rows] == [
        ("pp512", "Q4_0", 2368.80),
        ("tg128", "Q4_0", 131.42),
    ]


@pytest.mark.parametrize(
    ("name", "more", "passed"),
    [
        ("llama-bench.md", "\nCompare with:\n\n| who | speed |\n| --- | --- |\n| me | 5 |\n", 4),
        ("llama-bench.jsonl", "llama_print: done\n", 1),
        ("llama-bench.csv", "note: done, in 3 s\nthe end\n", 2),
        ("llama-bench.json", "llama_print: done\n[INFO] the end\n", 2),
    ],
)
def test_lines_that_are_no_rows_are_skipped_and_counted(name: str, more: str, passed: int) -> None:
    for text in (recorded(name) + more, recorded(name) + more + recorded(name)):
        imported = read(text, "it", 1.0)
        assert len(imported.rows) in (3, 6) and imported.remarks[-1].startswith(f"{passed} line")
