"""Where the key of a server is found: an environment variable, or the system's keyring. It is written nowhere.

The keyring is asked by the system's own command (`secret-tool` of libsecret, `security` of macOS) in a process of its
own. The package `keyring` would do the same on Linux by way of SecretStorage and cryptography, 12 MiB that a board has
no other use for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgetui.core.servers import ServerEndpoint

KEYRING_LIMIT_S = 60.0
"""A locked keyring asks its person for a password first."""


def find_key(endpoint: ServerEndpoint, environ: Mapping[str, str] | None = None) -> str:
    """The key of a server, empty where it has none.

    Raises `EdgetuiError`: `bad_request` when its variable is not set or holds no text, `busy` when the keyring stays
    locked.
    """
    environ = os.environ if environ is None else environ
    if endpoint.key_variable:
        if key := environ.get(endpoint.key_variable, "").strip():
            try:
                key.encode()
            except UnicodeEncodeError:
                # Not as its cause, which would show the key.
                raise EdgetuiError(
                    "bad_request",
                    f"The key of {plain_line(endpoint.name)} in the variable {endpoint.key_variable} holds bytes that"
                    " are no text: export it anew.",
                ) from None
            return key
        raise EdgetuiError(
            "bad_request",
            f"The key of {plain_line(endpoint.name)} is expected in the variable {endpoint.key_variable}, which is not"
            " set: export it before edgetui is started.",
        )
    command = _looking_up(endpoint.name)
    if command is None:
        return ""
    try:
        found = subprocess.run(command, capture_output=True, timeout=KEYRING_LIMIT_S, check=False, text=True)
    except subprocess.TimeoutExpired as error:
        raise EdgetuiError(
            "busy", f"The keyring does not answer for the key of {plain_line(endpoint.name)}: unlock it."
        ) from error
    except (OSError, UnicodeDecodeError):
        return ""
    # Both commands say by their status that there is no such entry, which is how most servers are.
    return found.stdout.strip() if found.returncode == 0 else ""


def how_to_keep(name: str) -> str | None:
    """The command that puts a key into the keyring, asking for it; None where there is no keyring."""
    quoted = _quoted(name)
    if sys.platform == "darwin" and shutil.which("security"):
        return f"security add-generic-password -s edgetui -a {quoted} -w"
    if shutil.which("secret-tool"):
        return f"secret-tool store --label=edgetui service edgetui server {quoted}"
    return None


def _looking_up(name: str) -> list[str] | None:
    if sys.platform == "darwin" and shutil.which("security"):
        return ["security", "find-generic-password", "-s", "edgetui", "-a", name, "-w"]
    if shutil.which("secret-tool"):
        return ["secret-tool", "lookup", "service", "edgetui", "server", name]
    return None


def _quoted(name: str) -> str:
    import shlex

    return shlex.quote(name)
