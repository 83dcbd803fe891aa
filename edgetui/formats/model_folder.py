"""What a folder is: safetensors, MLX or ONNX models, which of its files belong to each, and what is missing of one.

Only small JSON files are read here; headers of weights are for `safetensors.py` and `onnx.py`.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.formats.gguf import split_parts
from edgetui.formats.regular_file import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgetui.core.models import ModelFormat

CONFIG, GENAI_CONFIG = "config.json", "genai_config.json"
INDEX = "model.safetensors.index.json"
_MOST_CONFIG_BYTES = 1 << 20
_MOST_INDEX_BYTES = 64 << 20
_MOST_SHARDS = 999
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors")
_DATA = re.compile(r"\.onnx[._]data[^/]*$|\.data$|\.onnx\.bin$")
_COMPANION = re.compile(
    r".+\.(json|jinja|tiktoken|spm)|tokenizer\.model|sentencepiece\.bpe\.model|vocab\.txt|merges\.txt|.+\.py"
    r"|(readme|license|licence|notice|model_card)(\.\w+)?",
    re.IGNORECASE,
)
"""Configuration, tokenizer, code and papers that come with weights."""
_FIRST_BYTES = 1024
_MADE_BY_MLX = re.compile(rb'"__metadata__"\s*:\s*\{[^}]*"format"\s*:\s*"mlx"')
TOKENIZERS = (
    "tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model",
    "tekken.json", "tokenizer.tiktoken",
)  # fmt: skip
"""Any one of them is a tokenizer."""


class FolderModel(NamedTuple):
    """A model that a folder holds."""

    format: ModelFormat
    parts: tuple[Path, ...]
    """The file to hand to an engine, then all others; one that the model names may be missing."""
    is_folder: bool
    """Whether the folder itself is the model, and not one file in it."""


def models_of(folder: Path, names: Iterable[str], *, is_container: bool = False) -> list[FolderModel]:
    """The models made of these files of a folder; hidden names are left out.

    `is_container` for a folder in which models are gathered: an .onnx file there is a model by itself.
    """
    names = sorted(name for name in names if not name.startswith("."))
    found = []
    weights = [name for name in names if name.lower().endswith(".safetensors")]
    graphs = [name for name in names if name.lower().endswith(".onnx")]
    if not weights and not graphs:
        return []
    companions = [name for name in names if _COMPANION.fullmatch(name)]
    if weights and CONFIG in names:
        chosen = shards(folder, names)
        made_for: ModelFormat = "mlx" if _is_mlx(folder, chosen[0]) else "safetensors"
        found.append(FolderModel(made_for, _paths(folder, chosen, companions), is_folder=True))
    if graphs:
        found += _graphs(folder, names, graphs, companions, is_alone=not is_container and not found)
    return found


def shards(folder: Path, names: Iterable[str]) -> list[str]:
    """Names of the weight files of the one model in a folder, in order; those that are named but missing too."""
    names = set(names)
    weights = sorted(name for name in names if name.lower().endswith(".safetensors"))
    if INDEX in names:
        index = read_json(folder / INDEX, _MOST_INDEX_BYTES).get("weight_map")
        named = set(index.values()) if isinstance(index, dict) else set()
        # Anything may stand in an index; a shard lies beside it.
        safe = sorted(name for name in named if isinstance(name, str) and Path(name).name == name)
        # One file in place of shards leaves an index without any, where people forget it.
        if safe and ("model.safetensors" not in names or not names.isdisjoint(safe)):
            return safe[:_MOST_SHARDS]
    if "model.safetensors" in names:
        return ["model.safetensors"]
    found: list[str] = []
    for name in weights:
        if (split := _SHARD.fullmatch(name)) and int(split[3]) <= _MOST_SHARDS:
            found += (f"{split[1]}-{number:05d}-of-{split[3]}.safetensors" for number in range(1, int(split[3]) + 1))
        else:
            found.append(name)
    return list(dict.fromkeys(found))


def check_convertible(folder: Path) -> None:
    """Whether a folder has what toolchains need beside weights; raises `EdgetuiError("bad_file")`."""
    config = folder / CONFIG
    if not config.is_file():
        raise EdgetuiError(
            "bad_file",
            f"{folder.name} has no {CONFIG}, which says what its weights are for: put the one of its repository there.",
        )
    told = read_json(config)
    if not told:
        raise EdgetuiError("bad_file", f"{config.name} in {folder.name} is not readable JSON: get it again.")
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise EdgetuiError(
            "bad_file",
            f"{folder.name} has no tokenizer (such as {TOKENIZERS[0]}): put the files of its repository there.",
        )


def chat_template(folder: Path) -> str:
    """The template by which a folder's model takes a conversation; empty where it has none."""
    try:
        with open_regular(folder / "chat_template.jinja") as stream:
            return stream.read(_MOST_CONFIG_BYTES).decode("utf-8", "replace")
    except (OSError, EdgetuiError):
        template = read_json(folder / "tokenizer_config.json", _MOST_INDEX_BYTES).get("chat_template")
    if isinstance(template, list):
        # Several by name; the one called `default` is the conversation's.
        named = [each for each in template if isinstance(each, dict) and each.get("name") == "default"]
        template = named[0].get("template") if named else None
    return template if isinstance(template, str) else ""


