"""Olive's runner on a real, tiny decoder: what every template makes runs by itself, and nothing asks the network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.olive_models import TOOLS, Made, make_all, order, run

TEMPLATES = ("fp32", "int4", "rtn", "rtn8", "kquant", "static", "tuned", "gptq")


@pytest.fixture(scope="module")
def distances(olive_toolchain: Path, olive_made: Made) -> dict[str, Any]:
    """How far the logits of each result lie from those of the fp32 build, and what onnxruntime-genai writes with it."""
    told = json.dumps([str(olive_made.folder / name) for name in TEMPLATES])
    answered: dict[str, Any] = json.loads(
        run(olive_toolchain / "bin" / "python", TOOLS / "distances.py", told).splitlines()[-1]
    )
    return answered


@pytest.fixture(scope="module")
def refusals(
    olive_toolchain: Path, olive_made: Made, tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory
) -> Made:
    """What comes of bad input, all in one process."""
    folder = tmp_path_factory.mktemp("refused")
    weights, graph = tiny_llama / "model.safetensors", olive_made.folder / "fp32" / "model.onnx"
    files = {
        "broken": '{\n    "passes": {\n        "a": {"type": "Gptq",,}\n    }\n}\n',
        "unknown": json.dumps({"passes": {"a": {"type": "OnnxBlockwiseRtnQuantisation"}}}, indent=4),
        "setting": json.dumps({"passes": {"a": {"type": "Gptq", "bitz": 4}}}, indent=4),
        "value": '{"passes": {"a": {"type": "OnnxHqqQuantization", "block_size": "many"}}}',
        "wrong-kind": '{"passes": {"a": {"type": "Gptq", "group_size": 32}}}',
        "hub": '{"passes": {"a": {"type": "Gptq", "group_size": 32}}}',
        "pytorch": json.dumps(
            {"passes": {"a": {"type": "Rtn", "group_size": 32}}},
        ),
        "remote": '{"systems": {"far": {"type": "Docker"}}, "passes": {"a": {"type": "Rtn"}}}',
        "declined": '{"passes": {"a": {"type": "ModelBuilder", "precision": "fp16"}}}',
    }
    for name, text in files.items():
        (folder / f"{name}.json").write_text(text)
    short = folder / "short.txt"
    short.write_text("Too short.")

    def custom(name: str, source: Path) -> dict[str, Any]:
        return order(source, name, "olive-custom", file=str(folder / f"{name}.json"))

    return make_all(
        olive_toolchain / "bin" / "python",
        folder,
        [
            *(custom(name, weights) for name in files if name not in ("wrong-kind", "value")),
            custom("wrong-kind", graph),
            custom("value", graph),
            order(weights, "gone-text", "olive-gptq", text=str(folder / "gone.txt")),
            order(weights, "short-text", "olive-gptq", text=str(short)),
            order(weights, "no-file", "olive-custom", file=str(folder / "gone.json")),
            order(weights, "blocks", "olive-gptq", samples=1, tokens=32, group_size=256),
        ],
    )


def test_every_template_makes_a_model(olive_made: Made) -> None:
    assert {name: answer["message"] for name, answer in olive_made.answers.items()} == dict.fromkeys(
        olive_made.answers, ""
    )


def test_nothing_asks_the_network(olive_made: Made, refusals: Made) -> None:
    assert olive_made.asked == []
    # A pass that wants data from the hub does not even get to open a connection.
    assert refusals.asked == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_a_template_makes_runs_in_onnxruntime_and_in_genai(name: str, distances: dict[str, Any]) -> None:
    found = distances[name]
    most = {"fp32": 1e-6, "tuned": 1e-6, "rtn8": 0.05}.get(name, 0.6)
    assert found["relative"] <= most, found
    assert len(found["written"]) == 4


def test_quantized_weights_leave_no_unquantized_ones_behind(olive_made: Made) -> None:
    def size(name: str) -> int:
        return (olive_made.folder / name / "model.onnx.data").stat().st_size

    assert size("rtn") < size("rtn8") < size("fp32") / 3 and size("kquant") < size("fp32") / 3


def test_a_result_says_how_it_was_made_and_can_be_made_again(olive_made: Made) -> None:
    folder = olive_made.folder / "gptq"
    rows = json.loads((folder / "olive_passes.json").read_text())
    assert [row["pass_type"] for row in rows] == ["", "Gptq", "ModelBuilder"]
    assert all(row["duration_s"] > 0 and row["size_bytes"] > 0 and not row["from_cache"] for row in rows[1:])
    workflow = json.loads((folder / "olive_workflow.json").read_text())
    assert workflow["data_configs"][0]["load_dataset_config"]["text"].endswith("mine.txt")
    told = olive_made.answers["gptq"]["notes"]
    assert [note for *_, note in told if ":" not in note] == [
        "starting Olive", "Gptq", "ModelBuilder", "putting the model together",
    ]  # fmt: skip
    # Within a pass, by its layers.
    layers = [(done, total) for done, total, note in told if note.startswith("Gptq: Processing layers")]
    assert layers and all(0 <= done <= 1 and total == 2 for done, total in layers)
    assert not (folder / "work").exists()


def test_the_same_work_is_taken_from_the_cache(olive_made: Made) -> None:
    rows = json.loads((olive_made.folder / "again" / "olive_passes.json").read_text())
    assert [row["from_cache"] for row in rows] == [False, True]
    first = (olive_made.folder / "rtn" / "model.onnx.data").read_bytes()
    assert first == (olive_made.folder / "again" / "model.onnx.data").read_bytes()


def test_tuning_measures_and_writes_the_options_for_genai(olive_made: Made) -> None:
    folder = olive_made.folder / "tuned"
    rows = json.loads((folder / "olive_passes.json").read_text())
    assert rows[1]["metrics"]["latency-avg"] > 0
    options = json.loads((folder / "genai_config.json").read_text())["model"]["decoder"]["session_options"]
    assert options["intra_op_num_threads"] == 1


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("broken", "bad_request", "broken.json is not valid JSON at line 3"),
        ("unknown", "bad_request", "unknown.json, line 4, is not accepted: Olive has no pass"),
        ("unknown", "bad_request", "did you mean OnnxBlockWiseRtnQuantization?"),
        ("setting", "bad_request", "setting.json, line 5, is not accepted: the pass Gptq has no setting bitz"),
        ("value", "bad_request", "block_size"),
        ("wrong-kind", "unsupported", "does not take a model like fp32"),
        ("hub", "unsupported", "The pass Gptq needs datasets"),
        ("pytorch", "unsupported", "ends with a PyTorch model"),
        ("remote", "bad_request", "on this machine only"),
        ("declined", "bad_request", "The pass ModelBuilder refuses its settings for tiny-llama (FP16 is not supported"),
        ("gone-text", "not_found", "gone.txt is not there"),
        ("short-text", "bad_file", "fewer than one window"),
        ("no-file", "not_found", "gone.json is not there"),
        ("blocks", "unsupported", "take a smaller block or group size"),
    ],
)
def test_bad_input_is_one_sentence(name: str, kind: str, words: str, refusals: Made) -> None:
    answer = refusals.answers[name]
    assert answer["kind"] == kind, answer
    assert words in answer["message"] and "\n" not in answer["message"] and answer["message"].endswith(".")
