"""The figures beside a conversation, at every size."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from edgetui.core.run_figures import RunFigures
from edgetui.widgets.run_figures import RunFiguresPanel

MEASURED = RunFigures(
    state="decoding",
    decode_tps=112.43,
    rates_tps=[110.0, 112.0, None, 56.0],
    mean_tps=111.9,
    itl_p50_s=0.0088,
    itl_p95_s=0.0093,
    itl_p99_s=0.0098,
    prefill_tps=201.2,
    ttft_s=0.074,
    tokens=145,
    context_used=312,
    context_tokens=8192,
    reused_tokens=180,
    prompt_tokens=203,
    resident_bytes=181 * 1024**2,
)


class OnePanel(App[None]):
    """The panel alone, as large as the terminal."""

    CSS = "RunFiguresPanel { width: 1fr; }"

    def compose(self) -> ComposeResult:
        yield RunFiguresPanel()

    @property
    def panel(self) -> RunFiguresPanel:
        return self.query_one(RunFiguresPanel)

    @property
    def shown(self) -> list[str]:
        return [strip.text.rstrip() for strip in self.screen._compositor.render_strips()]


async def test_every_figure_has_its_name_value_and_unit() -> None:
    app = OnePanel()
    async with app.run_test(size=(22, 18)) as pilot:
        app.panel.update(MEASURED)
        await pilot.pause()
        rows = {row.split()[0]: " ".join(row.split()[1:]) for row in app.shown[7:]}
        assert rows["MEAN"] == "111.9 tok/s"
        assert rows["PREFILL"] == "201.2 tok/s"
        assert rows["TTFT"] == "74.0 ms"
        assert rows["TOKENS"] == "145"
        assert rows["CONTEXT"] == "312/8192"
        assert rows["KV"] == "REUSED 180 of 203"
        assert rows["MEMORY"] == "181 MiB"
        assert rows["STATE"] == "decoding"


async def test_what_was_not_measured_is_a_dash_and_never_a_zero() -> None:
    app = OnePanel()
    async with app.run_test(size=(22, 18)) as pilot:
        await pilot.pause()
        figures = [row for row in app.shown if row and not row.startswith(("DECODE", "STATE"))]
        assert not any(row.split()[-1].startswith("0") for row in figures)
        assert sum(row.endswith(" -") for row in figures) == 10


@pytest.mark.parametrize("size", [(22, 18), (22, 12), (22, 5), (50, 50), (78, 1), (30, 1), (8, 2), (3, 3), (4, 30)])
async def test_every_size_is_filled_without_spilling(size: tuple[int, int]) -> None:
    app = OnePanel()
    async with app.run_test(size=(22, 18)) as pilot:
        app.panel.update(MEASURED)
        await pilot.resize_terminal(*size)
        await pilot.pause()
        assert len(app.panel.text.split("\n")) <= size[1]
        if size[0] >= 22:
            assert "112.4 tok/s" in app.panel.text or "┏" in app.panel.text
            assert all(len(row) <= size[0] for row in app.shown)


async def test_a_wide_panel_spells_out_what_was_reused() -> None:
    app = OnePanel()
    async with app.run_test(size=(50, 40)) as pilot:
        app.panel.update(MEASURED)
        await pilot.pause()
        assert "180 of 203 prompt tokens (KV cache)" in app.panel.text


async def test_an_update_shows_on_the_screen_and_only_there_where_it_differs() -> None:
    app = OnePanel()
    async with app.run_test(size=(22, 18)) as pilot:
        app.panel.update(MEASURED)
        await pilot.pause()
        before = app.shown
        app.panel.update(MEASURED._replace(tokens=146, state="ready"))
        await pilot.pause()
        differing = [row for row, old in zip(app.shown, before, strict=True) if row != old]
        assert [row.split()[0] for row in differing] == ["TOKENS", "STATE"]


async def test_the_chart_begins_at_the_left_and_falls_where_the_rate_fell() -> None:
    app = OnePanel()
    async with app.run_test(size=(22, 18)) as pilot:
        app.panel.update(MEASURED)
        await pilot.pause()
        top, middle, bottom = app.shown[4:7]
        assert len(top) == 2 and len(bottom) == 4
        assert bottom[2] == " " and middle[3:].strip() not in ("", "█")
