"""What the options of `edgetui bench` mean."""

from __future__ import annotations

import pytest

from edgetui.cli import bench_modes, bench_options
from edgetui.core.bench import BenchSettings
from edgetui.core.bench_matrix import Matrix
from edgetui.core.failures import EdgetuiError


def test_lists_and_llama_benchs_spellings_are_understood() -> None:
    assert bench_options.numbers("128,512", "-p") == (128, 512)
    assert bench_options.switches("0,1,auto,ON") == ("off", "on", "auto", "on")
    assert bench_options.on_or_off("yes,0,TRUE,no", "-mmp") == (True, False, True, False)
    assert bench_options.mapping("auto,0,on", "-mmp") == (None, False, True)
    assert bench_options.pair("512,128") == (512, 128)
    assert bench_options.percent("2%") == bench_options.percent("2") == 2.0
    assert [bench_options.seconds(text, "--soak") for text in ("90", "60s", "5m", "0.5h")] == [90, 60, 300, 1800]


def test_a_sides_settings_have_short_and_long_names() -> None:
    side = bench_options.side_settings("t=2, fa=1,ctk=q8_0,mmap=off,huge-pages=on,ub=128,gpu-layers=0", BenchSettings())
    assert side == BenchSettings(
        threads=2,
        flash_attention="on",
        kv_cache_type="q8_0",
        use_mmap=False,
        huge_pages=True,
        physical_batch_tokens=128,
        gpu_layers=0,
    )
    assert bench_options.side_settings("", side) == side
    assert bench_options.side_settings("mmap=auto", side).use_mmap is None


def test_the_time_to_the_first_token_takes_lists_of_settings() -> None:
    bench_options.require_single(Matrix(threads=(1, 2)), "--ttft")
    bench_options.require_single(Matrix(), "--ab")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: bench_options.numbers("1,x", "-p"), "-p takes whole numbers"),
        (lambda: bench_options.pair("512"), "-pg takes a prompt and a generation"),
        (lambda: bench_options.percent("many"), "--until takes a percentage"),
        (lambda: bench_options.seconds("0s", "--soak"), "--soak takes a duration"),
        (lambda: bench_options.seconds("inf", "--soak"), "--soak takes a duration"),
        (lambda: bench_options.side_settings("speed=9", BenchSettings()), "'speed=9' is none"),
        (lambda: bench_options.side_settings("threads", BenchSettings()), "'threads' is none"),
        (lambda: bench_options.side_settings("threads=x", BenchSettings()), "threads takes whole numbers"),
        (lambda: bench_options.side_settings("threads=-1", BenchSettings()), "value for threads"),
        (lambda: bench_options.side_settings("ctk=q9", BenchSettings()), "value for kv-cache-type"),
        (lambda: bench_options.on_or_off("auto", "--huge-pages"), "--huge-pages takes on or off"),
        (lambda: bench_options.mapping("1,maybe", "-mmp"), "-mmp takes on, off or auto"),
        (lambda: bench_options.side_settings("mmap=maybe", BenchSettings()), "mmap takes on, off or auto"),
        (lambda: bench_options.side_settings("huge-pages=auto", BenchSettings()), "huge-pages takes on or off"),
        (lambda: bench_options.require_single(Matrix(threads=(1, 2)), "--load-time"), "one value for threads"),
        (lambda: bench_options.require_single(Matrix(depth_tokens=(0, 8)), "--soak"), "one value for depth tokens"),
        (lambda: bench_options.require_single(Matrix(generated_tokens=(1, 2)), "--ab"), "one value for generated"),
        (lambda: bench_options.require_single(Matrix(prompt_tokens=(1, 2)), "--ttft"), "one value for prompt"),
        (lambda: bench_modes.load_time("m", 500, BenchSettings(), False), "value for repetitions"),
        (lambda: bench_modes.soak("m", 360_000, BenchSettings(), 0, 1, False), "value for duration-s"),
        (lambda: bench_modes.soak("m", 0.2, BenchSettings(), 0, 1, False), "value for duration-s"),
        (lambda: bench_modes.soak("m", 60, BenchSettings(), 0, 61, False), "value for sample-s"),
        (lambda: bench_options.matrix({"flash_attention": ("maybe",)}), "value for flash-attention"),
    ],
)
def test_what_is_not_understood_is_named(make: object, sentence: str) -> None:
    assert callable(make)
    with pytest.raises(EdgetuiError, match=sentence) as caught:
        make()
    assert caught.value.failure.kind == "bad_request"
