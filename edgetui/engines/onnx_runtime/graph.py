"""ONNX graphs for the tools that change them: checked before they are loaded, put where tools may write, written."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.core.units import format_bytes
from edgetui.engines import host
from edgetui.engines.onnx_runtime.failures import told
from edgetui.formats.onnx import OnnxModel, check_external_data, read_onnx
from edgetui.formats.regular_file import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WORK = ".work"
"""Folder inside a job's hidden target for what is needed only while it works."""
LARGEST_SINGLE_FILE = 1024**3
"""Weights beyond this many bytes are written into a file beside the graph: protobuf itself ends at 2 GiB."""
_EXTERNAL = 1
"""`TensorProto.DataLocation.EXTERNAL`"""
_SMALLEST_OUTSIDE = 1024
"""Tensors of fewer bytes stay in the graph's file, for tools that look at shapes and constants."""


def inspect(path: Path) -> OnnxModel:
    """What the graph is, its weights checked to be there; nothing is loaded.

    Raises `EdgetuiError`: `not_found`, `bad_file`, `unsupported` for a version that the installed packages do not
    know.
    """
    import onnx

    if not path.exists():
        raise EdgetuiError("not_found", f"The file {path} is not there.")
    model = read_onnx(path)
    known = onnx.defs.onnx_opset_version()
    if model.ir_version > onnx.IR_VERSION:
        raise _too_new(path, f"in ONNX IR version {model.ir_version}", onnx.IR_VERSION)
    if (opset := opset_of(model)) > known:
        raise _too_new(path, f"with opset {opset}", known)
    check_external_data(model)
    return model


def _too_new(path: Path, written: str, known: int) -> EdgetuiError:
    return EdgetuiError(
        "unsupported",
        f"{path.name} is written {written}, and the installed tools know {known}: export it for an older version, or"
        " update the toolchain onnx.",
    )


def opset_of(model: OnnxModel) -> int:
    """Version of the standard operators; 0 for a model without any."""
    return model.opsets.get("ai.onnx", 0)


def source_bytes(model: OnnxModel) -> int:
    """Size of the graph and all its weights."""
    return model.size_bytes + sum((model.path.parent / name).stat().st_size for name in model.external_files)


def lies_outside(model: OnnxModel) -> bool:
    """Whether what is made of it keeps its weights in a file of their own."""
    return bool(model.external_files) or model.size_bytes > LARGEST_SINGLE_FILE


def load(path: Path) -> Any:
    """The `onnx.ModelProto`, without the weights that lie in other files; every node has a name.

    Tools choose nodes by their names, which exporters need not give.
    """
    import onnx

    with told(path.name, "Reading"):
        model = onnx.load_model(os.fspath(path), load_external_data=False)
    for number, node in enumerate(node for node in model.graph.node if not node.name):
        node.name = f"{node.op_type}_{number}_unnamed"
    return model


def load_weights(model: Any, path: Path) -> None:
    """Read the weights that lie in other files into what `load` gave of `path`; raises `EdgetuiError`."""
    with told(path.name, "Reading"):
        for tensor in tensors(model.graph):
            if tensor.data_location != _EXTERNAL:
                continue
            entries = {entry.key: entry.value for entry in tensor.external_data}
            length = entries.get("length")
            # onnx itself follows no links, of which the hub's cache is made.
            with open_regular(path.parent / entries["location"]) as stream:
                stream.seek(int(entries.get("offset") or 0))
                tensor.raw_data = stream.read(-1 if length is None else int(length))
            tensor.ClearField("external_data")
            tensor.data_location = 0


def tensors(graph: Any) -> Iterator[Any]:
    """Every `TensorProto` of a `GraphProto`, those of inner graphs and constants too."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in ((attribute.g,) if attribute.HasField("g") else ()) + tuple(attribute.graphs):
                yield from tensors(inner)


def stage(model: OnnxModel, loaded: Any, work: Path) -> Path:
    """The graph and its weights as plain files in `work`, for tools that write beside what they read.

    `loaded` is what `load` gave of it. Nothing may be written into a person's folder, and onnx refuses links, of
    which the hub's cache is made. Returns the graph's path there.
    """
    work.mkdir(parents=True, exist_ok=True)
    staged = work / model.path.name
    with told(model.path.name, "Copying"):
        staged.write_bytes(loaded.SerializeToString())
        for name in model.external_files:
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(model.path.parent / name, work / name)
    return staged


def save(loaded: Any, path: Path, *, outside: bool) -> None:
    """Write a `ModelProto`; `outside` puts weights into `NAME.data` beside it, as do more than protobuf takes."""
    import onnx

    size = sum(len(tensor.raw_data) for tensor in tensors(loaded.graph))
    with told(path.name, "Writing"):
        if outside or size > LARGEST_SINGLE_FILE:
            onnx.save_model(
                loaded,
                os.fspath(path),
                save_as_external_data=True,
                all_tensors_to_one_file=True,
                location=f"{path.name}.data",
                size_threshold=_SMALLEST_OUTSIDE,
            )
        else:
            onnx.save_model(loaded, os.fspath(path))


def require_memory(needed_bytes: int, name: str) -> None:
    """Raise `EdgetuiError("out_of_memory")` where so much is not free: the kernel ends a process without a word."""
    free = host.available_memory_bytes()
    if needed_bytes > free:
        raise EdgetuiError(
            "out_of_memory",
            f"{name} needs about {format_bytes(needed_bytes)} of memory for this, and {format_bytes(free)} are free:"
            " close something, or take a smaller model.",
        )


def op_types(text: str, known: Iterable[str]) -> list[str]:
    """Operator types that a person named, in their right spelling; raises `EdgetuiError("bad_request")`."""
    spellings = {name.lower(): name for name in known}
    chosen = []
    for word in filter(None, re.split(r"[,\s]+", text)):
        if word.lower() not in spellings:
            raise EdgetuiError(
                "bad_request",
                f"Operators of type {plain_line(word)[:40]} cannot be quantized so; these can:"
                f" {', '.join(sorted(spellings.values()))}.",
            )
        chosen.append(spellings[word.lower()])
    return chosen
