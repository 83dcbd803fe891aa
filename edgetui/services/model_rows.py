"""Rows of models: what a file's header says of it, and a name that no other has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.hub import OnnxConfig
from edgetui.core.models import MetadataItem, ModelDetails, ModelEntry, TensorItem
from edgetui.formats.fingerprint import fingerprint
from edgetui.formats.gguf import check_loadable, read_gguf, split_parts
from edgetui.formats.gguf_header import GgufArray
from edgetui.formats.mlx import mlx_facts
from edgetui.formats.model_folder import CONFIG, GENAI_CONFIG, chat_template, read_json
from edgetui.formats.onnx import check_external_data, read_onnx
from edgetui.formats.onnx_config import read_onnx_config
from edgetui.formats.safetensors import read_safetensors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgetui.core.models import ModelSource
    from edgetui.services.model_places import Candidate


def bare_row(candidate: Candidate, size_bytes: int) -> ModelEntry:
    """What is known of a model before its header is read."""
    first = candidate.parts[0]
    return ModelEntry(
        name=_as_text(candidate.name) if candidate.name else _name_of(first),
        path=first,
        parts=candidate.parts,
        source=candidate.source,
        format=candidate.format,
        size_bytes=size_bytes,
        repo=candidate.repo,
        revision=candidate.revision,
        folder=candidate.folder,
    )


def read_row(candidate: Candidate, size_bytes: int) -> ModelEntry:
    """The whole row, with a `problem` where the model cannot be used."""
    bare = bare_row(candidate, size_bytes)
    if candidate.format == "gguf":
        entry = read_entry(candidate.parts[0], candidate.source, size_bytes)
        return msgspec.structs.replace(entry, name=bare.name, repo=bare.repo, revision=bare.revision)
    if (problem := _unnamable(bare.path)) is not None:
        return msgspec.structs.replace(bare, problem=problem)
    try:
        return _read_onnx(bare) if candidate.format == "onnx" else _read_safetensors(bare)
    except EdgetuiError as error:
        return msgspec.structs.replace(bare, problem=str(error))


def read_entry(path: Path, source: ModelSource, size_bytes: int) -> ModelEntry:
    """A row for a GGUF file, with a `problem` where it cannot be used."""
    name = _name_of(path)
    bare = ModelEntry(name=name, path=path, parts=(path,), source=source, format="gguf", size_bytes=size_bytes)
    if (problem := _unnamable(path)) is not None:
        return msgspec.structs.replace(bare, problem=problem)
    try:
        header = check_loadable(path)
        mark = fingerprint(header.parts)
    except EdgetuiError as error:
        return msgspec.structs.replace(bare, problem=str(error))
    return msgspec.structs.replace(
        bare,
        path=header.path,
        parts=header.parts,
        size_bytes=header.size_bytes,
        architecture=header.architecture,
        parameter_count=header.parameter_count,
        quant_type=header.quant_type,
        context_length=header.context_length,
        fingerprint=mark,
    )


def _read_safetensors(bare: ModelEntry) -> ModelEntry:
    """Of safetensors and MLX; raises `EdgetuiError`."""
    model = read_safetensors(_weights(bare))
    count, quant_type = model.parameter_count, model.quant_type
    if bare.format == "mlx":
        quant_type, count, _ = mlx_facts(model)
    return msgspec.structs.replace(
        bare,
        architecture=model.architecture,
        parameter_count=count,
        quant_type=quant_type,
        context_length=model.context_length,
        fingerprint=fingerprint(bare.parts),
    )


def _read_onnx(bare: ModelEntry) -> ModelEntry:
    """Raises `EdgetuiError`."""
    model = read_onnx(bare.path)
    check_external_data(model)
    config = _onnx_config(bare)
    # Whatever a graph calls the files of its weights, they belong to it.
    data = (bare.path.parent / location for location in model.external_files)
    parts = tuple(dict.fromkeys((*bare.parts, *data)))
    return msgspec.structs.replace(
        bare,
        parts=parts,
        size_bytes=sum(part.stat().st_size for part in parts),
        architecture=config.model_type or None,
        parameter_count=model.parameter_count or None,
        quant_type=model.quant_type,
        context_length=config.context_length,
        fingerprint=fingerprint(parts),
    )


def _onnx_config(entry: ModelEntry) -> OnnxConfig:
    """Of a model that is a folder; beside a lone graph anything may lie."""
    folder = entry.path.parent
    if entry.folder is None:
        return OnnxConfig()
    config = read_onnx_config(folder)
    if config.model_type or folder.name.lower() != "onnx":
        return config
    return read_onnx_config(folder.parent)


def _weights(entry: ModelEntry) -> tuple[Path, ...]:
    return tuple(part for part in entry.parts if part.suffix.lower() == ".safetensors")


def _name_of(path: Path) -> str:
    name = split_parts(path)[0].stem
    if len(split_parts(path)) > 1:
        name = name.rsplit("-", 3)[0]
    return _as_text(name)


def _as_text(name: str) -> str:
    # A name need not be text; shown and typed is what of it is.
    return os.fsencode(name).decode("utf-8", "replace")


def _unnamable(path: Path) -> str | None:
    """Why a path cannot be handed on, in a sentence."""
    if _as_text(str(path)) == str(path):
        return None
    return f"The path of {_as_text(path.name)} is not UTF-8: rename it or its folder."


def with_unique_names(entries: list[ModelEntry]) -> list[ModelEntry]:
    """Add format, repository or folder to names that occur more than once, then a number to what is still the same."""
    formats: dict[str, set[str]] = {}
    for entry in entries:
        formats.setdefault(entry.name, set()).add(entry.format)
    entries = [
        msgspec.structs.replace(entry, name=f"{entry.name}-{entry.format}")
        if entry.format != "gguf" and len(formats[entry.name]) > 1
        else entry
        for entry in entries
    ]
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry.name] = counts.get(entry.name, 0) + 1
    taken: set[str] = set()
    unique = []
    for entry in entries:
        name = entry.name
        if counts[name] > 1 and entry.source != "embedded":
            name = f"{entry.repo or (entry.folder or entry.path).parent.name}/{name}"
        numbered, number = name, 1
        while numbered in taken:
            number += 1
            numbered = f"{name} ({number})"
        taken.add(numbered)
        unique.append(entry if numbered == entry.name else msgspec.structs.replace(entry, name=numbered))
    return unique


def read_details(entry: ModelEntry) -> ModelDetails:
    """Metadata and tensors, read anew; raises `EdgetuiError` for a file that cannot be read."""
    if entry.format == "onnx":
        return _onnx_details(entry)
    if entry.format != "gguf":
        model = read_safetensors(_weights(entry))
        shares = mlx_facts(model).shares if entry.format == "mlx" else model.shares
        tensors = tuple(TensorItem(t.name, t.type_name, t.shape, t.size_bytes) for t in model.tensors)
        return ModelDetails(entry, (*_items(model.config), *_template(entry)), shares, tensors)
    header = read_gguf(entry.path)
    return ModelDetails(
        entry,
        tuple(MetadataItem(key, header.types[key], _shown(value)) for key, value in header.metadata.items()),
        header.shares,
        tuple(TensorItem(t.name, t.type.name, t.shape, t.size_bytes) for t in header.tensors),
    )


def _onnx_details(entry: ModelEntry) -> ModelDetails:
    model = read_onnx(entry.path)
    operators = ", ".join(f"{name} {count}" for name, count in model.nodes.most_common())
    told: dict[str, object] = {
        "producer": model.producer,
        "ir_version": model.ir_version,
        "opsets": ", ".join(f"{domain} {version}" for domain, version in model.opsets.items()),
        "graph": model.graph_name,
        "nodes": model.node_count,
        "operators": operators,
        "external_data": ", ".join(model.external_files),
    }
    values = [
        MetadataItem(f"{side}.{value.name}", value.type_name or "?", f"[{', '.join(map(str, value.shape))}]")
        for side, of_side in (("input", model.inputs), ("output", model.outputs))
        for value in of_side
    ]
    warnings = tuple(MetadataItem("warning", "str", warning) for warning in model.warnings)
    config = read_json(entry.path.parent / GENAI_CONFIG) or read_json(entry.path.parent / CONFIG)
    metadata = (
        *warnings,
        *_items({key: value for key, value in told.items() if value}),
        *_items(model.metadata),
        *_template(entry),
        *(_items(config) if entry.folder is not None else ()),
        *values,
    )
    tensors = tuple(TensorItem(t.name, t.type_name, t.shape, t.size_bytes) for t in model.tensors)
    return ModelDetails(entry, metadata, model.shares, tensors)


def _items(told: Mapping[str, object]) -> tuple[MetadataItem, ...]:
    return tuple(MetadataItem(key, type(value).__name__, _shown(value)) for key, value in told.items())


def _template(entry: ModelEntry) -> tuple[MetadataItem, ...]:
    """The chat template of a folder, by the key that GGUF has for it."""
    if entry.folder is None:
        return ()
    template = chat_template(entry.path.parent)
    return (MetadataItem("tokenizer.chat_template", "str", template),) if template else ()


def _shown(value: Any) -> str:
    if isinstance(value, GgufArray):
        items = ", ".join(str(item) for item in value.first[:8])
        return f"{items}, ..." if value.count > len(value.first[:8]) else items
    return str(value)
