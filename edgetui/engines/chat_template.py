"""Rendering a model's own chat template: untrusted code, so sandboxed and with a time limit."""

from __future__ import annotations

import re
import signal
import threading
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import ChatMessage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from jinja2.runtime import Context

_MOST_RESULT_BITS = 8 * 1024 * 1024
"""Of a number or a text that arithmetic makes; a prompt is far smaller."""
_FORMAT_WIDTH = re.compile(r"%[^a-zA-Z%]*?(\d{5,}|\*)")
TIME_LIMIT_S = 2.0
"""A template that takes longer is broken or hostile; real ones take under 10 ms."""


class _TemplateRefused(Exception):
    """The template itself called `raise_exception`."""


class _TooSlow(BaseException):
    """The time limit struck; no Exception, since jinja2 swallows those while it folds constants."""


class _Environment(ImmutableSandboxedEnvironment):
    """Refuses arithmetic whose result would be huge: while Python computes one, nothing can interrupt it."""

    intercepted_binops = frozenset({"**", "*", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Check the size of what would come out, then compute it."""
        if _result_bits(operator, left, right) > _MOST_RESULT_BITS:
            raise SecurityError(f"it computes something too large with {operator}")
        return super().call_binop(context, operator, left, right)


class ChatTemplate:
    """A conversation becomes the text that the model was trained on."""

    def __init__(self, source: str, *, bos_token: str, eos_token: str) -> None:
        """Compile the template; raises `EdgetuiError("bad_file")` when it is not valid."""
        environment = _Environment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
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
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
            # The sandbox lets a template's own mistakes through as plain Python errors.
            raise _bad_template(error) from error


def _result_bits(operator: str, left: Any, right: Any) -> float:
    """About how large a result is, before it is computed."""
    if isinstance(left, int) and isinstance(right, int):
        return left.bit_length() * max(right, 0) if operator == "**" else left.bit_length() + right.bit_length()
    if operator == "*":
        times, repeated = (left, right) if isinstance(left, int) else (right, left)
        if isinstance(times, int) and isinstance(repeated, str | bytes | list | tuple):
            return 8.0 * len(repeated) * max(times, 0)
    if operator == "%" and isinstance(left, str) and _FORMAT_WIDTH.search(left):
        return float("inf")
    return 0


def render_plain(messages: Sequence[ChatMessage]) -> str:
    """What stands in for a template in a model that has none: contents and nothing else, a line apart."""
    return "\n".join(message.content for message in messages)


def _refuse(message: object) -> None:
    raise _TemplateRefused(str(message).rstrip(".") or "it gives no reason")


def _fold_system(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    rest = [message for message in messages if message.role != "system"]
    system = "\n\n".join(message.content for message in messages if message.role == "system")
    if system and rest and rest[0].role == "user":
        rest[0] = ChatMessage("user", f"{system}\n\n{rest[0].content}")
    return rest


def _bad_template(error: BaseException) -> EdgetuiError:
    said = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
    reason = "it takes too long" if isinstance(error, _TooSlow) else said
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
    # Again and again: code that swallowed the first strike must not run on without a limit.
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
