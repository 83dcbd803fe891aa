"""The Jobs screen, driven by keys, on real jobs."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Static

from edgetui.app import EdgetuiApp
from edgetui.core.bench import BenchSettings
from edgetui.screens.confirm import ConfirmDialog
from edgetui.screens.jobs import JobsScreen
from edgetui.widgets.job_panel import JobPanel
from edgetui.widgets.job_table import JobTable
from edgetui.widgets.nav_bar import NavBar
from edgetui.worker.job_events import JobProgress, JobStarted
from edgetui.worker.requests import QuantizeRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from textual.pilot import Pilot

    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab


@pytest.fixture
def app(lab: Lab) -> EdgetuiApp:
    return EdgetuiApp(lab, mode="jobs")


def request(lab: Lab, source: Path, type_name: str) -> QuantizeRequest:
    return QuantizeRequest(
        source=str(source),
        target=str(lab.paths.models_dir / f"made.{type_name}.gguf"),
        type_name=type_name,
        allow_requantize=True,
        threads=1,
        parent_name="[bold]demo",
    )


async def ended(lab: Lab, job_id: str) -> None:
    async with aclosing(lab.jobs.watch(job_id)) as events:
        async for _ in events:
            pass


async def killed(lab: Lab, job_id: str) -> None:
    """Let a job come to work, then end its process without a word."""
    pid = 0
    async with aclosing(lab.jobs.watch(job_id)) as events:
        async for event in events:
            if isinstance(event, JobStarted):
                pid = event.pid
            if isinstance(event, JobProgress) and event.done >= 2:
                os.kill(pid, signal.SIGKILL)


class Person:
    """Someone at the keyboard of the Jobs screen."""

    def __init__(self, pilot: Pilot[None]) -> None:
        self.pilot = pilot
        screen = pilot.app.screen
        assert isinstance(screen, JobsScreen)
        self.screen = screen
        self.table = screen.query_one(JobTable)
        self.panel = screen.query_one(JobPanel)

    @property
    def rows(self) -> list[list[str]]:
        return [[str(cell) for cell in self.table.get_row_at(row)] for row in range(self.table.row_count)]

    @property
    def states(self) -> list[str]:
        return [row[0] for row in self.rows]

    async def sees(self, condition: Callable[[], object]) -> None:
        """Wait until something is so; the test's own time limit ends a wait that is in vain."""
        while not condition():
            await self.pilot.pause()
            await asyncio.sleep(0.01)

    async def confirms(self, key: str) -> None:
        """Press a key that asks, and say yes."""
        await self.pilot.press(key)
        await self.sees(lambda: isinstance(self.pilot.app.screen, ConfirmDialog))
        await self.pilot.press("y")


async def test_an_empty_list_says_what_to_press(app: EdgetuiApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        empty = person.screen.query_one("#empty", Static)
        await person.sees(lambda: empty.display)
        assert "Press 3 to quantize" in str(empty.render())
        await pilot.press("c", "r", "b", "x", "enter")
        assert app.screen is person.screen


async def test_a_running_job_shows_its_figures_and_is_cancelled_after_a_question(
    app: EdgetuiApp, lab: Lab, demo_model: Path
) -> None:
    async with app.run_test(size=(120, 30)) as pilot:
        person = Person(pilot)
        await lab.jobs.start(request(lab, demo_model, "IQ4_XS"))
        await person.sees(lambda: person.rows and "MiB/s" in person.rows[0][3])
        state, about, done, _, _, left = person.rows[0]
        assert state == "> running" and about == "IQ4_XS of [bold]demo"
        assert done.endswith("%") and left.endswith("left")
        await person.sees(lambda: app.screen.query_one(NavBar).running_jobs == 1)
        await person.sees(lambda: "tensors" in person.panel.text and "log" in person.panel.text)
        await person.confirms("c")
        await person.sees(lambda: person.states == ["x cancelled"])
        assert "r starts it again" in person.panel.text
        await person.sees(lambda: app.screen.query_one(NavBar).running_jobs == 0)
        assert list(lab.paths.models_dir.iterdir()) == []


async def test_an_interrupted_job_is_found_and_started_again(app: EdgetuiApp, lab: Lab, demo_model: Path) -> None:
    record = await lab.jobs.start(request(lab, demo_model, "IQ4_XS"))
    await killed(lab, record.job_id)
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees(lambda: person.states == ["? interrupted"])
        assert "ended without a word" in person.panel.text
        await pilot.press("r")
        await person.sees(lambda: person.states == ["> running"])
        await person.confirms("c")
        await person.sees(lambda: person.states == ["x cancelled"])


async def test_a_failed_job_tells_why_and_can_be_removed(app: EdgetuiApp, lab: Lab, tmp_path: Path) -> None:
    record = await lab.jobs.start(request(lab, tmp_path / "none.gguf", "Q8_0"))
    await ended(lab, record.job_id)
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees(lambda: person.states == ["! failed"])
        assert "There is no file" in person.panel.text
        await person.confirms("x")
        await person.sees(lambda: person.screen.query_one("#empty").display)
        assert not list(lab.paths.jobs_dir.iterdir())


async def test_enter_on_a_finished_job_runs_what_it_made(app: EdgetuiApp, lab: Lab, demo_model: Path) -> None:
    record = await lab.jobs.start(request(lab, demo_model, "Q8_0"))
    await ended(lab, record.job_id)
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees(lambda: person.states == ["+ done"])
        await pilot.press("enter")
        await person.sees(lambda: app.current_mode == "run")
        await person.sees(lambda: "made.Q8_0" in str(app.screen.query_one("#model", Static).render()))


async def test_enter_on_a_finished_measurement_shows_it_in_bench(
    app: EdgetuiApp, lab: Lab, demo_entry: ModelEntry
) -> None:
    settings = BenchSettings(prompt_tokens=8, generated_tokens=0, repetitions=1, threads=1)
    record = await lab.bench.start(demo_entry, settings)
    await ended(lab, record.job_id)
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees(lambda: person.states == ["+ done"])
        assert person.rows[0][1] == f"pp8 of {demo_entry.name}" and "shows it in Bench" in person.panel.text
        await pilot.press("b")
        assert app.current_mode == "jobs", "there is no model that it made"
        await pilot.press("enter")
        await person.sees(lambda: app.current_mode == "bench")


async def test_the_marked_job_stays_marked_when_another_one_comes(app: EdgetuiApp, lab: Lab, tmp_path: Path) -> None:
    first = await lab.jobs.start(request(lab, tmp_path / "none.gguf", "Q8_0"))
    await ended(lab, first.job_id)
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees(lambda: len(person.rows) == 1)
        second = await lab.jobs.start(request(lab, tmp_path / "none.gguf", "Q5_0"))
        await person.sees(lambda: person.states == ["! failed", "! failed"])
        assert person.screen.job is not None and person.screen.job.job_id == first.job_id
        await pilot.press("up")
        await person.sees(lambda: person.screen.job is not None and person.screen.job.job_id == second.job_id)
        for size in ((200, 60), (30, 8), (80, 24)):
            await pilot.resize_terminal(*size)
        await person.sees(lambda: len(person.rows) == 2)
        assert person.screen.job is not None and person.screen.job.job_id == second.job_id
