"""What a load is asked for reaches llama.cpp, and what cannot be had is said."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import Adapter, LoadSettings
from edgetui.engines.llama_cpp import library
from edgetui.engines.llama_cpp.allocation import estimate_memory
from edgetui.engines.stopping import StopFlag
from tests.engines.llama_cpp_driver import driven
from tests.gguf_files import F32, STRING, Key, Tensor, gguf_bytes

if TYPE_CHECKING:
    from pathlib import Path

PROMPT = "The sea is wide and the"
MIB = 1 << 20


def log_of(model: Path, **settings: Any) -> str:
    """What llama.cpp says while it loads."""
    log: list[str] = []
    with library.capture_log(log.append), driven(model, **settings):
        pass
    return "".join(log)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"flash_attention": "off"}, r"flash_attn\s+= disabled"),
        ({"flash_attention": "on"}, r"flash_attn\s+= enabled"),
        ({"kv_cache_type": "f32", "kv_cache_type_v": "q8_0"}, r"K \(f32\):.*V \(q8_0\)"),
        ({"batch_tokens": 256, "physical_batch_tokens": 64}, r"n_batch\s+= 256\n.*n_ubatch\s+= 64\n"),
        ({"batch_tokens": 256}, r"n_ubatch\s+= 256\n"),
        ({"rope_freq_base": 50_000.0}, r"freq_base\s+= 50000\.0"),
        ({"rope_freq_scale": 0.5}, r"freq_scale\s+= 0\.5"),
        ({"use_mmap": False}, r"load_mode = none"),
        ({"use_mmap": True}, r"load_mode = mmap\b"),
        ({"use_mlock": True, "use_mmap": True}, r"load_mode = mmap\+mlock"),
        ({"use_mlock": True, "use_mmap": False}, r"load_mode = mlock"),
        ({"gpu_layers": 3}, r"offloaded 0/31 layers|load_tensors"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_setting_reaches_the_library(demo_model: Path, settings: dict[str, Any], said: str) -> None:
    assert re.search(said, log_of(demo_model, **settings))


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_an_answer_is_inspected_as_many_tokens_at_a_time_as_a_small_batch_holds(demo_model: Path, rows: int) -> None:
    with driven(demo_model, physical_batch_tokens=rows) as model:
        text, finished = model.say(PROMPT, max_tokens=12, ignore_eos=True)
        found = model.engine.inspect(2, StopFlag()).tokens
    assert len(found) == finished.generated_tokens == 12
    assert "".join(token.text for token in found) == text and all(token.rank == 1 for token in found)


def test_no_token_stands_for_more_bytes_than_the_longest(demo_model: Path) -> None:
    with driven(demo_model) as model:
        vocabulary = model.engine._conversation.vocabulary  # type: ignore[union-attr]
        longest = vocabulary.longest_token_bytes
        assert longest == 81  # A line break and 80 blanks.
        for text in ("\n" + " " * 80, " " * 81, "-" * 64, "漢字", "one "):
            assert len(vocabulary.tokenize(text * 50, add_special=False)) >= len(text.encode()) * 50 / longest


def test_prefill_and_decode_have_threads_of_their_own(demo_model: Path) -> None:
    with driven(demo_model, threads=1, threads_prefill=2) as model:
        lib, context = library.load(), model.engine._model.context  # type: ignore[union-attr]
        assert (lib.llama_n_threads(context), lib.llama_n_threads_batch(context)) == (1, 2)


def test_stretched_positions_change_what_is_said(demo_model: Path) -> None:
    with driven(demo_model) as plain, driven(demo_model, rope_scaling="linear", rope_freq_scale=0.25) as stretched:
        assert plain.say(PROMPT)[0] != stretched.say(PROMPT)[0]


def test_a_quantized_v_cache_without_flash_attention_is_refused(demo_model: Path) -> None:
    with (
        pytest.raises(EdgetuiError, match=r"q8_0 needs flash attention.*auto or on") as caught,
        driven(demo_model, kv_cache_type="q8_0", flash_attention="off"),
    ):
        pass
    assert caught.value.failure.kind == "unsupported"
    with driven(demo_model, kv_cache_type="q8_0", kv_cache_type_v="f16", flash_attention="off") as model:
        assert model.say(PROMPT, max_tokens=2)[0]


def test_what_cannot_be_had_is_remarked(demo_model: Path) -> None:
    with driven(demo_model) as model:
        assert model.loaded.remarks == ()
    if library.backend() == "CPU":
        with driven(demo_model, gpu_layers=10) as model:
            (remark,) = model.loaded.remarks
            assert "no accelerator" in remark
    with driven(demo_model, gpu_layers=0, prompt_lookup=True, draft_model=str(demo_model)) as model:
        (remark,) = model.loaded.remarks
        assert "prompt lookup does not" in remark


@pytest.mark.parametrize(
    "settings",
    [{"kv_cache_type_v": "q8_0"}, {"flash_attention": "off"}, {"physical_batch_tokens": 64}, {"draft_tokens": 60}],
    ids=str,
)
def test_memory_is_predicted_for_the_very_settings(demo_model: Path, settings: dict[str, Any]) -> None:
    asked = LoadSettings(context_tokens=1024, threads=1, **settings)
    (parts,) = estimate_memory(demo_model, [asked]).parts
    assert parts is not None
    log = log_of(demo_model, **{"context_tokens": 1024, **settings})
    # The simulated load comes first, the real one last.
    assert parts.kv_cache / MIB == pytest.approx(float(re.findall(r"cache: size =\s*([\d.]+)", log)[-1]), abs=0.02)
    assert parts.compute / MIB == pytest.approx(
        float(re.findall(r"compute buffer size =\s*([\d.]+)", log)[-1]), abs=0.02
    )


def test_memory_is_predicted_without_a_map_and_with_a_draft_model(demo_model: Path) -> None:
    plain, read, drafted = estimate_memory(
        demo_model,
        [
            LoadSettings(context_tokens=512, use_mmap=True),
            LoadSettings(context_tokens=512, use_mmap=False),
            LoadSettings(context_tokens=512, use_mmap=True, draft_model=str(demo_model)),
        ],
    ).parts
    assert plain is not None and read is not None and drafted is not None
    assert (read.weights_mapped, read.weights_copied) == (0, 0)
    assert read.weights_read == pytest.approx(plain.weights_mapped, rel=0.05)
    assert drafted.kv_cache == 2 * plain.kv_cache and drafted.weights_mapped == 2 * plain.weights_mapped


# --- LoRA adapters --------------------------------------------------------------------------------------


def lora(
    path: Path, *, architecture: str = "llama", width: int = 1536, kind: str = "adapter", alpha: Any = 8.0
) -> Path:
    """A real adapter of rank 4 for a late layer of the demo model, with random weights."""
    tensors = (
        Tensor("blk.20.ffn_down.weight.lora_a", (width, 4)),
        Tensor("blk.20.ffn_down.weight.lora_b", (4, 576)),
    )
    keys = (
        Key("general.architecture", STRING, architecture),
        Key("general.type", STRING, kind),
        Key("adapter.type", STRING, "lora"),
        Key("adapter.lora.alpha", F32 if isinstance(alpha, float) else STRING, alpha),
    )
    raw = bytearray(gguf_bytes(keys, tensors))
    weights = numpy.random.default_rng(0).normal(0, 0.3, (width + 576) * 4).astype("<f4").tobytes()
    raw[len(raw) - len(weights) :] = weights
    path.write_bytes(raw)
    return path


def test_an_adapter_changes_the_answer_by_its_scale(demo_model: Path, tmp_path: Path) -> None:
    path = str(lora(tmp_path / "lora.gguf"))
    with driven(demo_model) as plain:
        expected = plain.say(PROMPT)[0]
    with driven(demo_model, adapters=(Adapter(path=path, scale=0.0),)) as muted:
        assert muted.say(PROMPT)[0] == expected
    with driven(demo_model, adapters=(Adapter(path=path, scale=3.0),)) as adapted:
        assert "adapters" in adapted.loaded.abilities
        assert adapted.say(PROMPT)[0] != expected
        # Twice half an adapter is a whole one.
        whole = adapted.say(PROMPT)[0]
    halves = (Adapter(path=path, scale=1.5), Adapter(path=path, scale=1.5))
    with driven(demo_model, adapters=halves) as both:
        assert both.say(PROMPT)[0] == whole


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"architecture": "qwen2"}, "no LoRA adapter of this model .*mismatch"),
        ({"width": 1024}, "no LoRA adapter of this model .*incorrect shape"),
        ({"kind": "model"}, "is no LoRA adapter"),
        ({"alpha": "eight"}, "is no LoRA adapter"),
    ],
    ids=str,
)
def test_an_adapter_of_something_else_is_refused(
    demo_model: Path, tmp_path: Path, made: dict[str, Any], words: str
) -> None:
    path = lora(tmp_path / "lora.gguf", **made)
    with pytest.raises(EdgetuiError, match=words) as caught, driven(demo_model, adapters=(Adapter(path=str(path)),)):
        pass
    assert caught.value.failure.kind == "bad_file" and "\n" not in str(caught.value)


def test_an_adapter_that_is_not_there_or_cut_off_is_refused(demo_model: Path, tmp_path: Path) -> None:
    missing = (Adapter(path=str(tmp_path / "none.gguf")),)
    with pytest.raises(EdgetuiError, match="There is no LoRA adapter"), driven(demo_model, adapters=missing):
        pass
    whole = lora(tmp_path / "lora.gguf")
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(whole.read_bytes()[:-1000])
    with pytest.raises(EdgetuiError, match="cut"), driven(demo_model, adapters=(Adapter(path=str(cut)),)):
        pass
