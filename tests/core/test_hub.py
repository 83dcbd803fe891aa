"""Variants made of a repository's files, and what is not let through."""

from __future__ import annotations

import pytest

from edgetui.core.card_text import honest_card
from edgetui.core.hub import HubFile, HubModel, HubPage, is_safe_path, variants_of
from edgetui.core.hub_text import chosen_variant, model_marks, offline_line
from edgetui.core.rough_fit import rough_fit, rough_order
from edgetui.core.units import GIB


def files(*sizes: tuple[str, int]) -> tuple[HubFile, ...]:
    return tuple(HubFile(path=path, size_bytes=size) for path, size in sizes)


def test_a_split_gguf_is_one_variant_and_says_which_parts_are_missing() -> None:
    found = variants_of(
        files(
            ("big-Q4_K_M-00002-of-00003.gguf", 20),
            ("big-Q4_K_M-00001-of-00003.gguf", 10),
            ("Q8_0/big-Q8_0.gguf", 5),
            ("mmproj-F16.gguf", 1),
            ("imatrix.gguf", 1),
            ("README.md", 1),
        )
    )
    assert [(each.name, each.quant_type, each.size_bytes) for each in found] == [
        ("big-Q8_0", "Q8_0", 5),
        ("big-Q4_K_M", "Q4_K_M", 30),
    ]
    assert found[1].missing == ("big-Q4_K_M-00003-of-00003.gguf",) and not found[0].missing
    assert found[1].files[0].path.endswith("00001-of-00003.gguf")


def test_an_onnx_model_comes_with_its_data_and_what_stands_beside_it() -> None:
    (plain,) = variants_of(
        files(("onnx/model.onnx", 1), ("onnx/model.onnx_data", 50), ("onnx/other.txt", 9), ("tokenizer.json", 2))
    )
    assert [file.path for file in plain.files] == ["onnx/model.onnx", "onnx/model.onnx_data", "tokenizer.json"]
    (genai,) = variants_of(
        files(("cpu/int4/model.onnx", 1), ("cpu/int4/model.onnx.data", 50), ("cpu/int4/genai_config.json", 1))
    )
    assert genai.format == "onnx" and genai.name == "int4" and genai.size_bytes == 52


def test_safetensors_are_one_variant_and_mlx_by_its_tag() -> None:
    listed = files(
        ("model-00001-of-00002.safetensors", 10),
        ("model-00002-of-00002.safetensors", 10),
        ("config.json", 1),
        ("adapter_model.safetensors", 3),
    )
    assert [(each.name, each.size_bytes) for each in variants_of(listed)] == [("safetensors", 21)]
    assert [each.format for each in variants_of(listed, ("mlx",))] == ["mlx"]


@pytest.mark.parametrize(
    "path", ["../a", "a/../b", "/a", "a//b", "", ".", "a\\b", "a\nb", "c:a", "a /b", "x" * 500, "a/b."]
)
def test_a_path_that_leads_elsewhere_is_not_safe_and_belongs_to_no_variant(path: str) -> None:
    assert not is_safe_path(path)
    assert variants_of(files((f"{path}/m.gguf", 1), (f"{path}\0.gguf", 1))) == ()


def test_a_path_inside_is_safe() -> None:
    assert all(
        is_safe_path(path) for path in ("a.gguf", "onnx/model.onnx", "Modell größer-Q4_0.gguf", ".gitattributes")
    )


def test_a_variant_is_chosen_by_type_name_or_part_of_its_name() -> None:
    variants = variants_of(files(("m-Q4_K_M.gguf", 2), ("m-Q4_K_S.gguf", 1), ("m-Q8_0.gguf", 3)))
    page = HubPage(model=HubModel(repo="a/m"), commit="0", revision="main", card="", files=(), variants=variants)
    assert [chosen_variant(page, wanted).name for wanted in ("q8_0", "m-Q4_K_S", "4_k_m")] == [  # type: ignore[union-attr]
        "m-Q8_0",
        "m-Q4_K_S",
        "m-Q4_K_M",
    ]
    assert chosen_variant(page, "Q4") is None and chosen_variant(page, "Q6_K") is None


def test_marks_say_format_licence_and_consent() -> None:
    model = HubModel(repo="a/m", tags=("gguf", "mlx", "license:mit", "en"), gated=True)
    assert model_marks(model) == "gguf, mlx, mit, asks for consent"
    assert offline_line("No link.", 0.0) == "No link. This is from what was seen before."
    assert offline_line("No link.", 1e9).startswith("No link. This was seen on 2001-09-0")


def test_a_rough_fit_goes_by_four_bits_a_weight_and_knows_when_it_knows_nothing() -> None:
    assert [rough_fit(count, 8 * GIB) for count in (4_000_000_000, 12_000_000_000, 32_000_000_000)] == [
        "fits",
        "tight",
        "too big",
    ]
    assert rough_fit(None, 8 * GIB) == rough_fit(1, None) == ""
    by_fit = sorted([70, 12, None, 4, 8], key=lambda count: rough_order(count and count * 10**9, 8 * GIB))
    assert by_fit == [8, 4, 12, None, 70]


def test_a_cards_links_are_shown_as_what_they_are() -> None:
    card = "[free model](https://evil.example/x 'y') <a href='https://evil.example'>click</a> ![logo](http://a/b.png)"
    assert honest_card('[free model](https://evil.example/x "y")') == "free model (`https://evil.example/x`)"
    assert "href" not in honest_card(card) and "b.png" not in honest_card(card)
    assert honest_card("[https://a.example](https://a.example)") == "`https://a.example`"
