"""A dialog of one line a field, each checked against the limits that its settings struct declares."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, get_args, get_type_hints

import msgspec
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.core.plain_text import plain_line
from edgetui.core.setting_values import in_words
from edgetui.screens.steady import Steady

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType


class Field(NamedTuple):
    """One line: a field of a struct, its label, and what its values mean."""

    struct: type[msgspec.Struct]
    name: str
    label: str
    note: str
    value: object
    group: str = ""
    """Heading above the first field of a group."""
    parse: Callable[[str], object] | None = None
    """Reads a value that is more than a word or a number out of what is typed; may raise `EdgetuiError`."""
    shown: str | None = None
    """What stands in the field at first, where `parse` reads it."""

    @property
    def text(self) -> str:
        """What stands in the field at first."""
        return _as_text(self.value) if self.shown is None else self.shown


class FieldError(EdgetuiError):
    """A failure that one field is to blame for: it is said under that one."""

    def __init__(self, field: str, failure: Failure) -> None:
        super().__init__(failure.kind, failure.message, failure.detail)
        self.field = field


class _FieldInput(Input):
    """Edits in the order of the keys.

    Textual sends a bound key up to the screen first, so that characters typed right after it overtake it.
    """

    async def _on_key(self, event: events.Key) -> None:
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            event.stop()
            event.prevent_default()
            await self.run_action(binding.action)
            return
        await super()._on_key(event)


class FieldsDialog(Steady, ModalScreen["dict[str, Any] | None"]):
    """`await app.push_screen_wait(FieldsDialog(title, fields))` gives checked values by name, None when cancelled.

    `settle` does what is to be done with them before the dialog closes; where it raises `EdgetuiError` the sentence
    stands under its field (`FieldError`) or under all of them, and what was typed stays, to be mended.
    """

    DEFAULT_CSS = """
    FieldsDialog .dialog { max-height: 100%; }
    FieldsDialog .field { height: auto; }
    FieldsDialog .field Horizontal { height: auto; }
    FieldsDialog .group { margin-top: 1; text-style: bold; color: $text-primary; }
    FieldsDialog .label { width: 16; height: auto; padding-right: 1; }
    FieldsDialog Input { width: 18; border: none; height: 1; padding: 0 1; background: $panel; }
    FieldsDialog Input.-long { width: 1fr; }
    FieldsDialog .note { width: 1fr; height: auto; padding-left: 1; color: $text-muted; }
    FieldsDialog .problem { height: auto; color: $text-error; padding-left: 16; display: none; }
    FieldsDialog #all-problem { padding-left: 0; }
    FieldsDialog Input:focus { text-style: bold underline; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel"),
        Binding("enter,ctrl+s", "apply", "Apply", priority=True),
        # Before the field sees them: otherwise what is typed right after still goes to the field that was left.
        Binding("down,tab", "app.focus_next", "Next", show=False, priority=True),
        Binding("up,shift+tab", "app.focus_previous", "Previous", show=False, priority=True),
    ]
    AUTO_FOCUS = "Input"

    def __init__(
        self,
        title: str,
        fields: Sequence[Field],
        keys: str = "",
        settle: Callable[[dict[str, Any]], Awaitable[object]] | None = None,
    ) -> None:
        """`keys` names what else can be pressed, on a line of its own."""
        super().__init__()
        self._settle = settle
        self._settling = False
        self._title = title
        self._fields = fields
        self._keys = keys

    def compose(self) -> ComposeResult:
        """One line a field, its problem under it when there is one; a field without a note takes the whole line."""
        with VerticalScroll(classes="dialog", can_focus=False):
            title = f"{self._title}: enter applies, esc cancels, arrows move"
            yield Static(Content(title), classes="dialog-title")
            if self._keys:
                yield Static(Content(self._keys), classes="muted")
            group = ""
            for field in self._fields:
                if field.group != group:
                    group = field.group
                    yield Static(Content(group), classes="group")
                with Vertical(classes="field"):
                    with Horizontal():
                        yield Static(Content(field.label), classes="label")
                        entered = _FieldInput(field.text, id=field.name, compact=True)
                        entered.cursor_blink = False
                        entered.set_class(not field.note, "-long")
                        yield entered
                        if field.note:
                            yield Static(Content(field.note), classes="note")
                    yield Static(classes="problem", id=f"{field.name}-problem", markup=False)
            yield Static(classes="problem", id="all-problem", markup=False)

    def on_input_changed(self, event: Input.Changed) -> None:
        """What was said of a value does not hold for another."""
        for name in (event.input.id, "all"):
            self.query_one(f"#{name}-problem", Static).display = False

    async def action_apply(self) -> None:
        """Check every field; go on only when all are good."""
        # A second enter waits for what the first one does.
        if self._settling or (values := await self.checked_values()) is None:
            return
        if self._settle is None:
            self.dismiss(values)
        else:
            self._settling = True
            self.run_worker(self._settled(self._settle, values), group="settle")

    async def _settled(self, settle: Callable[[dict[str, Any]], Awaitable[object]], values: dict[str, Any]) -> None:
        try:
            await settle(values)
        except FieldError as error:
            self.say_problem(error.field, str(error))
        except EdgetuiError as error:
            self._show_problem("all", str(error))
            self.query_one("#all-problem").scroll_visible(animate=False)
        else:
            self.dismiss(values)
        finally:
            self._settling = False

    async def checked_values(self) -> dict[str, Any] | None:
        """Values by name; None when one cannot be used, which is then said under it."""
        for entered in self.query(Input):
            # Keys that came before may still be on their way to it.
            taken = asyncio.Event()
            entered.call_later(taken.set)
            await taken.wait()
        values: dict[str, Any] = {}
        first_bad: Input | None = None
        for field in self._fields:
            entered = self.query_one(f"#{field.name}", Input)
            value, problem = _read(field, entered.value)
            self._show_problem(field.name, problem)
            values[field.name] = value
            if problem:
                first_bad = first_bad or entered
        if first_bad is not None:
            first_bad.focus()
            return None
        return values

    def say_problem(self, name: str, problem: str) -> None:
        """Say under a field why it cannot be used, and go there."""
        self._show_problem(name, problem)
        self.query_one(f"#{name}", Input).focus()

    def _show_problem(self, name: str, problem: str) -> None:
        shown = self.query_one(f"#{name}-problem", Static)
        shown.update(Content(plain_line(problem)))
        shown.display = bool(problem)

    def fill(self, fields: Sequence[Field]) -> None:
        """Have other values stand in the fields that have the same names."""
        self._fields = fields
        for field in fields:
            self.query_one(f"#{field.name}", Input).value = field.text


