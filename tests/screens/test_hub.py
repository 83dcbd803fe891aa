"""Browsing and downloading by keys, against the loopback hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from textual.widgets import DataTable, Input, Static

from edgetui.app import EdgetuiApp
from edgetui.core.failures import EdgetuiError
from edgetui.screens.fields_dialog import FieldsDialog
from edgetui.screens.hub_page import HubPageScreen
from edgetui.screens.name_file import NameFileDialog
from edgetui.screens.token_dialog import TokenDialog
from edgetui.services.families import read_families
from tests.hub.content import Repo
from tests.outline_gguf import write_outline
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from edgetui.services.lab import Lab
    from tests.hub.server import LoopbackHub


def rows(app: EdgetuiApp) -> list[list[str]]:
    table = app.screen.query_one(DataTable)
    return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]


def text(app: EdgetuiApp, name: str) -> str:
    return str(app.screen.query_one(name, Static).content)


def screen_text(app: EdgetuiApp) -> str:
    return " ".join(strip.text.strip() for strip in app.screen._compositor.render_strips())


async def shown(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    await until(condition, pilot.pause)


@pytest.fixture
def many(hub: LoopbackHub, demo_model: Path) -> LoopbackHub:
    """The demo model, and 250 names."""
    repo = hub.add(Repo("maker/demo-GGUF", tags=("gguf", "license:mit"), trending=999, gguf={"total": 134_515_008}))
    repo.put("demo-Q4_1.gguf", demo_model)
    repo.put("README.md", b"# Demo\n[leads](https://elsewhere.example) elsewhere\n")
    for number in range(250):
        size = (10**12, 10**9)[number % 2]
        hub.add(Repo(f"many/model-{number:03d}", tags=("gguf",), trending=250 - number, gguf={"total": size}))
    return hub


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_a_model_is_searched_opened_downloaded_and_run_by_keys(
    hub_lab: Lab,
    many: LoopbackHub,
    size: tuple[int, int],
) -> None:
    app = EdgetuiApp(hub_lab, mode="hub")
    async with app.run_test(size=size) as pilot:
        await shown(pilot, lambda: len(rows(app)) >= 50)
        assert rows(app)[0][0] == "maker/demo-GGUF" and rows(app)[0][2] == "~fits"
        await pilot.press("slash", *"demo")
        await shown(pilot, lambda: len(rows(app)) == 1)
        assert "with 'demo' in the name" in text(app, "#asked")
        await pilot.press("enter", "enter")
        await shown(pilot, lambda: isinstance(app.screen, HubPageScreen) and len(rows(app)) == 1)
        await shown(pilot, lambda: "take Q4_1: 93.8 MiB, fits" in text(app, "#about"))
        await pilot.press("d")
        await shown(pilot, lambda: "here: enter runs it" in text(app, "#note"))
        await pilot.press("enter")
        await shown(pilot, lambda: app.current_mode == "run")


async def test_moving_down_fetches_more_and_an_order_of_our_own_sorts_all(hub_lab: Lab, many: LoopbackHub) -> None:
    app = EdgetuiApp(hub_lab, mode="hub")
    async with app.run_test(size=(100, 30)) as pilot:
        await shown(pilot, lambda: len(rows(app)) >= 50)
        first = len(rows(app))
        await pilot.press("end")
        await shown(pilot, lambda: len(rows(app)) > first)
        assert app.screen.query_one(DataTable).cursor_row == first - 1
        await pilot.press("s", "s", "s", "s")
        await shown(pilot, lambda: "by what fits here" in text(app, "#asked") and len(rows(app)) >= 50)
        fits = [row[2] for row in rows(app)]
        assert fits == sorted(fits, key=["~fits", "~tight", "-", "~too big"].index)


async def test_a_dead_hub_is_said_and_what_was_seen_stays(
    hub_lab: Lab,
    many: LoopbackHub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = EdgetuiApp(hub_lab, mode="hub")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: len(rows(app)) >= 50)
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        await pilot.press("slash", *"model-00")
        await shown(pilot, lambda: "HF_HUB_OFFLINE is set" in text(app, "#asked"))
        assert rows(app) and all("model-00" in row[0] for row in rows(app))
        await pilot.press("escape", "p")
        await shown(pilot, lambda: "HF_HUB_OFFLINE" in screen_text(app))


async def test_a_gated_model_says_what_to_do_where_one_looks(hub_lab: Lab, many: LoopbackHub) -> None:
    many.repos["maker/demo-GGUF"].gated = "manual"
    app = EdgetuiApp(hub_lab, mode="hub")
    async with app.run_test(size=(100, 30)) as pilot:
        await shown(pilot, lambda: len(rows(app)) >= 50)
        await pilot.press("enter")
        await shown(pilot, lambda: "accept its conditions at" in screen_text(app))
        await pilot.press("escape", "escape")
        await shown(pilot, lambda: not isinstance(app.screen, HubPageScreen))


async def test_a_login_is_offered_where_it_is_needed_with_a_hidden_token(hub_lab: Lab, many: LoopbackHub) -> None:
    gated = many.repos["maker/demo-GGUF"]
    gated.gated, gated.readers = "manual", ("hf_right",)
    many.tokens["hf_right"] = "edge"
    app = EdgetuiApp(hub_lab, mode="hub")
    async with app.run_test(size=(100, 30)) as pilot:
        await shown(pilot, lambda: len(rows(app)) >= 50)
        await pilot.press("enter")
        await shown(pilot, lambda: "l does it here" in screen_text(app))
        await pilot.press("l")
        await shown(pilot, lambda: isinstance(app.screen, TokenDialog))
        await pilot.press(*"hf_wrong")
        assert "hf_wrong" not in screen_text(app)
        await pilot.press("enter")
        await shown(pilot, lambda: "does not know this token" in screen_text(app))
        assert isinstance(app.screen, TokenDialog) and "hf_wrong" not in screen_text(app)
        await pilot.press(*["backspace"] * len("wrong"), *"right", "enter")
        await shown(pilot, lambda: "take Q4_1: 93.8 MiB, fits" in text(app, "#about"))
        await pilot.press("d")
        await shown(pilot, lambda: "here: enter runs it" in text(app, "#note"))


async def test_every_variant_is_weighed_from_its_own_header(
    hub_lab: Lab, many: LoopbackHub, demo_model: Path, tmp_path: Path
) -> None:
    repo = many.repos["maker/demo-GGUF"]
    member = next(each for family in read_families() for each in family.members if each.name == "Qwen3-0.6B")
    for kind in ("Q4_K_M", "Q6_K", "Q8_0"):
        repo.put(f"qwen-{kind}.gguf", write_outline(tmp_path / f"qwen-{kind}.gguf", member, kind))
    app = EdgetuiApp(hub_lab, mode="hub")
    async with app.run_test(size=(160, 40)) as pilot:
        await shown(pilot, lambda: len(rows(app)) >= 50)
        await pilot.press("enter")
        await shown(pilot, lambda: len(rows(app)) == 4)
        await shown(pilot, lambda: all("~" not in row[3] and "fits" in row[3] for row in rows(app)))
        assert "context 40960" in text(app, "#note")
    assert many.sent_bytes("/blobs/") < 24 * 1024**2


async def test_filters_narrow_the_list_by_size_and_type(hub_lab: Lab, many: LoopbackHub) -> None:
    app = EdgetuiApp(hub_lab, mode="hub")
    async with app.run_test(size=(100, 30)) as pilot:
        await shown(pilot, lambda: len(rows(app)) >= 50)
        await pilot.press("l")
        await shown(pilot, lambda: isinstance(app.screen, FieldsDialog))
        app.screen.query_one("#most_billions", Input).value = "0.5"
        app.screen.query_one("#quant_type", Input).value = "q4_1"
        await pilot.press("enter")
        await shown(pilot, lambda: [row[0] for row in rows(app)] == ["maker/demo-GGUF"])
        assert "to 0.5B, with Q4_1" in text(app, "#asked")


async def test_another_revision_is_shown_and_downloaded(hub_lab: Lab, many: LoopbackHub) -> None:
    repo = many.repos["maker/demo-GGUF"]
    repo.named["v1"] = repo.commit
    repo.put("later-Q8_0.gguf", b"x" * 5000)
    app = EdgetuiApp(hub_lab, mode="hub")
    async with app.run_test(size=(120, 30)) as pilot:
        await shown(pilot, lambda: len(rows(app)) >= 50)
        await pilot.press("enter")
        await shown(pilot, lambda: len(rows(app)) == 2)
        await pilot.press("v")
        await shown(pilot, lambda: isinstance(app.screen, NameFileDialog) and "(main, v1)" in screen_text(app))
        app.screen.query_one(Input).value = "v1"
        await pilot.press("enter")
        await shown(pilot, lambda: len(rows(app)) == 1 and f"{repo.named['v1'][:7]} of v1" in text(app, "#about"))
        await pilot.press("v")
        await shown(pilot, lambda: isinstance(app.screen, NameFileDialog))
        app.screen.query_one(Input).value = "no-such"
        await pilot.press("enter")
        await shown(pilot, lambda: "has no such revision" in screen_text(app))
        assert isinstance(app.screen, NameFileDialog) and app.screen.query_one(Input).value == "no-such"


async def test_scrolling_faster_than_the_hub_answers_loses_no_page(hub_lab: Lab, many: LoopbackHub) -> None:
    app = EdgetuiApp(hub_lab, mode="hub")
    async with app.run_test(size=(100, 30)) as pilot:
        await shown(pilot, lambda: len(rows(app)) >= 50)
        many.fail("/api/models", delay_s=0.2, times=-1)
        while len(rows(app)) < 252:
            await pilot.press("end", "up", "up", "end", "up", "pagedown")
            await pilot.pause(0.02)
        assert len({row[0] for row in rows(app)}) == 252


async def test_without_a_calibration_a_key_measures_this_machine_and_the_forecast_appears(
    hub_lab: Lab, many: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Marked as measured beside other work, which these machines always have; a real measurement all the same.
    calibrate = hub_lab.speed.calibrate
    monkeypatch.setattr(
        hub_lab.speed, "calibrate", lambda on_progress: calibrate(on_progress, budget_s=3.0, anyway=True)
    )
    app = EdgetuiApp(hub_lab, mode="hub")
    async with app.run_test(size=(120, 30)) as pilot:
        await shown(pilot, lambda: len(rows(app)) >= 50)
        await pilot.press("enter")
        await shown(pilot, lambda: "c measures this machine" in text(app, "#about"))
        await pilot.press("c")
        await shown(pilot, lambda: "Measuring this machine" in text(app, "#note"))
        await pilot.press("escape")
        await shown(pilot, lambda: "Measuring" not in text(app, "#note"))
        assert isinstance(app.screen, HubPageScreen) and "c measures this machine" in text(app, "#about")
        await pilot.press("c")
        await shown(pilot, lambda: "tok/s here" in text(app, "#about"))
        assert rows(app)[0][4].startswith("~")


async def test_a_hostile_repository_is_a_sentence_and_not_the_end_of_the_app(hub_lab: Lab, many: LoopbackHub) -> None:
    repo = many.repos["maker/demo-GGUF"]
    repo.put("x" * 300 + "-Q8_0.gguf", b"x" * 5000)
    repo.put("\x9b31mred\u202e-Q4_0.gguf", b"x" * 5000)
    app = EdgetuiApp(hub_lab, mode="hub")
    async with app.run_test(size=(120, 30)) as pilot:
        await shown(pilot, lambda: len(rows(app)) >= 50)
        await pilot.press("enter")
        await shown(pilot, lambda: "take Q4_1" in text(app, "#about"))
        assert [row[0] for row in rows(app)] == ["demo-Q4_1"]
        await pilot.press("escape")
        odd = b'[{"id": "a/b", "downloads": 1' + b"0" * 400 + b"}]"
        many.fail("/api/models", status=200, body=odd, headers={"Content-Type": "application/json"})
        await pilot.press("f")
        await shown(pilot, lambda: "as a hub does" in screen_text(app))


async def test_a_fault_of_our_own_in_an_answer_is_a_sentence(
    hub_lab: Lab, many: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: object) -> None:
        raise ZeroDivisionError("met nowhere")

    monkeypatch.setattr("edgetui.hub.browse.page", fault)
    with pytest.raises(EdgetuiError, match="could not be read"):
        await hub_lab.hub.page("maker/demo-GGUF")


async def test_what_was_deleted_is_not_called_here_and_comes_again(hub_lab: Lab, many: LoopbackHub) -> None:
    app = EdgetuiApp(hub_lab, mode="hub")
    async with app.run_test(size=(100, 30)) as pilot:
        await shown(pilot, lambda: len(rows(app)) >= 50)
        await pilot.press("enter")
        await shown(pilot, lambda: "take Q4_1" in text(app, "#about"))
        await pilot.press("d")
        await shown(pilot, lambda: "here: enter runs it" in text(app, "#note"))
        entry = next(each for each in await hub_lab.catalog.scan() if each.source == "hub")
        await hub_lab.library.remove(await hub_lab.library.removal(entry))
        await pilot.press("escape", "enter")
        await shown(pilot, lambda: "was here and is deleted" in text(app, "#note"))
        assert "Run" not in screen_text(app).split("Download")[-1]
        await pilot.press("d")
        await shown(pilot, lambda: "here: enter runs it" in text(app, "#note"))


async def test_a_download_is_paused_and_goes_on_from_jobs(hub_lab: Lab, many: LoopbackHub) -> None:
    many.fail("/blobs/", bytes_per_s=8e6, times=-1)
    app = EdgetuiApp(hub_lab, mode="jobs")
    async with app.run_test(size=(100, 30)) as pilot:
        page = (await hub_lab.hub.page("maker/demo-GGUF")).value
        job = await hub_lab.downloads.start(page, page.variants[0])
        await shown(pilot, lambda: "p Pause" in screen_text(app))
        await pilot.press("p")
        await shown(pilot, lambda: "paused" in screen_text(app) and "p Pause" not in screen_text(app))
        await hub_lab.jobs.remove(job.job_id)
