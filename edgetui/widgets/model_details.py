"""What a model's files say of it: its row, tensors by type, metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from edgetui.core.model_text import FORMAT_TITLES
from edgetui.core.plain_text import plain_line, plain_text
from edgetui.core.units import MISSING, format_bytes, format_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textual.app import ComposeResult

    from edgetui.core.models import MetadataItem, ModelEntry, TensorTypeShare

_FILES = 8
"""Named of a model with many."""
_VALUE_CHARACTERS = 400
"""Of one metadata value; a chat template alone can fill many screens (`t` shows it whole)."""


class ModelDetailsPane(VerticalScroll):
    """Scrolls by keys when it has the focus."""

    DEFAULT_CSS = """
    ModelDetailsPane { padding: 0 1; background: $surface; scrollbar-size-vertical: 1; }
    ModelDetailsPane:focus { background: $panel; }
    """

    def __init__(self) -> None:
        super().__init__()
        # A model may be shown before this pane has come to mount it.
        self._text = Static(id="text", markup=False)

    def compose(self) -> ComposeResult:
        """One text."""
        yield self._text

    def show_nothing(self) -> None:
        """No row is chosen."""
        self._text.update(Content(""))

    def show(
        self,
        entry: ModelEntry,
        shares: Iterable[TensorTypeShare] = (),
        metadata: Sequence[MetadataItem] = (),
        notes: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Show a row at once, and the rest when it has been read; `notes` are more facts, label and value."""
        parts = [Content("\n").join([_facts(entry), *(_line(label, value) for label, value in notes)])]
        if shares:
            parts.append(_shares(shares))
        if metadata:
            parts.append(_metadata(metadata))
        self._text.update(Content("\n\n").join(parts))

    def show_text(self, title: str, text: str) -> None:
        """Show one long text whole, such as a chat template."""
        self._text.update(_title(title).append(Content(f"\n{plain_text(text)}")))
        self.scroll_home(animate=False)


def _title(text: str) -> Content:
    return Content.styled(text, "bold")


def _line(label: str, value: str) -> Content:
    return Content.assemble((f"{label:<13}", "$text-muted"), plain_line(value))


def _facts(entry: ModelEntry) -> Content:
    lines = [_title(plain_line(entry.name))]
    if entry.problem is not None:
        lines.append(Content.styled(f"! {plain_line(entry.problem)}", "$text-error"))
    if entry.endpoint is not None:
        variable = entry.endpoint.key_variable
        lines.append(_line("server", entry.endpoint.url))
        lines.append(_line("model", entry.endpoint.model or "its first"))
        lines.append(_line("key", f"in the variable {variable}" if variable else "in the keyring, or none"))
        return Content("\n").join(lines)
    lines.append(_line("file", str(entry.path)))
    lines.append(_line("format", FORMAT_TITLES[entry.format]))
    if len(entry.parts) > 1:
        more = ", ..." if len(entry.parts) > _FILES else ""
        names = ", ".join(part.name for part in entry.parts[:_FILES])
        lines.append(_line("files", f"{len(entry.parts)}: {names}{more}"))
    if entry.repo:
        lines.append(_line("repository", f"{entry.repo} at {(entry.revision or MISSING)[:12]}"))
    if entry.parent:
        lines.append(_line("made of", entry.parent))
    if entry.recipe:
        lines.append(_line("by", entry.recipe))
    if entry.recovered_from:
        lines.append(_line("recovered", f"from {entry.recovered_from}: wider than its weights were once"))
    if entry.marks.tags:
        lines.append(_line("tags", entry.marks.tags))
    if entry.marks.note:
        lines.append(_line("note", entry.marks.note))
    bits = entry.bits_per_weight
    size = f"{format_bytes(entry.size_bytes)} ({entry.size_bytes:,} bytes{f', {bits:.2f} bpw' if bits else ''})"
    lines.append(_line("size", size))
    return Content("\n").join(lines)


def _shares(shares: Iterable[TensorTypeShare]) -> Content:
    lines = [_title("Tensors by type")]
    for share in shares:
        noun = "tensor" if share.tensor_count == 1 else "tensors"
        lines.append(
            Content(
                f"{plain_line(share.type_name):<11}{share.tensor_count:>5} {noun:<7}"
                f" {format_count(share.parameter_count):>7} weights {format_bytes(share.size_bytes):>10}"
            )
        )
    return Content("\n").join(lines)


def _metadata(metadata: Sequence[MetadataItem]) -> Content:
    lines = [_title("Metadata")]
    for item in metadata:
        value = plain_line(item.value)
        if len(value) > _VALUE_CHARACTERS:
            value = f"{value[:_VALUE_CHARACTERS]}... ({len(item.value):,} characters)"
        lines.append(Content.assemble(plain_line(item.key), (f" ({item.type_name})", "$text-muted"), f" = {value}"))
    return Content("\n").join(lines)
