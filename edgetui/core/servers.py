"""A server that speaks OpenAI's protocol, as a person names it; the key itself is never kept here."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class ServerEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model of one server."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    """What the person calls it."""
    url: Annotated[str, Meta(pattern="^https?://", max_length=2000)]
    """Base address, with or without the `/v1` at its end."""
    model: Annotated[str, Meta(max_length=500)] = ""
    """As the server calls it; empty takes the first that it lists."""
    key_variable: Annotated[str, Meta(pattern="^[A-Za-z_][A-Za-z0-9_]*$|^$")] = ""
    """Environment variable that holds the key; empty looks into the keyring, and does without where it has none."""
    timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 60
    """Longest silence that is waited for."""
