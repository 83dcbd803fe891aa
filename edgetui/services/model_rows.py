"""Rows of models: what a file's header says of it, and a name that no other has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.models import MetadataItem, ModelDetails, ModelEntry, TensorItem
from edgetui.formats.fingerprint import fingerprint
from edgetui.formats.gguf import check_loadable, read_gguf, split_parts
from edgetui.formats.gguf_header import GgufArray
from edgetui.formats.safetensors import read_safetensors

if TYPE_CHECKING:
    from edgetui.core.models import ModelSource
    from edgetui.services.model_places import Candidate


def bare_row(candidate: Candidate, size_bytes: int) -> ModelEntry:
    """What is known of a model before its header is read."""
    first = candidate.parts[0]
    if candidate.format == "safetensors":
        name = (candidate.repo or first.parent.name).rpartition("/")[2]
    else:
        name = candidate.name or _name_of(first)
    return ModelEntry(
        name=name,
        path=first,
        parts=candidate.parts,
        source=candidate.source,
        format=candidate.format,
        size_bytes=size_bytes,
        repo=candidate.repo,
        revision=candidate.revision,
    )


def read_row(candidate: Candidate, size_bytes: int) -> ModelEntry:
    """The whole row, with a `problem` where the model cannot be used."""
    bare = bare_row(candidate, size_bytes)
    if candidate.format == "safetensors":
        return _read_safetensors(bare)
    entry = read_entry(candidate.parts[0], candidate.source, size_bytes)
    return msgspec.structs.replace(entry, name=bare.name, repo=bare.repo, revision=bare.revision)


def read_entry(path: Path, source: ModelSource, size_bytes: int) -> ModelEntry:
    """A row for a GGUF file, with a `problem` where it cannot be used."""
    name = _name_of(path)
    bare = ModelEntry(name=name, path=path, parts=(path,), source=source, format="gguf", size_bytes=size_bytes)
    if os.fsencode(path).decode("utf-8", "replace") != str(path):
        return msgspec.structs.replace(bare, problem=f"The path of {name} is not UTF-8: rename it or its folder.")
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
    try:
        model = read_safetensors(bare.parts)
        mark = fingerprint(bare.parts)
    except EdgetuiError as error:
        return msgspec.structs.replace(bare, problem=str(error))
    return msgspec.structs.replace(
        bare,
        architecture=model.architecture,
        parameter_count=model.parameter_count,
        quant_type=model.shares[0].type_name if model.shares else None,
        context_length=model.context_length,
        fingerprint=mark,
    )


def _name_of(path: Path) -> str:
    name = split_parts(path)[0].stem
    if len(split_parts(path)) > 1:
        name = name.rsplit("-", 3)[0]
    # A name need not be text; shown and typed is what of it is.
    return os.fsencode(name).decode("utf-8", "replace")


def with_unique_names(entries: list[ModelEntry]) -> list[ModelEntry]:
    """Add repository or folder to names that occur more than once, then a number to what is still the same."""
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry.name] = counts.get(entry.name, 0) + 1
    taken: set[str] = set()
    unique = []
    for entry in entries:
        name = entry.name
        if counts[name] > 1 and entry.source != "embedded":
            name = f"{entry.repo or entry.path.parent.name}/{name}"
        numbered, number = name, 1
        while numbered in taken:
            number += 1
            numbered = f"{name} ({number})"
        taken.add(numbered)
        unique.append(entry if numbered == entry.name else msgspec.structs.replace(entry, name=numbered))
    return unique


def read_details(entry: ModelEntry) -> ModelDetails:
    """Metadata and tensors, read anew; raises `EdgetuiError` for a file that cannot be read."""
    if entry.format == "safetensors":
        model = read_safetensors(entry.parts)
        return ModelDetails(
            entry,
            tuple(MetadataItem(key, type(value).__name__, _shown(value)) for key, value in model.config.items()),
            model.shares,
            tuple(TensorItem(t.name, t.type_name, t.shape, t.size_bytes) for t in model.tensors),
        )
    header = read_gguf(entry.path)
    return ModelDetails(
        entry,
        tuple(MetadataItem(key, header.types[key], _shown(value)) for key, value in header.metadata.items()),
        header.shares,
        tuple(TensorItem(t.name, t.type.name, t.shape, t.size_bytes) for t in header.tensors),
    )


def _shown(value: Any) -> str:
    if isinstance(value, GgufArray):
        items = ", ".join(str(item) for item in value.first[:8])
        return f"{items}, ..." if value.count > len(value.first[:8]) else items
    return str(value)
