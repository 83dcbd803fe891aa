"""Checks of the Hugging Face hub: whether it answers, and whose token this machine holds, which is never shown."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.readiness import Check, CheckState

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWER_LIMIT_S = 0.8
"""A hub that takes longer is no pleasure to download from, and must not hold up the checklist."""
_WHY_HUB = "Models are found and downloaded there; what is already on this machine works without it."


async def check_hub() -> Check:
    """Whether the hub, or the endpoint that stands in for it, answers."""
    state: CheckState
    action = ""
    if _is_offline():
        state, found = "skip", "not asked: HF_HUB_OFFLINE is set"
        action = "unset HF_HUB_OFFLINE"
    else:
        answer, reason = await _asked("/api/models?limit=1", None)
        if reason:
            state, found = "warn", f"{_endpoint()} {reason}"
            action = f"curl -I {_endpoint()}  (behind a proxy: export HTTPS_PROXY=http://HOST:PORT)"
        else:
            status = answer[0]
            state = "ok" if status < 400 else "warn"
            found = f"{_endpoint()} answers" + ("" if state == "ok" else f" with status {status}")
            action = "" if state == "ok" else f"curl -I {_endpoint()}"
    return Check(key="hub", title="Hub", state=state, found=found, needed="reachable", why=_WHY_HUB, action=action)


async def check_account() -> Check:
    """Whose token there is, where from, and what it may do; asks the hub."""
    token, where = await asyncio.to_thread(_token)
    if token is None:
        return _account_line("warn", "no token found", f"{_hf()} auth login")
    if _is_offline():
        return _account_line("unknown", f"a token from {where}, not asked about: HF_HUB_OFFLINE is set", "")
    (status, body), reason = await _asked("/api/whoami-v2", token)
    if reason:
        return _account_line("unknown", f"a token from {where}; {_endpoint()} {reason}", "")
    if status in (401, 403):
        return _account_line("warn", f"the token from {where} is not valid (status {status})", f"{_hf()} auth login")
    if status != 200 or not isinstance(body, dict):
        return _account_line("unknown", f"a token from {where}; {_endpoint()} answers with status {status}", "")
    return _account_line("ok", f"{_whose(body).replace(token, '***')}, from {where}", "")


def _account_line(state: CheckState, found: str, action: str) -> Check:
    return Check(
        key="account",
        title="HF account",
        state=state,
        found=found,
        needed="a token with the right to read",
        why="Gemma, Llama and other models ask for an account and consent before the download.",
        action=action,
    )


def _whose(body: dict[str, Any]) -> str:
    """Name and rights, by the fields of the hub's answer; never anything of the token itself."""
    words = str(body.get("name") or "an account without a name")
    access = body.get("auth")
    token = access.get("accessToken") if isinstance(access, dict) else None
    if isinstance(token, dict) and token.get("role"):
        words += f", may {token['role']}"
    return words


def _token() -> tuple[str | None, str]:
    from huggingface_hub import constants, get_token

    token = get_token()
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if os.environ.get(name, "").strip():
            return token, name
    return token, str(constants.HF_TOKEN_PATH)


def _is_offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").strip().upper() in ("1", "ON", "YES", "TRUE")


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"


def _hf() -> str:
    """The hub's command line, of this environment where it has one."""
    own = Path(sys.executable).with_name("hf")
    return str(own) if own.exists() else "hf"


async def _asked(path: str, token: str | None) -> tuple[tuple[int, Any], str]:
    """Status and decoded body of an answer, or why there is none."""
    return await _within(lambda: _get(path, token), ANSWER_LIMIT_S)


def _get(path: str, token: str | None) -> tuple[tuple[int, Any], str]:
    from huggingface_hub import get_session
    from huggingface_hub.utils._headers import build_hf_headers

    try:
        answer = get_session().get(
            _endpoint() + path,
            headers=build_hf_headers(token=token or False),
            timeout=ANSWER_LIMIT_S,
            # A token is for the hub that it was made for, and for no other that this one points to.
            follow_redirects=False,
        )
    except Exception as error:
        # Whatever the library below raises for a network, only its kind is told: its words may hold the headers.
        return (0, None), f"cannot be reached ({type(error).__name__})"
    try:
        body = answer.json() if answer.status_code == 200 else None
    except ValueError:
        body = None
    return (answer.status_code, body), ""


async def _within(function: Callable[[], tuple[tuple[int, Any], str]], limit_s: float) -> tuple[tuple[int, Any], str]:
    """Runs in a thread that nobody waits for: name resolution has no time limit of its own."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[tuple[int, Any], str]] = loop.create_future()

    def settle(result: tuple[tuple[int, Any], str]) -> None:
        if not answer.done():
            answer.set_result(result)

    def run() -> None:
        result = function()
        try:
            loop.call_soon_threadsafe(settle, result)
        except RuntimeError:
            # The loop was closed meanwhile: nobody asks any more.
            return

    threading.Thread(target=run, name="hub check", daemon=True).start()
    try:
        return await asyncio.wait_for(answer, limit_s)
    except asyncio.TimeoutError:
        return (0, None), f"does not answer within {limit_s:g} s"
