"""What mlx-lm makes of a model: the real library on a small model with random weights."""

from __future__ import annotations

import json
from pydoc_data.topics import topics
from typing import TYPE_CHECKING, Any

import numpy
import pytest

from edgetui.formats.mlx import mlx_facts
from edgetui.formats.model_folder import models_of
from edgetui.formats.safetensors import read_safetensors

if TYPE_CHECKING:
    from pathlib import Path

    from tests.toolchain_driver import Toolchain

TEXT = topics["lambda"]
LEARNED_TEXT = {"data": "topics", "samples": 16, "tokens": 32}


def logits(toolchain: Toolchain, folder: Path, tmp_path: Path, **more: Any) -> Any:
    """What mlx's own layers give after the tokens of a text, with 32-bit activations."""
    to = tmp_path / "logits.npy"
    tokens = toolchain("logits", folder=folder, text=TEXT)["tokens"][:128]
    toolchain("native_logits", folder=folder, tokens=tokens, to=to, **more)
    return numpy.load(to)


def loss(toolchain: Toolchain, folder: Path, parent: Path, tmp_path: Path) -> float:
    """Mean KL divergence of a build from its parent, in nats."""
    p, q = (log_probabilities(logits(toolchain, each, tmp_path)) for each in (parent, folder))
    return float((numpy.exp(p) * (p - q)).sum(axis=-1).mean())


def log_probabilities(found: Any) -> Any:
    shifted = found.astype(numpy.float64) - found.max(axis=-1, keepdims=True)
    return shifted - numpy.log(numpy.exp(shifted).sum(axis=-1, keepdims=True))


