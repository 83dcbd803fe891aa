"""The demo model to safetensors and back: nothing is lost on the way that was there before."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgetui.core.run_settings import LoadSettings, SamplingSettings
from edgetui.core.workflows.conversion import ToGguf
from edgetui.formats.gguf import read_gguf
from edgetui.formats.model_folder import chat_template
from edgetui.worker.job_events import JobProgress
from edgetui.worker.protocol import Tokens

if TYPE_CHECKING:
    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.formats.gguf_header import GgufHeader, GgufTensor
    from edgetui.services.lab import Lab

TRICKY = (
    "  Zwölf Boxkämpfer jagen 3,141592 & 1000000 €\t\n\n\n漢字かな交じり文 👩‍👩‍👧‍👦 <|im_start|>user\nI'll they'Re"
    " naïve café <|endoftext|> \u200b def f(x):\n        return x**2  # ok\r\n"
)
BFLOAT16_STEP = 2.0**-8
"""Relative error of rounding to 8 bits of precision is half of that at most; F16 rounds once more, 8 times finer."""


async def ended(lab: Lab, record: JobRecord) -> JobRecord:
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        async for _ in events:
            pass
    return await lab.jobs.get(record.job_id)


async def greedy(lab: Lab, entry: ModelEntry) -> str:
    await lab.inference.load(entry, LoadSettings(context_tokens=256, threads=1))
    sampling = SamplingSettings(temperature=0.0, max_tokens=16, seed=1)
    async with aclosing(lab.inference.generate([], prompt="The capital of France is", sampling=sampling)) as stream:
        return "".join([event.text async for event in stream if isinstance(event, Tokens)])


def values(header: GgufHeader, tensor: GgufTensor) -> Any:
    kinds: dict[str, Any] = {"F32": np.float32, "F16": np.float16}
    start, count = header.data_offset + tensor.offset, math.prod(tensor.shape)
    return np.fromfile(header.path, kinds[tensor.type.name], count, offset=start).astype(np.float32)


async def test_weights_words_and_answers_come_back(
    toolchain_lab: Lab, demo_safetensors: Path, demo_entry: ModelEntry, gguf_toolchain: Path
) -> None:
    lab = toolchain_lab
    source = await lab.catalog.find(str(demo_safetensors))
    job = await ended(lab, await lab.workflows.start(source, ToGguf(out_type="f16")))
    assert job.state == "succeeded", job.summary
    assert (job.done, job.total, job.unit) == (272, 272, "tensors")
    assert job.output is not None
    made = read_gguf(Path(job.output))
    exact_job = await ended(
        lab,
        await lab.quantizer.start(demo_entry, "F16", allow_requantize=True, target=lab.paths.models_dir / "exact.gguf"),
    )
    exact = read_gguf(Path(exact_job.output or ""))
    assert (made.architecture, made.context_length, made.quant_type) == ("llama", 8192, "F16")

    others = {tensor.name: tensor for tensor in exact.tensors}
    assert others.keys() == {tensor.name for tensor in made.tensors}
    for tensor in made.tensors:
        one, other = values(made, tensor), values(exact, others[tensor.name])
        assert tensor.shape == others[tensor.name].shape
        # Numbers that F16 holds with fewer bits are off by its smallest step at most.
        assert np.all(np.abs(one - other) <= BFLOAT16_STEP * np.abs(other) + 2.0**-24), tensor.name

    original = read_gguf(demo_entry.path)
    template = original.metadata["tokenizer.chat_template"]
    assert chat_template(demo_safetensors) == template == made.metadata["tokenizer.chat_template"]
    assert (
        tokens_by_llama(made.path)
        == tokens_by_llama(demo_entry.path)
        == tokens_by_library(gguf_toolchain, demo_safetensors)
    )

    rows = {entry.path: entry for entry in await lab.catalog.scan()}
    assert await greedy(lab, rows[made.path]) == await greedy(lab, rows[exact.path]) != ""


def tokens_by_llama(path: Path) -> list[int]:
    # In a process of its own: here the package may have been loaded without what it makes of the library.
    code = (
        "import json, sys, llama_cpp\n"
        "model = llama_cpp.Llama(sys.argv[1], vocab_only=True, verbose=False)\n"
        "print(json.dumps(model.tokenize(sys.argv[2].encode(), add_bos=False, special=True)))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(path), TRICKY], capture_output=True, text=True, check=True, timeout=60
    )
    found: list[int] = json.loads(told.stdout.splitlines()[-1])
    return found


def tokens_by_library(toolchain: Path, folder: Path) -> list[int]:
    code = (
        "import json, sys, tokenizers\n"
        "made = tokenizers.Tokenizer.from_file(sys.argv[1])\n"
        "print(json.dumps(made.encode(sys.argv[2], add_special_tokens=False).ids))"
    )
    command = [str(toolchain / "bin" / "python"), "-c", code, str(folder / "tokenizer.json"), TRICKY]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found: list[int] = json.loads(told.stdout)
    return found


async def test_the_unpacked_folder_is_a_model_with_all_its_files(toolchain_lab: Lab, demo_safetensors: Path) -> None:
    entry = await toolchain_lab.catalog.find(str(demo_safetensors))
    assert (entry.format, entry.quant_type, entry.architecture) == ("safetensors", "BF16", "llama")
    assert (entry.parameter_count, entry.context_length) == (134_515_008, 8192)
    assert set(entry.parts) == files_that_others_may_read(demo_safetensors)


def files_that_others_may_read(folder: Path) -> set[Path]:
    return {path for path in folder.iterdir() if path.stat().st_mode & 0o044 == 0o044}


def test_the_unpacked_folder_does_not_say_that_it_is_packed(demo_safetensors: Path) -> None:
    config = json.loads((demo_safetensors / "config.json").read_text())
    # Other toolchains would take it for weights that they cannot read.
    assert "quantization_config" not in config and config["tie_word_embeddings"] is True


async def test_a_cancelled_conversion_leaves_nothing(toolchain_lab: Lab, demo_safetensors: Path) -> None:
    lab = toolchain_lab
    record = await lab.workflows.start(await lab.catalog.find(str(demo_safetensors)), ToGguf(out_type="f32"))
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        async for event in events:
            # From its first word on: a fast disk has it all before a reader has seen that it is being written.
            if isinstance(event, JobProgress):
                break
    cancelled = await lab.jobs.cancel(record.job_id)
    assert cancelled.state == "cancelled" and os.listdir(lab.paths.models_dir) == []
