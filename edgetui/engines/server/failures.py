"""What a server answers, or does not, in one sentence that never repeats the key."""

from __future__ import annotations

import difflib
import ssl
from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgetui.core.failures import FailureKind

_MOST_SAID = 300
"""Characters of a server's own words that are repeated."""
_CONTEXT_WORDS = ("exceed_context_size", "context_length_exceeded", "maximum context length", "context size")


class RefusedSetting(EdgetuiError):
    """A server refuses one word of a request, and names it as OpenAI's own does."""

    name = ""


class Sentences:
    """Failures of one server; what it said is shown without the key, in case it repeats it."""

    def __init__(self, name: str, host: str, key: str) -> None:
        self.name = plain_line(name)
        self._host = host
        self._key = key

    def failure(
        self, kind: FailureKind, sentence: str, detail: str = "", *, of: type[EdgetuiError] = EdgetuiError
    ) -> EdgetuiError:
        """An error of this server; `sentence` goes on after its name. No other place makes one: here the key goes."""
        return of(kind, f"{self.name} ({self._host}) {self._hide(sentence)}", self._hide(detail))

    def _hide(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text

    def said(self, text: str) -> str:
        """A server's words, fit to stand in a sentence."""
        # What is not shown may stand inside the key, and a cut would leave half of it.
        line = self._hide(" ".join(plain_line(text).split())).strip(" .")
        return line if len(line) <= _MOST_SAID else f"{line[:_MOST_SAID]}..."

    # --- the way to it ----------------------------------------------------------------------------------

    def of_transport(self, error: Exception, silence_s: float) -> EdgetuiError:
        """For what httpx2 raises; `silence_s` is how long was waited."""
        import httpx2

        detail = f"{type(error).__name__}: {error}"
        if isinstance(error, httpx2.ConnectTimeout):
            return self.failure("network", "does not take the call: check the address, and that it runs.", detail)
        if isinstance(error, httpx2.TimeoutException):
            return self.failure(
                "network", f"said nothing for {silence_s:g} s: try again, or give it more time (timeout_s).", detail
            )
        if (reason := _certificate(error)) is not None:
            return self.failure(
                "network",
                f"shows a certificate that is not trusted ({reason}): check the clock of this machine, or name the"
                " certificates in SSL_CERT_FILE.",
                detail,
            )
        if isinstance(error, httpx2.ProxyError):
            return self.failure("network", "is behind a proxy that refuses: check HTTP_PROXY and HTTPS_PROXY.", detail)
        if isinstance(error, httpx2.RemoteProtocolError):
            return self.failure(
                "network", "broke off in the middle of its answer: see its log, then ask again.", detail
            )
        if isinstance(error, (httpx2.InvalidURL, httpx2.UnsupportedProtocol)):
            return self.failure("bad_request", "has an address that cannot be used: write http://HOST:PORT.", detail)
        said = str(error).lower()
        if isinstance(error, httpx2.ConnectError):
            if any(word in said for word in ("name or service", "nodename", "name resolution", "no address")):
                return self.failure("network", "has a name that nobody knows: check the address and the link.", detail)
            if "ssl" in said or "tls" in said:
                return self.failure(
                    "network", "does not speak TLS there: write http:// for a server without it.", detail
                )
            return self.failure("network", "cannot be reached: check that it runs, and its address and port.", detail)
        return self.failure("network", "was lost in the middle of its answer: ask again.", detail)

    # --- its answers ------------------------------------------------------------------------------------

    def of_status(self, status: int, headers: Mapping[str, str], body: bytes, models: Sequence[str]) -> EdgetuiError:
        """For an answer that is no success; `models` are those that it lists, where it was asked for one."""
        said, code = _words_of(body)
        words = f" ({self.said(said)})" if said else ""
        detail = f"status {status}: {self._hide(body.decode('utf-8', 'replace'))[:2000]}"
        if 300 <= status < 400:
            return self.failure(
                "network",
                f"sends us to another address, {self.said(headers.get('location', 'which it does not tell'))}: edgetui"
                " does not follow, since the key is for this one; if it is right, name it instead.",
                detail,
            )
        if status in (401, 403):
            what = "refuses the key" if self._key else "wants a key"
            return self.failure(
                "no_permission", f"{what} (status {status}){words}: check the key's variable or keyring entry.", detail
            )
        if status == 404 and models:
            return self.failure("not_found", f"does not have what was asked for{words}{_there_is(models)}.", detail)
        if status == 404:
            return self.failure(
                "not_found",
                f"does not know this address{words}: is it the base of an OpenAI-compatible server?",
                detail,
            )
        if status == 429:
            after = headers.get("retry-after", "").strip()
            wait = f"in {after} s" if after.isdecimal() and len(after) < 7 else "later"
            return self.failure("busy", f"takes no more questions now (status 429){words}: try again {wait}.", detail)
        if any(word in f"{code} {said}".lower() for word in _CONTEXT_WORDS):
            return self.failure(
                "context_overflow",
                f"has no room for the prompt{words}: shorten it, or begin a new conversation.",
                detail,
            )
        if status == 400 and (name := _refused_word(body)):
            refusal = self.failure("bad_request", f"refuses {self.said(name)}{words}.", detail, of=RefusedSetting)
            assert isinstance(refusal, RefusedSetting)
            refusal.name = name
            return refusal
        if status in (400, 405, 413, 415, 422):
            return self.failure("bad_request", f"refuses the request (status {status}){words}.", detail)
        if status == 501:
            return self.failure("unsupported", f"does not do this (status 501){words}.", detail)
        if status == 503 and "loading" in said.lower():
            return self.failure("busy", "is still loading its model: try again in a while.", detail)
        return self.failure("network", f"failed (status {status}){words}: see its log, then try again.", detail)

    def of_words(self, error: Any) -> EdgetuiError:
        """For an error inside a stream."""
        said, code = _words_in(error)
        words = f" ({self.said(said)})" if said else ""
        if any(word in f"{code} {said}".lower() for word in _CONTEXT_WORDS):
            return self.failure("context_overflow", f"ran out of context{words}: begin a new conversation.", said)
        return self.failure("network", f"failed in the middle of its answer{words}: see its log, then ask again.", said)

    def no_stream(self, content_type: str, body: bytes) -> EdgetuiError:
        """For an answer that is no event stream though it was asked for one."""
        try:
            told = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self.no_json(content_type, body)
        if isinstance(told, dict) and told.get("error"):
            # Some say so with the status of a success.
            said, _ = _words_in(told)
            words = f" ({self.said(said)})" if said else ""
            return self.failure("network", f"failed{words}: see its log, then try again.", said)
        return self.failure(
            "network",
            "answers in one piece though it was asked to stream: see its settings, or what stands between.",
            self._hide(body.decode("utf-8", "replace"))[:2000],
        )

    def no_json(self, content_type: str, body: bytes) -> EdgetuiError:
        """For an answer that is something else than was asked for."""
        start = body[:200].lstrip().lower()
        if "html" in content_type.lower() or start.startswith((b"<!doctype", b"<html")):
            return self.failure(
                "network",
                "answers with a web page instead of JSON: the address is not the base of an OpenAI-compatible server,"
                " or a login page stands between.",
                self._hide(body.decode("utf-8", "replace"))[:2000],
            )
        return self.failure(
            "network",
            "does not answer as an OpenAI-compatible server does: check the address.",
            self._hide(body.decode("utf-8", "replace"))[:2000],
        )

    def no_model(self, wanted: str, models: Sequence[str]) -> EdgetuiError:
        """For a model that the server does not list."""
        close = difflib.get_close_matches(wanted, models, n=1, cutoff=0.4)
        advice = f"; did you mean {plain_line(close[0])}?" if close else _there_is(models) + "."
        return self.failure("not_found", f"has no model {plain_line(wanted)}{advice}")


def _there_is(models: Sequence[str]) -> str:
    shown = ", ".join(plain_line(model) for model in models[:5])
    return f"; it has {shown}{f' and {len(models) - 5} more' if len(models) > 5 else ''}"


def _words_of(body: bytes) -> tuple[str, str]:
    """The message and the code in the body of a failure."""
    try:
        return _words_in(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body.decode("utf-8", "replace").strip()
        return ("", "") if text.startswith("<") else (text, "")


def _refused_word(body: bytes) -> str:
    """The setting that a failure is about; empty where it names none."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    error = told.get("error") if isinstance(told, dict) else None
    if not isinstance(error, dict) or not str(error.get("code", "")).startswith("unsupported"):
        return ""
    name = error.get("param")
    return name if isinstance(name, str) and name.isidentifier() else ""


def _words_in(said: Any) -> tuple[str, str]:
    if isinstance(said, str):
        return said, ""
    if not isinstance(said, dict):
        return "", ""
    inner = said.get("error", said)
    if isinstance(inner, str):
        return inner, ""
    if not isinstance(inner, dict):
        inner = said
    message = next((inner[key] for key in ("message", "detail", "msg") if isinstance(inner.get(key), str)), "")
    return message, " ".join(str(inner.get(key, "")) for key in ("code", "type"))


def _certificate(error: BaseException | None) -> str | None:
    for _ in range(8):
        if error is None:
            return None
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return "verification failed"
        error = error.__cause__ or error.__context__
    return None
