"""A Llama of two layers with the demo model's tokenizer: as good as a large one for everything but its answers."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

WIDTH, HEADS, KV_HEADS, FEED_FORWARD, LAYERS, VOCABULARY = 64, 4, 2, 128, 2, 49152
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": WIDTH,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "head_dim": WIDTH // HEADS,
    "intermediate_size": FEED_FORWARD,
    "num_hidden_layers": LAYERS,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_NUMPY = {"F32": np.float32, "F16": np.float16}
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def shapes(layers: int = LAYERS) -> dict[str, tuple[int, ...]]:
    kv_width = WIDTH // HEADS * KV_HEADS
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (VOCABULARY, WIDTH),
        "model.norm.weight": (WIDTH,),
    }
    for number in range(layers):
        found |= {
            f"model.layers.{number}.{name}": shape
            for name, shape in {
                "input_layernorm.weight": (WIDTH,),
                "post_attention_layernorm.weight": (WIDTH,),
                "self_attn.q_proj.weight": (WIDTH, WIDTH),
                "self_attn.k_proj.weight": (kv_width, WIDTH),
                "self_attn.v_proj.weight": (kv_width, WIDTH),
                "self_attn.o_proj.weight": (WIDTH, WIDTH),
                "mlp.gate_proj.weight": (FEED_FORWARD, WIDTH),
                "mlp.up_proj.weight": (FEED_FORWARD, WIDTH),
                "mlp.down_proj.weight": (WIDTH, FEED_FORWARD),
            }.items()
        }
    return found


def write_tiny(folder: Path, demo: Path, *, dtype: str = "BF16", shards: int = 1, **changed: Any) -> Path:
    """The folder, with a tokenizer linked to that of `demo`; `changed` overrides the configuration, None drops."""
    folder.mkdir()
    tensors, rng = list(shapes().items()), np.random.default_rng(1)
    names = [f"model-{n + 1:05d}-of-{shards:05d}.safetensors" for n in range(shards)]
    weight_map: dict[str, str] = {}
    for number in range(shards):
        name = names[number] if shards > 1 else "model.safetensors"
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        blob = bytearray()
        for tensor, shape in tensors[number::shards]:
            values = rng.normal(size=shape).astype(np.float32)
            # The upper half of a 32-bit number is the same number in BF16.
            raw = (values.view(np.uint32) >> 16).astype(np.uint16) if dtype == "BF16" else values.astype(_NUMPY[dtype])
            header[tensor] = {"dtype": dtype, "shape": shape, "data_offsets": [len(blob), len(blob) + raw.nbytes]}
            blob += raw.tobytes()
            weight_map[tensor] = name
        text = json.dumps(header).encode()
        (folder / name).write_bytes(struct.pack("<Q", len(text)) + text + blob)
    if shards > 1:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    config = {key: value for key, value in {**CONFIG, **changed}.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    for name in _TOKENIZER:
        (folder / name).symlink_to(demo / name)
    return folder