def _read(field: Field, text: str) -> tuple[Any, str]:
    if field.parse is None:
        return check_field(field.struct, field.name, text)
    try:
        return field.parse(text), ""
    except EdgetuiError as error:
        return None, str(error)


def check_field(struct: type[msgspec.Struct], name: str, text: str) -> tuple[Any, str]:
    """The value of one field as typed, and one sentence when it cannot be used (empty when it can).

    Nothing typed is None where the field allows it, and empty text where the field is text.
    """
    text = text.strip()
    attempts: tuple[object, ...] = (text,) if text else (None, "")
    problem = ""
    for given in attempts:
        try:
            # Not strict: what is typed is text, and msgspec reads numbers and booleans out of it.
            return getattr(msgspec.convert({name: given}, struct, strict=False), name), ""
        except msgspec.ValidationError as error:
            problem = f"{text!r} cannot be used: {_reason(struct, name, error)}." if text else "Write a value here."
    return None, problem


def _reason(struct: type[msgspec.Struct], name: str, error: msgspec.ValidationError) -> str:
    hint = get_type_hints(struct, include_extras=True)[name]
    wanted = next((meta.description for meta in getattr(hint, "__metadata__", ()) if meta.pattern), None)
    if wanted and " matching regex " in str(error):
        return str(wanted)
    choices = get_args(get_type_hints(struct)[name])
    if choices and all(isinstance(choice, str) for choice in choices):
        return f"choose one of {' '.join(choices)}"
    return in_words(str(error).split(" - at ")[0])


def _as_text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
