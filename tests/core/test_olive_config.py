"""Olive's JSON: templates filled, and what a person wrote told apart by its line."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.olive_config import config_of, config_text, line_of, passes_of, read_config, with_model
from edgetui.core.workflows.olive import (
    OliveConvert,
    OliveCustom,
    OliveGptq,
    OliveInt4,
    OliveSessionTuning,
    OliveStaticInt8,
    OliveWorkflow,
)

ALL = (
    OliveConvert(),
    OliveConvert(kind="encoder"),
    OliveConvert(precision="int4"),
    OliveInt4(),
    OliveInt4(algorithm="k_quant"),
    OliveGptq(),
    OliveStaticInt8(),
    OliveSessionTuning(),
)


@pytest.mark.parametrize("settings", ALL, ids=lambda settings: settings.template)
def test_a_template_takes_every_value_and_leaves_no_gap(settings: OliveWorkflow) -> None:
    config = config_of(settings, "/models/a", threads=4)
    assert "$" not in config_text(config)
    assert config["input_model"]["model_path"] == "/models/a"
    assert read_config(config_text(config), "it") == config


def test_every_template_is_used() -> None:
    stems = {path.name.removesuffix(".json") for path in (files("edgetui") / "data" / "olive").iterdir()}
    assert stems == {settings.template for settings in ALL}


def test_numbers_stay_numbers() -> None:
    config = config_of(OliveGptq(bits=8, group_size=64, symmetric=True), "/m", threads=1)
    quantize = config["passes"]["quantize"]
    assert (quantize["bits"], quantize["group_size"], quantize["sym"]) == (8, 64, True)
    assert config["passes"]["build"]["int4_block_size"] == 64


@pytest.mark.parametrize(("threads", "most", "tried"), [(1, 0, [1]), (6, 0, [1, 2, 4, 6]), (64, 8, [1, 2, 4, 8])])
def test_tuning_tries_powers_of_two_and_all_threads(threads: int, most: int, tried: list[int]) -> None:
    config = config_of(OliveSessionTuning(most_threads=most), "/m", threads=threads)
    assert config["passes"]["tune"]["intra_thread_num_list"] == tried


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{\n "passes": {,\n}', "line 2"),
        ("", "line 1"),
        ("[1]", "must be a JSON object"),
        ("{}", "has no passes"),
        ('{"passes": []}', "has no passes"),
        ('{\n "passes": {\n  "a": {"bits": 4}\n }\n}', "The pass a of mine.json (line 3)"),
        ('{"passes": {"a": []}}', "The pass a of"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_workflow_is_told_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(EdgetuiError) as caught:
        read_config(text, "mine.json")
    assert caught.value.failure.kind == "bad_request"
    assert words in str(caught.value) and str(caught.value).startswith(("mine.json", "The pass"))


def test_passes_come_in_order_and_may_stand_in_lists() -> None:
    config = {"passes": {"b": [{"type": "Gptq"}], "a": {"type": "ModelBuilder"}}}
    assert [tuple(each) for each in passes_of(config)] == [("b", "Gptq"), ("a", "ModelBuilder")]


def test_a_workflow_is_given_another_model() -> None:
    before = {"type": "HfModel", "config": {"model_path": "/old", "task": "text"}}
    config = {"input_model": before, "passes": {}}
    assert with_model(config, "/new/model.onnx", is_onnx=True)["input_model"] == {
        "type": "ONNXModel", "model_path": "/new/model.onnx", "task": "text",
    }  # fmt: skip
    assert before == {"type": "HfModel", "config": {"model_path": "/old", "task": "text"}}
    assert with_model({"passes": {}}, "/m", is_onnx=False)["input_model"] == {"type": "HfModel", "model_path": "/m"}


def test_the_line_of_a_setting_is_found() -> None:
    text = json.dumps({"a": [{"b": 1}, {"b": {"c": "x, {y}"}}], "passes": {"q": {"bits": [1, 2]}}}, indent=1)
    lines = text.splitlines()
    assert '"c"' in lines[line_of(text, ("a", 1, "b", "c")) - 1]
    assert "2" in lines[line_of(text, ("passes", "q", "bits", 1)) - 1]
    # What is not there is told by the closest around it.
    assert '"q"' in lines[line_of(text, ("passes", "q", "nothing")) - 1]
    assert line_of(text, ()) == 1


@pytest.mark.parametrize(("file", "suffix"), [("/a/my flow.json", "olive-my-flow"), ("", "olive-custom")])
def test_a_result_of_a_persons_own_workflow_is_named_after_its_file(file: str, suffix: str) -> None:
    assert OliveCustom(file=file).suffix == suffix
