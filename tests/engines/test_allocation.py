"""What is said to be allocated, against what llama.cpp says when it does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgetui.core.run_settings import LoadSettings
from edgetui.engines.llama_cpp import library
from edgetui.engines.llama_cpp.model import LoadedModel
from edgetui.engines.llama_cpp.quantize import quantize
from edgetui.engines.llama_cpp.repack import repacked_bytes
from edgetui.formats.gguf import read_gguf

_REPACKED = re.compile(r"CPU_REPACK model buffer size =\s*([\d.]+) MiB")


@pytest.mark.parametrize("type_name", ["Q4_0", "Q4_K_M", "Q8_0"])
def test_weights_kept_twice_are_those_of_a_real_load(demo_model: Path, tmp_path: Path, type_name: str) -> None:
    path = tmp_path / f"{type_name}.gguf"
    quantize(demo_model, path, type_name, allow_requantize=True, threads=1, name=path.name, on_step=lambda step: None)
    log: list[str] = []
    with library.capture_log(log.append):
        LoadedModel.load(path, LoadSettings(context_tokens=256, threads=1)).close()
    # The simulated load before the real one names the buffer too, with no bytes in it.
    stated = sum(float(size) for size in _REPACKED.findall("".join(log)))
    assert repacked_bytes(read_gguf(path)) / 2**20 == pytest.approx(stated, abs=0.01)
