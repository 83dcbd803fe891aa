"""Draws the README's pictures: the real app with real models, driven by its keys, one SVG a screen.

It works in a folder of its own under a name that says nothing about this machine, and starts itself anew from there,
so that every path that a screen shows is a neutral one.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import shutil
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from edgetui.app import EdgetuiApp

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "screenshots"
STAGE = Path("/tmp/edgetui")
"""Where it is all played; must not exist before."""
SIZE = (100, 30)
PATIENCE_S = 120.0
DEMO = "SmolLM2-135M-Instruct.Q4_1"
UNQUANTIZED = "SmolLM2-135M-Instruct.F16"
SMALL = "SmolLM2-135M-Instruct.Q4_K_M"
SETTINGS = """\
[sampling]
seed = 7
temperature = 0.2
max_tokens = 160
"""
OUTSIDE_FONT = re.compile(r"@font-face\s*{[^}]*}\s*")
"""A picture must not fetch anything; what has no Fira Code falls back to its own monospace font."""

BLANK = "&#160;"
CELL_WIDTH = 12.2
"""Of Textual's pictures, in their own units."""
TEXT = re.compile(
    r'(?P<start><text class="[^"]*") x="(?P<x>[^"]*)" y="(?P<y>[^"]*)" textLength="(?P<length>[^"]*)"(?P<rest>[^>]*>)'
    rf"(?P<before>(?:{BLANK})*)(?P<content>[^<]*?)(?P<after>(?:{BLANK})*)</text>"
)


def main() -> int:
    """Set the stage, play, clear it away."""
    if os.environ.get("EDGETUI_HOME") == str(STAGE / "home"):
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        asyncio.run(play())
        return 0
    try:
        STAGE.mkdir()
    except FileExistsError:
        print(f"edgetui screenshots: {STAGE} exists; move it away and try again.", file=sys.stderr)
        return 1
    try:
        (STAGE / ".venv").symlink_to(sys.prefix)
        (STAGE / "home").mkdir()
        (STAGE / "home" / "settings.toml").write_text(SETTINGS)
        for name in [name for name in os.environ if name.startswith(("EDGETUI_", "HF_"))]:
            del os.environ[name]
        os.environ.update(
            {
                "EDGETUI_HOME": str(STAGE / "home"),
                "HF_HOME": str(STAGE / "hub"),
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
            }
        )
        # In a terminal of its own, since Readiness looks at the terminal too.
        status = pty.spawn([str(STAGE / ".venv" / "bin" / "python"), "-m", "scripts.screenshots"])
        return os.waitstatus_to_exitcode(status)
    finally:
        shutil.rmtree(STAGE)


async def play() -> None:
    """Go through the screens as the README's tour does."""
    from edgetui.app import EdgetuiApp
    from edgetui.services.lab import Lab

    PICTURES.mkdir(parents=True, exist_ok=True)
    app = EdgetuiApp(Lab())
    async with app.run_test(size=SIZE) as pilot:
        scene = Scene(app, pilot)
        await scene.quantize()
        await scene.models()
        await scene.run()
        await scene.side_by_side()
        await scene.bench()
        await scene.jobs()
        await scene.frontier()
        await scene.tensors()
        await scene.readiness()
        await scene.recommend()
        await scene.hub()
        await pilot.press("ctrl+q")


