"""Proxies and certificates between edgetui and the hub, real ones on the loopback."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.hub import HubQuery
from edgetui.hub import browse
from edgetui.hub.access import HubAccess
from edgetui.hub.download import DownloadLimits, FileDownload
from tests.hub.fixtures import WEIGHTS
from tests.hub.server import LoopbackHub

CERTIFICATE = Path(__file__).with_name("self_signed.pem")
"""For `localhost`, signed by nobody; its key guards nothing."""


class Proxy(ThreadingHTTPServer):
    """Forwards what it is asked for, as a proxy of a company does."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.seen: list[str] = []
        self.refuses = False


class _Forward(BaseHTTPRequestHandler):
    server: Proxy

    def log_message(self, *_args: Any) -> None:
        """Kept in `seen`."""

    def do_GET(self) -> None:
        self.server.seen.append(self.path)
        if self.server.refuses:
            self.send_error(407)
            return
        target = urlsplit(self.path)
        connection = http.client.HTTPConnection(target.netloc)
        path = f"{target.path}?{target.query}" if target.query else target.path
        connection.request(self.command, path, headers=dict(self.headers.items()))
        answer = connection.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    do_HEAD = do_GET


@pytest.fixture(autouse=True)
def fresh_session() -> Iterator[None]:
    """The library keeps one client, made with the environment that it found first."""
    from huggingface_hub import close_session

    close_session()
    yield
    close_session()


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """In the environment of this process."""
    for name in ("no_proxy", "NO_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Proxy() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_address[1]}")
        yield server
        server.shutdown()
        thread.join()


def bring(access: HubAccess) -> Path:
    page = browse.page(access, "maker/tiny-GGUF")
    limits = DownloadLimits(most_failures=1)
    return FileDownload(access, page.model.repo, page.commit, page.variants[0].files[0], limits, lambda *_: None).run()


def test_everything_goes_through_the_proxy_that_the_environment_names(
    access: HubAccess, hub: LoopbackHub, proxy: Proxy
) -> None:
    assert bring(access).read_bytes() == WEIGHTS
    assert {seen.host for seen in hub.requests} == {"hub", "content"}
    assert len(proxy.seen) == len(hub.requests)


def test_a_proxy_that_refuses_is_named(access: HubAccess, proxy: Proxy) -> None:
    proxy.refuses = True
    with pytest.raises(EdgetuiError, match="The proxy asks for a name and password"):
        bring(access)


def test_a_proxy_that_is_not_there_is_one_sentence(access: HubAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(EdgetuiError, match="cannot be reached: check the link and the proxy in HTTP_PROXY"):
        list(browse.search(access, HubQuery()))


def test_a_certificate_that_nobody_signed_is_said_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        access = HubAccess(f"https://localhost:{server.server_address[1]}", tmp_path, is_offline=False)
        with pytest.raises(EdgetuiError, match=r"The certificate of localhost:\d+ is not trusted .*SSL_CERT_FILE"):
            list(browse.search(access, HubQuery()))
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "endpoint",
    ["foo", "http://", "http://[::1", "http://127.0.0.1:99999", "http://x..y", "http://\udcff", "http://u:secret@host"],
)
def test_an_endpoint_that_is_no_address_is_named_without_what_it_holds(endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(EdgetuiError, match="HF_ENDPOINT") as caught:
        list(browse.search(HubAccess(endpoint, tmp_path, is_offline=False), HubQuery()))
    assert caught.value.failure.kind == "bad_settings" and "secret" not in str(caught.value)


def test_a_token_that_cannot_be_sent_is_named(access: HubAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_sécret")
    with pytest.raises(EdgetuiError, match="characters that no token has") as caught:
        list(browse.search(access, HubQuery()))
    assert "cret" not in str(caught.value).replace("characters", "")
