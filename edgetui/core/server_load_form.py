"""What a person fills in for a load test."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edgetui.core.bench_forms import Numbers
from edgetui.core.server_load import ServerBenchSettings, levels_of


class ServerLoadForm(msgspec.Struct, frozen=True, kw_only=True):
    """As `ServerBenchSettings`, the levels as they are typed."""

    concurrency: Numbers = "1,2,4"
    prompt_tokens: Annotated[int, Meta(ge=16, le=1_000_000)] = 256
    generated_tokens: Annotated[int, Meta(ge=2, le=100_000)] = 64
    requests: Annotated[int, Meta(ge=1, le=10_000)] = 2

    @property
    def settings(self) -> ServerBenchSettings:
        """As the service takes them; raises `EdgetuiError("bad_request")` for levels beyond their limits."""
        values = msgspec.structs.asdict(self)
        return ServerBenchSettings(**{**values, "concurrency": levels_of(self.concurrency)})
