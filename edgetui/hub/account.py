"""The person's account on the hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.hub.failures import hub_failure

if TYPE_CHECKING:
    from edgetui.hub.access import HubAccess


def login(access: HubAccess, token: str) -> str:
    """Check a token and keep it in huggingface_hub's own place, readable by its owner only; returns the account's name.

    Raises `EdgetuiError`: `gated` for a token that the hub does not know, `network`, `no_permission`.
    """
    access.require_online()
    if not token or not token.isprintable() or not token.isascii() or " " in token:
        raise EdgetuiError("bad_request", "That is no token: copy it whole from the hub's settings page.")
    from pathlib import Path

    from huggingface_hub import constants

    try:
        answer = access.ask(f"{access.endpoint}/api/whoami-v2", token=token)
        if answer.status_code in (401, 403):
            raise EdgetuiError(
                "gated", f"{access.endpoint} does not know this token: make a new one on its settings page."
            )
        if answer.status_code != 200:
            raise EdgetuiError(
                "network", f"{access.endpoint} answers with status {answer.status_code}: try again later."
            )
        name = plain_line(str(answer.json().get("name", ""))) or "an account without a name"
    except EdgetuiError:
        raise
    except Exception as error:
        raise hub_failure(error, access) from error
    path = Path(constants.HF_TOKEN_PATH)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_text(token, encoding="ascii")
    except (OSError, UnicodeEncodeError) as error:
        raise EdgetuiError("no_permission", f"The token cannot be kept in {path.parent}: make it writable.") from error
    return name
