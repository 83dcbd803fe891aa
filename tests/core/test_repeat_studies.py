"""The commands that repeat a study: the command line is asked, by its own reading of them, what it would measure."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from typing import TYPE_CHECKING

import msgspec
import pytest

from benchmarks.llama_tools import llama_bench
from edgetui.core.bench import BenchSettings, BenchTest
from edgetui.core.bench_matrix import VARIED
from edgetui.core.repeat_studies import study_commands
from edgetui.core.studies import (
    AS_A_CHAT,
    AbResult,
    AbSettings,
    BenchSide,
    Candidate,
    LoadTime,
    LoadTimesResult,
    SoakResult,
    SoakSample,
    TuneResult,
    TuneSettings,
)
from edgetui.worker.requests import AbRequest, LoadTimeRequest, SoakRequest, TuneRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgetui.services.lab import Lab

PLAIN = BenchSettings()
EVERY = BenchSettings(
    threads=2, batch_tokens=256, physical_batch_tokens=64, kv_cache_type="q8_0", kv_cache_type_v="f16",
    flash_attention="on", gpu_layers=0, use_mmap=False, huge_pages=True,
)  # fmt: skip
"""No setting of a load as a plain command takes it."""


class _Asked(Exception):
    """The request that would have been measured."""


@pytest.fixture
def model(home: Path, demo_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model under a name that a shell must not read, where a dash comes first."""
    folder = home.parent
    monkeypatch.chdir(folder)
    path = folder / "-it's a $model.gguf"
    path.symlink_to(demo_model)
    return path


def _side(path: Path | str, settings: BenchSettings = PLAIN) -> BenchSide:
    return BenchSide(model_path=str(path), model_name="m", model_format="gguf", settings=settings)


def _loaded(settings: BenchSettings) -> list[object]:
    return [getattr(settings, name) for name in VARIED]


def _asked(text: str) -> object:
    """What edgetui would measure by this command; everything up to the start of the job is the real thing."""
    import typer
    from typer.testing import CliRunner

    from edgetui.cli import bench_modes
    from edgetui.cli.autotune import autotune
    from edgetui.cli.bench import bench
    from edgetui.services.jobs import Jobs

    async def start_alone(_jobs: Jobs, request: object) -> None:
        raise _Asked(request)

    async def follow_study(start: Callable[[Lab], object], _as_json: bool) -> int:
        from edgetui.services.lab import Lab

        lab = Lab()
        try:
            await start(lab)  # type: ignore[misc]
        finally:
            await lab.close()
        return 0

    words = shlex.split(text)
    assert words[0] == "edgetui"
    app = typer.Typer()
    app.command("bench")(bench)
    app.command("autotune")(autotune)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Jobs, "start_alone", start_alone)
        patch.setattr(bench_modes, "follow_study", follow_study)
        done = CliRunner().invoke(app, words[1:])
    assert isinstance(done.exception, _Asked), (done.output, done.exception)
    return done.exception.args[0]


@pytest.mark.parametrize("settings", [PLAIN, EVERY])
@pytest.mark.parametrize(("duration_s", "sample_s", "depth"), [(300.0, 1.0, 0), (7200.0, 0.25, 64), (90.5, 120.0, 8)])
def test_a_soak_is_asked_again(
    model: Path, settings: BenchSettings, duration_s: float, sample_s: float, depth: int
) -> None:
    sample_s = min(sample_s, 60)
    result = SoakResult(
        side=_side(model.name, settings), duration_s=duration_s, chunk_tokens=8, depth_tokens=depth, samples=(),
        knee=None, sentence="", cut_short="it was cancelled", sample_s=sample_s,
    )  # fmt: skip
    (command,) = study_commands(result)
    request = _asked(command.text)
    assert isinstance(request, SoakRequest) and not command.note
    asked = request.settings
    assert (asked.duration_s, asked.sample_s, asked.depth_tokens) == (duration_s, sample_s, depth)
    assert _loaded(asked.settings) == _loaded(settings) and os.path.samefile(request.side.model_path, model)
    (old,) = study_commands(msgspec.structs.replace(result, sample_s=0))
    assert "did not keep how long a point was" in old.note and isinstance(_asked(old.text), SoakRequest)


