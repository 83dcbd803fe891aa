"""Logits and speed of MLX models, by the real library."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy
import pytest

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.toolchain_driver import Toolchain

TOLERANCE = 0.001
"""Of a logit: what another order of the same sums may change."""


def both(toolchain: Toolchain, folder: Path, tokens: list[int], tmp_path: Path) -> tuple[Any, Any]:
    """Logits of our source, and of mlx's quantized layers."""
    ours, native = tmp_path / "ours.npy", tmp_path / "native.npy"
    toolchain("logits", folder=folder, chunks=[tokens], to=ours)
    toolchain("native_logits", folder=folder, tokens=tokens, to=native)
    return numpy.load(ours), numpy.load(native)


def test_unpacked_weights_give_the_logits_of_the_quantized_layers(
    toolchain: Toolchain, demo_mlx: Path, tmp_path: Path
) -> None:
    ours, native = both(toolchain, demo_mlx, [504, 1024, 282, 260, 1789, 284], tmp_path)
    assert ours.shape == (6, 49152)
    assert numpy.abs(ours - native).max() < TOLERANCE
    assert numpy.abs(native).max() > 10


@pytest.mark.parametrize("mode", ["mxfp4", "nvfp4"])
def test_floating_modes_unpack_to_the_same_numbers(
    toolchain: Toolchain, small: Path, tmp_path: Path, mode: str
) -> None:
    toolchain.make("mlx-quantize", small, tmp_path / "made", mode=mode)
    ours, native = both(toolchain, tmp_path / "made", list(range(40)), tmp_path)
    assert numpy.abs(ours - native).max() < TOLERANCE


def test_chunks_know_nothing_of_each_other_and_begin_where_asked(
    toolchain: Toolchain, small_4bit: Path, tmp_path: Path
) -> None:
    chunks = [[5, 6, 7, 8], [9, 10, 11, 12]]
    told = toolchain("logits", folder=small_4bit, chunks=chunks, first=2, to=tmp_path / "two.npy")
    assert told["shapes"] == [[2, 384], [2, 384]] and told["vocabulary_size"] == 384 and told["engine"] == "mlx"
    toolchain("logits", folder=small_4bit, chunks=chunks[1:], to=tmp_path / "one.npy")
    numpy.testing.assert_allclose(numpy.load(tmp_path / "two.npy")[2:], numpy.load(tmp_path / "one.npy")[2:], atol=1e-5)


def test_a_special_token_written_out_is_text(toolchain: Toolchain, small_4bit: Path) -> None:
    assert 0 not in toolchain("logits", folder=small_4bit, text="a <s> b")["tokens"]


def test_a_context_beyond_the_trained_one_is_refused(toolchain: Toolchain, small_4bit: Path) -> None:
    with pytest.raises(EdgetuiError) as caught:
        toolchain("logits", folder=small_4bit, context_tokens=513)
    assert caught.value.failure.kind == "bad_request" and "512 tokens" in str(caught.value)


def test_a_model_without_tokenizer_json_is_refused(toolchain: Toolchain, small_4bit: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    shutil.copytree(small_4bit, folder)
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")
    with pytest.raises(EdgetuiError) as caught:
        toolchain("logits", folder=folder)
    assert "tokenizer.json" in str(caught.value)


def test_rows_of_prefill_and_decode_are_complete(toolchain: Toolchain, small_4bit: Path) -> None:
    settings = {"prompt_tokens": 12, "generated_tokens": 3, "repetitions": 2, "batch_tokens": 8, "depth_tokens": 5}
    measured = toolchain("measure", folder=small_4bit, settings=settings)
    prefill, decode = measured["rows"]
    assert [(row["test"], row["tokens"], row["depth_tokens"]) for row in measured["rows"]] == [
        ("pp", 12, 5),
        ("tg", 3, 5),
    ]
    assert [tuple(told) for told in measured["told"]] == [
        (row["test"], number, ns) for row in (prefill, decode) for number, ns in enumerate(row["samples_ns"], start=1)
    ]
    for row in (prefill, decode):
        assert row["engine"] == "mlx" and row["model_quant_type"] == "4 bits g64" and row["kv_cache_type"] == "bf16"
        assert row["load_s"] > 0 and row["memory_bytes"] > row["model_size_bytes"] > 0
        assert all(ns > 0 for ns in row["samples_ns"]) and row["backend"] in ("CPU", "GPU")


def test_a_test_beyond_the_context_is_refused(toolchain: Toolchain, small_4bit: Path) -> None:
    with pytest.raises(EdgetuiError) as caught:
        toolchain("measure", folder=small_4bit, settings={"prompt_tokens": 500, "depth_tokens": 100})
    assert caught.value.failure.kind == "context_overflow" and "takes 512 tokens" in str(caught.value)
