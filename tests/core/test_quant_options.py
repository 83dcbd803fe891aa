"""Options as a person writes them, and what is said of those that cannot be."""

from __future__ import annotations

import pytest

from edgetui.core.calibration import Rate, ThreadCalibration, TypeRate
from edgetui.core.quant_options import (
    QuantForm,
    QuantOptions,
    TensorOverride,
    form_of,
    options_of,
    parse_layers,
    parse_override,
    parse_size,
)
from edgetui.core.quant_speed import speed_beside_f16, speed_class
from edgetui.core.quant_types import Fallback, fallback_lines, name_for_type
from edgetui.screens.fields_dialog import check_field

FULL = QuantOptions(
    imatrix="/data/topics.gguf",
    tensor_types=(TensorOverride("ffn_down", "Q6_K"),),
    output_type="Q8_0",
    pure=True,
    prune_layers=(3, 5),
    buffer_bytes=128 * 1024**2,
)


def test_a_form_means_the_options_that_it_was_made_of() -> None:
    assert options_of(form_of(FULL), FULL.imatrix) == FULL
    assert options_of(QuantForm()) == QuantOptions()


def test_what_is_not_usual_is_told_and_stands_in_the_name() -> None:
    assert QuantOptions().told == "" and QuantOptions().tag == ""
    assert FULL.told == (
        "imatrix topics.gguf, ffn_down=Q6_K, output Q8_0, pure, EXPERIMENT: without layers 3,5, buffer 128 MiB"
    )
    assert name_for_type("SmolLM2.F16", "Q4_0", FULL.tag) == "SmolLM2-imatrix-pure-custom-pruned2.Q4_0"
    assert name_for_type("phi", "Q4_0", "pure") == "phi-pure-Q4_0"


def test_sizes_layers_and_overrides_are_read_as_people_write_them() -> None:
    assert parse_size("128MiB") == parse_size("128 M") == parse_size("131072k") == parse_size("134217728") == 2**27
    assert parse_layers("5, 3 5") == (3, 5) and parse_layers("") == ()
    assert parse_override("Attn_V=q8_0") == TensorOverride("attn_v", "Q8_0")
    assert parse_override("a==q8_0") == TensorOverride("a=", "Q8_0")


@pytest.mark.parametrize(
    ("field", "text", "reason"),
    [
        ("tensor_types", "ffn_down", "not of the form PATTERN=TYPE"),
        ("tensor_types", "ffn(=Q8_0", "is no regular expression"),
        ("tensor_types", f"{'a' * 200}=Q8_0", "at most 128 plain characters"),
        ("tensor_types", "ffn=Q9", "there is no tensor type 'Q9'"),
        ("output_type", "I32", "there is no tensor type 'I32'"),
        ("prune_layers", "3,-5", "not a list of layers"),
        ("max_buffer", "a lot", "not a size such as 128MiB"),
        ("max_buffer", "12", "less than 1.00 MiB"),
        ("threads", "9999", "of at most 1024"),
    ],
)
def test_a_field_that_cannot_be_used_says_why(field: str, text: str, reason: str) -> None:
    _, problem = check_field(QuantForm, field, text)
    assert reason in problem and problem.count("..") == 0


def test_fallbacks_of_layers_stand_together() -> None:
    layers = [Fallback(f"blk.{layer}.attn_k.weight", 576, "Q4_K", "Q5_0") for layer in range(30)]
    assert fallback_lines([*layers, Fallback("token_embd.weight", 576, "Q6_K", "Q8_0")]) == [
        "30 x blk.*.attn_k.weight Q4_K -> Q5_0 (rows of 576)",
        "token_embd.weight Q6_K -> Q8_0 (rows of 576)",
    ]


def measured(**weights_per_s: float) -> ThreadCalibration:
    def rate(per_s: float) -> Rate:
        return Rate(per_s, per_s, per_s)

    types = tuple(
        TypeRate(type_name=name, decode=rate(per_s), narrow=rate(per_s), prefill=rate(per_s))
        for name, per_s in weights_per_s.items()
    )
    return ThreadCalibration(
        threads=2, bandwidth=rate(1e10), node_s=1e-6, matmul_node_s=1e-6, element_s=1e-9, attention=(), types=types
    )


def test_a_speed_is_the_time_of_all_types_together() -> None:
    figures = measured(F16=1e9, Q4_K=4e9, Q6_K=2e9)
    # 8 weights at 4 and 2 at 2 take 3 units, where F16 takes 10.
    assert speed_beside_f16([("Q4_K", 800), ("Q6_K", 200)], figures).value == pytest.approx(10 / 3)
    assert speed_class(10 / 3) == "3.3x"


def test_a_speed_that_was_not_measured_is_not_made_up() -> None:
    figures = measured(F16=1e9, Q4_K=4e9)
    assert speed_beside_f16([("IQ4_XS", 900), ("Q4_K", 100)], figures).reason == "IQ4_XS is not calibrated"
    assert speed_beside_f16([("F32", 1), ("Q4_K", 999)], figures).value == pytest.approx(4)
    assert "not calibrated" in speed_beside_f16([("Q4_K", 1)], None).reason
    assert speed_class(None) == "-"