def test_llama_bench_decodes_as_many_chunks_as_fill_a_soak(demo_model: Path) -> None:
    # 2 s of the 4 that were asked for, at 1 and 3 tokens a second: chunks of 2 tokens, one a second.
    samples = (SoakSample(at_s=1.0, tps=1.0), SoakSample(at_s=2.0, tps=3.0))
    result = SoakResult(
        side=_side(demo_model), duration_s=4, chunk_tokens=2, depth_tokens=4, samples=samples, knee=None, sentence="",
        threads=1,
    )  # fmt: skip
    _, theirs = study_commands(result)
    words = shlex.split(theirs.text)
    assert words[0] == "llama-bench" and "takes a count and no duration" in theirs.note
    done = subprocess.run([llama_bench(), *words[1:]], capture_output=True, check=True)
    (row,) = json.loads(done.stdout)
    assert (row["n_prompt"], row["n_gen"], row["n_depth"], row["n_threads"]) == (0, 2, 4, 1)
    assert len(row["samples_ns"]) == 4
    comma = msgspec.structs.replace(result, side=_side("/a,b.gguf"))
    assert "link the file under another name" in study_commands(comma)[1].note
    elsewhere = msgspec.structs.replace(result, side=msgspec.structs.replace(result.side, model_format="onnx"))
    assert [command.tool for command in study_commands(elsewhere)] == ["edgetui"]


@pytest.mark.parametrize(
    "asked",
    [
        AbSettings(),
        AbSettings(test=BenchTest(64, 0, 16), blocks=3, until_percent=1.5, budget_s=600),
        AbSettings(test=BenchTest(32, 8), blocks=2),
    ],
)
@pytest.mark.parametrize("is_one_model", [True, False])
def test_a_comparison_is_asked_again(model: Path, demo_model: Path, asked: AbSettings, is_one_model: bool) -> None:
    a, b = _side(model.name, EVERY), _side(model.name if is_one_model else demo_model)
    result = AbResult(
        a=a, b=b, test=asked.test, a_ns=(1,) * 14, b_ns=(1,) * 14, ratio=None, seed=0, reloaded=False,
        conditions=None, sentence="", settings=asked,
    )  # fmt: skip
    (command,) = study_commands(result)
    request = _asked(command.text)
    assert isinstance(request, AbRequest) and request.settings == asked and not command.note
    for side, found in ((a, request.a), (b, request.b)):
        assert _loaded(found.settings) == _loaded(side.settings)
        assert os.path.abspath(found.model_path) == os.path.abspath(side.model_path)
    (old,) = study_commands(msgspec.structs.replace(result, settings=None, seed=3))
    request = _asked(old.text)
    assert isinstance(request, AbRequest) and request.settings == AbSettings(test=asked.test, blocks=7)
    assert "as many blocks as were measured" in old.note and "seed 3" in old.note


@pytest.mark.parametrize(
    "asked",
    [
        TuneSettings(),
        TuneSettings(goal="prefill", budget_s=90, depth_tokens=32, allow_kv_types=True, save_profile=False),
    ],
)
def test_an_autotune_is_asked_again(model: Path, asked: TuneSettings) -> None:
    tried = BenchSettings(kv_cache_type="q8_0" if asked.allow_kv_types else "f16", threads=1)
    result = TuneResult(
        side=_side(model.name, AS_A_CHAT), goal=asked.goal, test=BenchTest(depth_tokens=asked.depth_tokens),
        candidates=(Candidate(label="x", settings=tried),), best=None, best_label="", final=None, profile="", took_s=1,
        sentence="", settings=asked,
    )  # fmt: skip
    (command,) = study_commands(result)
    request = _asked(command.text)
    assert isinstance(request, TuneRequest) and request.settings == asked and not command.note
    assert bool(request.profile_model) == asked.save_profile
    (of_before,) = study_commands(msgspec.structs.replace(result, side=_side(model.name)))
    assert of_before.text == command.text and "It began from llama-bench's defaults" in of_before.note
    other = msgspec.structs.replace(_side(model.name), model_format="mlx")
    (of_mlx,) = study_commands(msgspec.structs.replace(result, side=other))
    assert not of_mlx.note
    tried = msgspec.structs.replace(EVERY, kv_cache_type="q4_0" if asked.allow_kv_types else EVERY.kv_cache_type)
    unkept = msgspec.structs.replace(
        result, settings=None, side=_side(model.name, EVERY), candidates=(Candidate(label="x", settings=tried),)
    )
    (old,) = study_commands(unkept)
    request = _asked(old.text)
    assert isinstance(request, TuneRequest) and request.settings.allow_kv_types == asked.allow_kv_types
    assert (request.settings.goal, request.settings.depth_tokens) == (asked.goal, asked.depth_tokens)
    assert "did not keep its budget, nor whether" in old.note and "It began from threads=2,batch-tokens=256" in old.note


@pytest.mark.parametrize("settings", [PLAIN, EVERY])
def test_load_times_are_asked_again(model: Path, settings: BenchSettings) -> None:
    result = LoadTimesResult(
        side=_side(model.name, settings), size_bytes=1, cold=(), warm=(LoadTime(1.0, 0.5, None),) * 7, sentence=""
    )
    (command,) = study_commands(result)
    request = _asked(command.text)
    assert isinstance(request, LoadTimeRequest) and request.settings.repetitions == 7
    assert _loaded(request.settings.settings) == _loaded(settings) and not command.note
