"""The Readiness screen over the real checks."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Static

from edgetui.app import EdgetuiApp
from edgetui.screens.confirm import ConfirmDialog
from edgetui.services.readiness import Readiness
from edgetui.widgets.checklist import Checklist
from edgetui.widgets.facts_panel import FactsPanel
from edgetui.widgets.failure_bar import FailureBar
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from textual.pilot import Pilot

    from edgetui.services.lab import Lab
    from edgetui.worker.protocol import EngineInfo


def verdict(app: EdgetuiApp) -> str:
    return str(app.screen.query_one("#verdict", Static).content)


def rows(app: EdgetuiApp) -> str:
    return app.screen.query_one(Checklist).text


def failure(app: EdgetuiApp) -> str:
    return app.screen.query_one(FailureBar).message


def explanation(app: EdgetuiApp) -> str:
    return app.screen.query_one(FactsPanel).text


async def finished(app: EdgetuiApp, pilot: Pilot[None]) -> None:
    await until(lambda: "eady" in verdict(app), pilot.pause)
    await pilot.pause()


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (40, 10)])
async def test_every_line_gets_a_state_and_the_verdict_sums_them_up(lab: Lab, size: tuple[int, int]) -> None:
    app = EdgetuiApp(lab, mode="readiness")
    async with app.run_test(size=size) as pilot:
        await finished(app, pilot)
        groups = {lab.readiness.groups[key] for key in lab.readiness.titles}
        assert len(rows(app).splitlines()) == len(lab.readiness.titles) + len(groups)
        assert "checking" not in rows(app)
        assert "llama.cpp" in rows(app)


async def test_the_marked_line_is_explained(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="readiness")
    async with app.run_test(size=(80, 24)) as pilot:
        await finished(app, pilot)
        await pilot.press("home", *["down"] * list(lab.readiness.titles).index("engine"))
        await until(lambda: "llama-cpp-python" in explanation(app), pilot.pause)
        for label in ("STATE", "FOUND", "NEEDED", "WHY", "TO DO"):
            assert label in explanation(app)


async def test_a_line_that_needs_mending_comes_under_the_cursor_and_its_command_can_be_copied(lab: Lab) -> None:
    async def missing() -> EngineInfo:
        raise ModuleNotFoundError("[b]llama_cpp[/b]\x1b[2J")

    lab.readiness = Readiness(lab.settings, lab.paths, missing)
    app = EdgetuiApp(lab, mode="readiness")
    async with app.run_test(size=(80, 24)) as pilot:
        await finished(app, pilot)
        assert explanation(app).splitlines()[0].split()[1:] != ["Python:", "ok"]
        await pilot.press("home", *["down"] * list(lab.readiness.titles).index("engine"))
        await until(lambda: "ModuleNotFoundError" in explanation(app), pilot.pause)
        assert "[b]llama_cpp[/b]" in explanation(app)
        assert "\x1b" not in explanation(app) + rows(app)
        await pilot.press("c")
        assert verdict(app).startswith("Copied: Press r")


async def test_r_checks_again(lab: Lab) -> None:
    runs = 0
    ask = lab.inference.engine_info

    async def counted() -> EngineInfo:
        nonlocal runs
        runs += 1
        return await ask()

    lab.readiness = Readiness(lab.settings, lab.paths, counted)
    app = EdgetuiApp(lab, mode="readiness")
    async with app.run_test(size=(80, 24)) as pilot:
        await finished(app, pilot)
        assert runs == 1
        await pilot.press("r")
        await until(lambda: runs == 2, pilot.pause)
        await finished(app, pilot)


async def test_progress_is_shown_while_a_check_still_runs(lab: Lab) -> None:
    import asyncio

    release = asyncio.Event()
    ask = lab.inference.engine_info

    async def held() -> EngineInfo:
        await release.wait()
        return await ask()

    lab.readiness = Readiness(lab.settings, lab.paths, held)
    app = EdgetuiApp(lab, mode="readiness")
    async with app.run_test(size=(80, 24)) as pilot:
        total = len(lab.readiness.titles)
        await until(lambda: verdict(app) == f"Checking: {total - 1} of {total} done", pilot.pause)
        assert ". checking" in rows(app)
        release.set()
        await finished(app, pilot)


async def test_t_proves_each_engine_by_running_it_and_adds_the_lines(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="readiness")
    async with app.run_test(size=(120, 50)) as pilot:
        await finished(app, pilot)
        await pilot.press("t")
        await until(lambda: "Proving the engines" in verdict(app), pilot.pause)
        await finished(app, pilot)
        lines = rows(app).splitlines()
        proofs = lines[lines.index("Self-tests") + 1 :]
        assert len(proofs) == 3 and all("ok" in line.split()[:3] for line in proofs)
        assert "a product of 64x256 numbers is exact" in proofs[0] and "8 tokens came" in proofs[1]
        await pilot.press("r")
        await finished(app, pilot)
        assert "Self-tests" in rows(app) and "8 tokens came" in rows(app)


async def test_self_tests_are_in_view_where_the_list_is_longer_than_the_screen(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="readiness")
    async with app.run_test(size=(80, 24)) as pilot:
        await finished(app, pilot)
        await pilot.press("t")
        await until(lambda: "Proving the engines" in verdict(app), pilot.pause)
        await finished(app, pilot)
        await pilot.pause()
        scrolled = app.screen.query_one("#checks")
        lines = rows(app).splitlines()
        first = lines.index("Self-tests")
        assert scrolled.scroll_y <= first and first + 3 < scrolled.scroll_y + scrolled.size.height


async def mark_line(app: EdgetuiApp, pilot: Pilot[None], lab: Lab, key: str) -> None:
    await pilot.press("home", *["down"] * list(lab.readiness.titles).index(key))
    await until(lambda: lab.readiness.titles[key] in explanation(app), pilot.pause)


def line_of(app: EdgetuiApp, title: str) -> str:
    return next(line for line in rows(app).splitlines() if title in line)


async def test_keys_of_toolchains_are_offered_on_their_lines_only(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="readiness")
    async with app.run_test(size=(120, 40)) as pilot:
        await finished(app, pilot)
        await mark_line(app, pilot, lab, "git")
        assert not app.screen.check_action("install_toolchain", ())
        await pilot.press("i", "x", "p")
        assert await lab.jobs.list() == () and app.screen.is_current
        await mark_line(app, pilot, lab, "toolchain_mlx")
        assert app.screen.check_action("install_toolchain", ())
        assert "not installed" in line_of(app, "Apple MLX") and "edgetui toolchain install mlx" in explanation(app)
        await pilot.press("p")
        await until(lambda: "is not installed: run" in failure(app), pilot.pause)


async def test_i_installs_with_progress_on_the_line_and_x_stops_it_after_a_question(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="readiness")
    async with app.run_test(size=(160, 40)) as pilot:
        await finished(app, pilot)
        await mark_line(app, pilot, lab, "toolchain_mlx")
        await pilot.press("i")
        await until(lambda: "being installed: " in line_of(app, "Apple MLX"), pilot.pause)
        await until(lambda: "fetching" in line_of(app, "Apple MLX"), pilot.pause)
        await pilot.press("x")
        await until(lambda: isinstance(app.screen, ConfirmDialog), pilot.pause)
        await pilot.press("y")
        await until(lambda: not isinstance(app.screen, ConfirmDialog), pilot.pause)
        await until(lambda: "not installed" in line_of(app, "Apple MLX"), pilot.pause)
        (record,) = await lab.jobs.list()
        assert record.state == "cancelled"


async def test_an_installed_toolchain_is_proved_and_removed_by_keys(lab: Lab, mlx_toolchain: Path) -> None:
    folder = lab.paths.toolchains_dir / "mlx"
    shutil.copytree(mlx_toolchain, folder, symlinks=True, copy_function=os.link)
    app = EdgetuiApp(lab, mode="readiness")
    async with app.run_test(size=(160, 40)) as pilot:
        await finished(app, pilot)
        await mark_line(app, pilot, lab, "toolchain_mlx")
        assert "installed: Python 3." in line_of(app, "Apple MLX")
        await pilot.press("p")
        await until(lambda: "mlx works, proved in" in verdict(app), pilot.pause)
        assert "in 4 bits" in explanation(app)
        await pilot.press("x")
        await until(lambda: isinstance(app.screen, ConfirmDialog), pilot.pause)
        await pilot.press("n")
        await until(lambda: not isinstance(app.screen, ConfirmDialog), pilot.pause)
        assert folder.exists()
        await pilot.press("x")
        await until(lambda: isinstance(app.screen, ConfirmDialog), pilot.pause)
        await pilot.press("y")
        await until(lambda: not folder.exists(), pilot.pause)
        await until(lambda: "are free again" in verdict(app), pilot.pause)
        assert "not installed" in line_of(app, "Apple MLX")
