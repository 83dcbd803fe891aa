"""Import, export and queries of the history, over a real database and files that llama-bench wrote."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from edgetui.core.bench import Machine
from edgetui.core.failures import EdgetuiError
from edgetui.core.llama_bench_readers import FORMS
from edgetui.core.server_load import ServerBenchSettings, ServerLoadResult
from edgetui.core.servers import ServerEndpoint
from edgetui.services.lab import Lab
from edgetui.store.history import History
from edgetui.store.studies import Studies
from tests.services.test_bench import record

RECORDED = Path(__file__).parent.parent / "recorded" / "llama_bench"


def keep(lab: Lab, name: str, samples_ms: list[int], **changes: object) -> None:
    row = msgspec.structs.replace(record(name, samples_ms).row, **changes)
    History(lab.database).add(row, Machine(cpu="AMD EPYC"), None)


async def test_rows_of_llama_bench_stand_in_one_table_and_count_once(lab: Lab) -> None:
    keep(lab, "mine", [500, 505])
    told: list[None] = []
    lab.bench.changed.subscribe(told.append)
    first = await lab.bench_history.import_file(RECORDED / "llama-bench.json")
    assert first.sentence == "Imported from json: 3 new rows."
    again = await lab.bench_history.import_file(RECORDED / "llama-bench.json")
    assert again.sentence == "Imported from json: 0 new rows, 3 here already." and len(told) == 1
    assert len(await lab.bench_history.find()) == 4
    assert {each.row.name for each in await lab.bench_history.find("source:llama-bench")} == {"pp16", "tg4", "pp8+tg4"}


async def test_one_run_in_two_forms_counts_once_and_samples_win(lab: Lab) -> None:
    poor = await lab.bench_history.import_file(RECORDED / "both.md")
    assert poor.new == 2 and "no samples" in poor.sentence and "file's time" in poor.sentence
    rich = await lab.bench_history.import_file(RECORDED / "both.json")
    assert (rich.new, rich.improved, rich.known) == (0, 2, 0)
    poor = await lab.bench_history.import_file(RECORDED / "both.md")
    assert (poor.new, poor.improved, poor.known) == (0, 0, 2)
    rows = await lab.bench_history.find()
    assert len(rows) == 2 and all(len(each.row.samples_ns) == 2 for each in rows)


@pytest.mark.parametrize("form", FORMS)
async def test_what_is_exported_is_known_again(lab: Lab, tmp_path: Path, form: str) -> None:
    keep(lab, "mine", [500, 505, 511], measured_at=1_790_000_000.0)
    await lab.bench_history.import_file(RECORDED / "llama-bench.json")
    records = await lab.bench_history.find()
    written = await lab.bench_history.export(tmp_path / f"rows.{form}", records)
    assert written.rows == 4 and str(tmp_path) not in written.path.read_text(encoding="utf-8")
    back = await lab.bench_history.import_file(written.path)
    assert (back.new, back.improved, back.known) == (0, 0, 4)


async def test_nothing_is_taken_of_a_damaged_file(lab: Lab, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text((RECORDED / "llama-bench.jsonl").read_text()[:-40])
    with pytest.raises(EdgetuiError, match=r"Line 3 of broken\.jsonl"):
        await lab.bench_history.import_file(broken)
    assert await lab.bench_history.find() == []


async def test_files_that_cannot_be_are_refused_in_a_sentence(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"[\n\n\xff\xff\x00")
    huge = tmp_path / "huge.json"
    huge.touch()
    os.truncate(huge, 65 << 20)
    for path, why in (
        (tmp_path / "none.json", "There is no file"),
        (tmp_path, "is a folder"),
        (tmp_path / "binary", "Line 3 of binary is no text"),
        (huge, "65 MiB"),
        (Path("/dev/zero"), "does not end"),
    ):
        with pytest.raises(EdgetuiError, match=why):
            await lab.bench_history.import_file(path)


async def test_utf16_of_powershell_is_read(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "rows.md"
    path.write_bytes((RECORDED / "both.md").read_text().encode("utf-16"))
    assert (await lab.bench_history.import_file(path)).new == 2


async def test_an_export_never_writes_over_a_file(lab: Lab, tmp_path: Path) -> None:
    keep(lab, "mine", [500, 505])
    records = await lab.bench_history.find()
    (tmp_path / "rows.csv").write_text("mine")
    for name, why in (
        ("rows.csv", "already there"),
        ("rows.txt", "let it end in"),
        ("no/rows.csv", "cannot be written"),
    ):
        with pytest.raises(EdgetuiError, match=why):
            await lab.bench_history.export(tmp_path / name, records)
    assert (tmp_path / "rows.csv").read_text() == "mine"


async def test_trends_and_regressions_come_out_of_the_database(lab: Lab) -> None:
    for number, samples in enumerate(([1000, 1002, 998], [1001, 1003, 999], [1002, 1000, 1004], [1250, 1252, 1248])):
        keep(lab, "m", samples, measured_at=float(number))
    keep(lab, "m", [1000, 1001], threads=2)
    found = await lab.bench_history.regressions()
    (number,) = found
    trend = await lab.bench_history.trend(number)
    assert [each.row.measured_at for each in trend] == [0.0, 1.0, 2.0, 3.0]
    assert "slower than the 3 rows" in found[number].sentence
    with pytest.raises(EdgetuiError, match="There is no row 99"):
        await lab.bench_history.trend(99)


@pytest.mark.parametrize(
    "table",
    [
        """
