"""The data that Run offers: presets of samplers and prompts by task."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.models import ModelEntry
from edgetui.core.presets import preset_of
from edgetui.core.run_settings import SamplingSettings
from edgetui.services.presets import preset_named, presets_for, read_presets
from edgetui.services.task_prompts import read_tasks, task_prompt


def model(name: str) -> ModelEntry:
    return ModelEntry(name=name, path=Path(name), parts=(), source="folder", format="gguf", size_bytes=1)


def names(name: str) -> list[str]:
    return [preset.name for preset in presets_for(model(name)) if preset.models]


def test_makers_presets_stand_first_and_only_for_their_models() -> None:
    assert presets_for(None)[0].name == "greedy"
    assert names("Qwen3-8B-Q4_K_M") == ["Qwen3 thinking", "Qwen3 without thinking"]
    assert names("Qwen3-4B-Instruct-2507") == ["Qwen3 without thinking"]
    assert names("Qwen3-4B-Thinking-2507") == ["Qwen3 thinking"]
    assert names("Qwen3-Coder-30B-A3B-Instruct") == ["Qwen3-Coder"]
    assert names("SmolLM2-135M-Instruct.Q4_1") == ["SmolLM2"]
    assert names("gemma-3-1b-it-Q4_0") == ["Gemma 3"]
    assert presets_for(model("gemma-3-1b-it"))[0].name == "Gemma 3"
    assert names("something-else") == []


def test_a_preset_sets_the_samplers_alone_and_within_their_limits() -> None:
    before = SamplingSettings(seed=3, stop=("x",), max_tokens=9, repeat_penalty=1.3, top_k=5)
    for preset in read_presets():
        after = preset.applied_to(before)
        msgspec.convert(msgspec.structs.asdict(after), SamplingSettings)
        assert (after.seed, after.stop, after.max_tokens) == (3, ("x",), 9)
        assert after.temperature == preset.temperature and after.top_k == preset.top_k
        assert bool(preset.models) == bool(preset.source)
    assert preset_of(SamplingSettings(), read_presets()) == preset_named("Balanced")
    assert preset_of(SamplingSettings(temperature=0.123), read_presets()) is None


def test_a_preset_that_is_not_there_names_the_closest() -> None:
    with pytest.raises(EdgetuiError, match="'greedy'"):
        preset_named("gredy")


def test_every_task_has_texts_and_a_schema_that_is_one() -> None:
    tasks = read_tasks()
    assert len(tasks) >= 9
    for task in tasks:
        assert len(task.texts) >= 2
        for text in task.texts:
            assert text.content and task.prompt(text.content).endswith(text.content)
        if task.json_schema:
            assert json.loads(task.json_schema)["type"] == "object"


def test_a_long_text_hides_its_line_where_it_says() -> None:
    _, prompt = task_prompt("long context")
    lines = prompt.split("\n\n", 1)[1].splitlines()
    assert len(lines) == 120 and "Okafor" in lines[87] and sum("Okafor" in line for line in lines) == 1
    assert lines[0].startswith("0001") and lines[119].startswith("0120")


def test_a_task_is_named_with_the_number_of_its_text_or_takes_ones_own() -> None:
    first, second = task_prompt("classify")[1], task_prompt("classify:2")[1]
    assert first != second and first.split("\n\n")[0] == second.split("\n\n")[0]
    task, prompt = task_prompt("json", "The pump is loud.")
    assert task.name == "extract JSON" and prompt.endswith("\n\nThe pump is loud.") and task.json_schema
    for wrong, sentence in (
        ("clasify", "'classify'"),
        ("classify:9", "1 to 3"),
        ("classify:x", "1 to 3"),
        ("", "summarise"),
    ):
        with pytest.raises(EdgetuiError, match=sentence):
            task_prompt(wrong)
