"""The vocabulary of an MLX model, by its folder's tokenizer.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetui.engines.mlx.failures import told
from edgetui.engines.mlx.tokens import TOKENIZER_CONFIG, read_tokenizer
from edgetui.engines.token_spelling import special_word, token_ids
from edgetui.engines.tokenizer_vocabulary import TokenizerVocabulary
from edgetui.formats.model_folder import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read_vocabulary(folder: Path, config: Mapping[str, Any]) -> TokenizerVocabulary:
    """Of a model's folder and its configuration; raises `EdgetuiError("bad_file")`."""
    tokenizer = read_tokenizer(folder)
    words = read_json(folder / TOKENIZER_CONFIG)
    generation = read_json(folder / "generation_config.json")
    named = special_word(words.get("eos_token"))
    return TokenizerVocabulary(
        folder.name,
        tokenizer,
        told,
        ends=(
            *token_ids(config.get("eos_token_id")),
            *token_ids(generation.get("eos_token_id")),
            *token_ids(tokenizer.token_to_id(named) if named else None),
        ),
        bos_word=special_word(words.get("bos_token")),
        eos_word=named,
    )
