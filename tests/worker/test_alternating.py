"""Two sides by turns in processes that may die: all of them end with the comparison."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from edgetui.core.bench import BenchSettings, BenchTest, Conditions
from edgetui.core.models import ModelFormat
from edgetui.core.studies import AbSettings, BenchSide
from edgetui.meters.conditions import MachineWatch
from edgetui.meters.recorder import EnergyRecorder
from edgetui.worker.measuring_process import MeasuringProcess
from edgetui.worker.runners import alternating, held_sides


def side_of(path: Path, label: str) -> BenchSide:
    return BenchSide(
        model_path=str(path), model_name="demo", model_format="gguf", settings=BenchSettings(threads=1), label=label
    )


def test_an_interval_that_is_narrow_by_chance_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Steady(MeasuringProcess):
        """Takes the same time each turn."""

        def open(self, side: BenchSide, test: BenchTest) -> dict[str, str | int | float | bool | None]:
            return {"backend": "CPU"}

        def run(self) -> int:
            return 1_000_000

    monkeypatch.setattr(held_sides, "MeasuringProcess", Steady)
    settings = AbSettings(test=BenchTest(generated_tokens=1), blocks=2, until_percent=1)
    a, b = (side_of(tmp_path / "model.gguf", label) for label in "ab")
    result = alternating.Alternation(a, b, settings, tmp_path, EnergyRecorder()).run(lambda done, note: None)
    assert len(result.a_ns) == len(result.b_ns) == 2 * 8


def test_a_verdict_says_that_the_machine_was_noisy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FasterB(MeasuringProcess):
        """A pair of times that no noise of their own explains."""

        def open(self, side: BenchSide, test: BenchTest) -> dict[str, str | int | float | bool | None]:
            self.duration_ns = {"a": 2_000_000, "b": 1_000_000}[side.label]
            return {"backend": "CPU"}

        def run(self) -> int:
            return self.duration_ns

    class BusyMachine(MachineWatch):
        def conditions(self) -> Conditions:
            return Conditions(others_share=self.share)

        share = 0.43

    monkeypatch.setattr(held_sides, "MeasuringProcess", FasterB)
    monkeypatch.setattr(alternating, "MachineWatch", BusyMachine)
    a, b = (side_of(tmp_path / "model.gguf", label) for label in "ab")
    settings = AbSettings(test=BenchTest(generated_tokens=1), blocks=2)

    def verdict() -> str:
        comparison = alternating.Alternation(a, b, settings, tmp_path, EnergyRecorder())
        return comparison.run(lambda done, note: None).sentence

    assert verdict().startswith("b is faster than a")
    assert ". The machine was noisy meanwhile: other programs took 43% of the processors." in verdict()
    assert verdict().endswith(" On a quiet one it may be otherwise.")
    monkeypatch.setattr(BusyMachine, "share", 0.02)
    assert "noisy" not in verdict()


def test_a_process_that_takes_a_killed_ones_place_ends_too(
    demo_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[MeasuringProcess] = []

    class SecondIsKilled(MeasuringProcess):
        def __init__(self, model_format: ModelFormat, toolchains: Path) -> None:
            super().__init__(model_format, toolchains)
            started.append(self)
            if len(started) == 2:
                os.kill(self.pid, signal.SIGKILL)
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)

    monkeypatch.setattr(held_sides, "MeasuringProcess", SecondIsKilled)
    a, b = (side_of(demo_model, label) for label in "ab")
    settings = AbSettings(test=BenchTest(generated_tokens=1), blocks=2)
    result = alternating.Alternation(a, b, settings, tmp_path, EnergyRecorder()).run(lambda done, note: None)
    assert result.reloaded and len(result.a_ns) == len(result.b_ns) == 4
    assert len(started) == 3 and not any(process.is_alive for process in started)
