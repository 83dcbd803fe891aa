"""A model's tokenizer, from its tokenizer.json alone: nothing of transformers, no code of the model's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.formats.model_folder import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"


def read_tokenizer(folder: Path) -> Any:
    """The `tokenizers.Tokenizer` of a folder, which neither cuts nor fills up texts.

    Raises `EdgetuiError("bad_file")` where there is no usable one.
    """
    from tokenizers import Tokenizer

    path = folder / TOKENIZER
    if not path.is_file():
        raise EdgetuiError(
            "bad_file", f"{folder.name} has no {TOKENIZER}: put the one of its repository into the folder."
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        # The package raises bare exceptions from its native part.
        raise EdgetuiError(
            "bad_file", f"{TOKENIZER} in {folder.name} is not a tokenizer: get it again.", detail=str(error)
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


class Tokens:
    """Text to token ids; raises `EdgetuiError("bad_file")` where there is no usable tokenizer.json."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self._tokenizer = read_tokenizer(folder)
        # A special token written out in a text is text like any other, as for llama-perplexity.
        self._tokenizer.encode_special_tokens = True
        self._bos = config.get("bos_token_id")
        self._wants_bos = self._adds_bos(folder)

    @property
    def bos(self) -> int | None:
        """The token that stands before a text, None for a model that wants none."""
        return self._bos if self._wants_bos and isinstance(self._bos, int) else None

    def encode(self, text: str, *, add_special: bool) -> list[int]:
        """Token ids of a text."""
        return list(self._tokenizer.encode(text, add_special_tokens=add_special).ids)

    def _adds_bos(self, folder: Path) -> bool:
        """Whether the tokenizer itself, or its configuration, puts the beginning of sequence before a text."""
        beginning = self._tokenizer.encode("a", add_special_tokens=True).ids[:1]
        if beginning == [self._bos]:
            return True
        return read_json(folder / TOKENIZER_CONFIG).get("add_bos_token") is True and isinstance(self._bos, int)