| model                  |     size |  params | backend | threads | fa |  test |         t/s |
| ---------------------- | -------: | ------: | ------- | ------: | -: | ----: | ----------: |
| qwen2 14B Q4_K - Medium | 8.37 GiB | 14.77 B | CPU     |       4 |  0 | tg128 | 1.42 ± 0.00 |
| phi3 14B Q4_K - Medium | 7.98 GiB | 13.96 B | CPU     |       4 |  0 | tg128 | 1.42 ± 0.00 |
| phi3 14B Q4_K - Medium | 7.98 GiB | 13.96 B | CPU     |       4 |  1 | tg128 | 1.42 ± 0.00 |
""",
        """
| model       | backend | ngl | mmap |  test |           t/s |
| ----------- | ------- | --: | ---: | ----: | ------------: |
| qwen3 8B F16 | Vulkan  |  99 |    0 | pp512 | 104.41 ± 2.00 |
| qwen3 8B F16 | Vulkan  |  99 |    1 | pp512 | 104.41 ± 2.00 |
| qwen3 8B F16 | Vulkan  |  99 |    1 | pp512 | 104.41 ± 2.00 |
""",
    ],
)
async def test_no_row_is_lost_to_another_with_its_rate(lab: Lab, tmp_path: Path, table: str) -> None:
    path = tmp_path / "rows.md"
    path.write_text(table, encoding="utf-8")
    first = await lab.bench_history.import_file(path)
    assert (first.new, first.known) == (3, 0)
    again = await lab.bench_history.import_file(path)
    assert (again.new, again.known) == (0, 3)


async def test_rows_of_another_model_or_setting_are_new_though_the_rate_is_known(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "rows.md"
    head = "| model | size | params | backend | fa | test | t/s |\n|-|-|-|-|-|-|-|\n"
    row = "| phi3 14B Q8_0 | 7.98 GiB | 13.96 B | CUDA | 0 | tg128 | 1.42 ± 0.00 |"
    for old, new in (
        ("", ""),
        ("phi3", "qwen2"),
        ("7.98", "7.97"),
        ("13.96", "13.97"),
        ("CUDA", "CPU"),
        ("0 |", "1 |"),
    ):
        path.write_text(head + row.replace(old, new) if old else head + row, encoding="utf-8")
        taken = await lab.bench_history.import_file(path)
        assert (taken.new, taken.known) == (1, 0), new


async def test_a_report_tells_no_host_of_a_server_and_minds_no_odd_address(lab: Lab, tmp_path: Path) -> None:
    keep(lab, "m", [500, 505])
    for url in ("http://secret-host:8080", "http://[::1", "http://x:99999"):
        load = ServerLoadResult(
            endpoint=ServerEndpoint(name="s", url=url), server="", model="m", settings=ServerBenchSettings(), rows=(),
            load_average=None, sentence="secret-host was asked.",
        )  # fmt: skip
        Studies(lab.database).add(load, Machine(), None, 1.0)
    path = await lab.bench_history.report(tmp_path / "report.md", await lab.bench_history.find())
    assert "was asked." in path.read_text() and "secret-host" not in path.read_text()
