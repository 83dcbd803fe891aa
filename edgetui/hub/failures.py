"""What the hub and the network answer instead of what was asked for, in one sentence."""

from __future__ import annotations

import json
import os
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from edgetui.hub.access import HubAccess

_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
MOST_RETRY_AFTER_S = 600.0
_ODD_ANSWERS = (TypeError, KeyError, ValueError, AttributeError, IndexError, RecursionError, OverflowError)
"""What huggingface_hub's own reading of an answer of another shape ends with."""


def status_of(error: BaseException) -> int | None:
    """Status of the answer that an error was made of."""
    return getattr(getattr(error, "response", None), "status_code", None)


def is_transient(error: BaseException) -> bool:
    """Whether the same question may well be answered a little later."""
    import httpx2

    status = status_of(error)
    if status is not None:
        return status in _TRANSIENT_STATUS
    if isinstance(error, httpx2.ProxyError) or _certificate(error) is not None:
        return False
    return isinstance(error, httpx2.TransportError)


def retry_after_s(error: BaseException) -> float | None:
    """Seconds that the server asks to wait; None when it does not say."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    try:
        return max(0.0, min(float(headers.get("Retry-After", "")), MOST_RETRY_AFTER_S))
    except ValueError:
        return None


def hub_failure(error: BaseException, access: HubAccess, repo: str = "", path: str = "") -> EdgetuiError:
    """The failure to show for an exception of huggingface_hub, of the network below it, or of the disk."""
    import httpx2
    from huggingface_hub import errors

    if isinstance(error, EdgetuiError):
        return error
    host = urlsplit(access.endpoint).netloc
    what = plain_line(f"{repo}/{path}" if path else repo or "the question")
    detail = f"{type(error).__name__}: {error}"
    status = status_of(error)
    if isinstance(error, errors.GatedRepoError):
        return EdgetuiError(
            "gated",
            f"{repo} asks for consent first: accept its conditions at {access.endpoint}/{repo}, then log in with a"
            " token that may read it (edgetui login).",
            detail,
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return EdgetuiError("not_found", f"{what} has no such revision: see its page on the hub.", detail)
    if isinstance(error, errors.EntryNotFoundError):
        return EdgetuiError("not_found", f"{what} is not on {host} (any more): open the model's page again.", detail)
    if isinstance(error, errors.RepositoryNotFoundError):
        return EdgetuiError(
            "not_found",
            f"{host} has no model {repo}, or shows it only to those who may read it: check the name, or log in"
            " (edgetui login).",
            detail,
        )
    if isinstance(error, errors.HFValidationError):
        return EdgetuiError("bad_request", f"{what} is no name of a model: it reads AUTHOR/NAME.", detail)
    if status in (401, 403):
        return EdgetuiError(
            "gated", f"{host} refuses {what} (status {status}): log in with a token that may read it.", detail
        )
    if status == 407:
        return EdgetuiError(
            "network",
            "The proxy asks for a name and password: put them into HTTPS_PROXY (http://NAME:WORD@HOST).",
            detail,
        )
    if status == 429:
        return EdgetuiError("network", f"{host} asks to slow down (status 429): try again in some minutes.", detail)
    if status == 404:
        return EdgetuiError("not_found", f"{what} is not on {host}: check the name.", detail)
    if status is not None:
        return EdgetuiError("network", f"{host} answers {what} with status {status}: try again later.", detail)
    if isinstance(error, (*_ODD_ANSWERS, msgspec.ValidationError, json.JSONDecodeError)):
        return EdgetuiError(
            "network", f"{host} does not answer {what} as a hub does: check HF_ENDPOINT and any proxy between.", detail
        )
    if isinstance(error, errors.FileMetadataError):
        return EdgetuiError(
            "network", f"{host} does not answer as a hub does: check HF_ENDPOINT and any proxy between.", detail
        )
    if _certificate(error) is not None:
        return EdgetuiError(
            "network",
            f"The certificate of {host} is not trusted ({_certificate(error)}): check the clock of this machine, or"
            " name your proxy's certificates in SSL_CERT_FILE.",
            detail,
        )
    if isinstance(error, ssl.SSLError) or (os.environ.get("SSL_CERT_FILE") and isinstance(error, FileNotFoundError)):
        return EdgetuiError("network", "SSL_CERT_FILE names no file of certificates: correct it, or unset it.", detail)
    if isinstance(error, (httpx2.InvalidURL, ImportError)):
        return EdgetuiError(
            "network",
            "An address for the hub or its proxy cannot be used: check HF_ENDPOINT and HTTPS_PROXY (http://HOST:PORT;"
            " SOCKS is not spoken).",
            detail,
        )
    if isinstance(error, httpx2.ProxyError):
        return EdgetuiError("network", "The proxy does not let the request through: check HTTPS_PROXY.", detail)
    if isinstance(error, (httpx2.TransportError, errors.OfflineModeIsEnabled)):
        reason = "does not answer in time" if isinstance(error, httpx2.TimeoutException) else "cannot be reached"
        from urllib.request import getproxies

        scheme = urlsplit(access.endpoint).scheme
        proxy = f" and the proxy in {scheme.upper()}_PROXY" if scheme in getproxies() else ""
        return EdgetuiError("network", f"{host} {reason}: check the link{proxy} and try again.", detail)
    return EdgetuiError(
        "internal", f"{what} could not be read ({type(error).__name__}); the log has the details.", detail
    )


def _certificate(error: BaseException | None) -> str | None:
    """What is wrong with a certificate, when that is what an error comes from."""
    for _ in range(8):
        if error is None:
            return None
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        if isinstance(error, Exception) and "CERTIFICATE_VERIFY_FAILED" in str(error):
            return "verification failed"
        error = error.__cause__ or error.__context__
    return None
