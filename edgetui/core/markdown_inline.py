"""What stands inside a paragraph of Markdown: emphasis, code, links; as plain text with ink on stretches of it."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from edgetui.core import ink
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

_MARKS = re.compile(r"[*_`\[<\\~]")
"""Without any of these a text is what it says."""
_CODE_SPAN = re.compile(r"(`+)(?:.+?)(?<!`)\1(?!`)", re.DOTALL)
_INK_OF = {"strong_open": ink.BOLD, "em_open": ink.ITALIC, "s_open": ink.STRIKE, "link_open": ink.LINK}
_FORMULAS = (("\\(", "\\)"), ("\\[", "\\]"), ("$$", "$$"))


def inline_spans(text: str, growing: bool = False) -> list[ink.Span]:
    """A paragraph's stretches in order, line ends kept.

    Of one that still grows, emphasis whose end has not come counts as ended, so that it does not change twice.
    Addresses are written out behind the words of a link; nothing is sent to the terminal but text.
    """
    if not _MARKS.search(text):
        return [(text, 0)] if text else []
    if growing:
        text = _ended(text)
    spans: list[ink.Span] = []
    open_inks: list[int] = []
    links: list[tuple[str, int]] = []
    for token in _parser().parseInline(text)[0].children or ():
        _take(token, spans, open_inks, links)
    return spans


def load_parser() -> None:
    """Have the parser in memory: its first import takes longer than a frame."""
    _parser()


def _take(token: Token, spans: list[ink.Span], open_inks: list[int], links: list[tuple[str, int]]) -> None:
    now = 0
    for own in open_inks:
        now |= own
    if token.type in _INK_OF:
        open_inks.append(_INK_OF[token.type])
        if token.type == "link_open":
            links.append((str(token.attrGet("href") or ""), len(spans)))
        elif token.type == "s_open":
            spans.append(("~~", now))
    elif token.type.endswith("_close"):
        open_inks.pop()
        if token.type == "s_close":
            spans.append(("~~", now & ~ink.STRIKE))
        elif token.type == "link_close":
            address, first = links.pop()
            words = "".join(text for text, _ in spans[first:])
            if address and address != words:
                spans.append((f" ({plain_line(address)})", ink.FAINT))
    elif token.type == "code_inline":
        # Its signs stay: a terminal without colours has no other way to show it.
        sign = token.markup
        spans.append((f"{sign}{token.content}{sign}", now | ink.CODE))
    elif token.type == "image":
        spans.append((f"{plain_line(token.content)} ({plain_line(str(token.attrGet('src') or ''))})", now | ink.FAINT))
    elif token.type in ("softbreak", "hardbreak"):
        # Models break lines where they mean it: verses, addresses.
        spans.append(("\n", now))
    elif token.content:
        spans.append((token.content, now))


def _ended(text: str) -> str:
    """The text with what is open at its end closed."""
    outside = _CODE_SPAN.sub("", text)
    if outside.count("`") % 2:
        return text if text.endswith("`") else text + "`"
    outside = re.sub(r"\\.", "", outside)
    closing = ""
    for sign in ("**", "__", "~~"):
        if outside.count(sign) % 2:
            if outside.endswith(sign):
                return text[: -len(sign)]
            closing = sign + closing
    return text.rstrip() + closing if closing and not text.endswith(("*", "_", "~")) else text


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("strikethrough")
    # Entities could spell a control character; a model that writes one means what it wrote.
    parser.disable(["entity", "html_inline"])
    parser.inline.ruler.before("escape", "formula", _formula)
    return parser


def _formula(state: StateInline, silent: bool) -> bool:
    """LaTeX stays as it was written: its backslashes and underlines mean no Markdown."""
    for opening, closing in _FORMULAS:
        if state.src.startswith(opening, state.pos):
            end = state.src.find(closing, state.pos + 2)
            if end < 0:
                return False
            if not silent:
                token = state.push("text", "", 0)
                token.content = state.src[state.pos : end + 2]
            state.pos = end + 2
            return True
    return False
