"""The loopback hub: one server for the hub itself and one for its content host, each on a port of its own."""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub.faults import Fault, FaultPlan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from tests.hub.content import Repo, StoredFile

_BLOCK_BYTES = 64 * 1024
_PAGE = 50
"""Models of one page where the client names no limit; the hub has 1000."""
_SORTS = {
    "downloads": lambda repo: repo.downloads,
    "likes": lambda repo: repo.likes,
    "trendingScore": lambda repo: repo.trending,
    "lastModified": lambda repo: repo.last_modified,
    "createdAt": lambda repo: repo.last_modified,
}


@dataclass
class Seen:
    """One request as it came."""

    host: str
    """`hub` or `content`."""
    method: str
    path: str
    headers: Mapping[str, str]
    sent_bytes: int = 0
    """Of the body."""
    answered_at: float = 0.0
    """When the last byte of a short answer was sent, by `time.perf_counter`."""


@dataclass
class LoopbackHub:
    """Holds repositories and serves them; use it as a context."""

    repos: dict[str, Repo] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    """Token to user name."""
    faults: FaultPlan = field(default_factory=FaultPlan)
    requests: list[Seen] = field(default_factory=list)

    def __enter__(self) -> LoopbackHub:
        self.closing = threading.Event()
        self._servers = [_Server(self, role) for role in ("hub", "content")]
        self.endpoint, self.content_endpoint = (server.url for server in self._servers)
        self._threads = [threading.Thread(target=server.serve_forever, args=(0.02,)) for server in self._servers]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()

    def add(self, repo: Repo) -> Repo:
        """Publish a repository."""
        self.repos[repo.id] = repo
        return repo

    def fail(self, path: str = "", **what: Any) -> Fault:
        """Plan a fault for requests with this text in their path."""
        return self.faults.add(Fault(path, **what))

    def sent_bytes(self, path: str) -> int:
        """Bytes of all bodies of requests with this text in their path."""
        return sum(seen.sent_bytes for seen in self.requests if path in seen.path and seen.method == "GET")

    def blob(self, sha256: str) -> StoredFile | None:
        """A large file by its content, of any commit."""
        for repo in self.repos.values():
            for files in (repo.files, *repo.history.values()):
                for file in files.values():
                    if file.is_large and file.sha256 == sha256:
                        return file
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: LoopbackHub, role: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub, self.role = hub, role
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_args: Any) -> None:
        """The requests are kept in `LoopbackHub.requests`."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub = self.server.hub
        self.seen = Seen(self.server.role, self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
        hub.requests.append(self.seen)
        self.fault = hub.faults.take(self.command, self.path) or Fault()
        if self.fault.before:
            self.fault.before()
        if self.fault.delay_s:
            hub.closing.wait(self.fault.delay_s)
        if self.fault.status is not None:
            self._send(self.fault.status, self.fault.body, self.fault.headers)
            return
        split = urlsplit(self.path)
        path, query = unquote(split.path), parse_qs(split.query)
        if self.server.role == "content":
            self._content(path)
        elif path == "/api/models":
            self._models(query)
        elif path == "/api/whoami-v2":
            self._whoami()
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/refs", path):
            self._refs(found[1])
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            self._model(found[1], found[2] or "main", query)
        elif found := re.fullmatch(r"/((?:datasets/)?[^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(found[1], found[2], found[3])
        else:
            self._error(404, "", "Sorry, we can't find the page you are looking for.")

    # --- the hub ------------------------------------------------------------------------------------------

    def _models(self, query: dict[str, list[str]]) -> None:
        found = list(self.server.hub.repos.values())
        for word in query.get("search", []):
            found = [repo for repo in found if word.lower() in repo.id.lower()]
        for author in query.get("author", []):
            found = [repo for repo in found if repo.id.split("/")[0] == author]
        for tag in query.get("filter", []):
            found = [repo for repo in found if tag in (*repo.tags, repo.pipeline_tag, repo.library_name)]
        for tag in query.get("pipeline_tag", []):
            found = [repo for repo in found if repo.pipeline_tag == tag]
        for gated in query.get("gated", []):
            found = [repo for repo in found if bool(repo.gated) == (gated.lower() == "true")]
        for limits in query.get("num_parameters", []):
            for limit in limits.split(","):
                name, _, number = limit.partition(":")
                billions = float(number.removesuffix("B"))
                counts = {repo.id: (repo.gguf or {}).get("total", 0) / 1e9 for repo in found}
                found = [r for r in found if (counts[r.id] >= billions if name == "min" else counts[r.id] <= billions)]
        sort = query.get("sort", ["trendingScore"])[0]
        found.sort(key=_SORTS[sort], reverse=True)
        size = min(int(query.get("limit", [str(_PAGE)])[0]), _PAGE)
        begin = int(query.get("cursor", ["0"])[0])
        page = found[begin : begin + size]
        headers = {}
        if begin + size < len(found):
            rest = "&".join(f"{key}={value}" for key, values in query.items() if key != "cursor" for value in values)
            following = f"{self.server.url}/api/models?{rest}&cursor={begin + size}"
            headers["Link"] = f'<{following}>; rel="next"'
        expand = query.get("expand")
        answer = []
        for repo in page:
            told = repo.told(with_blobs=False, files=repo.files, commit=repo.commit)
            keys = (
                ("id", *expand) if expand else tuple(key for key in told if key not in ("siblings", "cardData", "gguf"))
            )
            answer.append({key: told[key] for key in keys if key in told})
        self._json(answer, headers)

    def _model(self, repo_id: str, revision: str, query: dict[str, list[str]]) -> None:
        repo = self.server.hub.repos.get(repo_id)
        found = repo.at(revision) if repo else None
        if repo is None:
            self._error(404, "RepoNotFound", "Repository not found")
        elif found is None:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            self._json(repo.told(with_blobs="blobs" in query, files=found[1], commit=found[0]))

    def _refs(self, repo_id: str) -> None:
        repo = self.server.hub.repos.get(repo_id)
        if repo is None:
            self._error(404, "RepoNotFound", "Repository not found")
            return
        branch = {"name": "main", "ref": "refs/heads/main", "targetCommit": repo.commit}
        tags = [{"name": n, "ref": f"refs/tags/{n}", "targetCommit": commit} for n, commit in repo.named.items()]
        self._json({"branches": [branch], "tags": tags, "converts": []})

    def _whoami(self) -> None:
        name = self.server.hub.tokens.get(self._token())
        if name is None:
            self._error(401, "", "Invalid username or password.")
        else:
            token = {"displayName": "edge", "role": "read"}
            self._json({"type": "user", "name": name, "auth": {"type": "access_token", "accessToken": token}})

    def _resolve(self, repo_id: str, revision: str, path: str) -> None:
        repo = self.server.hub.repos.get(repo_id)
        if repo is None:
            self._error(401, "RepoNotFound", "Repository not found")
            return
        if repo.gated and self._token() not in repo.readers:
            code = 403 if self._token() in self.server.hub.tokens else 401
            self._error(code, "GatedRepo", f"Access to model {repo_id} is restricted.")
            return
        found = repo.at(revision)
        if found is None:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        file = found[1].get(path)
        headers = {"X-Repo-Commit": found[0]}
        if file is None:
            self._error(404, "EntryNotFound", "Entry not found", headers)
        elif file.is_large:
            linked = {"X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(file.size)}
            location = f"{self.server.hub.content_endpoint}/blobs/{file.sha256}?signature=1"
            self._send(302, b"", headers | linked | {"Location": location})
        else:
            self._file(file, headers | {"ETag": f'"{file.etag}"'})

    def _token(self) -> str:
        return self.seen.headers.get("authorization", "").removeprefix("Bearer ")

    # --- the content host ---------------------------------------------------------------------------------

    def _content(self, path: str) -> None:
        file = self.server.hub.blob(path.removeprefix("/blobs/"))
        if file is None:
            self._send(404, b"")
        else:
            # As a store behind a delivery network names it: not the hash.
            self._file(file, {"ETag": f'"{file.sha256[:32]}"'})

    def _file(self, file: StoredFile, headers: dict[str, str]) -> None:
        begin, end, status = 0, file.size, 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.seen.headers.get("range", ""))
        if asked:
            begin, end = int(asked[1]), min(int(asked[2] or file.size - 1) + 1, file.size)
            if begin >= file.size:
                self._send(416, b"", {"Content-Range": f"bytes */{file.size}"})
                return
            status = 206
            headers = headers | {"Content-Range": f"bytes {begin}-{end - 1}/{file.size}"}
        fault = self.fault
        if fault.cut_to is not None:
            end = min(end, begin + fault.cut_to)
        self.send_response(status)
        for name, value in (headers | {"Accept-Ranges": "bytes", "Content-Length": str(end - begin)}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        with file.open() as stream:
            stream.seek(begin)
            self._send_body(stream, begin, end)

    def _send_body(self, stream: Any, begin: int, end: int) -> None:
        fault, hub = self.fault, self.server.hub
        stop = min((n for n in (fault.drop_after, fault.stall_after) if n is not None), default=None)
        block = max(1, int(fault.bytes_per_s / 20)) if fault.bytes_per_s else _BLOCK_BYTES
        at = begin
        with suppress(OSError):
            while at < end:
                size = min(block, end - at, *(() if stop is None else (begin + stop - at,)))
                if size == 0:
                    if fault.stall_after is not None:
                        hub.closing.wait()
                    self.close_connection = True
                    return
                data = bytearray(stream.read(size))
                if fault.corrupt_at is not None and at <= fault.corrupt_at < at + size:
                    data[fault.corrupt_at - at] ^= 0xFF
                self.wfile.write(data)
                at += size
                self.seen.sent_bytes += size
                if fault.bytes_per_s and hub.closing.wait(0.05):
                    return

    # --- answers ------------------------------------------------------------------------------------------

    def _json(self, value: Any, headers: dict[str, str] | None = None) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _error(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        named = {"X-Error-Code": code, "X-Error-Message": message} if code else {"X-Error-Message": message}
        body = json.dumps({"error": message}).encode()
        self._send(status, body, {"Content-Type": "application/json", **named, **(headers or {})})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(OSError):
                self.wfile.write(body)
                self.seen.sent_bytes += len(body)
                self.seen.answered_at = time.perf_counter()
