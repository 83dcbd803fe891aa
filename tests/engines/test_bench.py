"""What is decoded, and how, while the real model is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgetui.core.bench import BenchSettings, BenchTest, Repetition
from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp import library
from edgetui.engines.llama_cpp.bench import open_runner
from edgetui.engines.measuring import measure

SMALL = BenchSettings(prompt_tokens=40, generated_tokens=3, repetitions=2, threads=1, batch_tokens=16)


def test_the_work_of_a_repetition_is_llama_benchs(demo_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lib = library.load()
    decode, calls = lib.llama_decode, []

    def watched(context: Any, batch: Any) -> Any:
        cached = lib.llama_memory_seq_pos_max(lib.llama_get_memory(context), 0) + 1
        calls.append((cached, batch.n_tokens))
        return decode(context, batch)

    monkeypatch.setattr(lib, "llama_decode", watched)
    list(measure(open_runner, demo_model, "demo", SMALL, lambda repetition: None))
    # Cached before the call, tokens in it. Prefill warms up with the whole prompt, decode with one token; every
    # repetition begins with an empty cache.
    prefill = [(0, 16), (16, 16), (32, 8)]
    decoding = [(0, 1), (1, 1), (2, 1)]
    assert calls == [*prefill * 3, (0, 1), *decoding * 2]


def test_a_depth_is_filled_once_and_what_a_repetition_added_is_taken_back(
    demo_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lib = library.load()
    decode, calls = lib.llama_decode, []

    def watched(context: Any, batch: Any) -> Any:
        cached = lib.llama_memory_seq_pos_max(lib.llama_get_memory(context), 0) + 1
        calls.append((cached, batch.n_tokens))
        return decode(context, batch)

    monkeypatch.setattr(lib, "llama_decode", watched)
    deep = msgspec.structs.replace(SMALL, prompt_tokens=0, depth_tokens=20)
    (row,) = measure(open_runner, demo_model, "demo", deep, lambda repetition: None)
    assert row.name == "tg3 @ d20" and row.depth_tokens == 20
    assert calls == [(0, 16), (16, 4), (20, 1), *[(20, 1), (21, 1), (22, 1)] * 2]


def test_a_row_a_test_with_a_duration_a_repetition(demo_model: Path) -> None:
    told: list[Repetition] = []
    prefill, decoding = measure(open_runner, demo_model, "demo", SMALL, told.append)
    assert (prefill.name, decoding.name) == ("pp40", "tg3")
    assert [(each.test.kind, each.test.computed_tokens, each.number) for each in told] == [
        ("pp", 40, 1),
        ("pp", 40, 2),
        ("tg", 3, 1),
        ("tg", 3, 2),
    ]
    assert prefill.samples_ns + decoding.samples_ns == tuple(each.duration_ns for each in told)
    assert (prefill.model_parameter_count, prefill.model_quant_type) == (134_515_008, "Q4_1")
    assert prefill.backend
    for row in (prefill, decoding):
        assert row.load_s and row.memory_bytes and row.memory_bytes > row.model_size_bytes


def test_the_context_is_the_one_that_llama_bench_makes(demo_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lib = library.load()

    class EnoughSeenError(Exception):
        pass

    def watched(_model: Any, params: Any) -> Any:
        made = (
            params.n_ctx,
            params.n_batch,
            params.n_ubatch,
            params.n_threads,
            params.n_threads_batch,
            params.swa_full,
        )
        assert made == (2000, 2000, 512, 1, 1, False)
        # f16 keys and values; flash attention left to the library.
        assert (params.type_k, params.type_v, params.flash_attn_type) == (1, 1, -1)
        raise EnoughSeenError

    monkeypatch.setattr(lib, "llama_init_from_model", watched)
    with pytest.raises(EnoughSeenError):
        list(
            measure(
                open_runner, demo_model, "demo", BenchSettings(prompt_tokens=2000, threads=1), lambda repetition: None
            )
        )


def test_a_prompt_and_a_generation_are_one_time_after_both_were_warmed_up(
    demo_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lib = library.load()
    decode, calls = lib.llama_decode, []

    def watched(context: Any, batch: Any) -> Any:
        cached = lib.llama_memory_seq_pos_max(lib.llama_get_memory(context), 0) + 1
        calls.append((cached, batch.n_tokens))
        return decode(context, batch)

    monkeypatch.setattr(lib, "llama_decode", watched)
    both = BenchTest(prompt_tokens=20, generated_tokens=2, depth_tokens=8)
    settings = msgspec.structs.replace(SMALL, prompt_tokens=0, generated_tokens=0, tests=(both,))
    (row,) = measure(open_runner, demo_model, "demo", settings, lambda repetition: None)
    assert (row.name, row.prompt_tokens, row.tokens) == ("pp20+tg2 @ d8", 20, 2)
    assert row.samples_tps[0] == pytest.approx(22e9 / row.samples_ns[0])
    once = [(8, 16), (24, 4), (28, 1), (29, 1)]
    assert calls == [(0, 8), (8, 16), (24, 4), (8, 1), *once * 2]


def test_every_setting_of_a_cell_reaches_llama_cpp(demo_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lib = library.load()
    load, made = lib.llama_model_load_from_file, []

    class EnoughSeenError(Exception):
        pass

    def watched_load(path: Any, params: Any) -> Any:
        made.append((params.n_gpu_layers, params.load_mode))
        return load(path, params)

    def watched(_model: Any, params: Any) -> Any:
        seen = (params.n_batch, params.n_ubatch, params.type_k, params.type_v, params.flash_attn_type)
        assert seen == (64, 32, 8, 2, 1)
        raise EnoughSeenError

    monkeypatch.setattr(lib, "llama_model_load_from_file", watched_load)
    monkeypatch.setattr(lib, "llama_init_from_model", watched)
    settings = BenchSettings(
        prompt_tokens=128,
        threads=1,
        batch_tokens=64,
        physical_batch_tokens=32,
        kv_cache_type="q8_0",
        kv_cache_type_v="q4_0",
        flash_attention="on",
    )
    with pytest.raises(EnoughSeenError):
        list(measure(open_runner, demo_model, "demo", settings, lambda repetition: None))
    monkeypatch.undo()
    monkeypatch.setattr(lib, "llama_model_load_from_file", watched_load)
    settings = BenchSettings(
        prompt_tokens=4, generated_tokens=0, repetitions=1, threads=1, gpu_layers=0, use_mmap=False
    )
    (row,) = measure(open_runner, demo_model, "demo", settings, lambda repetition: None)
    assert made[-1] == (0, lib.LLAMA_LOAD_MODE_NONE) and (row.gpu_layers, row.use_mmap) == (0, False)


@pytest.mark.parametrize(("prompt", "generated", "names"), [(8, 0, ["pp8"]), (0, 2, ["tg2"])])
def test_a_test_of_no_tokens_is_left_out(demo_model: Path, prompt: int, generated: int, names: list[str]) -> None:
    settings = BenchSettings(prompt_tokens=prompt, generated_tokens=generated, repetitions=1, threads=1)
    assert [row.name for row in measure(open_runner, demo_model, "demo", settings, lambda repetition: None)] == names


def test_nothing_to_measure_is_refused(demo_model: Path) -> None:
    with pytest.raises(EdgetuiError, match="nothing to measure") as caught:
        list(
            measure(
                open_runner,
                demo_model,
                "demo",
                BenchSettings(prompt_tokens=0, generated_tokens=0),
                lambda repetition: None,
            )
        )
    assert caught.value.failure.kind == "bad_request"


def test_a_file_that_is_no_model_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "text.gguf"
    path.write_text("not a model")
    with pytest.raises(EdgetuiError, match=r"text\.gguf") as caught:
        list(measure(open_runner, path, "text", SMALL, lambda repetition: None))
    assert caught.value.failure.kind == "bad_file"
