"""Names of quantized files follow the style of their source."""

from __future__ import annotations

import pytest

from edgetui.core.quant_types import OTHER_GROUP, QUANT_TYPES, describe_type, is_quantized, name_for_type


@pytest.mark.parametrize(
    ("source", "type_name", "expected"),
    [
        ("SmolLM2-135M-Instruct.Q4_1", "F16", "SmolLM2-135M-Instruct.F16"),
        ("SmolLM2-135M-Instruct.F16", "Q4_K_M", "SmolLM2-135M-Instruct.Q4_K_M"),
        ("qwen2.5-0.5b-instruct-fp16", "Q4_K_M", "qwen2.5-0.5b-instruct-q4_k_m"),
        ("gemma-3-4b-it-BF16-00001-of-00002", "Q8_0", "gemma-3-4b-it-Q8_0"),
        ("phi-4_q6_k", "IQ4_XS", "phi-4_iq4_xs"),
        ("phi-4", "Q5_K_S", "phi-4-Q5_K_S"),
        ("model.Q4_K_XL", "Q4_0", "model.Q4_K_XL-Q4_0"),
        ("Q8_0", "Q4_0", "Q8_0-Q4_0"),
    ],
)
def test_a_new_type_takes_the_place_of_the_old_one(source: str, type_name: str, expected: str) -> None:
    assert name_for_type(source, type_name) == expected


def test_only_floating_point_types_count_as_unquantized() -> None:
    assert [known.name for known in QUANT_TYPES if not is_quantized(known.name)] == ["F32", "F16", "BF16"]


def test_every_known_type_says_what_it_is_for_and_a_newer_one_has_a_place() -> None:
    assert all(known.purpose for known in QUANT_TYPES)
    assert len({known.name for known in QUANT_TYPES}) == len(QUANT_TYPES)
    assert describe_type("Q4_K_M").group == "4 bits"
    assert describe_type("Q9_Z").group == OTHER_GROUP
