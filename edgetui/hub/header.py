"""The header of a model that is not here: the first bytes of its file, fetched by range into a file of its own.

What comes of it has the length of the whole file and a hole where the weights would be, so that whatever reads headers
or simulates a load works on it as on the model itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.hub import is_safe_path
from edgetui.core.units import format_bytes
from edgetui.hub.access import ANSWER_LIMIT_S
from edgetui.hub.failures import hub_failure

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.hub import HubFile
    from edgetui.hub.access import HubAccess

FIRST_BYTES = 1024 * 1024
MOST_BYTES = 32 * 1024 * 1024
"""A header with 260,000 tokens and their merges takes 16 MiB."""


def fetch_header(access: HubAccess, repo: str, commit: str, file: HubFile, target: Path) -> Path:
    """Make `target`, unless it is there; raises `EdgetuiError`: `network`, `gated`, `not_found`, `bad_file`."""
    if target.exists():
        return target
    if not is_safe_path(file.path) or not file.size_bytes:
        raise EdgetuiError("bad_file", f"{repo} tells no size of {file.path}, so its header cannot be read.")
    access.require_online()
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        reader = _RangeReader(access, repo, commit, file)
        wanted = FIRST_BYTES
        while True:
            wanted = min(wanted, file.size_bytes)
            with partial.open("ab") as stream:
                stream.write(reader.read(stream.tell(), wanted))
            if _is_whole(partial):
                break
            if wanted == file.size_bytes or wanted >= MOST_BYTES:
                raise EdgetuiError(
                    "bad_file",
                    f"The first {format_bytes(wanted)} of {repo}/{file.path} hold no GGUF header: it may be damaged.",
                )
            wanted *= 2
        os.truncate(partial, file.size_bytes)
        partial.replace(target)
    except EdgetuiError:
        raise
    except Exception as error:
        raise hub_failure(error, access, repo, file.path) from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def _is_whole(path: Path) -> bool:
    """Whether the header ends within what is here."""
    from edgetui.formats.gguf import read_gguf

    try:
        read_gguf(path)
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
