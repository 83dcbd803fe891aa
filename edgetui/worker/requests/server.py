"""Measuring a server under load."""

from __future__ import annotations

from typing import ClassVar

from edgetui.core.bench import Machine
from edgetui.core.jobs import JobKind
from edgetui.core.server_load import ServerBenchSettings
from edgetui.core.servers import ServerEndpoint
from edgetui.worker.requests.base import Request


class ServerBenchRequest(Request, frozen=True, kw_only=True):
    """Ask a server many things at once; its key is found by the job itself and stands in no request."""

    KIND: ClassVar[JobKind] = "bench"
    MEASURES: ClassVar[bool] = True

    endpoint: ServerEndpoint
    settings: ServerBenchSettings
    machine: Machine = Machine()
    """That asks, not that answers."""

    @property
    def subject(self) -> str:
        """The server's name."""
        return self.endpoint.name

    @property
    def goal(self) -> str:
        """How many at once."""
        return f"load {','.join(str(level) for level in self.settings.concurrency)}"
