"""Searching the hub and reading what it tells of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.hub import HubFile, HubModel, HubPage, HubQuery, is_commit, quant_types_of, variants_of
from edgetui.core.plain_text import plain_line, plain_text
from edgetui.hub.failures import hub_failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgetui.hub.access import HubAccess

PAGE_ROWS = 100
_SORTS = {"trending": "trendingScore", "downloads": "downloads", "likes": "likes", "date": "lastModified"}
_TOLD = ["downloads", "likes", "lastModified", "gated", "tags", "pipeline_tag", "gguf", "safetensors"]
MOST_CARD_BYTES = 256 * 1024
_MOST_COUNT = 1 << 62


class _Ref(msgspec.Struct, frozen=True):
    name: str


class _Refs(msgspec.Struct, frozen=True):
    branches: list[_Ref] = []
    tags: list[_Ref] = []


def search(access: HubAccess, query: HubQuery) -> Iterator[list[HubModel]]:
    """Rows page by page, each fetched when it is asked for; raises `EdgetuiError` as `hub_failure` says.

    The library's own search would try a dead link for half a minute, and without a time limit.
    """
    # First: the library cannot even be imported with an address that is none.
    access.require_online()
    from huggingface_hub import ModelInfo

    parsed: Any = ModelInfo
    params: list[tuple[str, str]] = [("sort", _SORTS[query.sort]), ("limit", str(PAGE_ROWS))]
    params += [("filter", each) for each in query.formats]
    for name, value in (
        ("search", query.text.strip()),
        ("author", query.author),
        ("filter", query.language),
        ("filter", f"license:{query.licence}" if query.licence else ""),
        ("pipeline_tag", query.task),
        ("gated", "" if query.gated is None else str(query.gated).lower()),
        ("num_parameters", _range(query.least_billions, query.most_billions)),
    ):
        if value:
            params.append((name, value))
    # The names of all files are a long answer: only where they are needed.
    params += [("expand", name) for name in (*_TOLD, *(["siblings"] if query.quant_type else []))]
    try:
        address: str | None = f"{access.endpoint}/api/models"
        while address is not None:
            answer = access.get(address, params)
            yield [model for item in answer.json() if query.lets_through(model := _model(parsed(**item)))]
            # It holds all that was asked.
            address, params = answer.links.get("next", {}).get("url"), []
            if address is not None and not address.startswith(f"{access.endpoint}/"):
                return
    except Exception as error:
        raise hub_failure(error, access) from error


def _range(least: float | None, most: float | None) -> str:
    """`min:1B,max:4B`, as the hub writes it; empty for no limits."""
    ends = (f"{name}:{value:g}B" for name, value in (("min", least), ("max", most)) if value is not None)
    return ",".join(ends)


def page(access: HubAccess, repo: str, revision: str = "main") -> HubPage:
    """Everything about one model at its newest commit of a revision; raises `EdgetuiError`."""
    access.require_online()
    from huggingface_hub import ModelInfo
    from huggingface_hub.utils import validate_repo_id

    if not revision or not revision.isprintable() or not repo.isprintable():
        raise EdgetuiError("bad_request", f"{plain_line(repo)} {plain_line(revision)!r} names no model and revision.")
    try:
        validate_repo_id(repo)
        parsed: Any = ModelInfo
        address = f"{access.endpoint}/api/models/{repo}/revision/{quote(revision, safe='')}"
        info = parsed(**access.get(address, [("blobs", "true")]).json())
        model = _model(info)
        # A path that is no text at all names no file.
        files = tuple(_file(each) for each in info.siblings or () if _is_text(each.rfilename))
        commit = str(info.sha or "")
        if not is_commit(commit):
            raise EdgetuiError(
                "network", f"{access.endpoint} names no commit of {repo}: it does not answer as a hub does."
            )
        return HubPage(
            model=model,
            commit=commit,
            revision=revision,
            card=_card(access, repo, commit, files),
            files=files,
            variants=variants_of(files, model.tags),
        )
    except Exception as error:
        raise hub_failure(error, access, repo) from error


def revisions(access: HubAccess, repo: str) -> tuple[str, ...]:
    """Names of a model's branches and tags, `main` first; raises `EdgetuiError`."""
    access.require_online()
    try:
        told = msgspec.convert(access.get(f"{access.endpoint}/api/models/{repo}/refs").json(), _Refs)
    except Exception as error:
        raise hub_failure(error, access, repo) from error
    names = [plain_line(ref.name) for ref in (*told.branches, *told.tags)]
    return tuple(sorted(dict.fromkeys(names), key=lambda name: (name != "main", name)))


def _card(access: HubAccess, repo: str, commit: str, files: tuple[HubFile, ...]) -> str:
    """The README without its header of YAML; empty when there is none or it is out of all proportion."""
    readme = next((file for file in files if file.path == "README.md"), None)
    if readme is None or (readme.size_bytes or 0) > MOST_CARD_BYTES:
        return ""
    from huggingface_hub import hf_hub_url

    answer = access.ask(hf_hub_url(repo, "README.md", revision=commit, endpoint=access.endpoint))
    if answer.status_code != 200:
        # A gated model's page is open, its files are not; and nothing else is worse for want of a card.
        return ""
    text = plain_text(answer.content[:MOST_CARD_BYTES].decode("utf-8", "replace"))
    if text.startswith("---\n"):
        _, end, rest = text[4:].partition("\n---\n")
        text = rest if end else text
    return text.strip()


def _model(info: Any) -> HubModel:
    """Raises `msgspec.ValidationError` for what no hub would tell."""
    gguf = info.gguf if isinstance(info.gguf, dict) else {}
    total = gguf.get("total") or (info.safetensors.total if info.safetensors else None)
    told = {
        "repo": plain_line(str(info.id)),
        "downloads": info.downloads,
        "likes": info.likes,
        "last_modified": info.last_modified.isoformat() if info.last_modified else "",
        "gated": bool(info.gated),
        "tags": [plain_line(str(tag)) for tag in info.tags or ()],
        "task": plain_line(str(info.pipeline_tag or "")),
        "parameter_count": total if isinstance(total, int) and 0 < total < _MOST_COUNT else None,
        "architecture": plain_line(str(gguf.get("architecture") or "")),
        "quant_types": quant_types_of(str(sibling.rfilename) for sibling in info.siblings or ()),
    }
    return msgspec.convert(told, HubModel)


def _is_text(path: object) -> bool:
    return not isinstance(path, str) or not any(0xD800 <= ord(char) < 0xE000 for char in path)


def _file(sibling: Any) -> HubFile:
    told = {
        "path": sibling.rfilename,
        "size_bytes": sibling.lfs.size if sibling.lfs else sibling.size,
        "sha256": sibling.lfs.sha256 if sibling.lfs else "",
        "git_id": "" if sibling.lfs else sibling.blob_id or "",
    }
    return msgspec.convert(told, HubFile)
