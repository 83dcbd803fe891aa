"""A server on loopback that answers with Markdown at a rate of its own: how the screen is fed at just 100 tok/s."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from benchmarks.markdown_text import pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "markdown"


class _Handler(BaseHTTPRequestHandler):
    rate_tps = 0.0
    answers = 0

    def do_GET(self) -> None:
        self._send_json({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "benchmark"}]})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        if not self.path.endswith("/chat/completions"):
            self._send_json({"error": {"message": "not here"}}, 404)
            return
        cls = type(self)
        cls.answers += 1
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        begin = time.perf_counter()
        tokens = int(request.get("max_tokens") or request.get("max_completion_tokens") or 512)
        batch: list[bytes] = []
        for number, text in enumerate(pieces(tokens, cls.answers)):
            batch.append(_event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}))
            if self.rate_tps or len(batch) >= 64:
                if self.rate_tps:
                    time.sleep(max(0.0, begin + number / self.rate_tps - time.perf_counter()))
                self.wfile.write(b"".join(batch))
                batch.clear()
        batch.append(_event({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}))
        batch.append(_event({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": tokens}}))
        self.wfile.write(b"".join([*batch, b"data: [DONE]\n\n"]))
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's own name
        """Nothing: the terminal shows figures."""

    def _send_json(self, body: dict[str, Any], status: int = 200) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


@contextmanager
def paced_server(rate_tps: float = 0.0) -> Iterator[str]:
    """Its base address; `rate_tps` 0 sends as fast as it goes. Each answer is as long as it may be."""
    handler = type("Handler", (_Handler,), {"rate_tps": rate_tps, "answers": 0})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
