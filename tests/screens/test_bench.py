"""The Bench screen on real services and the real model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Static

from edgetui.app import EdgetuiApp
from edgetui.core.bench import BenchSettings, Conditions, Machine
from edgetui.core.models import ModelEntry
from edgetui.screens import bench_watching
from edgetui.screens.bench_view import setup
from edgetui.screens.bench_watching import BenchWatching
from edgetui.screens.bench_workloads import SERVER_LOAD, workloads_of
from edgetui.screens.repeat_dialog import RepeatDialog
from edgetui.services.bench_history import BenchHistory
from edgetui.services.lab import Lab
from edgetui.services.servers import entry_of
from edgetui.store.database import Database
from edgetui.store.history import History
from edgetui.widgets.chart_panel import ChartPanel
from edgetui.widgets.facts_panel import FactsPanel
from edgetui.widgets.failure_bar import FailureBar
from tests.servers.raw import RawServer, finish, stream, usage
from tests.services.test_bench import record
from tests.waiting import until

RECORDED = Path(__file__).parent.parent / "recorded" / "llama_bench"


async def shown(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    await until(condition, pilot.pause)


def rows(app: EdgetuiApp) -> list[tuple[str, ...]]:
    table = app.screen.query_one(DataTable)
    return [tuple(str(cell) for cell in table.get_row_at(row)) for row in range(table.row_count)]


def line(app: EdgetuiApp, name: str) -> str:
    return str(app.screen.query_one(name, Static).content)


def keep(lab: Lab, name: str, samples_ms: list[int], test: str = "tg") -> None:
    History(lab.database).add(record(name, samples_ms, test=test).row, Machine(), None)


async def test_a_model_is_measured_by_keys_alone(lab: Lab, demo_entry: ModelEntry) -> None:
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: app.screen.query_one("#empty").display)
        await pilot.press("m")
        await shown(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("enter")
        await shown(pilot, lambda: len(app.screen_stack) == 1 and demo_entry.name in line(app, "#setup"))
        await pilot.press("e")
        await shown(pilot, lambda: len(app.screen_stack) == 2)
        for name, value in [("prompt_tokens", "8"), ("generated_tokens", "4"), ("repetitions", "2"), ("threads", "1")]:
            app.screen.query_one(f"#{name}", Input).value = value
        await pilot.press("enter")
        await shown(pilot, lambda: len(app.screen_stack) == 1 and "pp 8  tg 4  2 repetitions" in line(app, "#setup"))
        await pilot.press("enter")
        await shown(pilot, lambda: len(rows(app)) == 2)
        assert {row[2] for row in rows(app)} == {"pp8", "tg4"}
        await shown(pilot, lambda: "tok/s" in line(app, "#result"))
        ended_with = line(app, "#result")
        # Another message that comes later does not take its place; the next start does.
        app.screen.say("Written: rows.csv")  # type: ignore[attr-defined]
        assert line(app, "#result") == ended_with and app.screen.query_one("#result").display
        await pilot.press("enter")
        await shown(pilot, lambda: not app.screen.query_one("#result").display)
        await shown(pilot, lambda: "tok/s" in line(app, "#result"))


async def test_the_model_that_was_measured_here_last_is_chosen_at_first(lab: Lab, demo_entry: ModelEntry) -> None:
    measured = msgspec.structs.replace(record("demo", [10, 11]).row, model_path=str(demo_entry.path))
    History(lab.database).add(measured, Machine(), None)
    History(lab.database).add(msgspec.structs.replace(measured, model_path="/m", source="llama-bench"), Machine(), None)
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: demo_entry.name in line(app, "#setup"))


async def test_a_last_model_that_is_gone_is_not_chosen(lab: Lab) -> None:
    keep(lab, "gone", [10, 11])
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: len(rows(app)) == 1)
        await app.workers.wait_for_complete()
        assert "no model chosen" in line(app, "#setup") and not app.screen.query_one(FailureBar).message


def test_the_summary_tells_what_is_not_as_usual() -> None:
    assert "until" not in setup(BenchSettings()) and "GPU layers" not in setup(BenchSettings())
    told = setup(BenchSettings(repetitions=2, until_percent=1.5, budget_s=30, gpu_layers=0, flash_attention="on"))
    for words in ("2 repetitions or more", "until 1.5 %", "budget 30 s", "GPU layers 0", "flash attention on"):
        assert words in told


async def test_a_wrong_setting_is_named_beside_its_field(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test() as pilot:
        await pilot.press("e")
        await shown(pilot, lambda: len(app.screen_stack) == 2)
        app.screen.query_one("#repetitions", Input).value = "0"
        app.screen.query_one("#kv_cache_type", Input).value = "q9"
        await pilot.press("enter")
        assert "at least 1" in line(app, "#repetitions-problem")
        assert "q9" in line(app, "#kv_cache_type-problem")
        await pilot.press("escape")
        await shown(pilot, lambda: "5 repetitions" in line(app, "#setup"))


async def test_two_marked_rows_are_compared(lab: Lab) -> None:
    keep(lab, "fast", [500, 505, 495])
    keep(lab, "slow", [1000, 1010, 990])
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: len(rows(app)) == 2)
        await pilot.press("space", "down", "space")
        await shown(pilot, lambda: [row[0].strip() for row in rows(app)] == ["*", "*"])
        await pilot.press("c")
        panel = app.screen.query_one(ChartPanel)
        await shown(pilot, lambda: "fast is faster than slow by 2.00x" in panel.text)
        bars = {text.split()[0]: text for text in panel.text.splitlines()[1:]}
        assert bars["fast"].rindex("]") > 1.7 * bars["slow"].rindex("]") and "tok/s" in panel.text.splitlines()[-1]


async def test_marked_rows_measured_beside_other_programs_show_nothing(lab: Lab) -> None:
    keep(lab, "fast", [500, 505, 495])
    row = record("slow", [1000, 1010, 990]).row
    History(lab.database).add(msgspec.structs.replace(row, conditions=Conditions(others_share=0.5)), Machine(), None)
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(pilot, lambda: len(rows(app)) == 2)
        await pilot.press("space", "down", "space", "c")
        panel = app.screen.query_one(ChartPanel)
        await shown(pilot, lambda: "No difference can be told" in panel.text)
        told = " ".join(panel.text.split())
        assert "slow (other programs took 50% of the processors)" in told and "bench --ab" in told
        assert "is faster" not in told


async def test_rows_of_different_tests_are_refused_with_the_reason(lab: Lab) -> None:
    keep(lab, "a", [500, 505])
    keep(lab, "a", [500, 505], test="pp")
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: len(rows(app)) == 2)
        await pilot.press("space", "down", "space", "c")
        await shown(pilot, lambda: "different tests" in app.screen.query_one(FailureBar).message)


async def test_a_row_is_deleted_only_once_it_is_confirmed(lab: Lab) -> None:
    keep(lab, "a", [500, 505])
    keep(lab, "b", [500, 505])
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: len(rows(app)) == 2)
        await pilot.press("down", "x")
        await shown(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("enter")
        await shown(pilot, lambda: len(app.screen_stack) == 1)
        assert len(rows(app)) == 2
        await pilot.press("x")
        await shown(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("y")
        await shown(pilot, lambda: [row[1] for row in rows(app)] == ["b"])


async def test_the_filter_narrows_the_history(lab: Lab) -> None:
    keep(lab, "alpha", [500, 505])
    keep(lab, "beta", [500, 505])
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: len(rows(app)) == 2)
        await pilot.press("slash", *"alp")
        await shown(pilot, lambda: [row[1] for row in rows(app)] == ["alpha"])
        await pilot.press("escape")
        await shown(pilot, lambda: len(rows(app)) == 2)


async def test_two_rows_of_one_model_are_told_apart_and_wholly_readable_in_80_cells(lab: Lab) -> None:
    name = "A-model-with-quite-a-long-name-Instruct.Q4_K_M"
    keep(lab, name, [500, 505, 495])
    slow = record(name, [1000, 1010, 990]).row
    History(lab.database).add(msgspec.structs.replace(slow, threads=2), Machine(), None)
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: len(rows(app)) == 2)
        await pilot.press("space", "down", "space", "c")
        panel = app.screen.query_one(ChartPanel)
        await shown(pilot, lambda: "2.00x" in panel.text)
        assert all(len(text) <= 80 for text in panel.text.splitlines())
        told = " ".join(panel.text.split())
        assert "1 thread is faster than 2 threads by 2.00x (95 % interval 1.9" in told
        # Newest first, as the rows stand in the list above.
        assert [text.split()[:2] for text in panel.text.splitlines()[-3:-1]] == [["2", "threads"], ["1", "thread"]]


async def test_a_long_history_shows_its_newest_rows_and_says_so(lab: Lab) -> None:
    for number in range(203):
        keep(lab, f"model-{number}", [500, 505])
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: len(rows(app)) == 200)
        assert rows(app)[0][1] == "model-202"
        assert "200 of 203" in line(app, "#more")
        await pilot.press("slash", *"model-1")
        await shown(pilot, lambda: not app.screen.query_one("#more").display)


def keep_row(lab: Lab, samples_ms: list[int], **changes: object) -> None:
    row = msgspec.structs.replace(record("m", samples_ms).row, **changes)
    History(lab.database).add(row, Machine(cpu="c"), None)


async def test_noisy_and_slower_rows_carry_a_mark_and_details_say_why(lab: Lab) -> None:
    for number in range(3):
        keep_row(lab, [1000, 1002 + number, 998], measured_at=1.0)
    keep_row(lab, [1250, 1252, 1248], measured_at=2.0)
    keep_row(lab, [900, 905], measured_at=3.0, threads=2, conditions=Conditions(others_share=0.5))
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: [row[0].strip() for row in rows(app)] == ["!", "v", "", "", ""])
        await pilot.press("d")
        facts = app.screen.query_one(FactsPanel)
        await shown(pilot, lambda: "other programs took 50%" in facts.text)
        assert "2 threads" in facts.text and "samples" in facts.text
        await pilot.press("down")
        await shown(pilot, lambda: "slower than the 3 rows" in " ".join(facts.text.split()))


async def test_a_trend_goes_over_dates_then_over_versions(lab: Lab) -> None:
    for number in range(3):
        keep_row(lab, [1000, 1002 + number, 998], measured_at=1_790_000_000.0, engine_version="1.0")
    keep_row(lab, [1250, 1252, 1248], measured_at=1_790_100_000.0, engine_version="1.1")
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: len(rows(app)) == 4)
        panel = app.screen.query_one(ChartPanel)
        await pilot.press("t")
        await shown(pilot, lambda: "slower than the 3 rows" in panel.text and " date" in panel.text)
        await pilot.press("t")
        await shown(pilot, lambda: "version of llama.cpp" in panel.text and "1.1" in panel.text)
        await pilot.press("t")
        await shown(pilot, lambda: "newest row of each model" in panel.text)


async def test_the_curve_of_a_row_is_drawn(lab: Lab) -> None:
    for tokens in (16, 32, 64):
        keep_row(lab, [tokens * 10, tokens * 10 + 1], test="pp", tokens=tokens)
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: len(rows(app)) == 3)
        panel = app.screen.query_one(ChartPanel)
        await pilot.press("g")
        await shown(pilot, lambda: "time to the first token, ms" in panel.text)
        assert all(word in panel.text.splitlines()[-1] for word in ("16", "32", "64"))
        await pilot.press("escape")
        await shown(pilot, lambda: "newest row of each model" in panel.text)


async def test_half_a_filter_is_explained_and_keeps_the_rows(lab: Lab) -> None:
    keep_row(lab, [500, 505], threads=2)
    keep_row(lab, [500, 505], threads=4)
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: len(rows(app)) == 2)
        await pilot.press("slash", *"colour:")
        problem = app.screen.query_one("#filter-problem", Static)
        await shown(pilot, lambda: problem.display and "no 'colour'" in str(problem.content))
        assert len(rows(app)) == 2
        app.screen.query_one(Input).value = "threads:4"
        await shown(pilot, lambda: len(rows(app)) == 1 and not problem.display)


async def test_rows_are_imported_exported_and_reported_by_keys(lab: Lab, tmp_path: Path) -> None:
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(100, 30)) as pilot:
        await shown(pilot, lambda: app.screen.query_one("#empty").display)
        for key, path, told in (
            ("i", RECORDED / "llama-bench.json", "3 new rows"),
            ("o", tmp_path / "rows.sql", "3 rows"),
            ("p", tmp_path / "report.html", "Written"),
        ):
            await shown(pilot, lambda key=key: len(rows(app)) == (0 if key == "i" else 3))  # type: ignore[misc]
            await pilot.press(key)
            await shown(pilot, lambda: len(app.screen_stack) == 2)
            app.screen.query_one(Input).value = str(path)
            await pilot.press("enter")
            await shown(pilot, lambda: len(app.screen_stack) == 1)
            await shown(pilot, lambda told=told: told in line(app, "#progress"))  # type: ignore[misc]
        assert "INSERT INTO llama_bench" in (tmp_path / "rows.sql").read_text()
        assert "</html>" in (tmp_path / "report.html").read_text()
        await pilot.press("p")
        await shown(pilot, lambda: len(app.screen_stack) == 2)
        app.screen.query_one(Input).value = str(tmp_path / "report.html")
        await pilot.press("enter")
        await shown(pilot, lambda: "already there" in line(app, ".problem"))
        assert app.screen.query_one(Input).value == str(tmp_path / "report.html")
        app.screen.query_one(Input).value = str(tmp_path / "report2.html")
        await shown(pilot, lambda: not app.screen.query_one(".problem").display)
        await pilot.press("enter")
        await shown(pilot, lambda: len(app.screen_stack) == 1)
        assert (tmp_path / "report2.html").is_file()


def keep_elsewhere(lab: Lab, name: str) -> None:
    """As another process does, of which this one is told nothing."""
    database = Database(lab.paths.database)
    History(database).add(record(name, [500, 505]).row, Machine(), None)
    database.close()


async def test_rows_of_another_process_come_by_themselves_and_the_cursor_and_marks_stay(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_watching, "LOOK_EVERY_S", 0.05)
    keep(lab, "old", [500, 505])
    keep(lab, "newer", [500, 505])
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: len(rows(app)) == 2)
        await pilot.press("down", "space")
        keep_elsewhere(lab, "newest")
        await shown(pilot, lambda: [row[1] for row in rows(app)] == ["newest", "newer", "old"])
        assert [row[0].strip() for row in rows(app)] == ["", "", "*"]
        assert app.screen.query_one(DataTable).cursor_row == 2


async def test_the_first_rows_of_another_process_can_be_walked_at_once(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_watching, "LOOK_EVERY_S", 0.05)
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: app.screen.query_one("#empty").display)
        keep(lab, "a", [500, 505])
        keep(lab, "b", [500, 505])
        await shown(pilot, lambda: len(rows(app)) == 2)
        await pilot.press("space", "down", "space")
        await shown(pilot, lambda: [row[0].strip() for row in rows(app)] == ["*", "*"])


async def test_rows_of_another_process_are_there_after_coming_back_or_an_import(lab: Lab) -> None:
    keep(lab, "old", [500, 505])
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: len(rows(app)) == 1)
        app.open_mode("jobs")
        await shown(pilot, lambda: app.current_mode == "jobs")
        keep_elsewhere(lab, "newest")
        app.open_mode("bench")
        await shown(pilot, lambda: app.current_mode == "bench" and [row[1] for row in rows(app)] == ["newest", "old"])

        other = Database(lab.paths.database)
        imported = BenchHistory(other, lab.bench, lab.hardware)._import(RECORDED / "llama-bench.json")
        other.close()
        assert imported.new == 3
        await pilot.press("i")
        await shown(pilot, lambda: len(app.screen_stack) == 2)
        app.screen.query_one(Input).value = str(RECORDED / "llama-bench.json")
        await pilot.press("enter")
        await shown(pilot, lambda: len(app.screen_stack) == 1)
        await shown(pilot, lambda: "0 new rows, 3 here already" in line(app, "#progress") and len(rows(app)) == 5)


async def test_nobody_looks_for_rows_while_a_job_runs(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: app.screen.query_one("#empty").display)
        screen = app.screen
        assert isinstance(screen, BenchWatching)
        monkeypatch.setattr(screen, "look_for_rows", lambda: looks.append(0))
        app.running_jobs = 1
        screen._look_if_quiet()
        assert not looks
        app.running_jobs = 0
        screen._look_if_quiet()
        assert looks


async def test_where_weights_lie_is_set_by_keys_and_told(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("e")
        await shown(pilot, lambda: len(app.screen_stack) == 2)
        app.screen.query_one("#use_mmap", Input).value = ""
        app.screen.query_one("#huge_pages", Input).value = "true"
        await pilot.press("enter")
        await shown(
            pilot, lambda: len(app.screen_stack) == 1 and "mmap by the memory  huge pages on" in line(app, "#setup")
        )


async def test_rows_alike_are_told_apart_before_one_is_deleted(lab: Lab) -> None:
    keep_row(lab, [500, 505], use_mmap=True)
    keep_row(lab, [500, 505], use_mmap=False)
    keep_row(lab, [500, 505], test="pp")
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: len(rows(app)) == 3)
        for keys, told in ((("x",), "pp100 of m?"), (("down", "x"), "tg100 of m (no mmap)?")):
            await pilot.press(*keys)
            await shown(pilot, lambda: len(app.screen_stack) == 2)
            assert told in line(app, ".dialog-title")
            await pilot.press("n")
            await shown(pilot, lambda: len(app.screen_stack) == 1)


async def test_an_a_b_comparison_of_equal_sides_stays_a_form_with_its_sentence(
    lab: Lab, demo_entry: ModelEntry
) -> None:
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: app.screen.query_one("#empty").display)
        await app.screen.open_model(demo_entry)  # type: ignore[attr-defined]
        await pilot.press("w")
        await shown(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("end", "up", "enter")
        await shown(pilot, lambda: bool(app.screen.query("#blocks")))
        note = next(each for each in app.screen.query(".note").results(Static) if "f32 f16" in str(each.content))
        assert note.size.height == 2, "a note that is wider than its room is told on a second line"
        app.screen.query_one("#blocks", Input).value = "7"
        await pilot.press("enter")
        await shown(pilot, lambda: "Both sides are the same" in line(app, "#all-problem"))
        assert app.screen.query_one("#blocks", Input).value == "7"
        app.screen.query_one("#model_b", Input).value = "no such model"
        await pilot.press("enter")
        await shown(pilot, lambda: "no such model" in line(app, "#model_b-problem"))
        assert not app.screen.query_one("#all-problem").display
        assert await lab.jobs.list() == ()


async def test_a_soak_is_started_from_its_dialog_and_drawn_among_the_studies(lab: Lab, demo_entry: ModelEntry) -> None:
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: app.screen.query_one("#empty").display)
        await app.screen.open_model(demo_entry)  # type: ignore[attr-defined]
        await pilot.press("w")
        await shown(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("down", "down", "down", "down", "enter")
        await shown(pilot, lambda: bool(app.screen.query("#duration_s")))
        for name, value in [("duration_s", "2"), ("sample_s", "0.1"), ("threads", "1")]:
            app.screen.query_one(f"#{name}", Input).value = value
        await pilot.press("enter")
        await shown(pilot, lambda: bool(app.screen.check_action("cancel", ())))
        await shown(pilot, lambda: "tok/s" in line(app, "#result") and bool(app.screen.check_action("start", ())))
        await pilot.press("v")
        await shown(pilot, lambda: len(app.screen_stack) == 2)
        panel = app.screen.query_one(ChartPanel)
        await shown(pilot, lambda: "decode, tok/s" in panel.text and "seconds" in panel.text)
        await pilot.press("y")
        await shown(pilot, lambda: isinstance(app.screen, RepeatDialog))
        assert isinstance(app.screen, RepeatDialog) and app.screen.chosen.text.endswith(
            f"{demo_entry.path} --soak 2s --sample 0.1s -t 1"
        )
        await pilot.press("escape")
        await pilot.press("x")
        await shown(pilot, lambda: len(app.screen_stack) == 3)
        await pilot.press("y")
        await shown(pilot, lambda: "No soak" in panel.text)


async def test_a_matrix_of_lists_is_measured(lab: Lab, demo_entry: ModelEntry) -> None:
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(160, 45)) as pilot:
        await shown(pilot, lambda: app.screen.query_one("#empty").display)
        await app.screen.open_model(demo_entry)  # type: ignore[attr-defined]
        await pilot.press("w")
        await shown(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("down", "enter")
        await shown(pilot, lambda: bool(app.screen.query("#physical_batch_tokens")))
        for name, value in [
            ("prompt_tokens", "0"),
            ("generated_tokens", "2,4"),
            ("repetitions", "2"),
            ("threads", "x"),
        ]:
            app.screen.query_one(f"#{name}", Input).value = value
        await pilot.press("enter")
        await shown(pilot, lambda: "such as 1,2,4" in line(app, "#threads-problem"))
        app.screen.query_one("#kv_cache_type", Input).value = "f16 q3"
        await pilot.press("enter")
        await shown(pilot, lambda: "such as f16,q8_0" in line(app, "#kv_cache_type-problem"))
        assert "regex" not in line(app, "#threads-problem") + line(app, "#kv_cache_type-problem")
        app.screen.query_one("#threads", Input).value = "1"
        app.screen.query_one("#kv_cache_type", Input).value = "f16 q8_0"
        await pilot.press("enter")
        await shown(pilot, lambda: len(rows(app)) == 4)
        assert {(row[2], row[6]) for row in rows(app)} == {(t, kv) for t in ("tg2", "tg4") for kv in ("f16", "q8_0")}


async def test_the_commands_that_repeat_a_row_are_one_key_away(lab: Lab) -> None:
    keep_row(lab, [500, 505])
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: len(rows(app)) == 1)
        await pilot.press("y")
        await shown(pilot, lambda: len(app.screen_stack) == 2)
        assert "edgetui bench" in line(app, "#command")


async def test_energy_has_a_column_where_it_was_measured(lab: Lab) -> None:
    keep_row(lab, [1000, 1000], energy_j=40.0, energy_meter="package-0")
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: len(rows(app)) == 1)
        assert rows(app)[0][4] == "0.2 (package-0)"


async def test_a_picture_of_the_screen_asks_nobody_for_a_font(lab: Lab, tmp_path: Path) -> None:
    keep_row(lab, [500, 505])
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: len(rows(app)) == 1)
        await pilot.press("P")
        await shown(pilot, lambda: len(app.screen_stack) == 2)
        app.screen.query_one(Input).value = str(tmp_path / "bench.svg")
        await pilot.press("enter")
        await shown(pilot, lambda: len(app.screen_stack) == 1)
        await shown(pilot, lambda: "Written" in line(app, "#progress"))
        picture = (tmp_path / "bench.svg").read_text()
        ElementTree.fromstring(picture)
        assert "tg100" in picture and "url(http" not in picture and "Name the file" not in picture


async def test_a_server_is_put_under_load_by_keys_and_stands_among_the_studies_with_what_repeats_it(lab: Lab) -> None:
    answer = stream("a", " b", " c", finish("length"), usage(20, 3))
    with RawServer({"/v1/chat/completions": [answer]}) as server:
        await lab.servers.add(name="box", url=server.url)
        app = EdgetuiApp(lab, mode="bench")
        async with app.run_test(size=(80, 24)) as pilot:
            await shown(pilot, lambda: app.screen.query_one("#empty").display)
            await pilot.press("w")
            await shown(pilot, lambda: len(app.screen_stack) == 2)
            await pilot.press(*"box", "enter")
            await shown(pilot, lambda: "1,2,4 at once" in str(app.screen_stack[0].query_one("#setup", Static).content))
            await shown(pilot, lambda: len(app.screen_stack) == 2)
            await pilot.press("enter")
            await shown(pilot, lambda: bool(app.screen.query("#concurrency")))
            app.screen.query_one("#concurrency", Input).value = "1,600"
            await pilot.press("enter")
            await shown(pilot, lambda: "from 1 to 512" in line(app, "#concurrency-problem"))
            for name, value in [("concurrency", "1,3"), ("prompt_tokens", "16"), ("generated_tokens", "3")]:
                app.screen.query_one(f"#{name}", Input).value = value
            await pilot.press("enter")
            await shown(pilot, lambda: len(app.screen_stack) == 1 and "box: " in line(app, "#result"))
            assert "1,3 at once  2 questions each of about 16 tokens" in line(app, "#setup")
            await pilot.press("v")
            await shown(pilot, lambda: len(app.screen_stack) == 2)
            panel = app.screen.query_one(ChartPanel)
            await shown(pilot, lambda: "conversations at once" in panel.text)
            assert all(len(text) <= 76 for text in panel.text.splitlines())
            told = [text.split() for text in panel.text.splitlines()]
            assert ["1", "2/2", "40", "6"] in [cells[:4] for cells in told]
            assert ["3", "6/6", "120", "18"] in [cells[:4] for cells in told]
            await pilot.press("y")
            await shown(pilot, lambda: len(app.screen_stack) == 3)
            assert "edgetui server bench --concurrency 1,3 -p 16 -n 3 -r 2 box" in line(app, "#command")


async def test_a_local_model_is_offered_no_load_test_and_one_on_a_server_nothing_else(
    lab: Lab, demo_entry: ModelEntry
) -> None:
    endpoint = await lab.servers.add(name="box", url="http://127.0.0.1:1")
    assert workloads_of(entry_of(endpoint)) == (SERVER_LOAD,)
    assert SERVER_LOAD not in workloads_of(demo_entry)
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await app.screen.open_model(entry_of(endpoint))  # type: ignore[attr-defined]
        await pilot.press("enter")
        await shown(pilot, lambda: "box (127.0.0.1:1) cannot be reached" in app.screen.query_one(FailureBar).message)
        await app.screen.open_model(demo_entry)  # type: ignore[attr-defined]
        await shown(pilot, lambda: "pp 512  tg 128" in line(app, "#setup"))