def config(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return told


def quant_type(folder: Path) -> str | None:
    return mlx_facts(read_safetensors([folder / "model.safetensors"])).quant_type


@pytest.fixture(scope="session")
def rtn2(toolchain: Toolchain, small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rounded to nearest in 2 bits."""
    folder = tmp_path_factory.mktemp("rtn") / "rtn2"
    toolchain.make("mlx-quantize", small, folder, bits=2)
    return folder


def test_more_bits_lose_less(toolchain: Toolchain, small: Path, small_4bit: Path, rtn2: Path, tmp_path: Path) -> None:
    toolchain.make("mlx-quantize", small, tmp_path / "8", bits=8, group_size=32)
    assert quant_type(tmp_path / "8") == "8 bits g32" and quant_type(small_4bit) == "4 bits g64"
    losses = [loss(toolchain, folder, small, tmp_path) for folder in (tmp_path / "8", small_4bit, rtn2)]
    assert 0 < losses[0] < losses[1] / 5 and losses[1] < losses[2] / 2


@pytest.mark.parametrize(("mode", "bits", "group"), [("mxfp4", 4, 32), ("nvfp4", 4, 16), ("mxfp8", 8, 32)])
def test_floating_modes_take_their_own_bits_and_groups(
    toolchain: Toolchain, small: Path, tmp_path: Path, mode: str, bits: int, group: int
) -> None:
    toolchain.make("mlx-quantize", small, tmp_path / "made", mode=mode)
    assert config(tmp_path / "made")["quantization"] == {"mode": mode, "bits": bits, "group_size": group}
    assert 0 < loss(toolchain, tmp_path / "made", small, tmp_path) < 1


def test_a_mixed_recipe_gives_some_layers_more_bits(toolchain: Toolchain, small: Path, tmp_path: Path) -> None:
    toolchain.make("mlx-quantize", small, tmp_path / "made", recipe="mixed_3_6")
    told = config(tmp_path / "made")["quantization"]
    assert {layer["bits"] for layer in told.values() if isinstance(layer, dict)} == {3, 6}


def test_tokenizer_template_and_generation_settings_come_along_and_code_does_not(small: Path, small_4bit: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        assert (small_4bit / name).read_bytes() == (small / name).read_bytes()
    assert not list(small_4bit.glob("*.py"))
    (found,) = models_of(small_4bit, [path.name for path in small_4bit.iterdir()])
    assert found.format == "mlx"


def test_progress_counts_every_tensor(toolchain: Toolchain, small: Path, tmp_path: Path) -> None:
    notes = toolchain.make("mlx-quantize", small, tmp_path / "made")
    tensors = len(read_safetensors([tmp_path / "made/model.safetensors"]).tensors)
    computed = [(done, total) for done, total, note in notes if total == tensors and not note.startswith("checking")]
    assert computed == [(number, tensors) for number in range(1, tensors + 1)]


def test_a_conversion_without_quantization_keeps_every_weight(
    toolchain: Toolchain, small: Path, tmp_path: Path
) -> None:
    toolchain.make("mlx-convert", small, tmp_path / "made")
    assert loss(toolchain, tmp_path / "made", small, tmp_path) == 0
    toolchain.make("mlx-convert", small, tmp_path / "wide", dtype="f32")
    assert {each.type_name for each in read_safetensors([tmp_path / "wide/model.safetensors"]).tensors} == {"F32"}
    assert config(tmp_path / "wide")["dtype"] == "float32"


def test_a_dequantized_model_computes_what_its_source_does(
    toolchain: Toolchain, small_4bit: Path, tmp_path: Path
) -> None:
    toolchain.make("mlx-dequantize", small_4bit, tmp_path / "made", dtype="f32")
    assert "quantization" not in config(tmp_path / "made")
    # Unpacked in the 16 bits of its scales, each weight is rounded once.
    assert loss(toolchain, tmp_path / "made", small_4bit, tmp_path) < 0.01


def test_a_fused_adapter_computes_what_the_adapter_beside_its_base_does(
    toolchain: Toolchain, small: Path, tmp_path: Path
) -> None:
    toolchain("adapter", folder=tmp_path / "adapter")
    toolchain.make("mlx-fuse", small, tmp_path / "fused", adapter=str(tmp_path / "adapter"))
    base = logits(toolchain, small, tmp_path)
    beside = logits(toolchain, small, tmp_path, adapter=tmp_path / "adapter")
    fused = logits(toolchain, tmp_path / "fused", tmp_path)
    # Weights are rounded to their 16 bits once more.
    assert numpy.abs(beside - fused).max() < numpy.abs(beside - base).max() / 10


def test_fusing_into_a_quantized_base_can_leave_it_dequantized(
    toolchain: Toolchain, small_4bit: Path, tmp_path: Path
) -> None:
    toolchain("adapter", folder=tmp_path / "adapter")
    adapter = str(tmp_path / "adapter")
    toolchain.make("mlx-fuse", small_4bit, tmp_path / "packed", adapter=adapter)
    toolchain.make("mlx-fuse", small_4bit, tmp_path / "plain", adapter=adapter, dequantize=True)
    assert quant_type(tmp_path / "packed") == "4 bits g64" and quant_type(tmp_path / "plain") == "BF16"


@pytest.mark.parametrize(
    ("workflow", "settings"),
    [
        ("mlx-gptq", {"bits": 2, "fallback_bits": 2}),
        ("mlx-dwq", {"bits": 2, "learning_rate": 0.001, "samples": 32}),
        ("mlx-dynamic", {"low_bits": 2, "high_bits": 6, "target_bpw": 4.5}),
    ],
)
def test_learned_quantization_loses_less_than_rounding(
    toolchain: Toolchain, small: Path, rtn2: Path, tmp_path: Path, workflow: str, settings: dict[str, Any]
) -> None:
    notes = toolchain.make(workflow, small, tmp_path / "made", **{**LEARNED_TEXT, **settings})
    assert loss(toolchain, tmp_path / "made", small, tmp_path) < loss(toolchain, rtn2, small, tmp_path)
    assert any(total and 0 < done <= total for done, total, _ in notes)


def test_awq_searches_every_layer_and_keeps_what_it_does_not_improve(
    toolchain: Toolchain, small: Path, rtn2: Path, tmp_path: Path
) -> None:
    notes = toolchain.make("mlx-awq", small, tmp_path / "made", bits=2, grid=4, **LEARNED_TEXT)
    assert {done for done, total, note in notes if note.startswith("searching")} == {0, 1}
    assert loss(toolchain, tmp_path / "made", small, tmp_path) < loss(toolchain, rtn2, small, tmp_path) * 1.2
    assert config(tmp_path / "made")["quantization"]["model.layers.0.mlp.up_proj"]["bits"] == 2


def test_calibration_takes_a_text_of_the_users(toolchain: Toolchain, small: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("class Lambda: return 42\n" * 60, encoding="utf-8")
    toolchain.make("mlx-gptq", small, tmp_path / "made", data=str(text), samples=2, tokens=16)
    assert quant_type(tmp_path / "made") is not None
