"""ONNX decoders: built from the real model and from small ones, their logits, their speed, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp.logits import open_logits
from edgetui.engines.llama_cpp.quantize import quantize
from edgetui.formats.model_folder import GENAI_CONFIG
from edgetui.formats.onnx import read_onnx
from tests.toolchain_driver import Toolchain

TEXT = (
    "The if statement is used for conditional execution. It selects exactly one of the suites by evaluating the"
    " expressions one by one until one is found to be true; then that suite is executed, and no other part of the if"
    " statement is executed or evaluated. If all expressions are false, the suite of the else clause is executed."
)


def log_probabilities(logits: Any) -> Any:
    wide = logits.astype(numpy.float64)
    wide -= wide.max(axis=-1, keepdims=True)
    return wide - numpy.log(numpy.exp(wide).sum(axis=-1, keepdims=True))


def divergence(base: Any, other: Any) -> float:
    """Mean KL divergence in nats of `other` from `base`, over all tokens."""
    first, second = log_probabilities(base), log_probabilities(other)
    return float((numpy.exp(first) * (first - second)).sum(axis=-1).mean())


@pytest.fixture(scope="module")
def demo_fp32(toolchain: Toolchain, demo_safetensors: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real model built in fp32."""
    folder = tmp_path_factory.mktemp("demo") / "fp32"
    toolchain.make("onnx-build", demo_safetensors / "model.safetensors", folder, precision="fp32")
    return folder / "model.onnx"


def test_the_real_models_logits_are_those_of_torch_and_of_llama_cpp(
    toolchain: Toolchain, demo_fp32: Path, demo_onnx: Path, demo_model: Path, demo_safetensors: Path, tmp_path: Path
) -> None:
    told = toolchain("logits", path=demo_fp32, text=TEXT, to=tmp_path / "onnx.npy")
    assert (told["engine"], told["vocabulary_size"], told["bos"]) == ("onnxruntime", 49152, None)
    onnx = numpy.load(tmp_path / "onnx.npy")
    assert onnx.dtype == numpy.float32 and onnx.shape == (len(told["tokens"]), 49152)
    toolchain("torch_logits", folder=demo_safetensors, tokens=told["tokens"], to=tmp_path / "torch.npy")
    torch = numpy.load(tmp_path / "torch.npy")
    assert numpy.abs(onnx - torch).max() < 2e-3
    assert divergence(torch, onnx) < 1e-7

    # The same weights but for their rounding to 16 bits in safetensors.
    quantize(demo_model, tmp_path / "model.F32.gguf", "F32", allow_requantize=True)
    source = open_logits(tmp_path / "model.F32.gguf", context_tokens=256, threads=1)
    try:
        assert source.tokenize(TEXT, add_special=False) == told["tokens"]
        (llama,) = (each.copy() for each in source.logits([told["tokens"]], 0))
    finally:
        source.close()
    assert divergence(llama, onnx) < 2e-3
    assert (llama.argmax(axis=-1) == onnx.argmax(axis=-1)).mean() > 0.95

    toolchain("logits", path=demo_onnx, text=TEXT, to=tmp_path / "int4.npy")
    int4 = numpy.load(tmp_path / "int4.npy")
    assert 0.01 < divergence(onnx, int4) < 1


def test_an_unquantized_gguf_builds_the_same_decoder_as_the_safetensors(
    toolchain: Toolchain, demo_fp32: Path, demo_model: Path, tmp_path: Path
) -> None:
    source = tmp_path / "model.F16.gguf"
    quantize(demo_model, source, "F16", allow_requantize=True)
    toolchain.make("onnx-build", source, tmp_path / "made", precision="fp32")
    for name, path in (("folder", demo_fp32), ("gguf", tmp_path / "made" / "model.onnx")):
        toolchain("logits", path=path, text=TEXT, to=tmp_path / f"{name}.npy")
    assert divergence(numpy.load(tmp_path / "folder.npy"), numpy.load(tmp_path / "gguf.npy")) < 2e-3


