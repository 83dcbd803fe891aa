"""Errors of tensors by ggml's own code: what is tried in memory is what a quantization writes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.recipe_search import CANDIDATES, may_be_quantized
from edgetui.engines.llama_cpp import quantize
from edgetui.engines.llama_cpp.tensor_codec import TensorCodec
from edgetui.engines.llama_cpp.tensor_errors import TYPES, model_errors, type_errors
from edgetui.engines.llama_cpp.tensor_file import BLOCK_ELEMENTS, TensorFile, row_spans
from edgetui.engines.recipe.probe import ProbedCopy
from tests.gguf_files import SOUND_KEYS, Tensor, write_gguf

DOWN, QUERY = "blk.0.ffn_down.weight", "blk.0.attn_q.weight"


@pytest.fixture
def codec() -> Iterator[TensorCodec]:
    made = TensorCodec(2)
    yield made
    made.close()


@pytest.fixture
def parent(short_model: Path, codec: TensorCodec) -> Iterator[TensorFile]:
    with TensorFile(short_model, codec) as file:
        yield file


@pytest.fixture(scope="module")
def quantized(short_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("short") / "short.Q4_K_M.gguf"
    quantize.quantize(short_model, path, "Q4_K_M")
    return path


def test_the_bytes_are_those_that_llama_cpp_writes(parent: TensorFile, quantized: Path, codec: TensorCodec) -> None:
    with TensorFile(quantized, codec) as made:
        for name in (DOWN, QUERY):
            tensor = made.tensors[name]
            path, offset = made.place(tensor)
            written = path.read_bytes()[offset : offset + tensor.size_bytes]
            ours = b"".join(
                codec.quantize(tensor.type, block).tobytes() for _, block in parent.blocks(parent.tensors[name])
            )
            assert tensor.type.name in ("Q4_K", "Q5_0") and ours == written


def test_a_model_has_the_errors_that_its_types_had_when_tried(
    parent: TensorFile, quantized: Path, codec: TensorCodec
) -> None:
    with TensorFile(quantized, codec) as made:
        found = {error.tensor: error for error in model_errors(made, parent, {}, (DOWN, QUERY))}
        assert set(found) == {DOWN, QUERY}
        for name, error in found.items():
            kind = made.tensors[name].type
            (tried,) = type_errors(parent, parent.tensors[name], (kind,), codec, None)
            assert error == tried and 0.001 < (error.relative or 0) < 0.1
        whole = list(model_errors(made, parent, {}))
        assert [error.tensor for error in whole] == [tensor.name for tensor in made.header.tensors]
        norm = next(error for error in whole if error.tensor == "output_norm.weight")
        assert (norm.rmse, norm.relative, norm.max_abs) == (0.0, 0.0, 0.0)


def test_errors_are_what_numpy_makes_of_the_weights(parent: TensorFile, codec: TensorCodec) -> None:
    tensor = parent.tensors[QUERY]
    weights = numpy.concatenate([block for _, block in parent.blocks(tensor)]).astype(numpy.float64)
    kind = TYPES["Q4_0"]
    made = codec.dequantize(kind, codec.quantize(kind, weights.astype(numpy.float32)).data, tensor.shape[0])
    difference = made - weights
    importance = numpy.linspace(0.5, 3.0, tensor.shape[0], dtype=numpy.float32)
    (plain,) = type_errors(parent, tensor, (kind,), codec, None)
    assert plain.rmse == pytest.approx(numpy.sqrt((difference**2).mean()))
    assert plain.relative == pytest.approx(numpy.sqrt((difference**2).mean() / (weights**2).mean()))
    assert plain.max_abs == pytest.approx(numpy.abs(difference).max())
    assert plain.output_error == pytest.approx((difference**2).sum())
    (weighted,) = type_errors(parent, tensor, (kind,), codec, importance)
    made = codec.dequantize(kind, codec.quantize(kind, weights.astype(numpy.float32), importance).data, tensor.shape[0])
    assert weighted.output_error == pytest.approx((((made - weights) ** 2) * importance).sum())


def test_a_part_of_a_large_tensor_stands_for_all_of_it(parent: TensorFile, codec: TensorCodec) -> None:
    tensor = parent.tensors["token_embd.weight"]
    (whole,) = type_errors(parent, tensor, (TYPES["Q5_0"],), codec, None)
    (part,) = type_errors(parent, tensor, (TYPES["Q5_0"],), codec, None, 1024**2)
    assert 0.03 < part.share_read < 0.04 and whole.share_read == 1.0
    assert part.relative == pytest.approx(whole.relative, rel=0.05)
    assert part.output_error == pytest.approx(whole.output_error, rel=0.3)


@pytest.mark.parametrize("shape", [(8,), (576, 7), (4096, 3000), (BLOCK_ELEMENTS + 32, 3), (64, 5, 3)])
def test_every_row_is_read_once_and_no_block_crosses_a_matrix(shape: tuple[int, ...]) -> None:
    matrix = shape[1] if len(shape) > 1 else 1
    rows: list[int] = []
    for first, count in row_spans(shape, None):
        assert count * shape[0] <= max(BLOCK_ELEMENTS, shape[0]) and first // matrix == (first + count - 1) // matrix
        rows += range(first, first + count)
    assert rows == list(range(numpy.prod(shape[1:], dtype=int)))


@pytest.mark.parametrize("shape", [(64, 5, 300), (576, 49152), (32, 100_000)])
def test_a_sample_stays_within_its_matrices_and_its_measure(shape: tuple[int, ...]) -> None:
    most = 20_000
    spans = list(row_spans(shape, most))
    assert sum(count for _, count in spans) * shape[0] <= most
    assert spans[0][0] == 0 and spans[-1][0] > 0.9 * numpy.prod(shape[1:], dtype=int) - spans[-1][1]
    assert all(first // shape[1] == (first + count - 1) // shape[1] for first, count in spans)


def with_nan(path: Path) -> Path:
    """A model of which one tensor holds a NaN and an infinity."""
    write_gguf(path, SOUND_KEYS, (Tensor("token_embd.weight", (32, 4)), Tensor("output_norm.weight", (8,))))
    raw = bytearray(path.read_bytes())
    with TensorFile(path, TensorCodec(1)) as file:
        _, offset = file.place(file.tensors["token_embd.weight"])
    raw[offset : offset + 128] = struct.pack("<32f", *([0.5, float("nan"), float("inf")] + [1.0] * 29))
    path.write_bytes(raw)
    return path


def test_nan_is_counted_and_never_reaches_the_quantizer(tmp_path: Path, codec: TensorCodec) -> None:
    with TensorFile(with_nan(tmp_path / "nan.gguf"), codec) as file:
        (error,) = model_errors(file, file, {}, ("token_embd.weight",))
        assert error.not_finite == 2 and error.rmse is None and error.relative is None
        tried = type_errors(file, file.tensors["token_embd.weight"], (TYPES["IQ4_NL"], TYPES["Q4_0"]), codec, None)
        assert [(error.not_finite, error.rmse) for error in tried] == [(2, None), (2, None)]


def test_tensors_that_do_not_compare_say_why(tmp_path: Path, codec: TensorCodec) -> None:
    first = write_gguf(tmp_path / "a.gguf", SOUND_KEYS, (Tensor("x.weight", (8, 4)), Tensor("y.weight", (8,))))
    second = write_gguf(tmp_path / "b.gguf", SOUND_KEYS, (Tensor("x.weight", (8, 2)),))
    with TensorFile(first, codec) as model, TensorFile(second, codec) as parent:
        shape, absent = model_errors(model, parent, {})
    assert "its shape is 8x2" in shape.problem and "has no tensor of this name" in absent.problem


def test_a_type_that_rows_do_not_divide_into_is_not_tried(parent: TensorFile, codec: TensorCodec) -> None:
    kinds = [TYPES[name] for name in ("Q4_K", "Q4_0", "IQ2_XXS")]
    # Rows of 576 do not divide by 256; IQ2_XXS wants an importance matrix besides.
    assert [error.type_name for error in type_errors(parent, parent.tensors[QUERY], kinds, codec, None)] == ["Q4_0"]
    assert [error.type_name for error in type_errors(parent, parent.tensors[DOWN], kinds, codec, None)] == [
        "Q4_K",
        "Q4_0",
    ]


def test_a_file_cut_short_while_it_is_read_is_one_sentence(
    short_model: Path, tmp_path: Path, codec: TensorCodec
) -> None:
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(short_model.read_bytes())
    with TensorFile(copy, codec) as file:
        with copy.open("r+b") as stream:
            stream.truncate(file.header.data_offset + 100)
        with pytest.raises(EdgetuiError, match=r"copy\.gguf became shorter") as caught:
            list(file.blocks(file.tensors["token_embd.weight"]))
    assert caught.value.failure.kind == "bad_file"


def test_what_may_be_quantized_is_what_llama_cpp_quantizes(short_model: Path, parent: TensorFile) -> None:
    found = {tensor.name for tensor in quantize.predict(short_model, "Q8_0").tensors if tensor.new_type == "q8_0"}
    assert found == {name for name, tensor in parent.tensors.items() if may_be_quantized(name, tensor.shape)}
    assert all(name in TYPES for name in CANDIDATES)


def test_a_probed_copy_differs_in_the_named_tensors_and_is_itself_again(
    parent: TensorFile, codec: TensorCodec, tmp_path: Path
) -> None:
    probed = ProbedCopy(parent, tmp_path / "probe.gguf", codec)
    probed.quantize((QUERY,), "Q4_0", {})
    with TensorFile(probed.path, codec) as changed:
        errors = {error.tensor: error.rmse for error in model_errors(changed, parent, {})}
    assert {name for name, rmse in errors.items() if rmse} == {QUERY}
    (tried,) = type_errors(parent, parent.tensors[QUERY], (TYPES["Q4_0"],), codec, None)
    # Stored as F16 again, which rounds a little more.
    assert errors[QUERY] == pytest.approx(tried.rmse, rel=1e-3)
    probed.restore((QUERY,))
    assert probed.path.read_bytes() == parent.header.path.read_bytes()
