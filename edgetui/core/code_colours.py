"""Code in the inks of its language, by pygments; slow to import and to run, so for a thread."""

from __future__ import annotations

import re

from edgetui.core import ink

MOST_CHARACTERS = 40_000
"""Longer code stays in one ink."""
_LANGUAGE = re.compile(r"[A-Za-z0-9_+#.-]{1,30}")


def language_of(info: str) -> str:
    """The language that the words behind an opening fence name; empty when they name none."""
    match = _LANGUAGE.match(info.strip().lstrip("{."))
    return match[0].lower() if match is not None else ""


def coloured_code(code: str, language: str) -> list[ink.Span] | None:
    """Stretches of the code in order; None for a language that is not known and for code that is too long."""
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    if len(code) > MOST_CHARACTERS:
        return None
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
    spans: list[ink.Span] = []
    for token, text in lexer.get_tokens(code):
        kind = ink.CODE | _ink_of(str(token))
        if spans and spans[-1][1] == kind:
            spans[-1] = (spans[-1][0] + text, kind)
        else:
            spans.append((text, kind))
    # A lexer may change line ends or drop what it does not know; then the code itself counts.
    return spans if "".join(text for text, _ in spans) == code else None


def _ink_of(token: str) -> int:
    """Ink of pygments' token type, such as `Token.Literal.String.Doc`."""
    for beginning, kind in _INKS:
        if token.startswith(beginning):
            return kind
    return 0


_INKS = (
    ("Token.Comment", ink.COMMENT),
    ("Token.Literal.String.Doc", ink.COMMENT),
    ("Token.Keyword", ink.KEYWORD),
    ("Token.Operator.Word", ink.KEYWORD),
    ("Token.Literal.String", ink.STRING),
    ("Token.Literal.Number", ink.NUMBER),
    ("Token.Name.Function", ink.NAME),
    ("Token.Name.Class", ink.NAME),
    ("Token.Name.Decorator", ink.NAME),
    ("Token.Name.Tag", ink.NAME),
)
