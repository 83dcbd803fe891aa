"""A server that speaks OpenAI's protocol, as a person names it; the key itself is never kept here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Collection
    from urllib.parse import SplitResult


_VERSIONED = re.compile(r"/v\d+\w*(/.*)?$")


KeyVariable = Annotated[
    str,
    Meta(
        pattern=r"\A(?:[A-Za-z_][A-Za-z0-9_]*)?\Z",
        description="it is the name of an environment variable, such as LAB_KEY",
    ),
]


class ServerEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model of one server."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    """What the person calls it."""
    url: Annotated[str, Meta(pattern="^https?://", max_length=2000)]
    """Base address, with or without the `/v1` at its end."""
    model: Annotated[str, Meta(max_length=500)] = ""
    """As the server calls it; empty takes the first that it lists."""
    key_variable: KeyVariable = ""
    """Environment variable that holds the key; empty looks into the keyring, and does without where it has none."""
    timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 60
    """Longest silence that is waited for."""


def api_base(url: str) -> str:
    """What the addresses of the protocol go after, without a slash: the address with `/v1`, unless it has a version."""
    base = url.rstrip("/")
    return base if _VERSIONED.search(base.partition("://")[2]) else f"{base}/v1"


def server_root(url: str) -> str:
    """What a program's own addresses go after: the address without version."""
    scheme, mark, rest = url.rstrip("/").partition("://")
    return f"{scheme}{mark}{_VERSIONED.sub('', rest)}"


def is_address(text: str) -> bool:
    """Whether what was typed begins as a server's address does."""
    return text.strip().lower().startswith(("http://", "https://"))


def read_address(text: str) -> str:
    """A server's address as typed, without blanks around it; raises `EdgetuiError("bad_request")`."""
    url = text.strip()
    if not url.startswith(("http://", "https://")):
        raise EdgetuiError("bad_request", "An address begins with http:// or https://, such as http://127.0.0.1:8080.")
    checked_address(ServerEndpoint(name="this server", url=url))
    return url


def proposed_name(url: str, taken: Collection[str]) -> str:
    """A name for the server at an address, by its host, that is not taken yet."""
    split = address_parts(url)
    host = split.hostname if split is not None and split.hostname else "server"
    if host in ("localhost", "::1") or host.startswith("127."):
        base = "local"
    else:
        base = host if host.replace(".", "").isdigit() or ":" in host else host.partition(".")[0]
    port = split.port if split is not None else None
    wanted = [base, *([f"{base}-{port}"] if port else [])]
    return next(name for name in (*wanted, *(f"{base}-{n}" for n in range(2, len(taken) + 4))) if name not in taken)


def address_parts(url: str) -> SplitResult | None:
    """The parts of an address; None where it is none."""
    from urllib.parse import urlsplit

    try:
        split = urlsplit(url)
        _ = split.port
    except ValueError:
        return None
    is_plain = url.isascii() and url.isprintable() and " " not in url
    return split if is_plain and split.hostname else None


def checked_address(endpoint: ServerEndpoint) -> SplitResult:
    """The parts of its address, whose password, if it has one, is not repeated; raises `EdgetuiError`."""
    split = address_parts(endpoint.url)
    name = plain_line(endpoint.name)
    if split is None:
        raise EdgetuiError("bad_request", f"The address of {name} cannot be used: write http://HOST:PORT.")
    if any(mark in endpoint.url for mark in "@?#"):
        raise EdgetuiError(
            "bad_request",
            f"The address of {name} holds more than an address: leave out names, passwords and everything from ? on; a"
            " key goes into an environment variable (--key-variable) or the keyring.",
        )
    return split
