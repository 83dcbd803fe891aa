"""What is computed of models that are not here, against llama.cpp itself on files with the same tensors and no data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edgetui.core.calibration import CALIBRATED_TYPES
from edgetui.core.memory_formula import METADATA_BYTES_PER_TOKEN, memory_of
from edgetui.core.outline import shape_of
from edgetui.core.run_settings import KvCacheType, LoadSettings
from edgetui.core.type_mix import BASE_TYPES
from edgetui.engines.llama_cpp.allocation import estimate_memory
from edgetui.engines.llama_cpp.quantize import predict
from edgetui.engines.llama_cpp.repack import rearranged_types
from edgetui.formats.gguf import read_gguf
from edgetui.formats.model_shape import model_shape
from edgetui.services.families import read_families
from tests.outline_gguf import write_outline

if TYPE_CHECKING:
    from pathlib import Path


MEMBERS = {member.name: member for family in read_families() for member in family.members}
# One of each architecture and kind of attention, large and small.
CHOSEN = (
    "Phi-4", "Phi-4-mini", "Qwen3-0.6B", "Qwen3-8B", "Qwen3-30B-A3B", "Gemma-3n-E2B", "Gemma-3n-E4B", "Gemma-3-270m",
    "Gemma-3-4b", "SmolLM2-135M", "SmolLM3-3B", "Llama-3.2-1B", "Qwen2.5-Coder-1.5B",
)  # fmt: skip


@pytest.mark.parametrize("name", CHOSEN)
def test_sizes_of_every_type_are_those_of_llama_cpps_dry_run(name: str, tmp_path: Path) -> None:
    member = MEMBERS[name]
    source = write_outline(tmp_path / "F16.gguf", member, "F16")
    for type_name in BASE_TYPES:
        if type_name != "F16":
            predicted = shape_of(member, type_name).weights_bytes
            assert predict(source, type_name).tensor_bytes == pytest.approx(predicted, rel=0.001), type_name


@pytest.mark.parametrize("name", CHOSEN)
def test_memory_is_what_a_simulated_load_allocates(name: str, tmp_path: Path) -> None:
    member = MEMBERS[name]
    path = write_outline(tmp_path / "Q4_K_M.gguf", member, "Q4_K_M")
    rearranged = rearranged_types(CALIBRATED_TYPES, 2048)
    cases: tuple[tuple[int, KvCacheType], ...] = ((512, "f16"), (8192, "f16"), (8000, "q8_0"), (0, "f16"))
    settings = tuple(LoadSettings(context_tokens=tokens, kv_cache_type=kind, use_mmap=True) for tokens, kind in cases)
    for (tokens, kind), simulated in zip(cases, estimate_memory(path, settings).parts, strict=True):
        assert simulated is not None
        parts = memory_of(
            member,
            "Q4_K_M",
            context_tokens=tokens,
            batch_tokens=settings[0].batch_tokens,
            kv_cache_type=kind,
            rearranged_types=rearranged,
        )
        assert parts.kv_cache == pytest.approx(simulated.kv_cache, rel=0.001)
        assert parts.compute == pytest.approx(simulated.compute, rel=0.1)
        assert parts.weights_copied == pytest.approx(simulated.weights_copied, rel=0.005)
        # A true file holds a vocabulary too, which the outline has none of.
        predicted = parts.total - parts.runtime - METADATA_BYTES_PER_TOKEN * member.vocabulary
        assert predicted == pytest.approx(simulated.total - simulated.runtime, rel=0.02)


@pytest.mark.parametrize("name", CHOSEN)
def test_a_shape_from_a_familys_figures_is_the_one_that_its_file_tells(name: str, tmp_path: Path) -> None:
    member = MEMBERS[name]
    read = model_shape(read_gguf(write_outline(tmp_path / "Q4_K_M.gguf", member, "Q4_K_M")))
    computed = shape_of(member, "Q4_K_M")
    assert read.read_per_token == computed.read_per_token
    assert read.layers == computed.layers
    assert (read.weights_bytes, read.parameter_count) == (computed.weights_bytes, computed.parameter_count)
