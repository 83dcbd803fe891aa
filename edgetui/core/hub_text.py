"""What the hub tells, as words."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from edgetui.core.units import MISSING, format_bytes, format_count

if TYPE_CHECKING:
    from edgetui.core.hub import HubModel, HubPage, HubVariant, OnnxConfig
    from edgetui.core.models import ModelDetails


def short_date(iso: str) -> str:
    """`2026-11-23`, or `-`."""
    return iso[:10] if iso else MISSING


def short_count(count: int | None) -> str:
    """`1.2 M`, or `-`."""
    return MISSING if count is None else format_count(count)


def model_marks(model: HubModel) -> str:
    """`gguf, apache-2.0, asks for consent`; what is not told is left out."""
    parts = [*model.formats, model.licence, "asks for consent" if model.gated else ""]
    return ", ".join(part for part in parts if part)


def variant_size(variant: HubVariant) -> str:
    """`2.3 GiB`, `2.3 GiB in 2 files`."""
    size = variant.size_bytes
    words = MISSING if size is None else format_bytes(size)
    return words if len(variant.files) == 1 else f"{words} in {len(variant.files)} files"


def inside_line(details: ModelDetails) -> str:
    """`qwen3, 596M parameters, context 40960, chat template, 60 % Q4_K, 38 % Q6_K, 2 % F32`."""
    entry = details.entry
    total = sum(share.size_bytes for share in details.shares) or 1
    shares = [
        f"{share.size_bytes / total:.0%} {share.type_name}".replace("%", " %")
        for share in details.shares
        if share.size_bytes >= total / 200
    ]
    has_template = any(item.key == "tokenizer.chat_template" for item in details.metadata)
    parts = [
        entry.architecture or "",
        f"{format_count(entry.parameter_count)} parameters" if entry.parameter_count else "",
        f"context {entry.context_length}" if entry.context_length else "",
        ("chat template" if has_template else "no chat template") if entry.format == "gguf" else "",
        *shares[:4],
    ]
    return ", ".join(part for part in parts if part)


def onnx_line(config: OnnxConfig) -> str:
    """`phi3, 32 layers, context 131072, for onnxruntime-genai on CPU`."""
    engine = "onnxruntime-genai" if config.is_for_genai else "ONNX Runtime"
    parts = [
        config.model_type,
        f"{config.layers} layers" if config.layers else "",
        f"context {config.context_length}" if config.context_length else "",
        f"for {engine} on {', '.join(config.providers) or 'CPU'}",
    ]
    return ", ".join(part for part in parts if part)


def offline_line(problem: str, fetched_at: float) -> str:
    """Why, and from when, what is shown is not of now."""
    if not fetched_at:
        return f"{problem} This is from what was seen before."
    seen = datetime.datetime.fromtimestamp(fetched_at).astimezone()
    return f"{problem} This was seen on {seen:%Y-%m-%d %H:%M}."


def chosen_variant(page: HubPage, wanted: str) -> HubVariant | None:
    """The variant of that name or quantization type, or the only one whose name has it; None when there is none."""
    lower = wanted.lower()
    # A file's own name, with or without its folders, is what the hub's pages show.
    of_file = [each for each in page.variants if f"/{each.files[0].path.lower()}".endswith(f"/{lower}")]
    if len(of_file) == 1:
        return of_file[0]
    exact = [each for each in page.variants if lower in (each.name.lower(), each.quant_type.lower())]
    found = exact or [each for each in page.variants if lower in each.name.lower()]
    return found[0] if len(found) == 1 else None