def test_the_real_model_in_int4_is_small_and_fast_enough_to_be_measured(toolchain: Toolchain, demo_onnx: Path) -> None:
    model = read_onnx(demo_onnx)
    assert model.quant_type == "int4" and model.nodes["com.microsoft:MatMulNBits"] == 151
    settings = {"prompt_tokens": 20, "generated_tokens": 3, "repetitions": 2, "batch_tokens": 16, "threads": 1}
    found = toolchain("measure", path=demo_onnx, settings=settings)
    prefill, decoding = found["rows"]
    assert [each[:2] for each in found["told"]] == [["pp", 1], ["pp", 2], ["tg", 1], ["tg", 2]]
    assert prefill["samples_ns"] + decoding["samples_ns"] == [each[2] for each in found["told"]]
    for row in (prefill, decoding):
        assert row["engine"] == "onnxruntime-genai" and row["backend"] == "CPU" and row["threads"] == 1
        assert row["model_quant_type"] == "int4" and row["kv_cache_type"] == "f32"
        assert row["model_size_bytes"] == sum(
            demo_onnx.with_name(name).stat().st_size for name in ("model.onnx", "model.onnx.data")
        )
        assert 130e6 < row["model_parameter_count"] < 140e6
        assert row["load_s"] > 0
        # The weights are held, and not much more than what the imported packages take.
        assert row["model_size_bytes"] < row["memory_bytes"] < 4 * 1024**3


@pytest.mark.parametrize("depth", [0, 20])
def test_a_measured_decoder_computes_the_tokens_that_llama_bench_would(
    toolchain: Toolchain, decoder: Path, depth: int
) -> None:
    found = toolchain("watched_measure", path=decoder, depth=depth)
    # Tokens before, tokens appended: prefill warms up with the whole prompt, decode with one token.
    filled = [[0, 16], [16, 4]] if depth else []
    prefill = [[depth, 16], [depth + 16, 16], [depth + 32, 8]]
    decoding = [[depth, 1], [depth + 1, 1], [depth + 2, 1]]
    assert found == [*filled, *prefill * 3, *filled, [depth, 1], *decoding * 2]


def test_a_peak_of_memory_is_forgotten(toolchain: Toolchain) -> None:
    before, after = toolchain("peak", size=400_000_000)
    assert before - after > 300_000_000


@pytest.mark.parametrize(
    ("settings", "quant_type", "likeness"),
    [
        ({"precision": "int4", "block_size": 16, "symmetric": False}, "int4", 0.98),
        ({"precision": "int4", "algorithm": "rtn", "accuracy_level": 1, "mixed": "last"}, "int4", 0.98),
        ({"precision": "int8"}, "int8", 0.999),
        ({"precision": "fp16"}, "fp16", 0.9999),
    ],
)
def test_every_precision_is_built_and_predicts_alike(
    toolchain: Toolchain,
    small: Path,
    decoder: Path,
    tmp_path: Path,
    settings: dict[str, Any],
    quant_type: str,
    likeness: float,
) -> None:
    notes = toolchain.make("onnx-build", small / "llama" / "model.safetensors", tmp_path / "made", **settings)
    assert read_onnx(tmp_path / "made" / "model.onnx").quant_type == quant_type
    assert {GENAI_CONFIG, "tokenizer.json", "config.json"} <= set(os.listdir(tmp_path / "made"))
    done = [note[0] for note in notes]
    assert done == sorted(done) and notes[-1][2] == "checking" and notes[-1][1] in (2, 4)
    found = {}
    for name, path in (("fp32", decoder), ("made", tmp_path / "made" / "model.onnx")):
        toolchain("logits", path=path, text="", chunks=[list(range(30))], first=10, to=tmp_path / f"{name}.npy")
        found[name] = numpy.load(tmp_path / f"{name}.npy")
        assert found[name].shape == (20, 384)
    cosine = (found["fp32"] * found["made"]).sum() / numpy.linalg.norm(found["fp32"]) / numpy.linalg.norm(found["made"])
    assert cosine > likeness


def test_chunks_know_nothing_of_each_other(toolchain: Toolchain, decoder: Path, tmp_path: Path) -> None:
    first, second = list(range(20)), list(range(40, 70))
    told = toolchain("logits", path=decoder, text="", chunks=[first, second, first], first=5, to=tmp_path / "all.npy")
    assert told["shapes"] == [[15, 384], [25, 384], [15, 384]]
    found = numpy.load(tmp_path / "all.npy")
    assert (found[:15] == found[40:]).all()


# --- what is refused ------------------------------------------------------------------------------------------


def refused(toolchain: Toolchain, do: str, **order: Any) -> tuple[str, str]:
    with pytest.raises(EdgetuiError) as caught:
        toolchain(do, **order)
    return caught.value.failure.kind, str(caught.value)


