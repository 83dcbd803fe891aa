"""How far ONNX folders on standard input lie from the first, and what onnxruntime-genai writes with each."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy
import onnxruntime
import onnxruntime_genai

TOKENS = [5, 70, 131, 200, 17, 9, 301, 44]


def logits(folder: Path) -> Any:
    """Of the tokens, with an empty KV cache."""
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    ids = numpy.array([TOKENS])
    feeds: dict[str, Any] = {"input_ids": ids, "attention_mask": numpy.ones_like(ids)}
    names = {each.name for each in session.get_inputs()}
    feeds.update({name: numpy.zeros((1, 1, 0, 64), numpy.float32) for name in names if name.startswith("past")})
    return session.run(["logits"], {name: value for name, value in feeds.items() if name in names})[0]


def written(folder: Path) -> list[int]:
    """Four tokens after those."""
    model = onnxruntime_genai.Model(str(folder))
    parameters = onnxruntime_genai.GeneratorParams(model)
    parameters.set_search_options(max_length=len(TOKENS) + 4, min_length=len(TOKENS) + 4, do_sample=False)
    generator = onnxruntime_genai.Generator(model, parameters)
    generator.append_tokens(numpy.array([TOKENS], dtype=numpy.int32))
    while not generator.is_done():
        generator.generate_next_token()
    return [int(token) for token in generator.get_sequence(0)[len(TOKENS) :]]


def main() -> None:
    """Compare."""
    folders = [Path(told) for told in json.load(sys.stdin)]
    first = logits(folders[0])
    answers = {}
    for folder in folders:
        difference = logits(folder) - first
        relative = float(numpy.linalg.norm(difference) / numpy.linalg.norm(first))
        answers[folder.name] = {"relative": relative, "written": written(folder)}
    print("\n" + json.dumps(answers))


main()
