"""The settings of a run: how the model is loaded, how tokens are chosen, and the system prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import msgspec
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from edgetui.core.run_settings import KV_CACHE_TYPES, LoadSettings, SamplingSettings

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType


class RunSettings(NamedTuple):
    """Everything the dialog edits."""

    load: LoadSettings
    sampling: SamplingSettings
    system_prompt: str


class _Field(NamedTuple):
    name: str
    label: str
    note: str
    load: bool = False


_FIELDS = (
    _Field("context_tokens", "Context", "tokens; 0: the model's, at most 8192", load=True),
    _Field("batch_tokens", "Batch", "prompt tokens a decode call", load=True),
    _Field("threads", "Threads", "0: one a physical core", load=True),
    _Field("kv_cache_type", "KV cache", " ".join(KV_CACHE_TYPES), load=True),
    _Field("temperature", "Temperature", "0: greedy"),
    _Field("top_k", "Top k", "0: off"),
    _Field("top_p", "Top p", "1: off"),
    _Field("min_p", "Min p", "0: off"),
    _Field("repeat_penalty", "Repeat penalty", "1: off"),
    _Field("repeat_last_tokens", "Repeat window", "tokens the penalty looks back"),
    _Field("seed", "Seed", "empty: a new one each turn"),
    _Field("max_tokens", "Most tokens", "0: until the model ends"),
    _Field("ignore_eos", "Ignore end", "true: go on past the end mark"),
)


class RunSettingsDialog(ModalScreen["RunSettings | None"]):
    """`await app.push_screen_wait(RunSettingsDialog(settings))` gives the new settings, None when cancelled."""

    DEFAULT_CSS = """
    RunSettingsDialog .dialog { max-height: 100%; }
    RunSettingsDialog #fields { height: auto; }
    RunSettingsDialog .field { height: auto; }
    RunSettingsDialog .field Horizontal { height: 1; }
    RunSettingsDialog .label { width: 16; }
    RunSettingsDialog Input { width: 18; border: none; height: 1; padding: 0 1; background: $panel; }
    RunSettingsDialog #system_prompt { width: 1fr; }
    RunSettingsDialog .note { width: 1fr; padding-left: 1; color: $text-muted; text-wrap: nowrap; }
    RunSettingsDialog .problem { height: auto; color: $text-error; padding-left: 16; display: none; }
    RunSettingsDialog Input:focus { text-style: bold underline; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel"),
        Binding("enter,ctrl+s", "apply", "Apply", priority=True),
        Binding("down", "app.focus_next", "Next", show=False),
        Binding("up", "app.focus_previous", "Previous", show=False),
    ]
    AUTO_FOCUS = "Input"

    def __init__(self, settings: RunSettings) -> None:
        super().__init__()
        self._settings = settings

    def compose(self) -> ComposeResult:
        """One line a field, its problem under it when there is one."""
        with VerticalScroll(classes="dialog", can_focus=False):
            title = "Settings of this run: enter applies, esc cancels, arrows move"
            yield Static(Content(title), classes="dialog-title")
            for field in _FIELDS:
                source = self._settings.load if field.load else self._settings.sampling
                with Vertical(classes="field"):
                    with Horizontal():
                        yield Static(Content(field.label), classes="label")
                        yield _input(field.name, _as_text(getattr(source, field.name)))
                        yield Static(Content(field.note), classes="note")
                    yield Static(classes="problem", id=f"{field.name}-problem", markup=False)
            with Vertical(classes="field"), Horizontal():
                yield Static(Content("System prompt"), classes="label")
                yield _input("system_prompt", self._settings.system_prompt)

    def action_apply(self) -> None:
        """Check every field; go on only when all are good."""
        load: dict[str, Any] = {}
        sampling: dict[str, Any] = {}
        first_bad: Input | None = None
        for field in _FIELDS:
            entered = self.query_one(f"#{field.name}", Input)
            struct: type[msgspec.Struct] = LoadSettings if field.load else SamplingSettings
            value, problem = check_field(struct, field.name, entered.value)
            shown = self.query_one(f"#{field.name}-problem", Static)
            shown.update(Content(problem))
            shown.display = bool(problem)
            if problem:
                first_bad = first_bad or entered
            else:
                (load if field.load else sampling)[field.name] = value
        if first_bad is not None:
            first_bad.focus()
            return
        prompt = self.query_one("#system_prompt", Input).value
        self.dismiss(RunSettings(LoadSettings(**load), SamplingSettings(**sampling), prompt))


def check_field(struct: type[msgspec.Struct], name: str, text: str) -> tuple[Any, str]:
    """The value of one field as typed, and one sentence when it cannot be used (empty when it can)."""
    text = text.strip()
    given = {name: None if name == "seed" and not text else text}
    try:
        # Not strict: what is typed is text, and msgspec reads numbers and booleans out of it.
        return getattr(msgspec.convert(given, struct, strict=False), name), ""
    except msgspec.ValidationError as error:
        reason = str(error).split(" - at ")[0].replace("`", "")
        return None, f"{text!r} cannot be used: {reason[:1].lower()}{reason[1:]}." if text else "Write a value here."


def _input(name: str, value: str) -> Input:
    field = Input(value, id=name, compact=True)
    field.cursor_blink = False
    return field


def _as_text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
