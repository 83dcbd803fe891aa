"""A tiny Llama with random weights, saved as safetensors, goes through llama.cpp's own converter."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

from edgetui.core.failures import EdgetuiError
from edgetui.formats.gguf import check_loadable

MODEL = "tiny.gguf"
_WORDS = ("the quick brown fox jumps over the lazy dog", "pack my box with five dozen liquor jugs")
_VOCABULARY = 320
"""256 bytes, the special tokens, and some pieces of the words above."""


def prove(folder: Path) -> str:
    """Write `tiny.gguf` into the folder; llama.cpp reads it elsewhere."""
    import torch
    import transformers

    source, made = folder / "tiny", folder / MODEL
    source.mkdir()
    pieces = _write_tokenizer(source / "tokenizer.model")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=pieces,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=128,
    )
    model = transformers.LlamaForCausalLM(config)
    model.save_pretrained(source)
    _convert(source, made)
    check_loadable(made)
    return (
        f"transformers {transformers.__version__} on torch {torch.__version__} made a Llama of"
        f" {model.num_parameters()} weights, and the converter made a GGUF file of {made.stat().st_size} bytes of it"
    )


def _write_tokenizer(path: Path) -> int:
    """A SentencePiece model with a token for every byte; returns how many tokens it has."""
    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_WORDS),
        model_writer=written,
        model_type="bpe",
        vocab_size=_VOCABULARY,
        hard_vocab_limit=False,
        byte_fallback=True,
        minloglevel=2,
    )
    path.write_bytes(written.getvalue())
    return int(sentencepiece.SentencePieceProcessor(model_proto=written.getvalue()).vocab_size())


def _convert(source: Path, made: Path) -> None:
    converter = Path(sys.prefix) / "llama.cpp" / "convert_hf_to_gguf.py"
    if not converter.exists():
        raise EdgetuiError("engine_missing", "its converter is gone")
    command = [sys.executable, str(converter), str(source), "--outfile", str(made), "--outtype", "f16"]
    # It imports what lies beside it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    answer = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=environment
    )
    if answer.returncode or not made.exists():
        said = [line for line in answer.stderr.splitlines() if line.strip()]
        raise EdgetuiError("crashed", f"its converter fails: {said[-1] if said else answer.returncode}", answer.stderr)
