"""The headers of a model that is not here: the first bytes of its files, fetched by range into files of their own.

What comes of it has the length of the whole files and a hole where the weights would be, so that whatever reads headers
or simulates a load works on it as on the model itself.
"""

from __future__ import annotations

import errno
import os
import shutil
import struct
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.failures import EdgetuiError
from edgetui.core.hub import is_safe_path
from edgetui.core.units import format_bytes
from edgetui.hub.access import ANSWER_LIMIT_S
from edgetui.hub.failures import hub_failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.core.hub import HubFile, HubPage, HubVariant
    from edgetui.hub.access import HubAccess

FIRST_BYTES = 1024 * 1024
_FIRST_BYTES_OF_PART = 128 * 1024
"""Of the later parts of a split model, which hold no vocabulary."""
MOST_BYTES = 32 * 1024 * 1024
"""A header with 260,000 tokens and their merges takes 16 MiB."""
MOST_KEPT_BYTES = 512 * 1024 * 1024
"""Of all headers together."""
_CONFIGS = ("config.json", "genai_config.json")
_MOST_CONFIG_BYTES = 1024 * 1024


class Fetched(NamedTuple):
    """What is here of a variant."""

    folder: Path
    weights: tuple[Path, ...]
    """Files with headers and holes, in order; none of an ONNX build."""


def fetch_variant(
    access: HubAccess, page: HubPage, variant: HubVariant, folder: Path, like: Path | None = None
) -> Fetched:
    """Headers of all weight files of a GGUF or safetensors variant, and configurations, in a folder of its own.

    Of an ONNX build only the configuration is read. `like` is the header of another variant of the same repository,
    which saves most of the way. Raises `EdgetuiError`: `network`, `gated`, `not_found`, `bad_file`.
    """
    own = folder / _name_of(variant)
    weights = [file for file in variant.files if file.path.endswith((".gguf", ".safetensors"))]
    configs = [file for file in variant.files if PurePosixPath(file.path).name in _CONFIGS]
    for config in configs:
        _fetch(access, page, config, own / PurePosixPath(config.path).name, _take_whole)
    paths = []
    for number, file in enumerate(weights):
        target = own / PurePosixPath(file.path).name
        if file.path.endswith(".safetensors"):
            _fetch(access, page, file, target, _take_safetensors)
        elif like is None or number or len(weights) > 1 or not _spliced(access, page, file, target, like):
            take = partial(_take_gguf, _FIRST_BYTES_OF_PART if number else FIRST_BYTES)
            _fetch(access, page, file, target, take)
        paths.append(target)
    if own.exists():
        os.utime(own)
    _prune(folder)
    return Fetched(own, tuple(paths))


def _prune(folder: Path) -> None:
    """Drop what was not looked at for longest, where headers take more room than they are worth."""
    with suppress(OSError):
        kept = 0
        for own in sorted(folder.iterdir(), key=lambda each: each.stat().st_mtime, reverse=True):
            # Holes take none.
            kept += sum(getattr(file.stat(), "st_blocks", 0) * 512 for file in own.iterdir())
            if kept > MOST_KEPT_BYTES:
                shutil.rmtree(own, ignore_errors=True)


def _name_of(variant: HubVariant) -> str:
    """Of the content, so that what is here is what the hub has."""
    import hashlib

    names = " ".join(f"{file.path} {file.sha256 or file.git_id}" for file in variant.files)
    return hashlib.sha256(names.encode()).hexdigest()[:32]


def _fetch(
    access: HubAccess,
    page: HubPage,
    file: HubFile,
    target: Path,
    take: Callable[[_RangeReader, HubFile, Path], None],
) -> None:
    """Make `target`, unless it is there."""
    if target.exists():
        return
    repo = page.model.repo
    if not is_safe_path(file.path) or not file.size_bytes:
        raise EdgetuiError("bad_file", f"{repo} tells no size of {file.path}, so its header cannot be read.")
    access.require_online()
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        take(_RangeReader(access, repo, page.commit, file), file, unfinished)
        os.truncate(unfinished, file.size_bytes)
        unfinished.replace(target)
    except EdgetuiError:
        raise
    except OSError as error:
        if error.errno in (errno.EFBIG, errno.EINVAL):
            raise EdgetuiError("bad_file", f"{repo} claims an impossible size for {file.path}.") from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EdgetuiError("no_space", f"The disk of {target.parent} is full: make room and look again.") from error
        raise hub_failure(error, access, repo, file.path) from error
    except Exception as error:
        raise hub_failure(error, access, repo, file.path) from error
    finally:
        unfinished.unlink(missing_ok=True)


