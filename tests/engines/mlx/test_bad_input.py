"""Bad input to MLX's workflows: one sentence each, and nothing written."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.toolchain_driver import Toolchain


def cut_short(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def renamed(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "weights.safetensors")


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def configured(**changed: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))

    return change


def garbled(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_text("{", encoding="utf-8")

    return change


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        (cut_short, "bad_file", "cut short"),
        (renamed, "bad_file", "rename it to model.safetensors"),
        (without("model.safetensors"), "bad_file", "no safetensors files"),
        (without("config.json"), "bad_file", "no config.json"),
        (without("tokenizer.json"), "bad_file", "no tokenizer"),
        (garbled("config.json"), "bad_file", "not readable JSON"),
        (configured(model_type="nonsense"), "unsupported", "architecture nonsense"),
        (configured(hidden_size=128), "bad_file", "config.json describes"),
        (configured(num_hidden_layers=3), "bad_file", "config.json describes"),
        (configured(model_file="modeling_small.py"), "unsupported", "custom module"),
    ],
)
def test_a_broken_folder_is_one_sentence(
    toolchain: Toolchain, small: Path, tmp_path: Path, spoil: Callable[[Path], None], kind: str, words: str
) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(small, folder)
    spoil(folder)
    found, sentence = toolchain.refusal("mlx-quantize", folder, tmp_path / "made")
    assert (found, words in sentence) == (kind, True), sentence
    assert "\n" not in sentence and not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("workflow", "settings", "words"),
    [
        ("mlx-quantize", {"group_size": 128}, "Rows of 64 weights in small do not divide into groups of 128"),
        ("mlx-quantize", {"mode": "mxfp4", "recipe": "mixed_3_6"}, "Mixed recipes exist for the mode affine only"),
        ("mlx-dequantize", {}, "is not quantized"),
        ("mlx-dynamic", {"low_bits": 4, "high_bits": 3}, "change one of the three"),
        ("mlx-dynamic", {"target_bpw": 9.0}, "between 4.50 and 6.50 bits per weight"),
        ("mlx-dwq", {"samples": 1}, "two samples or more"),
        ("mlx-gptq", {"samples": 4096, "tokens": 8192}, "take a longer text"),
        ("mlx-gptq", {"data": "relative.txt"}, "by its whole path"),
        ("mlx-fuse", {}, "adapter=PATH"),
        ("mlx-fuse", {"adapter": "relative"}, "by its whole path"),
    ],
)
def test_settings_that_cannot_be_are_one_sentence(
    toolchain: Toolchain, small: Path, tmp_path: Path, workflow: str, settings: dict[str, Any], words: str
) -> None:
    kind, sentence = toolchain.refusal(workflow, small, tmp_path / "made", **settings)
    assert kind == "bad_request" and words in sentence, sentence
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_found_before_anything_is_made(
    toolchain: Toolchain, tmp_path: Path, value: float
) -> None:
    name = "model.layers.1.mlp.up_proj.weight"
    toolchain("small_model", folder=tmp_path / "broken", changed={name: value})
    kind, sentence = toolchain.refusal("mlx-quantize", tmp_path / "broken", tmp_path / "made")
    assert kind == "bad_file" and name in sentence and "no numbers" in sentence
    assert not (tmp_path / "made").exists()


def test_a_quantized_model_is_not_quantized_again(toolchain: Toolchain, small_4bit: Path, tmp_path: Path) -> None:
    kind, sentence = toolchain.refusal("mlx-quantize", small_4bit, tmp_path / "made")
    assert kind == "bad_request" and "already quantized (4 bits)" in sentence


def test_an_adapter_of_another_model_is_told_so(toolchain: Toolchain, small: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    toolchain("adapter", folder=adapter, width=96)
    kind, sentence = toolchain.refusal("mlx-fuse", small, tmp_path / "made", adapter=str(adapter))
    assert kind == "bad_request" and "does not fit small" in sentence
    (adapter / "adapters.safetensors").unlink()
    kind, sentence = toolchain.refusal("mlx-fuse", small, tmp_path / "made", adapter=str(adapter))
    assert kind == "not_found" and "adapters.safetensors" in sentence


@pytest.mark.parametrize(
    ("text", "kind"), [(b"\xff\xfe\x00", "bad_file"), (b"  \n", "bad_request"), (None, "not_found")]
)
def test_a_calibration_text_that_cannot_be_read_is_one_sentence(
    toolchain: Toolchain, small: Path, tmp_path: Path, text: bytes | None, kind: str
) -> None:
    path = tmp_path / "text.txt"
    if text is not None:
        path.write_bytes(text)
    found, sentence = toolchain.refusal("mlx-gptq", small, tmp_path / "made", data=str(path))
    assert found == kind and "text.txt" in sentence


def test_a_disk_that_fills_up_is_told_so(toolchain: Toolchain, small: Path, tmp_path: Path) -> None:
    from edgetui.core.failures import EdgetuiError

    with pytest.raises(EdgetuiError) as caught:
        toolchain(
            "make", source=small, target=tmp_path / "made", settings={"workflow": "mlx-quantize"}, most_bytes=20_000
        )
    assert caught.value.failure.kind == "no_space"
