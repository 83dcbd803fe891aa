"""Two models held side by side: what their files say differently, and where their bytes are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.units import MISSING, format_bytes, format_count

if TYPE_CHECKING:
    from edgetui.core.models import MetadataItem, ModelDetails, TensorItem

# GGUF's names and safetensors'; the first that matches counts.
_PARTS = (
    ("norms", re.compile(r"norm")),
    ("token embedding", re.compile(r"token_embd|embed_tokens|wte\b|per_layer_tok")),
    ("output", re.compile(r"^output\.|lm_head")),
    ("experts", re.compile(r"_exps|experts\.|ffn_gate_inp|_shexp")),
    ("attention", re.compile(r"attn|attention")),
    ("feed-forward", re.compile(r"ffn|mlp|feed_forward")),
    ("state space", re.compile(r"ssm|mamba|conv")),
)
_OTHER = "other"
_VALUE_CHARACTERS = 200


class DiffRow(NamedTuple):
    """One line of the comparison."""

    section: str
    label: str
    left: str
    right: str

    @property
    def differs(self) -> bool:
        """Whether both sides say something else."""
        return self.left != self.right


def part_of(tensor_name: str) -> str:
    """The part of a model that a tensor belongs to, by its name."""
    return next((part for part, pattern in _PARTS if pattern.search(tensor_name)), _OTHER)


def compare(left: ModelDetails, right: ModelDetails) -> tuple[DiffRow, ...]:
    """Whole: the facts of both; then size and types by part, all metadata and all tensors that differ."""
    facts = zip(_FACTS, _facts(left), _facts(right), strict=True)
    rows = [DiffRow("Files", label, one, other) for label, one, other in facts]
    rows += _by_part(left, right)
    rows += _metadata(left.metadata, right.metadata)
    rows += _tensors(left.tensors, right.tensors)
    return tuple(rows)


_FACTS = ("size", "bits per weight", "parameters", "type", "architecture", "context", "tensors", "made from")


def _facts(details: ModelDetails) -> tuple[str, ...]:
    entry = details.entry
    bits = entry.bits_per_weight
    return (
        f"{format_bytes(entry.size_bytes)} ({entry.size_bytes:,} bytes)",
        f"{bits:.2f}" if bits else MISSING,
        format_count(entry.parameter_count),
        entry.quant_type or MISSING,
        entry.architecture or MISSING,
        str(entry.context_length or MISSING),
        str(len(details.tensors)),
        entry.parent or entry.repo or MISSING,
    )


def _by_part(left: ModelDetails, right: ModelDetails) -> list[DiffRow]:
    sides = []
    for details in (left, right):
        parts: dict[str, dict[str, int]] = {}
        for tensor in details.tensors:
            types = parts.setdefault(part_of(tensor.name), {})
            types[tensor.type_name] = types.get(tensor.type_name, 0) + tensor.size_bytes
        sides.append(parts)
    names = [name for name, _ in _PARTS] + [_OTHER]
    return [
        DiffRow("Size by part", name, *(_part_text(side.get(name, {})) for side in sides))
        for name in names
        if any(name in side for side in sides)
    ]


def _part_text(types: dict[str, int]) -> str:
    if not types:
        return MISSING
    ordered = sorted(types, key=lambda name: -types[name])
    return f"{format_bytes(sum(types.values()))} in {', '.join(ordered)}"


def _metadata(left: tuple[MetadataItem, ...], right: tuple[MetadataItem, ...]) -> list[DiffRow]:
    one, other = ({item.key: item.value for item in items} for items in (left, right))
    return [
        DiffRow("Metadata that differs", key, *(_value(side.get(key)) for side in (one, other)))
        for key in sorted(one.keys() | other.keys())
        if one.get(key) != other.get(key)
    ]


def _value(value: str | None) -> str:
    if value is None:
        return MISSING
    if len(value) > _VALUE_CHARACTERS:
        return f"{value[:_VALUE_CHARACTERS]}... ({len(value):,} characters)"
    return value


def _tensors(left: tuple[TensorItem, ...], right: tuple[TensorItem, ...]) -> list[DiffRow]:
    one, other = ({tensor.name: tensor for tensor in tensors} for tensors in (left, right))
    names = list(one) + [name for name in other if name not in one]
    rows = [
        DiffRow("Tensors that differ", name, *(_tensor_text(side.get(name)) for side in (one, other))) for name in names
    ]
    return [row for row in rows if row.differs]


def _tensor_text(tensor: TensorItem | None) -> str:
    if tensor is None:
        return MISSING
    return f"{tensor.type_name} {' x '.join(map(str, tensor.shape))}"
