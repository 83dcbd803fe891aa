"""What folders are, which files belong to each model in them, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.formats.mlx import mlx_facts
from edgetui.formats.model_folder import (
    FolderModel,
    chat_template,
    check_convertible,
    engine_file,
    model_parts,
    models_of,
    shards,
)
from edgetui.formats.safetensors import read_safetensors
from tests.formats.test_safetensors import WEIGHT, write
from tests.onnx_files import write_onnx

CONFIG = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}


def fill(folder: Path, *names: str, config: object = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name.endswith(".safetensors"):
            write(folder / name, {"a": WEIGHT}, bytes(12))
        elif name.endswith(".onnx"):
            write_onnx(folder / name)
        else:
            (folder / name).write_text("{}")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def found(folder: Path, *, is_container: bool = False) -> list[FolderModel]:
    return models_of(folder, [path.name for path in folder.iterdir()], is_container=is_container)


def names(model: FolderModel) -> list[str]:
    return [path.name for path in model.parts]


def test_weights_with_a_configuration_are_one_model_with_all_its_papers(tmp_path: Path) -> None:
    fill(tmp_path, "model.safetensors", "tokenizer.json", "README.md", "holiday.jpg", ".hidden.json", config=CONFIG)
    (model,) = found(tmp_path)
    assert (model.format, model.is_folder) == ("safetensors", True)
    assert names(model) == ["model.safetensors", "README.md", "config.json", "tokenizer.json"]


def test_weights_without_a_configuration_are_no_model(tmp_path: Path) -> None:
    assert found(fill(tmp_path, "adapter_model.safetensors", "adapter_config.json")) == []


def test_shards_are_those_that_the_index_names_there_or_not(tmp_path: Path) -> None:
    fill(tmp_path, "model-00001-of-00002.safetensors", "extra.safetensors", config=CONFIG)
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (model,) = found(tmp_path)
    assert names(model)[:2] == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    with pytest.raises(EdgetuiError, match=r"model-00002-of-00002\.safetensors of .* is missing"):
        read_safetensors(model.parts[:2])


def test_without_an_index_the_names_of_shards_say_how_many_there_are(tmp_path: Path) -> None:
    fill(tmp_path, "model-00002-of-00003.safetensors")
    assert shards(tmp_path, ["model-00002-of-00003.safetensors"]) == [
        f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)
    ]


def test_an_index_cannot_point_out_of_its_folder(tmp_path: Path) -> None:
    fill(tmp_path, "model.safetensors", config=CONFIG)
    index = {"weight_map": {"a": "../secret.safetensors", "b": "/etc/passwd", "c": 7}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert shards(tmp_path, ["model.safetensors", "model.safetensors.index.json"]) == ["model.safetensors"]


def test_shards_that_lack_a_tensor_of_the_index_or_repeat_one(tmp_path: Path) -> None:
    one, two = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    fill(tmp_path, one)
    write(tmp_path / two, {"b": WEIGHT}, bytes(12))
    index = {"weight_map": {"a": one, "b": two, "c": two}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(EdgetuiError, match=r"lack 1 tensor that model\.safetensors\.index\.json names, such as 'c'"):
        read_safetensors([tmp_path / one, tmp_path / two])
    write(tmp_path / two, {"a": WEIGHT}, bytes(12))
    with pytest.raises(EdgetuiError, match="'a' is in 2 of the shards"):
        read_safetensors([tmp_path / one, tmp_path / two])


def test_mlx_is_known_by_its_quantization_or_by_its_weights_own_word(tmp_path: Path) -> None:
    quantized = fill(tmp_path / "q", "model.safetensors", config={**CONFIG, "quantization": {"bits": 4}})
    plain = fill(tmp_path / "p", config=CONFIG)
    write(plain / "model.safetensors", {"__metadata__": {"format": "mlx"}, "a": WEIGHT}, bytes(12))
    others = fill(tmp_path / "o", "model.safetensors", config={**CONFIG, "quantization_config": {"bits": 4}})
    assert [found(folder)[0].format for folder in (quantized, plain, others)] == ["mlx", "mlx", "safetensors"]


def test_packed_weights_of_mlx_are_counted_by_their_groups(tmp_path: Path) -> None:
    config = {"quantization": {"bits": 4, "group_size": 64, "b": {"bits": 8, "group_size": 32}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    header = {
        "a.weight": {"dtype": "U32", "shape": [8, 16], "data_offsets": [0, 512]},
        "a.scales": {"dtype": "BF16", "shape": [8, 2], "data_offsets": [512, 544]},
        "a.biases": {"dtype": "BF16", "shape": [8, 2], "data_offsets": [544, 576]},
        "b.weight": {"dtype": "U32", "shape": [2, 16], "data_offsets": [576, 704]},
        "b.scales": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [704, 712]},
        "norm.weight": {"dtype": "BF16", "shape": [128], "data_offsets": [712, 968]},
    }
    facts = mlx_facts(read_safetensors([write(tmp_path / "model.safetensors", header, bytes(968))]))
    assert (facts.quant_type, facts.parameter_count) == ("4 bits g64", 8 * 128 + 2 * 64 + 128)
    assert {share.type_name: share.parameter_count for share in facts.shares} == {
        "4 bits g64": 1024, "8 bits g32": 128, "BF16": 128, "scales": 0,
    }  # fmt: skip


def test_a_decoder_for_onnxruntime_genai_is_one_model_whatever_its_graph_is_called(tmp_path: Path) -> None:
    fill(tmp_path, "decoder.onnx", "embedding.onnx", "decoder.onnx.data", "tokenizer.json")
    (tmp_path / "genai_config.json").write_text('{"model": {"decoder": {"filename": "decoder.onnx"}}}')
    (model,) = found(tmp_path)
    assert (model.format, model.is_folder) == ("onnx", True)
    assert names(model)[0] == "decoder.onnx" and set(names(model)) == {path.name for path in tmp_path.iterdir()}


def test_graphs_beside_each_other_are_variants_and_the_first_one_is_the_folder(tmp_path: Path) -> None:
    fill(tmp_path, "model.onnx", "model_int8.onnx", "model_int8.onnx.data", "config.json")
    main, variant = found(tmp_path)
    assert (names(main), main.is_folder) == (["model.onnx", "config.json"], True)
    assert (names(variant), variant.is_folder) == (["model_int8.onnx", "model_int8.onnx.data"], False)


def test_where_models_are_gathered_each_graph_is_one(tmp_path: Path) -> None:
    fill(tmp_path, "net.onnx", "net.onnx.data")
    (lone,) = found(tmp_path, is_container=True)
    assert (names(lone), lone.is_folder) == (["net.onnx", "net.onnx.data"], False)
    assert found(tmp_path)[0].is_folder


def test_what_was_made_is_found_by_its_folder_alone(tmp_path: Path) -> None:
    folder = fill(tmp_path / "made", "model.safetensors", "tokenizer.json", config=CONFIG)
    assert engine_file(folder) == folder / "model.safetensors" == engine_file(folder / "model.safetensors")
    assert set(model_parts(engine_file(folder))) == set(folder.iterdir())
    with pytest.raises(EdgetuiError, match="holds no model"):
        engine_file(tmp_path)


@pytest.mark.parametrize(
    ("files", "config", "expected"),
    [
        (("tokenizer.json",), None, "has no config.json"),
        (("tokenizer.json",), [], "not readable JSON"),
        ((), CONFIG, "has no tokenizer"),
    ],
)
def test_what_a_toolchain_needs_beside_weights(
    tmp_path: Path, files: tuple[str, ...], config: object, expected: str
) -> None:
    folder = fill(tmp_path / "model", "model.safetensors", *files, config=config)
    with pytest.raises(EdgetuiError, match=expected):
        check_convertible(folder)


@pytest.mark.parametrize(
    "told",
    [{"chat_template": "{{ x }}"}, {"chat_template": [{"name": "rag"}, {"name": "default", "template": "{{ x }}"}]}],
)
def test_a_template_may_stand_in_the_tokenizers_configuration(tmp_path: Path, told: object) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(told))
    assert chat_template(tmp_path) == "{{ x }}"
