"""The vocabulary of an ONNX decoder, by the tokenizer.json beside its graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.engines.onnx_runtime.beside import configuration
from edgetui.engines.onnx_runtime.failures import told
from edgetui.engines.onnx_runtime.tokens import read_tokenizer
from edgetui.engines.token_spelling import special_word, token_ids
from edgetui.engines.tokenizer_vocabulary import TokenizerVocabulary
from edgetui.formats.model_folder import GENAI_CONFIG

if TYPE_CHECKING:
    from pathlib import Path


def read_vocabulary(path: Path) -> TokenizerVocabulary:
    """Of the graph at `path`; raises `EdgetuiError`: `not_found`, `bad_file`."""
    tokenizer = read_tokenizer(path)
    genai = configuration(path, GENAI_CONFIG).get("model", {})
    generation = configuration(path, "generation_config.json")
    words = configuration(path, "tokenizer_config.json")
    return TokenizerVocabulary(
        path.name,
        tokenizer,
        told,
        ends=(*token_ids(genai.get("eos_token_id")), *token_ids(generation.get("eos_token_id"))),
        bos_word=special_word(words.get("bos_token")),
        eos_word=special_word(words.get("eos_token")),
    )
