"""`python -m tests.servers URL FILE`: stand before a real server, and record what it answers until Ctrl-C.

How the recordings here were made: see `tests/recorded/README.md`.
"""

from __future__ import annotations

import http.client
import re
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.servers.recorded import Exchange, normal, write

PORT = 18900
MOST_EVENTS = 400
"""Of an answer that only a stop ends; what comes after is as good as what came before."""
_MODEL_PATH = re.compile(r'("model_path":")[^"]*"')
_taken: list[Exchange] = []


class _Recorder(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    real = ""

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        link = http.client.HTTPConnection(urlsplit(self.real).netloc)
        link.request(self.command, self.path, body or None, {"Content-Type": "application/json"})
        answer = link.getresponse()
        kind = answer.getheader("Content-Type") or ""
        exchange = Exchange(self.command, self.path, normal(body), answer.status, kind)
        _taken.append(exchange)
        self.send_response(answer.status)
        self.send_header("Content-Type", kind)
        if "event-stream" not in kind:
            whole = answer.read()
            # Where the file lies is the recording person's own.
            exchange.pieces.append(_MODEL_PATH.sub(r'\1model.gguf"', whole.decode()))
            self.send_header("Content-Length", str(len(whole)))
            self.end_headers()
            self.wfile.write(whole)
            return
        self.send_header("Connection", "close")
        self.end_headers()
        event = b""
        try:
            while line := answer.readline():
                event += line
                if not line.strip():
                    if len(exchange.pieces) < MOST_EVENTS:
                        exchange.pieces.append(event.decode())
                    self.wfile.write(event)
                    event = b""
        except (BrokenPipeError, ConnectionResetError):
            # The client stopped; the real server shall see that too.
            pass
        finally:
            link.close()
            self.close_connection = True


def main() -> None:
    _Recorder.real, target = sys.argv[1], Path(sys.argv[2])
    server: Any = ThreadingHTTPServer(("127.0.0.1", PORT), _Recorder)
    # Started in the background by a shell, Python does not hear Ctrl-C by itself.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    print(f"Recording {_Recorder.real} at http://127.0.0.1:{PORT}; Ctrl-C writes {target}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        write(target, _taken)


if __name__ == "__main__":
    main()