def _take_gguf(first: int, reader: _RangeReader, file: HubFile, target: Path) -> None:
    """As much as the header needs, twice as much at each try."""
    size, wanted = file.size_bytes or 0, first
    while True:
        wanted = min(wanted, size)
        with target.open("ab") as stream:
            stream.write(reader.read(stream.tell(), wanted))
        if _is_whole(target):
            return
        if wanted == size or wanted >= MOST_BYTES:
            raise EdgetuiError(
                "bad_file",
                f"The first {format_bytes(wanted)} of {file.path} hold no GGUF header: it may be damaged.",
            )
        wanted *= 2


def _take_safetensors(reader: _RangeReader, file: HubFile, target: Path) -> None:
    """Eight bytes tell how long the header is."""
    start = reader.read(0, min(_FIRST_BYTES_OF_PART, file.size_bytes or 0))
    length = 8 + struct.unpack("<Q", start[:8])[0] if len(start) >= 8 else 0
    if not 8 < length <= min(MOST_BYTES, file.size_bytes or 0):
        raise EdgetuiError("bad_file", f"{file.path} begins with no safetensors header: it may be damaged.")
    more = reader.read(len(start), length) if length > len(start) else b""
    target.write_bytes((start + more)[:length])


def _take_whole(reader: _RangeReader, file: HubFile, target: Path) -> None:
    if (file.size_bytes or 0) > _MOST_CONFIG_BYTES:
        raise EdgetuiError("bad_file", f"{file.path} is too long for a configuration: it is left alone.")
    target.write_bytes(reader.read(0, file.size_bytes or 0))


def _spliced(access: HubAccess, page: HubPage, file: HubFile, target: Path, like: Path) -> bool:
    """Make the header of the list of tensors alone; False where that cannot be."""
    from edgetui.formats.gguf_splice import splice, stretch_of_tensors

    if target.exists():
        return True
    if not is_safe_path(file.path) or not file.size_bytes:
        return False
    access.require_online()
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        stretch = stretch_of_tensors(like)
        if stretch.begin >= file.size_bytes:
            return False
        stretch = stretch._replace(end=min(stretch.end, file.size_bytes))
        data = _RangeReader(access, page.model.repo, page.commit, file).read(*stretch)
        return splice(like, stretch, data, file.size_bytes, target)
    except EdgetuiError as error:
        if error.failure.kind == "bad_file":
            return False
        raise
    except Exception as error:
        raise hub_failure(error, access, page.model.repo, file.path) from error


def _is_whole(path: Path) -> bool:
    """Whether the header ends within what is here."""
    from edgetui.formats.gguf import read_gguf_file

    try:
        read_gguf_file(path)
    except EdgetuiError:
        return False
    return True


class _RangeReader:
    """Bytes of one remote file."""

    def __init__(self, access: HubAccess, repo: str, commit: str, file: HubFile) -> None:
        from huggingface_hub import get_hf_file_metadata, hf_hub_url
        from huggingface_hub.utils import build_hf_headers

        token = access.token() or False
        url = hf_hub_url(repo, file.path, revision=commit, endpoint=access.endpoint)
        told = get_hf_file_metadata(url, token=token, timeout=ANSWER_LIMIT_S, endpoint=access.endpoint)
        if file.sha256 and told.etag != file.sha256:
            raise EdgetuiError(
                "bad_file", f"{repo}/{file.path} is another file on the hub now: open the model's page again."
            )
        self._url = told.location
        own = told.location.startswith(f"{access.endpoint}/")
        self._headers = build_hf_headers(token=token if own else False) | {"Accept-Encoding": "identity"}

    def read(self, begin: int, end: int) -> bytes:
        """Bytes from `begin` up to `end`; never more, whatever the server sends."""
        from huggingface_hub import get_session
        from huggingface_hub.utils import hf_raise_for_status

        found = bytearray()
        with get_session().stream(
            "GET",
            self._url,
            headers=self._headers | {"Range": f"bytes={begin}-{end - 1}"},
            timeout=ANSWER_LIMIT_S,
            follow_redirects=False,
        ) as answer:
            hf_raise_for_status(answer)
            if answer.status_code != 206 and begin:
                raise EdgetuiError("network", f"{self._url.split('?')[0]} gives no parts of files: download it whole.")
            for chunk in answer.iter_raw():
                found += chunk
                if len(found) >= end - begin:
                    break
        return bytes(found[: end - begin])
