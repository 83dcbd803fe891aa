"""Local text for Olive: windows of tokens, as a dataset of its registry that needs no package and no hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.olive_config import TEXT_DATASET
from edgetui.core.plain_text import plain_line

TOPICS = "topics"
"""Text that is there wherever Python is: the topics of its documentation."""
_MOST_TEXT_BYTES = 64 * 1024**2


def register(source: Path, *, is_onnx: bool) -> None:
    """Make the dataset known, for a model whose graph or first weights are `source`."""
    from olive.data.registry import Registry

    def load(
        data_dir: object = None, text: str = TOPICS, samples: int = 16, tokens: int = 128, **_: object
    ) -> list[tuple[dict[str, Any], Any]]:
        return windows(source, read_text(text), samples, tokens, is_onnx=is_onnx)

    Registry.register_dataset(TEXT_DATASET)(load)


def read_text(text: str) -> str:
    """The topics, or what a file holds; raises `EdgetuiError`: `not_found`, `bad_file`."""
    if text == TOPICS:
        from pydoc_data.topics import topics

        return "\n\n".join(topics.values())
    path = Path(text).expanduser()
    try:
        if not path.is_file():
            raise EdgetuiError(
                "not_found", f"The calibration text {path} is not there: name a text file, or take {TOPICS}."
            )
        if path.stat().st_size > _MOST_TEXT_BYTES:
            raise EdgetuiError("bad_file", f"The calibration text {path} is larger than 64 MiB: take a part of it.")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise EdgetuiError("bad_file", f"The calibration text {path} is not UTF-8 text: take another file.") from error
    except OSError as error:
        raise EdgetuiError(
            "no_permission", f"The calibration text {path} cannot be read ({error.strerror}): take another file."
        ) from error


def windows(source: Path, text: str, samples: int, tokens: int, *, is_onnx: bool) -> list[tuple[dict[str, Any], Any]]:
    """Inputs of the model for windows of `tokens` tokens that lie side by side, each with a label that nobody reads.

    As many as `samples`, or as the text has. Raises `EdgetuiError`: `bad_file`, `unsupported`.
    """
    import torch

    ids = _token_ids(source.parent, text)
    count = min(samples, len(ids) // tokens)
    if count == 0:
        raise EdgetuiError(
            "bad_file",
            f"The calibration text has {len(ids)} tokens, fewer than one window of {tokens}: take a longer text, or"
            " fewer tokens.",
        )
    shapes = _graph_inputs(source) if is_onnx else {}
    found = []
    for index in range(count):
        window = torch.tensor(ids[index * tokens : (index + 1) * tokens], dtype=torch.int64)
        made = {"input_ids": window, "attention_mask": torch.ones_like(window)}
        if is_onnx:
            made = {name: _input(name, kind, shape, made, source) for name, (kind, shape) in shapes.items()}
        found.append((made, torch.tensor(0)))
    return found


def _token_ids(folder: Path, text: str) -> list[int]:
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise EdgetuiError(
            "bad_file",
            f"{folder.name} has no tokenizer.json, and a calibration text needs it: put it beside the model.",
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        # The Rust library raises bare exceptions.
        raise EdgetuiError(
            "bad_file", f"The tokenizer.json of {folder.name} cannot be read: take the model anew.", detail=str(error)
        ) from error
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


def _graph_inputs(source: Path) -> dict[str, tuple[int, list[int | str]]]:
    """Element type and dimensions of each input of a graph, those that may vary by name."""
    import onnx

    graph = onnx.load(str(source), load_external_data=False).graph
    weights = {tensor.name for tensor in graph.initializer}
    return {
        each.name: (
            each.type.tensor_type.elem_type,
            [dimension.dim_value or dimension.dim_param for dimension in each.type.tensor_type.shape.dim],
        )
        for each in graph.input
        if each.name not in weights
    }


def _input(name: str, kind: int, shape: list[int | str], text: dict[str, Any], source: Path) -> Any:
    """One input of a model that reads text, without its first dimension, which Olive adds."""
    import onnx
    import torch

    dtype = torch.from_numpy(onnx.helper.tensor_dtype_to_np_dtype(kind).type(0).reshape(1)).dtype
    if name in text:
        return text[name].to(dtype)
    length = len(text["input_ids"])
    if name == "position_ids":
        return torch.arange(length, dtype=dtype)
    if name == "token_type_ids":
        return torch.zeros(length, dtype=dtype)
    if name.startswith("past") and len(shape) == 4:
        head = shape[3] if isinstance(shape[3], int) else _head_size(source.parent)
        if isinstance(shape[1], int) and head:
            return torch.zeros((shape[1], 0, head), dtype=dtype)
    raise EdgetuiError(
        "unsupported",
        f"The input {plain_line(name)} of {source.parent.name} is none that a text fills: calibrate it with"
        " onnx-static-int8 instead.",
    )


def _head_size(folder: Path) -> int:
    """Of a decoder whose graph leaves it open; 0 where nothing says it."""
    import json

    for name in ("genai_config.json", "config.json"):
        try:
            told = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        decoder = told.get("model", {}).get("decoder", {}) if "model" in told else told
        if size := decoder.get("head_size") or decoder.get("head_dim"):
            return int(size)
        heads = decoder.get("num_attention_heads")
        if heads and decoder.get("hidden_size"):
            return int(decoder["hidden_size"]) // int(heads)
    return 0
