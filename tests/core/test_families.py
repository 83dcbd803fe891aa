"""The data of the model families holds together: figures of shape add up to the published number of parameters."""

from __future__ import annotations

import pytest

from edgetui.core.outline import shape_of, tensors_of
from edgetui.services.families import read_families

MEMBERS = [member for family in read_families() for member in family.members]


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_the_tensors_of_a_member_hold_the_published_number_of_parameters(member) -> None:  # type: ignore[no-untyped-def]
    assert sum(tensor.elements for tensor in tensors_of(member)) == pytest.approx(member.parameters, rel=0.001)


def test_names_and_hub_ids_are_those_of_one_member_each() -> None:
    names = [member.name for member in MEMBERS]
    assert len(set(names)) == len(names)
    originals = [member.original for member in MEMBERS]
    assert len(set(originals)) == len(originals)
    for member in MEMBERS:
        assert all(
            hub_id.count("/") == 1 for hub_id in (member.original, member.gguf, member.onnx, member.mlx) if hub_id
        )
        assert member.source.startswith("https://") and (
            member.score is None or member.score.source.startswith("https://")
        )
        assert member.heads % member.kv_heads == 0 and member.languages and member.tasks


def test_a_mixture_of_experts_reads_its_active_weights_only() -> None:
    member = next(member for member in MEMBERS if member.name == "Qwen3-30B-A3B")
    shape = shape_of(member, "Q4_K_M")
    # 3.3 billion active by its makers' count, which has the embedding's 0.3 in it.
    assert shape.active_weights / 1e9 == pytest.approx(3.35 - 0.31, abs=0.05)
    assert shape.bytes_per_token < shape.weights_bytes / 5
