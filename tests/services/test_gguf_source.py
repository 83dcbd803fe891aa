"""GGUF files that a workflow does not read are refused before a job starts, and not offered to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.workflows import takes, takes_text, workflow_name
from edgetui.core.workflows.conversion import ToSafetensors
from edgetui.core.workflows.onnx import OnnxBuild
from tests.gguf_files import Tensor, write_gguf

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab


async def test_a_quantized_file_starts_no_job_and_the_sentence_says_what_to_make_first(
    lab: Lab, demo_entry: ModelEntry
) -> None:
    with pytest.raises(EdgetuiError, match="holds Q4_1, Q8_0 weights") as told:
        await lab.workflows.start(demo_entry, OnnxBuild())
    assert f"edgetui convert {demo_entry.path} to-safetensors" in str(told.value)
    assert told.value.failure.kind == "unsupported" and await lab.jobs.list() == ()
    names = [workflow_name(workflow) for workflow in lab.workflows.for_model(demo_entry)]
    assert "to-safetensors" in names and "onnx-build" not in names


async def test_what_the_builder_reads_passes_and_what_hides_in_it_does_not(lab: Lab, tmp_path: Path) -> None:
    """The type that a file calls itself is not that of each tensor."""
    sound = write_gguf(tmp_path / "sound.gguf", tensors=[Tensor("token_embd.weight", (32, 4), 1), Tensor("n", (8,), 0)])
    entry = await lab.catalog.find(str(sound))
    assert entry.problem is None and OnnxBuild in lab.workflows.for_model(entry)
    # On to the next check: nothing of the file speaks against it.
    with pytest.raises(EdgetuiError, match="toolchain"):
        await lab.workflows.start(entry, OnnxBuild())
    mixed = write_gguf(tmp_path / "mixed.gguf", tensors=[Tensor("big", (32, 4), 1), Tensor("small", (32, 1), 8)])
    with pytest.raises(EdgetuiError, match="holds Q8_0 weights"):
        await lab.workflows.start(await lab.catalog.find(str(mixed)), OnnxBuild())


def test_lists_say_which_files_are_read() -> None:
    assert takes_text(OnnxBuild) == "safetensors or gguf (F16, F32)" and takes_text(ToSafetensors) == "gguf"
    assert takes_text(OnnxBuild, ", ") == "safetensors, gguf (F16, F32)"
    assert takes(OnnxBuild, "gguf", "F16") and takes(OnnxBuild, "gguf", None) and takes(ToSafetensors, "gguf", "Q4_1")
    assert not takes(OnnxBuild, "gguf", "Q4_1") and takes(OnnxBuild, "safetensors", "BF16")
    assert not takes(ToSafetensors, "safetensors", None)
