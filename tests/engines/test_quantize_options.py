"""Options of a quantization, held against llama-quantize itself with the same ones."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from benchmarks.llama_tools import llama_quantize
from edgetui.core.failures import EdgetuiError
from edgetui.core.quant_options import QuantOptions, TensorOverride
from edgetui.core.quant_types import split_names
from edgetui.engines.llama_cpp import quantize
from edgetui.engines.llama_cpp.imatrix import collect
from edgetui.formats.gguf import check_loadable
from edgetui.formats.imatrix import ImatrixEntry, read_imatrix, write_imatrix
from edgetui.worker.texts import topics
from tests.engines.test_quantize import TINY_KEYS, TINY_TENSORS, write_split
from tests.gguf_files import Tensor, write_gguf

OVERRIDES = (TensorOverride("ffn_down", "Q6_K"), TensorOverride(r"blk\.[01]\.attn_v", "Q8_0"))


@pytest.fixture(scope="module")
def imatrix(short_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one chunk of the topics."""
    found = collect(short_model, topics()[:20_000], chunks=1, threads=1)
    path = tmp_path_factory.mktemp("imatrix") / "topics.gguf"
    write_imatrix(path, found.entries, dataset="topics", chunk_count=1, chunk_tokens=512)
    return path


def by_llama_quantize(source: Path, target: Path, type_name: str, folder: Path, *options: str | Path) -> Path:
    subprocess.run(
        [llama_quantize(), *options, source, target, type_name, "1"], check=True, capture_output=True, cwd=folder
    )
    return target


def assert_identical(
    source: Path, type_name: str, options: QuantOptions, theirs: Path, folder: Path
) -> quantize.Prediction:
    target = folder / "ours.gguf"
    quantize.quantize(source, target, type_name, options, threads=1)
    predicted = quantize.predict(source, type_name, options)
    assert predicted.file_bytes == target.stat().st_size
    assert target.read_bytes() == theirs.read_bytes()
    made = check_loadable(target)
    assert {tensor.name: tensor.type.name for tensor in made.tensors} == {
        tensor.name: tensor.new_type.upper() for tensor in predicted.tensors
    }
    return predicted


def test_an_importance_matrix(short_model: Path, imatrix: Path, tmp_path: Path) -> None:
    theirs = by_llama_quantize(
        short_model, tmp_path / "theirs.gguf", "Q2_K_S", imatrix.parent, "--imatrix", imatrix.name
    )
    options = QuantOptions(imatrix=str(imatrix))
    predicted = assert_identical(short_model, "Q2_K_S", options, theirs, tmp_path)
    assert not predicted.needs_imatrix
    metadata = check_loadable(theirs).metadata
    assert metadata["quantize.imatrix.file"] == "topics.gguf" and metadata["quantize.imatrix.dataset"] == "topics"
    assert metadata["quantize.imatrix.entries_count"] == 21 and metadata["quantize.imatrix.chunks_count"] == 1


def test_overrides_with_output_and_embedding_types(short_model: Path, tmp_path: Path) -> None:
    theirs = by_llama_quantize(
        short_model, tmp_path / "theirs.gguf", "Q4_K_M", tmp_path,
        *("--tensor-type", "ffn_down=q6_k", "--tensor-type", r"blk\.[01]\.attn_v=q8_0"),
        *("--output-tensor-type", "q8_0", "--token-embedding-type", "q5_1"),
    )  # fmt: skip
    options = QuantOptions(tensor_types=OVERRIDES, output_type="Q8_0", embedding_type="Q5_1")
    predicted = assert_identical(short_model, "Q4_K_M", options, theirs, tmp_path)
    types = {tensor.name: tensor.new_type for tensor in predicted.tensors}
    assert (types["blk.1.ffn_down.weight"], types["blk.1.attn_v.weight"]) == ("q6_K", "q8_0")
    assert (types["blk.2.attn_v.weight"], types["token_embd.weight"]) == ("q5_0", "q5_1")


