"""What the JSON beside an ONNX build says of it: onnxruntime-genai's `genai_config.json`, else `config.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.hub import OnnxConfig
from edgetui.formats.regular_file import open_regular

if TYPE_CHECKING:
    from pathlib import Path

_MOST_BYTES = 1024 * 1024


def read_onnx_config(folder: Path) -> OnnxConfig:
    """Never raises: a build without a readable configuration only says less."""
    genai = _object(folder / "genai_config.json").get("model")
    if isinstance(genai, dict):
        decoder = _inner(genai, "decoder")
        options = _inner(decoder, "session_options").get("provider_options")
        return OnnxConfig(
            model_type=_text(genai.get("type")),
            context_length=_number(genai.get("context_length")),
            layers=_number(decoder.get("num_hidden_layers")),
            providers=tuple(
                str(name)
                for option in (options if isinstance(options, list) else [])
                if isinstance(option, dict)
                for name in option
            ),
            is_for_genai=True,
        )
    config = _object(folder / "config.json")
    return OnnxConfig(
        model_type=_text(config.get("model_type")),
        context_length=_number(config.get("max_position_embeddings")),
        layers=_number(config.get("num_hidden_layers")),
    )


def _object(path: Path) -> dict[str, Any]:
    try:
        with open_regular(path) as stream:
            told = msgspec.json.decode(stream.read(_MOST_BYTES))
    except (OSError, EdgetuiError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _inner(told: dict[str, Any], key: str) -> dict[str, Any]:
    inner = told.get(key)
    return inner if isinstance(inner, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
