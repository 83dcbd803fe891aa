"""Hub and account lines, asked of a real server on this machine through huggingface_hub's own session."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from edgetui.services.readiness import accounts
from edgetui.services.readiness.accounts import check_account, check_hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "hf_aVerySecretTokenOfNobody"
KNOWN = {"name": "ada", "type": "user", "auth": {"accessToken": {"displayName": "board", "role": "read"}}}


class Hub(BaseHTTPRequestHandler):
    """Knows one token; `/broken` in front makes it answer nonsense."""

    def do_GET(self) -> None:
        if self.path == "/api/models?limit=1":
            self.answer(200, [])
        elif self.path == "/api/whoami-v2":
            right = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            self.answer(200 if right else 401, KNOWN if right else {"error": "Invalid credentials"})
        elif self.path == "/moved/api/whoami-v2":
            self.send_response(307)
            self.send_header("Location", "/api/whoami-v2")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/echo/api/whoami-v2":
            self.answer(200, {"name": self.headers.get("Authorization")})
        elif self.path == "/broken/api/whoami-v2":
            self.answer(200, "[")
        else:
            self.answer(503, {})

    def answer(self, status: int, body: object) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        """Nothing on the tests' output."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The endpoint of a hub that runs, and no token anywhere."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    yield endpoint
    server.shutdown()
    server.server_close()
    thread.join()


async def test_a_hub_that_answers_is_reachable_and_no_token_is_told(hub: str) -> None:
    line = await check_hub()
    assert (line.state, line.found) == ("ok", f"{hub} answers")
    account = await check_account()
    assert account.state == "warn" and account.found == "no token found" and account.action.endswith("auth login")


async def test_a_valid_token_tells_whose_it_is_and_what_it_may_and_is_never_shown(
    hub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    line = await check_account()
    assert (line.state, line.found) == ("ok", "ada, may read, from HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    line = await check_account()
    assert (line.state, line.found) == ("warn", "the token from HF_TOKEN is not valid (status 401)")
    assert "hf_wrong" not in repr(line)


async def test_a_token_kept_in_a_file_is_found(hub: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    line = await check_account()
    assert line.state == "ok" and line.found == f"ada, may read, from {tmp_path / 'token'}"


async def test_an_answer_that_is_no_answer_is_unknown(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", f"{hub}/broken")
    assert (await check_account()).state == "unknown"
    monkeypatch.setenv("HF_ENDPOINT", f"{hub}/elsewhere")
    line = await check_hub()
    assert line.state == "warn" and "status 503" in line.found
    assert TOKEN not in repr(await check_account())


async def test_a_refused_and_a_silent_hub_are_told_within_the_limit(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "ANSWER_LIMIT_S", 0.3)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        line = await check_hub()
        assert line.state == "warn" and ("does not answer within" in line.found or "ReadTimeout" in line.found)
    line = await check_hub()
    assert line.state == "warn" and "cannot be reached (ConnectError)" in line.found
    account = await check_account()
    assert account.state == "unknown" and account.found.startswith("a token from HF_TOKEN; http://127.0.0.1:")


async def test_offline_mode_asks_nobody(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert (await check_hub()).state == "skip"
    assert (await check_account()).found == "a token from HF_TOKEN, not asked about: HF_HUB_OFFLINE is set"


async def test_a_token_follows_no_redirect_and_is_masked_where_a_hub_repeats_it(
    hub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", f"{hub}/moved")
    line = await check_account()
    assert line.state == "unknown" and line.found.endswith("answers with status 307")
    monkeypatch.setenv("HF_ENDPOINT", f"{hub}/echo")
    line = await check_account()
    assert TOKEN not in repr(line) and line.found == "Bearer ***, from HF_TOKEN"


@pytest.mark.parametrize("endpoint", ["nonsense", "ftp://127.0.0.1", "http://[", "https://\x00"])
async def test_an_endpoint_that_is_none_is_told(hub: str, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    if "\x00" not in endpoint:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
    else:
        monkeypatch.setattr(accounts, "_endpoint", lambda: endpoint)
    line = await check_hub()
    assert line.state == "warn" and "cannot be reached" in line.found
