"""Which combinations a matrix measures."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from edgetui.core import bench
from edgetui.core.bench import BenchSettings, BenchTest
from edgetui.core.bench_matrix import Matrix, cell_labels, path_labels, ttft_lengths
from edgetui.core.failures import EdgetuiError


def test_cells_are_every_combination_with_all_tests_in_llama_benchs_order() -> None:
    matrix = Matrix(
        prompt_tokens=(512, 0),
        generated_tokens=(128,),
        prompt_and_generated=((64, 16),),
        depth_tokens=(0, 1024),
        threads=(1, 2, 2),
        flash_attention=("on", "off"),
    )
    cells = matrix.cells()
    assert [(cell.threads, cell.flash_attention) for cell in cells] == [(1, "on"), (1, "off"), (2, "on"), (2, "off")]
    assert [test.name for test in bench.tests_of(cells[0])] == [
        *("pp512", "tg128", "pp64+tg16"),
        *("pp512 @ d1024", "tg128 @ d1024", "pp64+tg16 @ d1024"),
    ]
    assert matrix.varying() == ("threads", "flash_attention")


@pytest.mark.parametrize(
    ("matrix", "sentence"),
    [
        (Matrix(prompt_tokens=(0,), generated_tokens=()), "nothing to measure"),
        (Matrix(threads=()), "No value is given for threads"),
        (Matrix(threads=tuple(range(1, 40)), gpu_layers=tuple(range(40))), "more than 1000 combinations"),
        (Matrix(threads=(2000,)), "value for threads"),
        (Matrix(batch_tokens=(0,)), "value for batch-tokens"),
        (Matrix(depth_tokens=(-1,)), "value for depth-tokens"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(matrix: Matrix, sentence: str) -> None:
    with pytest.raises(EdgetuiError, match=sentence) as caught:
        matrix.cells()
    assert caught.value.failure.kind == "bad_request"


def test_cells_are_told_apart_by_what_differs() -> None:
    one, two = BenchSettings(threads=1), BenchSettings(threads=2, use_mmap=False)
    assert cell_labels([("m", one), ("m", two)]) == ["threads 1, mmap on", "threads 2, mmap off"]
    assert cell_labels([("a", one), ("b", one)]) == ["a", "b"] and cell_labels([("a", one)]) == ["a"]


def test_a_curve_of_ttft_ends_at_its_longest_prompt() -> None:
    assert ttft_lengths(100) == (16, 32, 64, 100) and ttft_lengths(64) == (16, 32, 64) and ttft_lengths(8) == (8,)


def test_a_tests_name_and_tokens() -> None:
    test = BenchTest(prompt_tokens=8, generated_tokens=4, depth_tokens=16)
    assert (test.kind, test.computed_tokens, test.context_tokens) == ("pg", 12, 28)


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("/m/old/mm.gguf", "/m/new/mm.gguf", ("old/mm.gguf", "new/mm.gguf")),
        ("/m/a/x/mm.gguf", "/m/b/x/mm.gguf", ("a/x/mm.gguf", "b/x/mm.gguf")),
        ("/mm.gguf", "/x/mm.gguf", ("/mm.gguf", "x/mm.gguf")),
        ("/m/a.gguf", "/m/b.gguf", ("a.gguf", "b.gguf")),
    ],
)
def test_models_of_one_name_are_told_apart_by_the_end_of_their_paths(
    first: str, second: str, told: tuple[str, str]
) -> None:
    assert path_labels(PurePosixPath(first), PurePosixPath(second)) == told
