"""Choosing an importance matrix for a model: one that is here, a file, a new one, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

import msgspec
from msgspec import Meta
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from edgetui.core.plain_text import plain_line
from edgetui.core.units import counted
from edgetui.screens.fields_dialog import Field, FieldsDialog
from edgetui.screens.name_file import NameFileDialog
from edgetui.screens.steady import Steady
from edgetui.services.imatrices import CHUNKS, TOPICS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.models import ModelEntry
    from edgetui.screens.base import LabScreen
    from edgetui.services.imatrices import KnownImatrix
    from edgetui.worker.requests import ImatrixRequest


class ImatrixChoice(NamedTuple):
    """What the person wants."""

    what: Literal["take", "make", "name", "none"]
    path: str = ""
    """Of the one to take."""


class ImatrixForm(msgspec.Struct, frozen=True, kw_only=True):
    """What a new one is made of."""

    text: str = TOPICS
    chunks: Annotated[int, Meta(ge=0, le=1_000_000)] = CHUNKS


class ImatrixDialog(Steady, ModalScreen["ImatrixChoice | None"]):
    """`push_screen_wait(ImatrixDialog(known, taken))` gives a choice, None when it was left."""

    DEFAULT_CSS = """
    ImatrixDialog OptionList { height: auto; max-height: 1fr; border: none; padding: 0; background: $surface; }
    ImatrixDialog .dialog { max-height: 90%; }
    ImatrixDialog:ansi .option-list--option-highlighted {
        color: ansi_default; background: ansi_default; text-style: bold reverse;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close")]

    def __init__(self, known: Sequence[KnownImatrix], taken: str) -> None:
        super().__init__()
        self._rows: list[tuple[str, ImatrixChoice]] = [
            *((_row(matrix, taken), ImatrixChoice("take", matrix.path)) for matrix in known),
            ("  make a new one of a text", ImatrixChoice("make")),
            ("  name a file, as llama-imatrix makes it", ImatrixChoice("name")),
            ("  take none", ImatrixChoice("none")),
        ]

    def compose(self) -> ComposeResult:
        """Title and list."""
        with Vertical(classes="dialog"):
            yield Static(Content("Importance matrix: enter takes, esc closes"), classes="dialog-title")
            yield OptionList(
                *(Option(Content(plain_line(words))) for words, _ in self._rows), markup=False, compact=True
            )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take it."""
        self.dismiss(self._rows[event.option_index][1])


async def ask_imatrix(
    screen: LabScreen,
    entry: ModelEntry,
    taken: str,
    threads: int,
    make: Callable[[ImatrixRequest], Awaitable[None]],
) -> str | None:
    """The path of the one to take (empty for none), None when it was left or one was given to `make`.

    Raises `EdgetuiError` where the matrices that are here cannot be listed.
    """
    imatrices, ask = screen.lab.imatrices, screen.app.push_screen_wait
    choice = await ask(ImatrixDialog(await imatrices.made_of(entry), taken))
    if choice is None:
        return None
    if choice.what == "make":

        async def start(values: dict[str, Any]) -> None:
            form = ImatrixForm(**values)
            await make(imatrices.request(entry, form.text, form.chunks, threads))

        await ask(FieldsDialog("A new importance matrix", _new_fields(), settle=start))
        return None
    if choice.what == "name":
        title = "Name the file of an importance matrix: enter takes it, esc closes"
        return await ask(NameFileDialog(str(imatrices.folder), imatrices.checked, title))
    return choice.path


def _new_fields() -> list[Field]:
    usual = ImatrixForm()
    return [
        Field(ImatrixForm, "text", "Text", "", usual.text),
        Field(ImatrixForm, "chunks", "Chunks", "of 512 tokens; 0 takes the whole text", usual.chunks),
    ]


def _row(matrix: KnownImatrix, taken: str) -> str:
    mark = "*" if matrix.path == taken else " "
    chunks = counted(matrix.chunk_count, "chunk")
    return f"{mark} {chunks} of {matrix.text_name}, of {matrix.model_name or 'a model elsewhere'}"
