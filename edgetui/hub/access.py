"""Which hub, with whose token, and whether it may be asked at all: huggingface_hub's variables, read when needed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.formats.hub_cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_ENDPOINT = "https://huggingface.co"
ANSWER_LIMIT_S = 15.0
"""How long the hub may take to answer a question."""


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
        """Raises `EdgetuiError("network")` when the person has forbidden questions to the hub."""
        if self.is_offline:
            raise EdgetuiError("network", "The hub is not asked: HF_HUB_OFFLINE is set; unset it to go online.")

    def token(self) -> str | None:
        """The person's token, which goes to the endpoint and to nobody else."""
        from huggingface_hub import get_token

        return get_token()

    def api(self) -> Any:
        """huggingface_hub's client for this endpoint."""
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.endpoint, token=self.token() or False)
