"""Rendering a model's own chat template: untrusted code, so sandboxed and with a time limit."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import ChatMessage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

TIME_LIMIT_S = 2.0
"""A template that takes longer is broken or hostile; real ones take under 10 ms."""


class _TemplateRefused(Exception):
    """The template itself called `raise_exception`."""


class _TooSlow(Exception):
    """The time limit struck."""


class ChatTemplate:
    """A conversation becomes the text that the model was trained on."""

    def __init__(self, source: str, *, bos_token: str, eos_token: str) -> None:
        """Compile the template; raises `EdgetuiError("bad_file")` when it is not valid."""
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        self._tokens = {"bos_token": bos_token, "eos_token": eos_token}
        try:
            with _time_limit(TIME_LIMIT_S):
                self._template = environment.from_string(source)
        except (jinja2.TemplateError, _TooSlow, RecursionError) as error:
            raise _bad_template(error) from error

    def render(self, messages: Sequence[ChatMessage]) -> str:
        """Text up to and including the mark where the assistant starts to speak.

        A template that refuses a system message gets it folded into the first user message.
        """
        try:
            return self._render(messages)
        except _TemplateRefused as refusal:
            folded = _fold_system(messages)
            if folded == list(messages):
                raise EdgetuiError(
                    "unsupported", f"The model's chat template refuses this conversation: {refusal}."
                ) from refusal
            try:
                return self._render(folded)
            except _TemplateRefused as again:
                raise EdgetuiError(
                    "unsupported", f"The model's chat template refuses this conversation: {again}."
                ) from again

    def _render(self, messages: Sequence[ChatMessage]) -> str:
        plain = [{"role": message.role, "content": message.content} for message in messages]
        try:
            with _time_limit(TIME_LIMIT_S):
                return self._template.render(messages=plain, add_generation_prompt=True, **self._tokens)
        except _TemplateRefused:
            raise
        except (jinja2.TemplateError, _TooSlow, RecursionError, MemoryError, OverflowError) as error:
            raise _bad_template(error) from error
        except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
            # The sandbox lets a template's own mistakes through as plain Python errors.
            raise _bad_template(error) from error


def render_plain(messages: Sequence[ChatMessage]) -> str:
    """What stands in for a template in a model that has none: contents and nothing else, a line apart."""
    return "\n".join(message.content for message in messages)


def _refuse(message: object) -> None:
    raise _TemplateRefused(str(message).rstrip("."))


def _fold_system(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    rest = [message for message in messages if message.role != "system"]
    system = "\n\n".join(message.content for message in messages if message.role == "system")
    if system and rest and rest[0].role == "user":
        rest[0] = ChatMessage("user", f"{system}\n\n{rest[0].content}")
    return rest


def _bad_template(error: BaseException) -> EdgetuiError:
    reason = "it takes too long" if isinstance(error, _TooSlow) else str(error).splitlines()[0].rstrip(".")
    return EdgetuiError(
        "bad_file",
        f"The model's chat template cannot be used ({reason}); use a raw prompt, or another build of the model.",
        detail=repr(error),
    )


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise `_TooSlow` in this thread after `seconds`; only the main thread of a POSIX process can be stopped."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def strike(_number: int, _frame: FrameType | None) -> None:
        raise _TooSlow

    previous: Any = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