@pytest.mark.parametrize("type_name", ["Q4_0", "Q4_K_M"])
def test_pure(short_model: Path, tmp_path: Path, type_name: str) -> None:
    theirs = by_llama_quantize(short_model, tmp_path / "theirs.gguf", type_name, tmp_path, "--pure")
    assert_identical(short_model, type_name, QuantOptions(pure=True), theirs, tmp_path)


def test_pruned_layers(short_model: Path, tmp_path: Path) -> None:
    theirs = by_llama_quantize(short_model, tmp_path / "theirs.gguf", "Q8_0", tmp_path, "--prune-layers", "1")
    predicted = assert_identical(short_model, "Q8_0", QuantOptions(prune_layers=(1,)), theirs, tmp_path)
    assert {tensor.name.split(".")[1] for tensor in predicted.tensors if tensor.name.startswith("blk")} == {"0", "1"}
    assert check_loadable(theirs).of_architecture("block_count") == 2


def test_pruned_layers_with_an_importance_matrix(short_model: Path, imatrix: Path, tmp_path: Path) -> None:
    arguments = ("--prune-layers", "0", "--imatrix", imatrix.name)
    theirs = by_llama_quantize(short_model, tmp_path / "theirs.gguf", "Q4_0", imatrix.parent, *arguments)
    options = QuantOptions(prune_layers=(0,), imatrix=str(imatrix))
    assert_identical(short_model, "Q4_0", options, theirs, tmp_path)


def test_a_kept_split(tmp_path: Path) -> None:
    source = write_split(tmp_path)
    by_llama_quantize(source, tmp_path / "theirs.gguf", "Q8_0", tmp_path, "--keep-split")
    options = QuantOptions(keep_split=True)
    quantize.quantize(source, tmp_path / "ours", "Q8_0", options, threads=1)
    ours, theirs = split_names(str(tmp_path / "ours"), 2), split_names(str(tmp_path / "theirs"), 2)
    assert [path.read_bytes() for path in ours] == [path.read_bytes() for path in theirs]
    assert quantize.predict(source, "Q8_0", options).file_bytes == sum(path.stat().st_size for path in ours)
    (plan,) = quantize.plan(source, ["Q8_0"], options)
    assert plan.file_count == 2 and len(check_loadable(ours[0]).tensors) == len(TINY_TENSORS)


def test_a_small_buffer_changes_nothing(short_model: Path, tmp_path: Path) -> None:
    quantize.quantize(short_model, tmp_path / "usual.gguf", "Q4_0", threads=1)
    quantize.quantize(short_model, tmp_path / "small.gguf", "Q4_0", QuantOptions(buffer_bytes=2**20), threads=1)
    assert (tmp_path / "usual.gguf").read_bytes() == (tmp_path / "small.gguf").read_bytes()


def test_fallbacks_are_named(short_model: Path) -> None:
    (plan,) = quantize.plan(short_model, ["Q4_K_M"])
    named = {(fallback.tensor, fallback.wanted, fallback.taken, fallback.row) for fallback in plan.fallbacks}
    assert ("blk.0.attn_k.weight", "Q4_K", "Q5_0", 576) in named and len(named) == plan.fallback_tensors
    assert {type_name for type_name, _ in plan.product_weights} >= {"Q5_0", "Q8_0"}


def test_a_tensor_that_a_type_cannot_take_is_named(tmp_path: Path) -> None:
    odd = (*TINY_TENSORS[:1], Tensor("blk.0.attn_q.weight", (72, 64)), TINY_TENSORS[-1])
    source = write_gguf(tmp_path / "odd.gguf", TINY_KEYS, odd)
    (plan,) = quantize.plan(source, ["Q1_0"])
    assert "Rows of blk.0.attn_q.weight (72 weights) do not divide into the blocks of Q1_0" in (plan.problem or "")


def with_weight(folder: Path, number: float) -> Path:
    """A tiny model with one odd weight in blk.0.attn_q.weight."""
    source = write_gguf(folder / "tiny.gguf", TINY_KEYS, TINY_TENSORS)
    header = check_loadable(source)
    raw = bytearray(source.read_bytes())
    damaged = next(tensor for tensor in header.tensors if tensor.name == "blk.0.attn_q.weight")
    struct.pack_into("<f", raw, header.data_offset + damaged.offset + 400, number)
    source.write_bytes(raw)
    return source


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_found(tmp_path: Path, number: float) -> None:
    source = with_weight(tmp_path, number)
    with pytest.raises(EdgetuiError, match=r"Weights of blk\.0\.attn_q\.weight in tiny\.gguf are no numbers") as caught:
        quantize.quantize(source, tmp_path / "made.gguf", "Q8_0", threads=1)
    assert caught.value.failure.kind == "bad_file"


