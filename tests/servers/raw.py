"""A server that answers with the very bytes of a script, right or wrong."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

Script = bytes | list[bytes]
"""One answer, or the parts of one between which the next waits for `RawServer.go_on`."""

MODELS = {"object": "list", "data": [{"id": "tiny", "object": "model", "owned_by": "someone"}]}


def whole(body: bytes | dict[str, Any], status: int = 200, kind: str = "application/json", *headers: str) -> bytes:
    """An answer with a right length."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} x", f"Content-Type: {kind}", f"Content-Length: {len(raw)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + raw


def stream(*events: dict[str, Any] | str, end: bytes = b"data: [DONE]\n\n") -> bytes:
    """An event stream that ends with the connection; text events are taken for pieces of an answer."""
    lines = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    return lines + b"".join(said(each) for each in events) + end


def said(event: dict[str, Any] | str) -> bytes:
    """One event."""
    if isinstance(event, str):
        event = {"choices": [{"index": 0, "delta": {"content": event}, "finish_reason": None}]}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def finish(reason: str = "stop") -> dict[str, Any]:
    """The event that says why an answer ended."""
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def usage(prompt: int, completion: int) -> dict[str, Any]:
    """The event that counts."""
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}}


class RawServer:
    """Use it as a context; `answers` says by path what each request gets, the last one again and again."""

    def __init__(
        self, answers: Mapping[str, Sequence[Script]] | None = None, models: dict[str, Any] | None = None
    ) -> None:
        self._answers: dict[str, list[Script]] = {"/v1/models": [whole(models or MODELS)]}
        self._answers |= {path: list(each) for path, each in (answers or {}).items()}
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        """Path, headers and body of each."""
        self.go_on = threading.Event()
        self.left = threading.Event()
        """Set when a client went away while it was answered."""

    def __enter__(self) -> RawServer:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.url = f"http://{self.host}"
        self._closing = False
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        self.go_on.set()
        # A blocked accept does not notice that its socket is closed.
        with suppress(OSError):
            socket.create_connection(self._socket.getsockname()[:2]).close()
        self._threads[0].join()
        for connection in self._connections:
            # Kept open by a client for its next question.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            if self._closing:
                connection.close()
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._answer, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while True:
                request = _request(connection)
                if request is None:
                    return
                path, headers, body = request
                self.requests.append((path, headers, body))
                known = self._answers.get(path) or [whole({"error": {"message": "no such address"}}, 404)]
                script = known.pop(0) if len(known) > 1 else known[0]
                self._send(connection, script)
                if b"Connection: close" in (script if isinstance(script, bytes) else script[0]):
                    return

    def _send(self, connection: socket.socket, script: Script) -> None:
        parts = [script] if isinstance(script, bytes) else script
        for number, part in enumerate(parts):
            if number and not self._wait(connection):
                return
            connection.sendall(part)

    def _wait(self, connection: socket.socket) -> bool:
        """Until the next part may go; False when the client has left."""
        connection.settimeout(0.01)
        try:
            while not self.go_on.is_set():
                with suppress(TimeoutError):
                    if not connection.recv(1):
                        self.left.set()
                        return False
            return not self._closing
        except OSError:
            self.left.set()
            return False
        finally:
            connection.settimeout(None)


def _request(connection: socket.socket) -> tuple[str, dict[str, str], bytes] | None:
    raw = b""
    while b"\r\n\r\n" not in raw:
        piece = connection.recv(65536)
        # A greeting in TLS is no request, and whoever does not speak that hangs up.
        if not piece or piece.startswith(b"\x16"):
            return None
        raw += piece
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        piece = connection.recv(65536)
        if not piece:
            return None
        body += piece
    return first.split(" ")[1], headers, body


def patiently(condition: Callable[[], bool], then: Callable[[], None] = lambda: None) -> None:
    """Wait in a thread's way for something that happens in another one."""
    from tests.waiting import PATIENCE_S

    waiter = threading.Event()
    for _ in range(int(PATIENCE_S / 0.02)):
        if condition():
            then()
            return
        waiter.wait(0.02)
    raise AssertionError("what was waited for never came")
