"""Memory of a model that is not here yet, part by part: arithmetic where there is no file for llama.cpp to simulate.

The tests and benchmarks/family_error.py hold it against simulated loads of files with the same tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.fit import MemoryParts
from edgetui.core.ggml import tensor_bytes
from edgetui.core.outline import multiplied_bytes, shape_of, type_of

if TYPE_CHECKING:
    from collections.abc import Container

    from edgetui.core.families import Member

DEFAULT_CONTEXT_TOKENS = 8192
"""As the engine takes where nothing is asked for."""
RUNTIME_BYTES = 45 * 1024**2
"""A worker with llama.cpp loaded and no model: Python, libraries (measured, Linux on x86-64)."""
VOCABULARY_BYTES_PER_TOKEN = 400
"""A token in llama.cpp's tables, merges included (measured with the 49152 tokens of SmolLM2)."""
METADATA_BYTES_PER_TOKEN = 36
"""A token in a file's header, merges included (as above)."""
_PAD = 256
"""llama.cpp rounds a context up to a multiple of it."""
_F32, _F16 = 4, 2


def memory_of(
    member: Member,
    type_name: str,
    *,
    context_tokens: int = 0,
    batch_tokens: int = 512,
    kv_cache_type: str = "f16",
    rearranged_types: Container[str] = (),
) -> MemoryParts:
    """Bytes by part of a worker that maps the member's file of a type; 0 tokens take what the engine would.

    One that reads the file instead keeps nothing a second time and takes no more than this.

    `rearranged_types` are ggml's names of those that this processor's backend keeps a second time. Raises `KeyError`
    for a file type that is not in `core.type_mix.BASE_TYPES`.
    """
    context_tokens = context_tokens or min(member.context, DEFAULT_CONTEXT_TOKENS)
    batch_tokens = min(batch_tokens, context_tokens)
    padded = -(-context_tokens // _PAD) * _PAD
    shape = shape_of(member, type_name)
    element = type_of(kv_cache_type.upper())
    # Layers with a window get room for the whole context too: their cache can then be cut back to any token.
    kv_cache = sum(
        tensor_bytes(element, (padded * layer.key_width,)) + tensor_bytes(element, (padded * layer.value_width,))
        for layer in shape.layers
    )
    copied = sum(size for name, size in multiplied_bytes(member, type_name).items() if name in rearranged_types)
    return MemoryParts(
        weights_mapped=shape.weights_bytes + METADATA_BYTES_PER_TOKEN * member.vocabulary,
        weights_copied=copied,
        kv_cache=kv_cache,
        compute=_compute_bytes(member, batch_tokens, padded),
        output=member.vocabulary * _F32,
        runtime=RUNTIME_BYTES + VOCABULARY_BYTES_PER_TOKEN * member.vocabulary,
    )


def _compute_bytes(member: Member, batch_tokens: int, padded: int) -> int:
    """Intermediate results that are alive at once while a batch passes its widest point, and the attention masks.

    Which these are was read off simulated loads: in a dense layer gate, up and their product, three vectors of the
    embedding's length and the queries; in a mixture of experts the experts' inner and outer results, twice.
    """
    width, inner, queries = member.embedding, member.feed_forward, member.heads * member.head
    if member.experts:
        floats = 2 * member.active_experts * (width + member.expert_feed_forward)
    elif member.architecture == "phi3":
        floats = 3 * (inner + width)
    else:
        floats = 3 * (inner + width) + queries
    if member.architecture == "gemma3n":
        floats += 6 * width + member.per_layer_embedding * member.layers
    masks = 2 if member.window else 1
    return batch_tokens * (floats * _F32 + masks * padded * _F16)
