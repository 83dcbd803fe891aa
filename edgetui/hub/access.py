"""Which hub, with whose token, and whether it may be asked at all: huggingface_hub's variables, read when needed."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from edgetui.core.failures import EdgetuiError
from edgetui.formats.hub_cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_ENDPOINT = "https://huggingface.co"
ANSWER_LIMIT_S = 15.0
"""How long the hub may take to begin an answer, and between two pieces of it."""
LONGEST_ANSWER_S = 60.0
"""How long a whole answer to a question may take."""
MOST_ANSWER_BYTES = 32 * 1024 * 1024
"""A page of a search takes some hundred KiB, a repository with thousands of files a few MiB."""
_LONGEST_LABEL = 63
"""Characters between two dots of a host's name."""
_KEPT_HEADERS = ("Link", "Location", "Retry-After", "X-Error-Code", "X-Error-Message", "X-Request-Id", "Content-Type")


@dataclass(frozen=True)
class HubAccess:
    """Where the hub is and where its files go."""

    endpoint: str
    cache: Path
    is_offline: bool

    @classmethod
    def of_environment(cls, environ: Mapping[str, str] | None = None) -> HubAccess:
        """As HF_ENDPOINT, HF_HUB_CACHE, HF_HOME and HF_HUB_OFFLINE say."""
        environ = os.environ if environ is None else environ
        endpoint = environ.get("HF_ENDPOINT", "").strip().rstrip("/") or DEFAULT_ENDPOINT
        offline = environ.get("HF_HUB_OFFLINE", "").strip().upper() in ("1", "ON", "YES", "TRUE")
        return cls(endpoint, cache_folder(environ), offline)

    def require_online(self) -> None:
        """Raises `EdgetuiError`: `network` when the person has forbidden questions to the hub, else `bad_settings`."""
        if problem := _problem_of(self.endpoint):
            raise EdgetuiError("bad_settings", f"HF_ENDPOINT {problem}: write https://HOST, or leave it out.")
        if self.is_offline:
            raise EdgetuiError(
                "network",
                "The hub is not asked: HF_HUB_OFFLINE is set, or hub_offline in the settings; unset it to go online.",
            )

    def token(self) -> str | None:
        """The person's token, which goes to the endpoint and to nobody else."""
        from huggingface_hub import get_token

        _hush()
        try:
            token = get_token()
        except (OSError, UnicodeDecodeError) as error:
            raise EdgetuiError(
                "bad_settings", "The file of the hub's token cannot be read: log in again (edgetui login)."
            ) from error
        if token and not (token.isascii() and token.isprintable()):
            raise EdgetuiError(
                "bad_settings", "HF_TOKEN, or the kept token, has characters that no token has: log in again."
            )
        return token

    def api(self) -> Any:
        """huggingface_hub's client for this endpoint."""
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.endpoint, token=self.token() or False)

    def ask(self, address: str, params: Sequence[tuple[str, str]] = (), *, token: str | None = None) -> Any:
        """The hub's answer to a question at its own address, once, whatever its status; as the network raises."""
        import httpx2
        from huggingface_hub import get_session
        from huggingface_hub.utils import build_hf_headers

        headers = build_hf_headers(token=token or self.token() or False)
        deadline, body = time.monotonic() + LONGEST_ANSWER_S, bytearray()
        # Nobody else than the hub gets the token.
        with get_session().stream(
            "GET",
            address,
            params=list(params) or None,
            headers=headers,
            timeout=ANSWER_LIMIT_S,
            follow_redirects=False,
        ) as answer:
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > MOST_ANSWER_BYTES:
                    raise EdgetuiError("network", f"{self.endpoint} answers without end: it is no hub.")
                if time.monotonic() > deadline:
                    raise httpx2.ReadTimeout("the answer took too long", request=answer.request)
            kept = {name: answer.headers[name] for name in _KEPT_HEADERS if name in answer.headers}
            return httpx2.Response(answer.status_code, headers=kept, content=bytes(body), request=answer.request)

    def get(self, address: str, params: Sequence[tuple[str, str]] = ()) -> Any:
        """The same, where a status that is no success is raised as huggingface_hub does."""
        from huggingface_hub.utils import hf_raise_for_status

        answer = self.ask(address, params)
        if answer.is_redirect:
            # A model that was renamed; nobody else than the hub is asked.
            moved = urljoin(address, answer.headers.get("Location", ""))
            if moved.startswith(f"{self.endpoint}/"):
                answer = self.ask(moved, () if urlsplit(moved).query else params)
        hf_raise_for_status(answer)
        return answer


def _problem_of(endpoint: str) -> str:
    """What is wrong with an address, in words that do not repeat it: it may hold a password."""
    if not (endpoint.isascii() and endpoint.isprintable()) or " " in endpoint:
        return "has characters that no address has"
    try:
        split = urlsplit(endpoint)
        port_is_odd = split.port == 0
    except ValueError:
        return "is no address"
    if split.scheme not in ("http", "https") or not split.hostname or port_is_odd:
        return "is no address"
    if any(not label or len(label) > _LONGEST_LABEL for label in split.hostname.rstrip(".").split(".")):
        return "names no host"
    return "holds a name or password, which go into HF_TOKEN" if "@" in split.netloc else ""


def _hush() -> None:
    """The library writes its troubles to the terminal, where a screen is; we say them ourselves."""
    import logging

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
