"""Columns of different engines, and the programs that repeat theirs in their own environments."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

from edgetui.core.run_settings import LoadSettings, SamplingSettings
from edgetui.core.side_by_side import ComparisonRecord, commands_of

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab


async def test_a_gguf_and_an_onnx_build_answer_beside_each_other_and_the_onnx_program_says_the_same(
    toolchain_lab: Lab, onnx_toolchain: Path, demo_entry: ModelEntry, demo_onnx: Path, tmp_path: Path
) -> None:
    lab = toolchain_lab
    built = await lab.find_model(str(demo_onnx.parent))
    load, sampling = LoadSettings(context_tokens=256, threads=1), SamplingSettings(temperature=0, max_tokens=8)
    for entry in (demo_entry, built):
        lab.side_by_side.add(entry, load, sampling)
    events = [event.event async for event in lab.side_by_side.ask("What's rain?")]
    record = events[-1]
    assert isinstance(record, ComparisonRecord)
    gguf, onnx = record.compared.columns
    assert (gguf.engine, onnx.engine) == ("llama.cpp", "onnxruntime-genai")
    assert gguf.figures is not None and onnx.figures is not None, onnx.failure
    assert onnx.figures.generated_tokens == 8 and onnx.figures.decode_tps and onnx.figures.memory_bytes

    program = next(command for command in commands_of(onnx) if command.language == "python")
    script = tmp_path / "repeat.py"
    script.write_text(program.text)
    python = onnx_toolchain / "bin" / "python"
    done = await asyncio.to_thread(subprocess.run, [python, script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == onnx.text + "\n"
