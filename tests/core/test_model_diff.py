from __future__ import annotations

from pathlib import Path

import pytest

from edgetui.core.model_diff import compare, part_of
from edgetui.core.models import MetadataItem, ModelDetails, ModelEntry, TensorItem


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("token_embd.weight", "token embedding"),
        ("model.embed_tokens.weight", "token embedding"),
        ("output.weight", "output"),
        ("lm_head.weight", "output"),
        ("output_norm.weight", "norms"),
        ("blk.3.attn_norm.weight", "norms"),
        ("blk.3.attn_output.weight", "attention"),
        ("model.layers.0.self_attn.q_proj.weight", "attention"),
        ("blk.3.ffn_down.weight", "feed-forward"),
        ("blk.3.ffn_down_exps.weight", "experts"),
        ("model.layers.0.mlp.up_proj.weight", "feed-forward"),
        ("blk.0.ssm_in.weight", "state space"),
        ("rope_freqs.weight", "other"),
    ],
)
def test_tensors_belong_to_the_parts_that_their_names_tell(name: str, part: str) -> None:
    assert part_of(name) == part


def details(name: str, kind: str, tensors: tuple[TensorItem, ...], **metadata: str) -> ModelDetails:
    size = sum(tensor.size_bytes for tensor in tensors)
    entry = ModelEntry(
        name=name, path=Path(f"{name}.gguf"), parts=(), source="folder", format="gguf", size_bytes=size, quant_type=kind
    )
    return ModelDetails(
        entry, tuple(MetadataItem(key, "string", value) for key, value in metadata.items()), (), tensors
    )


def test_sizes_are_told_by_part_and_only_differing_metadata_and_tensors_are_listed() -> None:
    same = TensorItem("output_norm.weight", "F32", (64,), 256)
    left = details(
        "a", "Q8_0", (TensorItem("blk.0.attn_q.weight", "Q8_0", (64, 64), 4352), same), author="x", licence="mit"
    )
    right = details(
        "b",
        "Q4_K_M",
        (
            TensorItem("blk.0.attn_q.weight", "Q4_K", (64, 64), 2304),
            same,
            TensorItem("blk.0.attn_k.bias", "F32", (64,), 256),
        ),
        author="y",
        licence="mit",
        added="long" * 100,
    )
    rows = {(row.section, row.label): (row.left, row.right) for row in compare(left, right)}
    assert rows["Files", "type"] == ("Q8_0", "Q4_K_M")
    assert rows["Size by part", "attention"] == ("4.25 KiB in Q8_0", "2.50 KiB in Q4_K, F32")
    assert rows["Size by part", "norms"] == ("256 B in F32", "256 B in F32")
    assert rows["Metadata that differs", "author"] == ("x", "y")
    assert (
        rows["Metadata that differs", "added"][0] == "-"
        and "(400 characters)" in rows["Metadata that differs", "added"][1]
    )
    assert ("Metadata that differs", "licence") not in rows
    assert rows["Tensors that differ", "blk.0.attn_q.weight"] == ("Q8_0 64 x 64", "Q4_K 64 x 64")
    assert rows["Tensors that differ", "blk.0.attn_k.bias"] == ("-", "F32 64")
    assert ("Tensors that differ", "output_norm.weight") not in rows