def test_weights_that_a_type_cannot_hold_are_named(tmp_path: Path) -> None:
    source = with_weight(tmp_path, 1e30)
    with pytest.raises(EdgetuiError, match=r"blk\.0\.attn_q\.weight of tiny\.gguf holds weights so large that Q8_0"):
        quantize.quantize(source, tmp_path / "made.gguf", "Q8_0", threads=1)


@pytest.mark.parametrize(
    ("options", "type_name", "sentence"),
    [
        (QuantOptions(tensor_types=(TensorOverride("nothing", "Q8_0"),)), "Q4_0", "nothing finds no tensor"),
        (QuantOptions(tensor_types=OVERRIDES), "F16", "only where the type is a quantized one: not F16"),
        (QuantOptions(keep_split=True), "Q8_0", "there is no split to keep"),
        (QuantOptions(leave_output=True), "Q8_0", "has no output.weight"),
        (QuantOptions(prune_layers=(3,)), "Q8_0", "has no layer 3: its 3 layers are counted from 0 to 2"),
        (QuantOptions(prune_layers=(0, 1, 2)), "Q8_0", "Without all 3 layers nothing is left"),
    ],
)
def test_options_that_do_not_suit_the_model_are_refused(
    short_model: Path, options: QuantOptions, type_name: str, sentence: str
) -> None:
    with pytest.raises(EdgetuiError) as caught:
        list(quantize.plan(short_model, [type_name], options))
    assert sentence in str(caught.value) and caught.value.failure.kind == "bad_request"


def test_a_combination_that_would_end_the_process_is_refused(tmp_path: Path) -> None:
    wide = (Tensor("token_embd.weight", (256, 4)), Tensor("output_norm.weight", (256,)))
    source = write_gguf(tmp_path / "wide.gguf", TINY_KEYS, wide)
    with pytest.raises(EdgetuiError, match=r"would put token_embd\.weight into IQ2_XXS") as caught:
        quantize.quantize(source, tmp_path / "made.gguf", "Q8_0", QuantOptions(embedding_type="IQ2_XXS"), threads=1)
    assert caught.value.failure.kind == "unsupported" and not (tmp_path / "made.gguf").exists()


def written_without(imatrix: Path, target: Path, *names: str, **added: ImatrixEntry) -> Path:
    entries = {name: entry for name, entry in read_imatrix(imatrix).entries.items() if name not in names}
    write_imatrix(target, {**entries, **added}, dataset="topics", chunk_count=1, chunk_tokens=512)
    return target


def test_a_matrix_of_another_model_is_refused_with_what_differs(
    short_model: Path, imatrix: Path, tmp_path: Path
) -> None:
    first = read_imatrix(imatrix).entries["blk.0.attn_q.weight"]
    stranger = written_without(imatrix, tmp_path / "stranger.gguf", **{"blk.9.attn_q.weight": first})
    narrow = ImatrixEntry(first.sums[:64], first.counts)
    other = written_without(imatrix, tmp_path / "other.gguf", **{"blk.0.attn_q.weight": narrow})
    holed = written_without(imatrix, tmp_path / "holed.gguf", "blk.2.attn_q.weight")
    for path, sentence in (
        (stranger, "stranger.gguf is of another model: it has an entry for blk.9.attn_q.weight"),
        (other, "its entry for blk.0.attn_q.weight has 64 values, and SmolLM2-short.F16.gguf takes 576"),
        (holed, "holed.gguf has no entry for blk.2.attn_q.weight"),
    ):
        with pytest.raises(EdgetuiError) as caught:
            list(quantize.plan(short_model, ["IQ2_M"], QuantOptions(imatrix=str(path))))
        assert sentence in str(caught.value) and caught.value.failure.kind == "bad_request"