@pytest.mark.parametrize(
    ("damage", "kind", "words"),
    [
        ("no config", "bad_file", "no config.json"),
        ("no tokenizer", "bad_file", "no tokenizer"),
        ("architecture", "unsupported", "does not know the architecture FrobnicatorForCausalLM"),
        ("cut", "bad_file", "damaged"),
    ],
)
def test_a_folder_that_cannot_be_built_from(
    toolchain: Toolchain, small: Path, tmp_path: Path, damage: str, kind: str, words: str
) -> None:
    folder = Path(shutil.copytree(small / "llama", tmp_path / "source"))
    weights = folder / "model.safetensors"
    if damage == "no config":
        (folder / "config.json").unlink()
    elif damage == "no tokenizer":
        (folder / "tokenizer.json").unlink()
    elif damage == "architecture":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "architectures": ["FrobnicatorForCausalLM"]}))
    else:
        weights.write_bytes(weights.read_bytes()[:-5000])
    told = toolchain.refusal("onnx-build", weights, tmp_path / "made")
    assert told[0] == kind and words in told[1] and "\n" not in told[1]


def test_a_quantized_gguf_is_refused_with_the_way_that_works(
    toolchain: Toolchain, demo_model: Path, tmp_path: Path
) -> None:
    kind, sentence = toolchain.refusal("onnx-build", demo_model, tmp_path / "made")
    assert kind == "unsupported" and "holds Q4_1" in sentence and "unpack it with to-safetensors" in sentence


def test_combinations_that_no_provider_runs_are_refused_before_anything_is_read(
    toolchain: Toolchain, small: Path, tmp_path: Path
) -> None:
    source = small / "llama" / "model.safetensors"
    for settings, words in (
        ({"precision": "bf16"}, "provider=cuda only"),
        ({"precision": "fp32", "provider": "dml"}, "no fp32 builds"),
        ({"precision": "int8", "mixed": "last"}, "belongs to precision=int4"),
    ):
        kind, sentence = toolchain.refusal("onnx-build", source, tmp_path / "made", **settings)
        assert kind == "bad_request" and words in sentence
    assert not (tmp_path / "made").exists()


def test_what_is_no_decoder_gives_no_logits(
    toolchain: Toolchain, classifier: Path, decoder: Path, tmp_path: Path
) -> None:
    kind, sentence = refused(toolchain, "logits", path=classifier, text="a")
    assert kind == "unsupported" and "no decoder" in sentence
    alone = Path(shutil.copytree(decoder.parent, tmp_path / "alone"))
    (alone / "tokenizer.json").unlink()
    kind, sentence = refused(toolchain, "logits", path=alone / "model.onnx", text="a")
    assert kind == "not_found" and "tokenizer.json" in sentence
    (alone / "tokenizer.json").write_text("{}")
    kind, sentence = refused(toolchain, "logits", path=alone / "model.onnx", text="a")
    assert kind == "bad_file" and "tokenizer.json cannot be read" in sentence
    kind, sentence = refused(toolchain, "logits", path=decoder, text="a", context_tokens=512)
    assert kind == "bad_request" and "trained for 256 tokens" in sentence


def test_a_provider_that_is_not_here_is_named_with_those_that_are(
    toolchain: Toolchain, decoder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(decoder.parent, tmp_path / "dml"))
    config = json.loads((folder / GENAI_CONFIG).read_text())
    config["model"]["decoder"]["session_options"]["provider_options"] = [{"dml": {}}]
    (folder / GENAI_CONFIG).write_text(json.dumps(config))
    for do, settings in (("logits", {"text": "a"}), ("measure", {"settings": {"prompt_tokens": 8}})):
        kind, sentence = refused(toolchain, do, path=folder / "model.onnx", **settings)
        assert kind == "engine_missing" and "provider dml is not in" in sentence and "which has cpu" in sentence


def test_what_cannot_be_measured_says_why(toolchain: Toolchain, classifier: Path, decoder: Path) -> None:
    kind, sentence = refused(toolchain, "measure", path=classifier, settings={"prompt_tokens": 8})
    assert kind == "unsupported" and f"no {GENAI_CONFIG} beside it" in sentence
    kind, sentence = refused(toolchain, "measure", path=decoder, settings={"prompt_tokens": 500})
    assert kind == "context_overflow" and "takes 256 tokens, and the test needs 500" in sentence
    kind, sentence = refused(toolchain, "measure", path=decoder, settings={"prompt_tokens": 0, "generated_tokens": 0})
    assert kind == "bad_request" and "nothing to measure" in sentence
