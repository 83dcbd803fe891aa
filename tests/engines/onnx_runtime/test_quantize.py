"""Quantizing and optimizing ONNX models: what runs afterwards, how close it stays, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.formats.model_folder import GENAI_CONFIG
from edgetui.formats.onnx import read_onnx
from tests.toolchain_driver import Toolchain

TOKENS = list(range(1, 25))
LONG_TEXT = "The with statement wraps a block. " * 40


def nodes(folder: Path) -> dict[str, int]:
    """Operators of a result without their domains."""
    return {kind.rpartition(":")[2]: count for kind, count in read_onnx(folder / "model.onnx").nodes.items()}


def outputs(toolchain: Toolchain, path: Path) -> Any:
    return numpy.array(toolchain("run_classifier", path=path, tokens=TOKENS))


def decoder_logits(toolchain: Toolchain, path: Path, to: Path) -> Any:
    toolchain("logits", path=path, text="", chunks=[TOKENS], to=to)
    return numpy.load(to)


@pytest.mark.parametrize(
    ("workflow", "operator"),
    [
        ("onnx-dynamic-int8", "MatMulInteger"),
        ("onnx-static-int8", "DequantizeLinear"),
        ("onnx-4bit", "MatMulNBits"),
    ],
)
def test_a_classifier_is_quantized_and_stays_close(
    toolchain: Toolchain, classifier: Path, tmp_path: Path, workflow: str, operator: str
) -> None:
    settings = {"tokens": 24, "samples": 4} if workflow == "onnx-static-int8" else {}
    toolchain.make(workflow, classifier, tmp_path / "made", **settings)
    made = tmp_path / "made" / "model.onnx"
    assert nodes(made.parent)[operator] > 10
    assert made.stat().st_size < classifier.stat().st_size * 0.8
    assert numpy.abs(outputs(toolchain, made) - outputs(toolchain, classifier)).max() < 0.05
    assert sorted(os.listdir(made.parent)) == ["config.json", "model.onnx", "tokenizer.json"]
    assert sorted(os.listdir(classifier.parent)) == ["config.json", "model.onnx", "tokenizer.json"]


@pytest.mark.parametrize(
    ("workflow", "settings"),
    [
        ("onnx-dynamic-int8", {}),
        ("onnx-static-int8", {"tokens": 32, "samples": 4}),
        ("onnx-4bit", {}),
        ("onnx-4bit", {"algorithm": "rtn", "block_size": 16}),
        ("onnx-4bit", {"algorithm": "k_quant", "block_size": 16}),
        ("onnx-4bit", {"algorithm": "hqq"}),
        ("onnx-4bit", {"layout": "qdq", "symmetric": True}),
        ("onnx-optimize", {"level": "all"}),
    ],
)
def test_a_decoder_with_its_weights_in_another_file_still_runs(
    toolchain: Toolchain, decoder: Path, tmp_path: Path, workflow: str, settings: dict[str, Any]
) -> None:
    target = tmp_path / "made"
    toolchain.make(workflow, decoder, target, **settings)
    assert {"model.onnx", "model.onnx.data", "tokenizer.json", GENAI_CONFIG} <= set(os.listdir(target))
    assert not (target / ".work").exists()
    before = decoder_logits(toolchain, decoder, tmp_path / "before.npy")
    after = decoder_logits(toolchain, target / "model.onnx", tmp_path / "after.npy")
    likeness = (before * after).sum() / numpy.linalg.norm(before) / numpy.linalg.norm(after)
    assert likeness > (0.98 if workflow == "onnx-4bit" else 0.99)
    speed = toolchain(
        "measure", path=target / "model.onnx", settings={"prompt_tokens": 8, "generated_tokens": 0, "repetitions": 1}
    )
    assert speed["rows"][0]["test"] == "pp"


def test_the_table_of_tokens_is_quantized_too_unless_it_shall_not(
    toolchain: Toolchain, decoder: Path, tmp_path: Path
) -> None:
    toolchain.make("onnx-4bit", decoder, tmp_path / "with")
    toolchain.make("onnx-4bit", decoder, tmp_path / "without", embedding=False, keep_output=True)
    assert nodes(tmp_path / "with")["GatherBlockQuantized"] == 1
    assert "GatherBlockQuantized" not in nodes(tmp_path / "without")
    assert nodes(tmp_path / "without")["MatMulNBits"] == nodes(tmp_path / "with")["MatMulNBits"] - 1


def test_blocks_that_do_not_divide_are_filled_up(toolchain: Toolchain, decoder: Path, tmp_path: Path) -> None:
    # 96 is no multiple of 64, and it works all the same: the last block of a row is padded.
    toolchain.make("onnx-4bit", decoder, tmp_path / "64", block_size=64)
    toolchain.make("onnx-4bit", decoder, tmp_path / "32", block_size=32)
    likeness = []
    before = decoder_logits(toolchain, decoder, tmp_path / "before.npy")
    for size in ("32", "64"):
        after = decoder_logits(toolchain, tmp_path / size / "model.onnx", tmp_path / "after.npy")
        likeness.append((before * after).sum() / numpy.linalg.norm(before) / numpy.linalg.norm(after))
    assert likeness[0] > likeness[1] > 0.97


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile"])
def test_every_calibration_method_and_a_persons_own_text(
    toolchain: Toolchain, classifier: Path, tmp_path: Path, method: str
) -> None:
    text = tmp_path / "own.txt"
    text.write_text(LONG_TEXT, encoding="utf-8")
    notes = toolchain.make(
        "onnx-static-int8", classifier, tmp_path / "made", method=method, data=str(text), tokens=16, samples=3
    )
    assert [note[0] for note in notes if note[2] == "calibrating"][-3:] == [0, 1, 2] and notes[-1][2] == "checking"
    assert numpy.abs(outputs(toolchain, tmp_path / "made" / "model.onnx") - outputs(toolchain, classifier)).max() < 0.1


def test_qoperator_has_operators_of_integers(toolchain: Toolchain, classifier: Path, tmp_path: Path) -> None:
    toolchain.make(
        "onnx-static-int8", classifier, tmp_path / "made", layout="qoperator", data="random", tokens=16, samples=2
    )
    assert nodes(tmp_path / "made")["QLinearMatMul"] > 10


def test_an_optimized_graph_says_what_became_of_its_nodes(
    toolchain: Toolchain, classifier: Path, tmp_path: Path
) -> None:
    counts = {}
    for level in ("disabled", "basic", "extended"):
        toolchain.make("onnx-optimize", classifier, tmp_path / level, level=level)
        told = json.loads((tmp_path / level / "optimization.json").read_text())
        assert (told["level"], told["provider"]) == (level, "cpu")
        assert told["operators_before"] == dict(read_onnx(classifier).nodes)
        assert told["operators_after"] == dict(read_onnx(tmp_path / level / "model.onnx").nodes)
        assert told["nodes_after"] == sum(told["operators_after"].values())
        counts[level] = told["nodes_after"]
        assert numpy.allclose(
            outputs(toolchain, tmp_path / level / "model.onnx"), outputs(toolchain, classifier), atol=1e-4
        )
    assert counts["disabled"] >= counts["basic"] > counts["extended"]


def test_transformer_fusion_makes_attention_of_a_classifiers_blocks(
    toolchain: Toolchain, classifier: Path, tmp_path: Path
) -> None:
    toolchain.make("onnx-optimize", classifier, tmp_path / "made", level="basic", fusion="bert")
    found = nodes(tmp_path / "made")
    assert found.get("SkipLayerNormalization", 0) >= 2
    assert numpy.allclose(
        outputs(toolchain, tmp_path / "made" / "model.onnx"), outputs(toolchain, classifier), atol=1e-3
    )


# --- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workflow", ["onnx-dynamic-int8", "onnx-static-int8", "onnx-4bit", "onnx-optimize"])
@pytest.mark.parametrize("damage", ["text", "cut", "no data", "short data", "gone"])
def test_a_damaged_source_is_one_sentence(
    toolchain: Toolchain, decoder: Path, tmp_path: Path, workflow: str, damage: str
) -> None:
    source = Path(shutil.copytree(decoder.parent, tmp_path / "source")) / "model.onnx"
    data = source.with_name("model.onnx.data")
    if damage == "text":
        source.write_text("these are only words\n" * 40)
    elif damage == "cut":
        source.write_bytes(source.read_bytes()[:3000])
    elif damage == "gone":
        source.unlink()
    elif damage == "no data":
        data.unlink()
    else:
        os.truncate(data, 1000)
    kind, sentence = toolchain.refusal(workflow, source, tmp_path / "made")
    assert kind == ("not_found" if damage == "gone" else "bad_file") and "\n" not in sentence
    assert {
        "text": "model.onnx is not",
        "cut": "cut short",
        "gone": "not there",
        "no data": "model.onnx.data, which is missing",
        "short data": "model.onnx.data is cut short",
    }[damage] in sentence
    assert not (tmp_path / "made").exists()


def test_versions_newer_than_the_tools_are_refused_with_both(
    toolchain: Toolchain, classifier: Path, tmp_path: Path
) -> None:
    for change, words in (({"opset": 99}, "with opset 99"), ({"ir": 99}, "IR version 99")):
        source = tmp_path / "new.onnx"
        toolchain("rewrite", path=classifier, to=source, **change)
        kind, sentence = toolchain.refusal("onnx-dynamic-int8", source, tmp_path / "made")
        assert kind == "unsupported" and words in sentence and "the installed tools know" in sentence


@pytest.mark.parametrize("workflow", ["onnx-dynamic-int8", "onnx-static-int8", "onnx-4bit"])
def test_what_is_quantized_already_is_refused(
    toolchain: Toolchain, classifier: Path, tmp_path: Path, workflow: str
) -> None:
    toolchain.make("onnx-4bit", classifier, tmp_path / "once")
    kind, sentence = toolchain.refusal(workflow, tmp_path / "once" / "model.onnx", tmp_path / "twice")
    assert kind == "unsupported" and "quantized already" in sentence and "MatMulNBits" in sentence


@pytest.mark.parametrize("workflow", ["onnx-dynamic-int8", "onnx-4bit"])
def test_a_model_without_constant_products_is_refused(
    toolchain: Toolchain, classifier: Path, tmp_path: Path, workflow: str
) -> None:
    source = tmp_path / "product.onnx"
    toolchain("rewrite", path=classifier, to=source, activation_only=True)
    kind, sentence = toolchain.refusal(workflow, source, tmp_path / "made")
    assert kind == "unsupported" and "constant weights" in sentence


def test_weights_that_are_no_numbers_are_found(toolchain: Toolchain, classifier: Path, tmp_path: Path) -> None:
    source = tmp_path / "nan.onnx"
    toolchain("rewrite", path=classifier, to=source, nan=True)
    kind, sentence = toolchain.refusal("onnx-optimize", source, tmp_path / "made")
    assert kind == "bad_file" and "NaN" in sentence


def test_calibration_that_cannot_work_says_why(toolchain: Toolchain, classifier: Path, tmp_path: Path) -> None:
    def refusal(**settings: Any) -> tuple[str, str]:
        return toolchain.refusal("onnx-static-int8", source, tmp_path / f"made{len(os.listdir(tmp_path))}", **settings)

    source = classifier
    kind, sentence = refusal(data=str(tmp_path / "none.txt"))
    assert kind == "bad_request" and "none.txt cannot be read" in sentence
    short = tmp_path / "short.txt"
    short.write_text("few words", encoding="utf-8")
    kind, sentence = refusal(data=str(short))
    assert kind == "bad_request" and "less than a sample of 128" in sentence
    # More tokens than the classifier has positions for.
    kind, sentence = refusal(tokens=1024, data="random")
    assert kind == "unsupported" and sentence.startswith("Calibrating model.onnx failed")
    source = tmp_path / "alone" / "model.onnx"
    source.parent.mkdir()
    shutil.copy(classifier, source)
    kind, sentence = refusal()
    assert kind == "not_found" and "no tokenizer.json beside it" in sentence


def test_settings_that_go_nowhere_are_refused(toolchain: Toolchain, classifier: Path, tmp_path: Path) -> None:
    kind, sentence = toolchain.refusal("onnx-dynamic-int8", classifier, tmp_path / "a", op_types="MatMul, Frobnicate")
    assert kind == "bad_request" and "Frobnicate cannot be quantized so; these can: Attention" in sentence
    kind, sentence = toolchain.refusal("onnx-4bit", classifier, tmp_path / "b", layout="qdq")
    assert kind == "unsupported" and "uses opset 17, and layout qdq needs opset 21" in sentence
    kind, sentence = toolchain.refusal("onnx-4bit", classifier, tmp_path / "c", layout="qdq", algorithm="hqq")
    assert kind == "bad_request" and "algorithm=default only" in sentence
    kind, sentence = toolchain.refusal("onnx-optimize", classifier, tmp_path / "d", provider="coreml")
    assert kind == "engine_missing" and "provider coreml is not in" in sentence and "which has cpu" in sentence


def test_an_odd_number_of_blocks_is_refused_where_it_cannot_be_packed(
    toolchain: Toolchain, decoder: Path, tmp_path: Path
) -> None:
    # Rows of 96 are three blocks of 32.
    kind, sentence = toolchain.refusal("onnx-4bit", decoder, tmp_path / "made", algorithm="k_quant", block_size=32)
    assert kind == "unsupported" and "an odd number of blocks" in sentence and "smaller block_size" in sentence


def test_one_graph_of_several_is_refused(toolchain: Toolchain, decoder: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(decoder.parent, tmp_path / "source")) / "model.onnx"
    config = json.loads(source.with_name(GENAI_CONFIG).read_text())
    config["model"]["vision"] = {"filename": "vision.onnx"}
    source.with_name(GENAI_CONFIG).write_text(json.dumps(config))
    kind, sentence = toolchain.refusal("onnx-dynamic-int8", source, tmp_path / "made")
    assert kind == "unsupported" and "one of 2 graphs" in sentence and "vision.onnx" in sentence


@pytest.mark.parametrize("workflow", ["onnx-dynamic-int8", "onnx-4bit", "onnx-optimize"])
def test_a_full_disk_is_one_sentence(toolchain: Toolchain, decoder: Path, tmp_path: Path, workflow: str) -> None:
    with pytest.raises(EdgetuiError, match="no room left on the disk: free some space") as caught:
        toolchain(
            "make",
            source=decoder,
            target=tmp_path / "made",
            settings={"workflow": workflow},
            largest_file=100_000,
        )
    assert caught.value.failure.kind == "no_space"


def test_links_of_a_hubs_cache_are_followed(toolchain: Toolchain, decoder: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for file in decoder.parent.iterdir():
        (snapshot / file.name).symlink_to(file)
    for workflow in ("onnx-dynamic-int8", "onnx-4bit", "onnx-optimize"):
        toolchain.make(workflow, snapshot / "model.onnx", tmp_path / workflow)
        assert not any(path.is_symlink() for path in (tmp_path / workflow).iterdir())
    assert all(path.is_symlink() for path in snapshot.iterdir())