def engine_file(path: Path) -> Path:
    """The file to hand to an engine of a model that is a folder; a file is its own.

    Raises `EdgetuiError("bad_file")` for a folder that is no model.
    """
    if not path.is_dir():
        return path
    found = models_of(path, [each.name for each in path.iterdir()])
    if not found:
        raise EdgetuiError("bad_file", f"{path.name} holds no model: make it again.")
    return found[0].parts[0]


def model_parts(path: Path) -> tuple[Path, ...]:
    """Every file of the model whose file for an engine this is; of a GGUF model itself with its further parts."""
    for model in models_of(path.parent, [each.name for each in path.parent.iterdir()]):
        if model.parts[0] == path:
            return tuple(part for part in model.parts if part.exists())
    return split_parts(path)


def others_in(folder: Path, parts: Iterable[Path]) -> list[Path]:
    """Files in a folder, and below it, that are none of these."""
    mine = set(parts)
    return [path for path in sorted(folder.rglob("*")) if path not in mine and (path.is_symlink() or not path.is_dir())]


def remove_empty(folder: Path) -> None:
    """Remove a folder and those in it that hold nothing; one into which something came meanwhile stays."""
    for base, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            os.rmdir(base)


def is_weights(path: Path) -> bool:
    """Whether a file holds a model's weights by its name, and is nothing small beside them."""
    return path.suffix.lower() in (".gguf", ".safetensors", ".onnx") or _DATA.search(path.name) is not None


def read_json(path: Path, most_bytes: int = _MOST_CONFIG_BYTES) -> dict[str, Any]:
    """An object in a small file; empty for what cannot be read or is none."""
    try:
        with open_regular(path) as stream:
            told = msgspec.json.decode(stream.read(most_bytes))
    except (OSError, EdgetuiError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _is_mlx(folder: Path, first: str) -> bool:
    """mlx-lm writes `quantization` into the configuration, and who made them into its weights.

    Other libraries know `quantization_config` only.
    """
    if isinstance(read_json(folder / CONFIG).get("quantization"), dict):
        return True
    try:
        with open_regular(folder / first) as stream:
            # Names of tensors come after it in the order that the format's writers keep.
            return _MADE_BY_MLX.search(stream.read(_FIRST_BYTES)) is not None
    except (OSError, EdgetuiError):
        return False


def _graphs(
    folder: Path, names: list[str], graphs: list[str], companions: list[str], *, is_alone: bool
) -> list[FolderModel]:
    data = [name for name in names if _DATA.search(name)]
    if GENAI_CONFIG in names:
        decoder = _decoder(folder, graphs)
        others = [name for name in graphs if name != decoder]
        return [FolderModel("onnx", _paths(folder, [decoder], others, data, companions), is_folder=True)]
    main = "model.onnx" if "model.onnx" in graphs else graphs[0] if len(graphs) == 1 else ""
    if not is_alone:
        main = ""
    found = []
    for graph in sorted(graphs, key=lambda name: name != main):
        stem = graph.rpartition(".")[0]
        own = [name for name in data if name.startswith((f"{graph}.", f"{graph}_", f"{stem}.data"))]
        if graph == main and len(graphs) == 1:
            own = data
        papers = companions if graph == main else []
        found.append(FolderModel("onnx", _paths(folder, [graph], own, papers), is_folder=graph == main))
    return found


def _decoder(folder: Path, graphs: list[str]) -> str:
    """The graph that onnxruntime-genai runs for each token."""
    inner: Any = read_json(folder / GENAI_CONFIG)
    for key in ("model", "decoder", "filename"):
        inner = inner.get(key) if isinstance(inner, dict) else None
    if isinstance(inner, str) and inner in graphs:
        return inner
    return "model.onnx" if "model.onnx" in graphs else graphs[0]


def _paths(folder: Path, *groups: Iterable[str]) -> tuple[Path, ...]:
    return tuple(folder / name for name in dict.fromkeys(name for group in groups for name in group))
