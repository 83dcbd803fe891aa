"""What the hub tells of models and their files, and how files make up the variants that a person chooses from."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from edgetui.core.quant_types import quant_type_in_name

if TYPE_CHECKING:
    from collections.abc import Iterable

HubFormat = Literal["gguf", "onnx", "mlx", "safetensors"]
HUB_FORMATS: tuple[HubFormat, ...] = ("gguf", "onnx", "mlx", "safetensors")
HubSort = Literal["trending", "downloads", "likes", "date"]
HUB_SORTS: tuple[HubSort, ...] = ("trending", "downloads", "likes", "date")

_SPLIT = re.compile(r"-(\d{5})-of-(\d{5})$")
_NOT_WEIGHTS = re.compile(r"(^|[/._-])(mmproj|imatrix|lora)", re.IGNORECASE)
_EXTERNAL_DATA = re.compile(r"\.onnx([._]data.*)?$|\.onnx_data(_\d+)?$")
_COMPANIONS = frozenset(
    {
        "config.json",
        "generation_config.json",
        "genai_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "tokenizer.model",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
        "chat_template.jinja",
        "chat_template.json",
        "preprocessor_config.json",
        "processor_config.json",
        "model.safetensors.index.json",
    }
)
"""Small files that weights of safetensors, MLX and ONNX need beside them."""


_LONGEST_NAME_BYTES = 220
"""File systems take 255; what is unfinished has a longer name."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


class HubQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched for; empty fields ask for nothing."""

    text: str = ""
    """Part of a repository's name."""
    author: str = ""
    formats: tuple[HubFormat, ...] = ()
    task: str = ""
    """The hub's pipeline tag, such as `text-generation`."""
    language: str = ""
    """Two-letter code."""
    licence: str = ""
    """The hub's name of it, such as `apache-2.0`."""
    gated: bool | None = None
    least_billions: Annotated[float, Meta(ge=0, le=100_000)] | None = None
    most_billions: Annotated[float, Meta(ge=0, le=100_000)] | None = None
    """Parameters, in billions; a model that tells none is left out."""
    quant_type: Annotated[str, Meta(max_length=20)] = ""
    """llama.cpp's name; only models with such a GGUF."""
    sort: HubSort = "trending"

    @property
    def is_sifted(self) -> bool:
        """Whether rows that the hub finds may still be left out."""
        return bool(self.quant_type or self.least_billions is not None or self.most_billions is not None)

    def lets_through(self, model: HubModel) -> bool:
        """Whether a model has the parameters and the type that are asked for, which a hub may not look at."""
        billions = None if model.parameter_count is None else model.parameter_count / 1e9
        return (
            (self.least_billions is None or (billions is not None and billions >= self.least_billions))
            and (self.most_billions is None or (billions is not None and billions <= self.most_billions))
            and (not self.quant_type or self.quant_type.upper() in model.quant_types)
        )


