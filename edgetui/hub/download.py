"""One file from the hub into huggingface_hub's cache, over a link that may break at any byte.

huggingface_hub answers where the file is, guards it with its lock and links it into the snapshot. The transfer between
is done here, since the library begins anew after a crash and believes any content of the right length.
"""

from __future__ import annotations

import errno
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.hub import is_commit, is_safe_path
from edgetui.core.plain_text import plain_line
from edgetui.core.units import format_bytes
from edgetui.formats.hub_cache import repo_folder
from edgetui.hub.access import ANSWER_LIMIT_S
from edgetui.hub.failures import hub_failure, is_transient, retry_after_s, status_of
from edgetui.hub.partial import PartialFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.core.hub import HubFile
    from edgetui.hub.access import HubAccess

STALL_S = 30.0
"""A connection that brings nothing for so long is given up, and made anew."""
MOST_FAILURES = 8
"""Failures in a row, without a byte between, after which a download ends."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
_ETAG = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_RANGE_TOTAL = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+)")
_LOCK_WAIT_S = 5.0


@dataclass(frozen=True)
class DownloadLimits:
    """What a download may take."""

    bytes_per_s: int = 0
    """0 takes what the link gives."""
    headroom_bytes: int = 0
    """Free space that must remain."""
    stall_s: float = STALL_S
    most_failures: int = MOST_FAILURES


@dataclass(frozen=True)
class _Place:
    """Where the hub says that a file is."""

    url: str
    etag: str
    size_bytes: int
    headers: dict[str, str]


class FileDownload:
    """One file of one commit."""

    def __init__(
        self,
        access: HubAccess,
        repo: str,
        commit: str,
        file: HubFile,
        limits: DownloadLimits,
        report: Callable[[int, str], None],
    ) -> None:
        """`report` gets the bytes that are here and, while nothing moves, why."""
        self._access, self._repo, self._commit, self._file = access, repo, commit, file
        self._limits = limits
        self._report = report
        self._folder = repo_folder(access.cache, repo)
        self._failures = self._restarts = 0
        self.was_fetched = False
        """Whether it came, and was checked, now; else it was in the cache already."""

    def run(self) -> Path:
        """Bring the file; returns its path in the snapshot.

        Raises `EdgetuiError`: `network`, `gated`, `not_found`, `no_space`, `no_permission`, `bad_file`. What has come
        so far stays for the next try, unless it is wrong.
        """
        if not is_safe_path(self._file.path):
            raise EdgetuiError(
                "bad_file",
                f"{self._repo} names a file {plain_line(self._file.path)!r} that would lie outside the cache: refused.",
            )
        if not is_commit(self._commit):
            raise EdgetuiError("bad_request", f"{plain_line(self._commit)!r} is no commit of {self._repo}: refused.")
        self._access.require_online()
        try:
            place = self._retried(self._locate)
            if not self._is_here(place):
                self._fetch(place)
            path = self._link()
            if path.resolve().name != place.etag:
                # The hub named another file between the two questions, which nobody has checked.
                path.unlink()
                raise self._changed()
            return path
        except EdgetuiError:
            raise
        except OSError as error:
            raise self._disk_failure(error) from error
        except Exception as error:
            raise hub_failure(error, self._access, self._repo, self._file.path) from error

    def _is_here(self, place: _Place) -> bool:
        """Whether a blob of that name and size is in the cache; one of another size is no such blob."""
        try:
            return (self._folder / "blobs" / place.etag).stat().st_size == place.size_bytes
        except FileNotFoundError:
            return False

    # --- where it is --------------------------------------------------------------------------------------

    def _locate(self) -> _Place:
        from huggingface_hub import get_hf_file_metadata, hf_hub_url
        from huggingface_hub.utils import build_hf_headers

        url = hf_hub_url(self._repo, self._file.path, revision=self._commit, endpoint=self._access.endpoint)
        token = self._access.token()
        told = get_hf_file_metadata(url, token=token or False, timeout=ANSWER_LIMIT_S, endpoint=self._access.endpoint)
        etag, size = told.etag or "", told.size if told.size is not None else self._file.size_bytes
        if not _ETAG.fullmatch(etag) or size is None:
            raise EdgetuiError(
                "network",
                f"{self._access.endpoint} names no hash and size of {self._repo}/{self._file.path}: it is no hub.",
            )
        wanted = self._file.sha256 or self._file.git_id
        if wanted and etag != wanted:
            raise self._changed()
        # The token is for the hub alone, not for the store that it points to.
        own = told.location.startswith(f"{self._access.endpoint}/")
        headers = build_hf_headers(token=(token or False) if own else False)
        return _Place(told.location, etag, size, headers | {"Accept-Encoding": "identity"})

    def _changed(self) -> EdgetuiError:
        return EdgetuiError(
            "bad_file",
            f"{self._repo}/{self._file.path} is another file on the hub now than when it was chosen: open the model's"
            " page again.",
        )

    # --- the transfer -------------------------------------------------------------------------------------

    def _fetch(self, place: _Place) -> None:
        from filelock import Timeout
        from huggingface_hub.utils import WeakFileLock

        blob = self._folder / "blobs" / place.etag
        lock = self._access.cache / ".locks" / self._folder.name / f"{place.etag}.lock"
        for folder in (blob.parent, lock.parent):
            folder.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                with WeakFileLock(lock, timeout=_LOCK_WAIT_S):
                    if not self._is_here(place):
                        self._receive_into(blob, place)
                        self.was_fetched = True
                    return
            except Timeout:
                self._report(0, "waiting: another program downloads this file")

    def _receive_into(self, blob: Path, place: _Place) -> None:
        by_git = len(place.etag) == 40
        partial = PartialFile(blob, git_blob_bytes=place.size_bytes if by_git else None)
        with partial:
            if partial.size > place.size_bytes:
                partial.restart()
            self._require_space(place.size_bytes - partial.size, blob.parent)
            while partial.size < place.size_bytes:
                before = partial.size
                try:
                    self._receive(place, partial)
                    if partial.size == before:
                        # An answer without a byte, told as whole.
                        self._wait(None, partial.size, "the connection was cut")
                except EdgetuiError:
                    raise
                except Exception as error:
                    if partial.size > before:
                        self._failures = 0
                    if status_of(error) in (401, 403, 404, 410):
                        # The store's address was for a while only; the hub gives another.
                        self._wait(error, partial.size, "the address has expired")
                        place = self._retried(self._locate)
                    elif is_transient(error):
                        self._wait(error, partial.size, _why(error))
                    else:
                        raise
            self._report(partial.size, "checking")
            if partial.digest() != place.etag:
                partial.remove()
                raise EdgetuiError(
                    "bad_file",
                    f"{self._repo}/{self._file.path} came with other content than the hub promises (its hash differs):"
                    " it was deleted; download it again.",
                )
            partial.rename(blob)

    def _receive(self, place: _Place, partial: PartialFile) -> None:
        """Append what one answer brings, from the first byte that is not here."""
        import httpx2
        from huggingface_hub import get_session
        from huggingface_hub.utils import hf_raise_for_status

        headers = place.headers | ({"Range": f"bytes={partial.size}-"} if partial.size else {})
        with get_session().stream(
            "GET", place.url, headers=headers, timeout=self._limits.stall_s, follow_redirects=False
        ) as answer:
            told = _RANGE_TOTAL.match(answer.headers.get("Content-Range", ""))
            if answer.status_code == 416:
                if told is None or int(told[2]) < partial.size:
                    # What is here goes beyond what is there.
                    self._begin_anew(partial)
                    return
                raise httpx2.RemoteProtocolError("a range that is there was refused", request=answer.request)
            hf_raise_for_status(answer)
            if answer.is_redirect:
                raise EdgetuiError("network", f"{place.url.split('?')[0]} points elsewhere again: try later.")
            length = answer.headers.get("Content-Length", "")
            if answer.status_code != 206 and length.isdigit() and int(length) > 0 and int(length) != place.size_bytes:
                # The page of a portal or proxy, not the file: what has come so far stays.
                raise httpx2.RemoteProtocolError("an answer of another length", request=answer.request)
            if partial.size and answer.status_code != 206:
                # The range was not heard: all of it comes.
                self._begin_anew(partial)
            if told and (int(told[2]) != place.size_bytes or (told[1] and int(told[1]) != partial.size)):
                raise self._changed()
            began, began_at = time.monotonic(), partial.size
            for chunk in answer.iter_raw():
                if partial.size + len(chunk) > place.size_bytes:
                    partial.remove()
                    raise self._changed()
                partial.append(chunk)
                self._failures = 0
                self._report(partial.size, "")
                self._keep_to_rate(began, partial.size - began_at)

    def _begin_anew(self, partial: PartialFile) -> None:
        """Forget what is here, but not without end."""
        self._restarts += 1
        if self._restarts > self._limits.most_failures:
            raise EdgetuiError(
                "network",
                f"{self._file.path} was sent anew {self._restarts} times and never to its end: try again later.",
            )
        partial.restart()

    def _keep_to_rate(self, began: float, received: int) -> None:
        if self._limits.bytes_per_s:
            ahead = received / self._limits.bytes_per_s - (time.monotonic() - began)
            if ahead > 0:
                time.sleep(ahead)

    def _require_space(self, more_bytes: int, folder: Path) -> None:
        free = shutil.disk_usage(folder).free
        if more_bytes + self._limits.headroom_bytes > free:
            raise EdgetuiError(
                "no_space",
                f"{self._file.path} needs {format_bytes(more_bytes)} more, {format_bytes(free)} are free and"
                f" {format_bytes(self._limits.headroom_bytes)} stay free on that disk: make room in {folder}.",
            )

    # --- failing and waiting ------------------------------------------------------------------------------

    def _retried(self, ask: Callable[[], Any]) -> Any:
        while True:
            try:
                return ask()
            except EdgetuiError:
                raise
            except Exception as error:
                if not is_transient(error):
                    raise
                self._wait(error, None, _why(error))

    def _wait(self, error: Exception | None, here: int | None, why: str) -> None:
        """Wait before the next try, counting down; raises what went wrong when there were too many."""
        self._failures += 1
        if self._failures > self._limits.most_failures:
            if error is not None:
                raise error
            raise EdgetuiError(
                "network", f"{self._access.endpoint} sends nothing of {self._file.path}: try again later."
            )
        asked = retry_after_s(error) if error is not None else None
        seconds = asked if asked is not None else min(_FIRST_WAIT_S * 2 ** (self._failures - 1), _LONGEST_WAIT_S)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._report(-1 if here is None else here, f"{why}: next try in {left:.0f} s")
            time.sleep(min(1.0, left))

    def _disk_failure(self, error: OSError) -> EdgetuiError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return EdgetuiError(
                "no_space",
                f"The disk of {self._access.cache} is full: make room and resume; what has come so far is kept.",
                str(error),
            )
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            return EdgetuiError(
                "no_permission",
                f"The cache {self._access.cache} cannot be written ({error.strerror}): make it writable, or set HF_HOME"
                " to a folder that is.",
                str(error),
            )
        return hub_failure(error, self._access, self._repo, self._file.path)

    # --- its place in the cache ---------------------------------------------------------------------------

    def _link(self) -> Path:
        """Have huggingface_hub put the file into the snapshot: the blob is there, so it only asks for its name."""
        from huggingface_hub import hf_hub_download

        return Path(
            self._retried(
                lambda: hf_hub_download(
                    self._repo,
                    self._file.path,
                    revision=self._commit,
                    cache_dir=self._access.cache,
                    endpoint=self._access.endpoint,
                    token=self._access.token() or False,
                    etag_timeout=ANSWER_LIMIT_S,
                )
            )
        )


def point_to(access: HubAccess, repo: str, revision: str, commit: str) -> None:
    """Let a branch's name stand for a commit in the cache, as huggingface_hub's `refs` do."""
    if revision == commit or not is_safe_path(revision):
        return
    ref = repo_folder(access.cache, repo) / "refs" / revision
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_text(commit, encoding="ascii")


def _why(error: Exception) -> str:
    import httpx2

    status = status_of(error)
    if status == 429:
        return "the hub asks to slow down"
    if status is not None:
        return f"the hub answers with status {status}"
    if isinstance(error, (httpx2.ReadTimeout, httpx2.WriteTimeout)):
        return "nothing comes any more"
    if isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout)):
        return "the hub cannot be reached"
    return "the connection was cut"