class Scene:
    """The steps of the tour; each ends in a picture."""

    def __init__(self, app: EdgetuiApp, pilot: Pilot[None]) -> None:
        self._app = app
        self._pilot = pilot

    async def quantize(self) -> None:
        """From the demo by way of F16 to Q4_K_M; the picture is of the second step, half done."""
        await self._shows("[1 Hardware]")
        await self._press("2")
        await self._shows(DEMO)
        await self._press("q")
        await self._choose_type("F16")
        await self._press("enter")
        await self._shows("Quantize it all the same?")
        await self._press("y")
        await self._shows(f"{UNQUANTIZED}.gguf is made")
        await self._press("2", "r")
        await self._shows(UNQUANTIZED)
        await self._mark(UNQUANTIZED)
        await self._press("q")
        await self._choose_type("Q4_K_M")
        await self._press("enter")
        await self._until(lambda: self._share_done() > 0.3, "progress")
        self._draw("quantize")
        await self._shows(f"{SMALL}.gguf is made")

    async def models(self) -> None:
        """All three, with the small one's details."""
        await self._press("2", "r")
        await self._shows(SMALL)
        await self._mark(SMALL)
        self._draw("models")

    async def run(self) -> None:
        """A second turn, so that the KV cache of the first is seen to be used again."""
        await self._press("enter")
        await self._shows("KV F16")
        for question in ("Why does the sea look blue?", "Say it in one sentence."):
            await self._pilot.press(*("space" if char == " " else char for char in question), "enter")
            await self._shows("decoding")
            await self._shows(" ready")
        self._draw("run")
        await self._press("ctrl+t")
        await self._shows("perplexity")
        await self._press("n")
        self._draw("tokens")
        await self._press("escape")
        await self._shows("STATE")

    async def side_by_side(self) -> None:
        """The small one, which Run has, and the demo that it was made from, on one prompt, one after another."""
        await self._press("ctrl+k")
        await self._shows("Which model for column 2")
        await self._press(*DEMO, "enter")
        await self._shows("2 columns")
        question = "Name three fruits as a list."
        await self._pilot.press(*("space" if char == " " else char for char in question), "enter")
        await self._until(lambda: self._text().count(" done ") == 2, "both answers")
        self._draw("side-by-side")
        await self._press("escape", "escape")

    async def bench(self) -> None:
        """Decode and prefill of the demo and of the small one, compared; on Hardware one sees the machine at work."""
        for name in (DEMO, SMALL):
            await self._press("f2", "r")
            await self._shows(SMALL)
            await self._mark(name)
            await self._press("b")
            await self._shows(name)
            await self._press("enter")
            await self._until(lambda: self._app.running_jobs == 1, "a measurement")
            if name == DEMO:
                await self._press("1")
                await self._until(lambda: re.search(r"last 1\d s", self._text()) is not None, "10 s of history")
                self._draw("hardware")
                await self._press("5")
            await self._until(lambda: self._app.running_jobs == 0, "the end of the measurement")
        await self._press("ctrl+home", "space", "down", "down", "space", "c")
        await self._shows("tg128")
        self._draw("bench")

    async def jobs(self) -> None:
        """What was done so far."""
        await self._press("6")
        await self._shows("[6 Jobs]")
        self._draw("jobs")

    async def frontier(self) -> None:
        """Seven builds of the unquantized one, made and measured; a limit, the table and the trade-off."""
        from edgetui.core.bench import BenchSettings
        from edgetui.core.quality import QualitySettings

        lab = self._app.lab
        plan = await lab.frontier.plan(
            [await lab.catalog.find(UNQUANTIZED)],
            ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_XS", "Q4_0", "Q3_K_M"),
            quality=QualitySettings(chunks=4, context_tokens=256, tasks=False),
            bench=BenchSettings(prompt_tokens=128, generated_tokens=64, repetitions=3),
        )
        job = await lab.frontier.start(plan)
        async for _ in lab.jobs.watch(job.job_id):
            pass
        await self._press("0")
        await self._shows("Q3_K_M")
        await self._press("l", *"110", "enter")
        await self._shows("110 MiB; paid with")
        self._draw("frontier")
        await self._press("g")
        await self._shows("frontier  o keeps")
        self._draw("frontier-chart")

    async def tensors(self) -> None:
        """Where the small one lost what it lost, the worst first."""
        await self._press("2", "r")
        await self._shows(SMALL)
        await self._mark(SMALL)
        await self._press("e")
        await self._shows("blk.0")
        await self._press("m")
        await self._until(lambda: self._app.running_jobs == 1, "a measurement of errors")
        await self._until(lambda: self._app.running_jobs == 0, "all errors")
        await self._press("s")
        await self._shows("error")
        self._draw("tensors")
        await self._press("escape")

    async def readiness(self) -> None:
        """Every check, and the engines proved."""
        await self._press("7")
        await self._shows("Ready")
        await self._press("t")
        await self._shows("tokens came")
        await self._shows("Ready")
        self._draw("readiness")

    async def recommend(self) -> None:
        """Ranked with this machine's speeds, whatever else it does meanwhile, and the trade-off."""
        await self._app.lab.speed.calibrate(anyway=True)
        await self._press("8")
        await self._shows("33 keep")
        await self._press("g")
        await self._shows("tok/s, predicted decode")
        self._draw("recommend")

    async def hub(self) -> None:
        """The demo model's page on a hub of this machine, its download on the way."""
        from tests.hub.__main__ import publish
        from tests.hub.server import LoopbackHub

        with LoopbackHub() as hub, tempfile.TemporaryDirectory() as folder:
            publish(hub, Path(folder))
            os.environ["HF_ENDPOINT"] = hub.endpoint
            await self._press("9")
            await self._shows("so far")
            await self._press("slash", *"smol")
            await self._shows("demo/SmolLM2")
            await self._press("enter", "enter")
            await self._shows("take Q4_1")
            hub.fail("/blobs/", bytes_per_s=20e6, times=-1)
            await self._press("d")
            await self._shows("MiB/s")
            await self._pilot.pause(2)
            self._draw("hub")
            await self._shows("enter runs it")

    # --- how ------------------------------------------------------------------------------------------------

    async def _mark(self, model: str) -> None:
        """Move to a model's row."""
        from textual.widgets import DataTable

        table = self._app.screen.query_one(DataTable)
        await self._press("ctrl+home")
        for _ in range(table.row_count):
            if str(table.get_row_at(table.cursor_row)[0]).strip() == model:
                return
            await self._press("down")
        raise SystemExit(f"{model} is not in the list:\n{self._text()}")

    async def _choose_type(self, name: str) -> None:
        """Move to a type."""
        from edgetui.widgets.type_list import TypeList

        await self._shows("[3 Quantize]")
        types = self._app.screen.query_one(TypeList)
        await self._until(lambda: types.forecast(name) is not None and "..." not in self._text(), "all sizes")
        while types.highlighted_type != name:
            await self._press("up")

    def _share_done(self) -> float:
        """Of the job in the panel."""
        from edgetui.screens.job_screen import JobScreen

        screen = self._app.screen
        job = screen.job if isinstance(screen, JobScreen) else None
        return job.fraction or 0.0 if job is not None and job.is_running else 0.0

    async def _press(self, *keys: str) -> None:
        await self._pilot.press(*keys)

    async def _shows(self, text: str) -> None:
        await self._until(lambda: text in self._text(), text)

    async def _until(self, condition: Callable[[], bool], wanted: str = "") -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit(f"waited in vain for {wanted!r}; the screen shows:\n{self._text()}")
            await asyncio.sleep(0.02)

    def _text(self) -> str:
        """The screen's rows as they would stand in a terminal."""
        update = self._app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in update)

    def _draw(self, name: str) -> None:
        picture = OUTSIDE_FONT.sub("", self._app.export_screenshot(title="edgetui"))
        picture = TEXT.sub(_trimmed, picture)
        (PICTURES / f"{name}.svg").write_text(picture, encoding="utf-8")
        print(f"docs/screenshots/{name}.svg", flush=True)


def _trimmed(text: re.Match[str]) -> str:
    """A piece of text without its outer blanks, in the same place: some programs that draw SVG lose them."""
    before, after = (len(text[side]) // len(BLANK) for side in ("before", "after"))
    x = float(text["x"]) + before * CELL_WIDTH
    length = float(text["length"]) - (before + after) * CELL_WIDTH
    return f'{text["start"]} x="{x:g}" y="{text["y"]}" textLength="{length:g}"{text["rest"]}{text["content"]}</text>'


if __name__ == "__main__":
    sys.exit(main())