class HubModel(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a search."""

    repo: str
    downloads: Annotated[int, Meta(ge=0, lt=1 << 60)] | None = None
    """Of the last 30 days."""
    likes: Annotated[int, Meta(ge=0, lt=1 << 60)] | None = None
    last_modified: str = ""
    """ISO 8601; empty where the hub does not tell."""
    gated: bool = False
    tags: tuple[str, ...] = ()
    task: str = ""
    parameter_count: int | None = None
    architecture: str = ""
    quant_types: tuple[str, ...] = ()
    """Of its GGUF files, by their names; known only where a search asked for one."""

    @property
    def formats(self) -> tuple[HubFormat, ...]:
        """As the tags say."""
        return tuple(each for each in HUB_FORMATS if each in self.tags)

    @property
    def licence(self) -> str:
        """As the tags say; empty where none does."""
        return next((tag.removeprefix("license:") for tag in self.tags if tag.startswith("license:")), "")


class HubFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a repository at one commit."""

    path: str
    size_bytes: Annotated[int, Meta(ge=0, lt=1 << 60)] | None = None
    sha256: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")] = ""
    """Of a file that the hub keeps outside Git; empty for a small one, which `git_id` names."""
    git_id: Annotated[str, Meta(pattern="^([0-9a-f]{40})?$")] = ""


class HubVariant(msgspec.Struct, frozen=True, kw_only=True):
    """What a person takes or leaves: the files that make up one model."""

    name: str
    format: HubFormat
    quant_type: str = ""
    """llama.cpp's name; empty where the name does not tell."""
    files: tuple[HubFile, ...]
    missing: tuple[str, ...] = ()
    """Parts that the repository lacks."""

    @property
    def size_bytes(self) -> int | None:
        """All files together; None when one's size is not told."""
        sizes = [file.size_bytes for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)


class HubPage(msgspec.Struct, frozen=True, kw_only=True):
    """All that the hub tells of one repository."""

    model: HubModel
    commit: str
    revision: str
    """Branch, tag or commit that was asked for."""
    card: str
    """Markdown as its author wrote it: untrusted."""
    files: tuple[HubFile, ...]
    variants: tuple[HubVariant, ...]


class OnnxConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration of an ONNX build says; what is not told is empty or None."""

    model_type: str = ""
    context_length: int | None = None
    layers: int | None = None
    providers: tuple[str, ...] = ()
    """Execution providers that the build was made for; empty means the CPU."""
    is_for_genai: bool = False


def is_safe_path(path: str) -> bool:
    """Whether a file's path in a repository stays inside any folder that it is put into, on every system."""
    parts = path.split("/")
    return (
        bool(path)
        and all(part not in ("", ".", "..") and not part.endswith((" ", ".")) for part in parts)
        and not any(char in '\\:*?"<>|' for char in path)
        # Neither controls nor what turns a line around or breaks it, nor half characters that no disk takes.
        and path.isprintable()
        and len(path) <= 400
        and all(len(part.encode()) <= _LONGEST_NAME_BYTES for part in parts)
    )


def is_commit(name: str) -> bool:
    """Whether a text is the whole name of a commit, which goes into paths of the cache."""
    return _COMMIT.fullmatch(name) is not None


def quant_types_of(paths: Iterable[str]) -> tuple[str, ...]:
    """The quantization types that the names of GGUF files tell, each once."""
    stems = (PurePosixPath(path).name.removesuffix(".gguf") for path in paths if path.endswith(".gguf"))
    return tuple(sorted({kind for stem in stems if (kind := quant_type_in_name(stem))}))


def variants_of(files: tuple[HubFile, ...], tags: tuple[str, ...] = ()) -> tuple[HubVariant, ...]:
    """The models in a repository's files, smallest first; files with unsafe paths belong to none."""
    safe = [file for file in files if is_safe_path(file.path)]
    found = _with_unique_names([*_gguf(safe), *_onnx(safe), *_safetensors(safe, tags)])
    return tuple(sorted(found, key=lambda variant: (variant.size_bytes or 0, variant.name)))


def _with_unique_names(variants: list[HubVariant]) -> list[HubVariant]:
    """Files of one name in several folders go by their folders too."""
    counts = Counter(variant.name for variant in variants)
    return [
        msgspec.structs.replace(each, name=_SPLIT.sub("", each.files[0].path.rpartition(".")[0]))
        if counts[each.name] > 1 and each.format == "gguf"
        else each
        for each in variants
    ]


def _gguf(files: list[HubFile]) -> list[HubVariant]:
    groups: dict[str, list[HubFile]] = {}
    totals: dict[str, int] = {}
    for file in files:
        stem = file.path.removesuffix(".gguf")
        if stem == file.path or _NOT_WEIGHTS.search(file.path):
            continue
        split = _SPLIT.search(stem)
        if split:
            stem = stem[: split.start()]
            totals[stem] = int(split[2])
        groups.setdefault(stem, []).append(file)
    variants = []
    for stem, members in groups.items():
        members.sort(key=lambda file: file.path)
        total = totals.get(stem, 0)
        there = {file.path for file in members}
        # A hostile name may tell of any number of parts; nobody splits a model into more than a few hundred.
        parts = (f"{stem}-{number:05d}-of-{total:05d}.gguf" for number in range(1, min(total, 999) + 1))
        name = PurePosixPath(stem).name
        variants.append(
            HubVariant(
                name=name,
                format="gguf",
                quant_type=quant_type_in_name(name) or quant_type_in_name(stem) or "",
                files=tuple(members),
                missing=tuple(part for part in parts if part not in there),
            )
        )
    return variants


def _onnx(files: list[HubFile]) -> list[HubVariant]:
    folders: dict[str, list[HubFile]] = {}
    for file in files:
        folders.setdefault(str(PurePosixPath(file.path).parent), []).append(file)
    variants = []
    for folder, members in folders.items():
        graphs = [file for file in members if file.path.endswith(".onnx")]
        if not graphs:
            continue
        base = [] if folder == "." else folders.get(".", [])
        companions = [file for file in (*members, *base) if PurePosixPath(file.path).name in _COMPANIONS]
        if any(PurePosixPath(file.path).name == "genai_config.json" for file in members):
            data = [file for file in members if _EXTERNAL_DATA.search(file.path)]
            name = PurePosixPath(folder).name if folder != "." else "onnx"
            variants.append(HubVariant(name=name, format="onnx", files=_unique(data, companions)))
            continue
        for graph in graphs:
            data = [file for file in members if _EXTERNAL_DATA.search(file.path) and file.path.startswith(graph.path)]
            name = graph.path.removesuffix(".onnx")
            variants.append(HubVariant(name=name, format="onnx", files=_unique([graph], data, companions)))
    return variants


def _safetensors(files: list[HubFile], tags: tuple[str, ...]) -> list[HubVariant]:
    weights = [file for file in files if file.path.endswith(".safetensors") and "/" not in file.path]
    # An adapter or one part of a pipeline is no model by itself.
    weights = [file for file in weights if file.path.startswith(("model", "weights", "consolidated"))]
    if not weights:
        return []
    companions = [file for file in files if file.path in _COMPANIONS]
    made_for: HubFormat = "mlx" if "mlx" in tags else "safetensors"
    there = {file.path for file in weights}
    missing: dict[str, None] = {}
    for path in there:
        stem = path.removesuffix(".safetensors")
        if split := _SPLIT.search(stem):
            parts = range(1, min(int(split[2]), 999) + 1)
            names = (f"{stem[: split.start()]}-{number:05d}-of-{split[2]}.safetensors" for number in parts)
            missing |= dict.fromkeys(name for name in names if name not in there)
    return [
        HubVariant(name=made_for, format=made_for, files=_unique(weights, companions), missing=tuple(sorted(missing)))
    ]


def _unique(*groups: list[HubFile]) -> tuple[HubFile, ...]:
    return tuple({file.path: file for group in groups for file in group}.values())
