"""Quantization with the real library and model: what is predicted is what is written."""

from __future__ import annotations

import ctypes
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp import library, quantize
from edgetui.engines.llama_cpp.quant_types import known_types
from edgetui.engines.llama_cpp.quantize_log import Step
from edgetui.formats.gguf import check_loadable
from edgetui.worker.protocol import QuantizationPlan
from tests.gguf_files import F32, I32, U16, U32, Key, Tensor, with_keys, write_gguf

ONE_THREAD = 1


@pytest.fixture(scope="module")
def f16_model(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The model as F16, which the library itself makes of it."""
    path = tmp_path_factory.mktemp("f16") / "model.F16.gguf"
    quantize.quantize(demo_model, path, "F16", allow_requantize=True)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def plans(demo_model: Path) -> dict[str, QuantizationPlan]:
    return {plan.type_name: plan for plan in quantize.plan(demo_model)}


def test_every_type_of_the_library_has_a_plan_or_a_reason(plans: dict[str, QuantizationPlan]) -> None:
    assert list(plans) == list(known_types())
    for plan in plans.values():
        assert (plan.size_bytes is None) == (plan.problem is not None) == (plan.bits_per_weight is None)
    assert plans["NVFP4"].problem == "The installed llama.cpp reads NVFP4 but cannot write it."
    assert "no fallback" in (plans["Q1_0"].problem or "")


def test_types_that_need_an_imatrix_say_so(plans: dict[str, QuantizationPlan]) -> None:
    assert {"IQ1_S", "IQ2_XXS", "Q2_K_S"} <= {name for name, plan in plans.items() if plan.needs_imatrix}
    assert not plans["Q4_K_M"].needs_imatrix and not plans["Q2_K"].needs_imatrix


def test_rows_that_do_not_divide_fall_back_and_are_counted(plans: dict[str, QuantizationPlan]) -> None:
    # Rows of 576 do not divide by 256: six tensors in each of 30 layers have them.
    assert plans["Q4_K_M"].fallback_tensors == 180
    assert plans["Q8_0"].fallback_tensors == plans["F16"].fallback_tensors == 0


def test_a_prediction_needs_no_tensor_data(
    demo_model: Path, tmp_path: Path, plans: dict[str, QuantizationPlan]
) -> None:
    header = check_loadable(demo_model)
    hollow = tmp_path / "hollow.gguf"
    with demo_model.open("rb") as source, hollow.open("wb") as stream:
        stream.write(source.read(header.data_offset))
        stream.truncate(header.size_bytes)
    assert list(quantize.plan(hollow, ["Q8_0", "Q4_K_M"])) == [plans["Q8_0"], plans["Q4_K_M"]]


@pytest.mark.parametrize("type_name", ["Q4_K_M", "Q8_0", "TQ2_0"])
def test_a_file_has_the_size_that_was_predicted(f16_model: Path, tmp_path: Path, type_name: str) -> None:
    target = tmp_path / "made.gguf"
    steps: list[Step] = []
    quantize.quantize(f16_model, target, type_name, on_step=steps.append)
    predicted = quantize.predict(f16_model, type_name)
    assert predicted.file_bytes == target.stat().st_size
    made = check_loadable(target)
    assert made.quant_type == type_name and len(made.tensors) == 272
    assert made.parameter_count == predicted.parameter_count
    done = [step.tensors_done for step in steps]
    assert done == sorted(done) and done[-1] == steps[-1].tensor_count == 272
    assert steps[-1].bytes_done == predicted.source_tensor_bytes
    assert any(step.note.startswith("token_embd.weight f16 -> ") for step in steps)
    assert any(step.note == "output_norm.weight f32, copied" for step in steps)


TINY_KEYS = with_keys(
    Key("llama.embedding_length", U32, 64),
    Key("llama.feed_forward_length", U32, 96),
    Key("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
    Key("llama.rope.dimension_count", U32, 32),
)
TINY_TENSORS = (
    Tensor("token_embd.weight", (64, 4)),
    Tensor("blk.0.attn_q.weight", (64, 64)),
    Tensor("blk.0.ffn_up.weight", (33, 2)),
    Tensor("output_norm.weight", (64,)),
)


def write_split(folder: Path) -> Path:
    """A model in two parts; returns the first."""
    paths = []
    for number, tensors in enumerate((TINY_TENSORS[:1], TINY_TENSORS[1:])):
        keys = (
            *(TINY_KEYS if number == 0 else ()),
            Key("split.no", U16, number),
            Key("split.count", U16, 2),
            Key("split.tensors.count", I32, len(TINY_TENSORS)),
        )
        paths.append(write_gguf(folder / f"tiny-{number + 1:05d}-of-00002.gguf", keys, tensors))
    return paths[0]


@pytest.mark.parametrize("kind", ["version 2", "no file type", "split"])
@pytest.mark.parametrize("type_name", ["F16", "Q8_0", "Q4_K_M"])
def test_unusual_sources_are_predicted_to_the_byte(tmp_path: Path, kind: str, type_name: str) -> None:
    if kind == "split":
        source = write_split(tmp_path)
    elif kind == "version 2":
        source = write_gguf(tmp_path / "tiny.gguf", TINY_KEYS, TINY_TENSORS, version=2)
    else:
        keys = [key for key in TINY_KEYS if key.name != "general.file_type"]
        source = write_gguf(tmp_path / "tiny.gguf", keys, TINY_TENSORS)
    target = tmp_path / "made.gguf"
    quantize.quantize(source, target, type_name)
    assert quantize.predict(source, type_name).file_bytes == target.stat().st_size
    made = check_loadable(target)
    assert made.quant_type == type_name and len(made.tensors) == len(TINY_TENSORS)


def test_the_file_is_what_llama_quantize_writes(f16_model: Path, tmp_path: Path) -> None:
    quantize.quantize(f16_model, tmp_path / "ours.gguf", "Q4_K_M", threads=2)
    lib = library.load()
    params = lib.llama_model_quantize_default_params()
    params.ftype = lib.LLAMA_FTYPE_MOSTLY_Q4_K_M
    source, target = str(f16_model).encode(), str(tmp_path / "theirs.gguf").encode()
    assert lib.llama_model_quantize(source, target, ctypes.byref(params)) == 0
    assert (tmp_path / "ours.gguf").read_bytes() == (tmp_path / "theirs.gguf").read_bytes()


def test_a_quantized_source_is_refused_unless_asked_for(demo_model: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgetuiError, match=r"already quantized .*loses quality") as caught:
        quantize.quantize(demo_model, tmp_path / "made.gguf", "Q8_0", threads=ONE_THREAD)
    assert caught.value.failure.kind == "bad_request"


def test_a_type_that_needs_an_imatrix_is_refused(demo_model: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgetuiError, match="needs an importance matrix") as caught:
        quantize.quantize(demo_model, tmp_path / "made.gguf", "IQ2_XXS", allow_requantize=True)
    assert caught.value.failure.kind == "unsupported"
    assert not (tmp_path / "made.gguf").exists()


def test_a_type_that_does_not_exist_is_refused_with_those_that_do(demo_model: Path) -> None:
    with pytest.raises(EdgetuiError, match=r"knows no type Q9_Z; it knows .*Q4_K_M") as caught:
        list(quantize.plan(demo_model, ["Q9_Z"]))
    assert caught.value.failure.kind == "bad_request"


def test_a_full_disk_is_one_sentence(demo_model: Path, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, hard))
    try:
        with pytest.raises(EdgetuiError, match=r"no room for made\.gguf in .*free some space") as caught:
            quantize.quantize(demo_model, tmp_path / "made.gguf", "Q8_0", allow_requantize=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.failure.kind == "no_space"


def test_a_target_in_no_folder_is_one_sentence(demo_model: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgetuiError, match="name another folder"):
        quantize.quantize(demo_model, tmp_path / "none" / "made.gguf", "Q8_0", allow_requantize=True)


@pytest.mark.parametrize("damage", ["truncated", "text"])
def test_a_damaged_source_never_reaches_the_library(demo_model: Path, tmp_path: Path, damage: str) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(demo_model.read_bytes()[:3_000_000] if damage == "truncated" else b"these are only words\n" * 40)
    said: list[str] = []
    with library.capture_log(said.append), pytest.raises(EdgetuiError) as caught:
        list(quantize.plan(bad))
    assert caught.value.failure.kind == "bad_file" and "bad.gguf" in str(caught.value)
    with library.capture_log(said.append), pytest.raises(EdgetuiError):
        quantize.quantize(bad, tmp_path / "made.gguf", "Q8_0", allow_requantize=True)
    assert said == []
