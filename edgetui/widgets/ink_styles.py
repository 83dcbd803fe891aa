"""Inks as styles of the theme: component classes for what has a colour, attributes for what every terminal has."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.style import Style

from edgetui.core import ink

if TYPE_CHECKING:
    from textual.widget import Widget

INK_CSS = """
    .ink--user { text-style: bold; color: $text-accent; }
    .ink--note { text-style: italic; color: $text-muted; }
    .ink--thought { color: $text-muted; }
    .ink--heading { text-style: bold; color: $text-primary; }
    .ink--code { color: $text-secondary; }
    .ink--link { text-style: underline; }
    .ink--faint { color: $text-muted; }
    .ink--keyword { text-style: bold; color: $text-accent; }
    .ink--name { color: $text-primary; }
    .ink--string { color: $text-success; }
    .ink--number { color: $text-warning; }
    .ink--comment { text-style: italic; color: $text-muted; }
    &:ansi .ink--note { color: ansi_default; }
    &:ansi .ink--thought { color: ansi_default; }
    &:ansi .ink--heading { color: ansi_default; }
    &:ansi .ink--code { color: ansi_cyan; }
    &:ansi .ink--faint { color: ansi_default; text-style: dim; }
    &:ansi .ink--keyword { color: ansi_default; }
    &:ansi .ink--name { color: ansi_blue; }
    &:ansi .ink--string { color: ansi_green; }
    &:ansi .ink--number { color: ansi_magenta; }
    &:ansi .ink--comment { color: ansi_default; }
"""
"""To stand inside the rule of a widget that draws inks."""

_CLASSES = (
    (ink.USER, "ink--user"),
    (ink.NOTE, "ink--note"),
    (ink.THOUGHT, "ink--thought"),
    (ink.CODE, "ink--code"),
    (ink.HEADING, "ink--heading"),
    (ink.LINK, "ink--link"),
    (ink.FAINT, "ink--faint"),
)
_CODE_CLASSES = {
    ink.KEYWORD: "ink--keyword",
    ink.NAME: "ink--name",
    ink.STRING: "ink--string",
    ink.NUMBER: "ink--number",
    ink.COMMENT: "ink--comment",
}
INK_CLASSES = {name for _, name in _CLASSES} | set(_CODE_CLASSES.values())


class InkStyles:
    """Styles of one widget, made once an ink."""

    _ATTRIBUTES: ClassVar = {
        ink.BOLD: Style(bold=True),
        ink.ITALIC: Style(italic=True),
        ink.STRIKE: Style(strike=True),
    }

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._styles: dict[int, Style] = {}

    def forget(self) -> None:
        """The theme has changed."""
        self._styles.clear()

    def __getitem__(self, own: int) -> Style:
        style = self._styles.get(own)
        if style is None:
            style = self._styles[own] = self._make(own)
        return style

    def _make(self, own: int) -> Style:
        style = self._widget.rich_style
        names = [name for bit, name in _CLASSES if own & bit]
        if own & ink.CODE_KINDS:
            names.append(_CODE_CLASSES[own & ink.CODE_KINDS])
        for name in names:
            style += self._widget.get_component_rich_style(name)
        for bit, attribute in self._ATTRIBUTES.items():
            if own & bit:
                style += attribute
        return style
