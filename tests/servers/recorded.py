"""What a real llama-server answered, recorded once and given again: a line of JSON a request with its answer."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

RECORDED = Path(__file__).resolve().parent.parent / "recorded"
PAUSE_S = 0.002
"""Between two events of a stream that is given again."""
MOST_CHOSEN_SEED = 1000
"""A seed of a test; one that is drawn is larger, but for one in two million."""


@dataclass
class Exchange:
    """One request and what was answered."""

    method: str
    path: str
    asked: str
    """The body, without what is drawn anew each time."""
    status: int
    content_type: str
    pieces: list[str] = field(default_factory=list)
    """Of the body: events of a stream, or all of it in one."""


def normal(body: bytes) -> str:
    """A request's body as it is compared: a seed that was drawn and not chosen is left out."""
    if not body:
        return ""
    told: Any = json.loads(body)
    if isinstance(told, dict) and told.get("seed", 0) > MOST_CHOSEN_SEED:
        told.pop("seed")
    return json.dumps(told, sort_keys=True, ensure_ascii=False)


def read(path: Path) -> list[Exchange]:
    """The exchanges of a file."""
    return [Exchange(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, exchanges: list[Exchange]) -> None:
    """Keep exchanges; what was asked again and answered alike stands there once."""
    lines = dict.fromkeys(json.dumps(asdict(each), ensure_ascii=False) for each in exchanges)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


class RecordedServer:
    """Answers as recorded; a request that was never recorded is answered with what is missing. Use it as a context."""

    def __init__(self, path: Path) -> None:
        self._answers: dict[tuple[str, str, str], list[Exchange]] = {}
        for each in read(path):
            self._answers.setdefault((each.method, each.path, each.asked), []).append(each)
        self._lock = threading.Lock()
        self.seen: list[tuple[str, dict[str, str]]] = []
        """Path and headers of each request."""

    def __enter__(self) -> RecordedServer:
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.recorded = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, method: str, path: str, body: bytes) -> Exchange:
        """The next answer to a request, the last one again and again."""
        with self._lock:
            known = self._answers.get((method, path, normal(body)))
            if not known:
                said = json.dumps({"error": {"message": f"{method} {path} was never recorded: {body!r}"}})
                return Exchange(method, path, "", 500, "application/json", [said])
            return known.pop(0) if len(known) > 1 else known[0]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    recorded: RecordedServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_args: Any) -> None:
        """The requests are kept in `RecordedServer.seen`."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        recorded = self.server.recorded
        recorded.seen.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        exchange = recorded.take(self.command, self.path, body)
        self.send_response(exchange.status)
        self.send_header("Content-Type", exchange.content_type)
        if "event-stream" not in exchange.content_type:
            whole = "".join(exchange.pieces).encode()
            self.send_header("Content-Length", str(len(whole)))
            self.end_headers()
            self.wfile.write(whole)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in exchange.pieces:
            raw = piece.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
            if recorded.closing.wait(PAUSE_S):
                return
        # One that the client stopped goes on until it does so again.
        while not exchange.pieces[-1].startswith("data: [DONE]"):
            self.wfile.write(b"3\r\n:\n\n\r\n")
            if recorded.closing.wait(PAUSE_S):
                return
        self.wfile.write(b"0\r\n\r\n")
