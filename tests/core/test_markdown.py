"""Markdown as rows: the look of every kind of block, and that growing text gives the same as whole text."""

from __future__ import annotations

import random

import pytest

from edgetui.core import ink
from edgetui.core.code_colours import coloured_code, language_of
from edgetui.core.ink import row_cells, row_text
from edgetui.core.markdown_inline import inline_spans
from edgetui.core.markdown_layout import lay_out_all, lay_out_code
from edgetui.core.markdown_pieces import MOST_CHARACTERS, MarkdownSplitter

PARTS = (
    "word ", "**bold** ", "*it* ", "`code` ", "\n", "\n\n", "- ", "1. ", "   ", "```\n", "~~~py\n", "| a | b |\n",
    "|---|---|\n",
    "---\n", "# ", "> ", "日本語 ", "x" * 30, "[a](http://b.c) ", "\\(a_1\\) ", "===\n", "\t",
)  # fmt: skip


def shown(source: str, width: int = 60, growing: bool = False) -> list[str]:
    return [row_text(row).rstrip() for row in lay_out_all(source, width, growing).rows]


def inks(source: str) -> dict[str, int]:
    return dict(inline_spans(source))


@pytest.mark.parametrize(
    ("source", "rows"),
    [
        ("## Rain ##\nfalls", ["## Rain", "falls"]),
        ("Rain\n===\n\nfalls\n---", ["# Rain", "", "## falls"]),
        ("- one\n- two\n  - three\n\n  of two", ["• one", "• two", "  • three", "", "  of two"]),
        ("3. three\n4) four", ["3. three", "4) four"]),
        ("- [ ] open\n- [X] done", ["• [ ] open", "• [x] done"]),
        ("> said\n> - so", ["│ said", "│ • so"]),
        ("a\n\n***\nb", ["a", "", "─" * 40, "b"]),
        ("1986. Not a list\n2000. Nor this", ["1986. Not a list", "2000. Nor this"]),
        ("Rain,\nsnow", ["Rain,", "snow"]),
        ("```py\nif a:\n\tb\n```\nafter", ["```py", "if a:", "    b", "```", "after"]),
        ("- a\n\n  ```\n  b\n    c\n  ```", ["• a", "", "  ```", "  b", "    c", "  ```"]),
        ("```\n# no heading\n- no list", ["```", "# no heading", "- no list"]),
        ("| a | b |\n|---|--:|\n| long | 1 |", ["a    │ b", "─────┼──", "long │ 1"]),
        ("[words](http://a.b) <http://c.d>", ["words (http://a.b) http://c.d"]),
        ("![chart](a.png)", ["chart (a.png)"]),
        ("so \\(a_1 * b_2\\) and $$x_1$$", ["so \\(a_1 * b_2\\) and $$x_1$$"]),
        ("<b>&#27;[31m</b>", ["<b>&#27;[31m</b>"]),
    ],
)
def test_blocks_are_shown_as_what_they_are(source: str, rows: list[str]) -> None:
    assert shown(source) == rows


def test_emphasis_is_ink_and_code_keeps_its_signs() -> None:
    assert inks("a **b** *c* `d*` ~~e~~") == {
        "a ": 0, "b": ink.BOLD, " ": 0, "c": ink.ITALIC, "`d*`": ink.CODE, "~~": 0, "e": ink.STRIKE,
    }  # fmt: skip
    assert inks("***x***") == {"x": ink.BOLD | ink.ITALIC}


def test_a_script_address_makes_no_link() -> None:
    assert inline_spans("[x](javascript:alert(1))") == [("[x](javascript:alert(1))", 0)]


@pytest.mark.parametrize(
    ("source", "spans"),
    [
        ("so **bol", [("so ", 0), ("bol", ink.BOLD)]),
        ("so **", [("so ", 0)]),
        ("so `co", [("so ", 0), ("`co`", ink.CODE)]),
        ("`**` is", [("`**`", ink.CODE), (" is", 0)]),
        ("2 * 3", [("2 * 3", 0)]),
    ],
)
def test_emphasis_that_is_still_open_counts_while_text_grows(source: str, spans: list[ink.Span]) -> None:
    assert inline_spans(source, growing=True) == spans


def test_a_table_waits_as_it_is_written_until_it_is_complete() -> None:
    source = "| a | b |\n|---|---|\n| 1 | 2 |"
    assert shown(source, growing=True) == source.split("\n")
    assert shown(source + "\n\nafter", growing=True)[0] == "a │ b"


def test_a_table_without_room_is_shown_as_it_was_written() -> None:
    source = "| aaaaaaaa | bbbbbbbb | cccccccc |\n|---|---|---|\n| dddddddd | 2 | 3 |"
    assert "".join(shown(source, 12)).replace(" ", "") == source.replace("\n", "").replace(" ", "")


def test_long_cells_wrap_inside_their_column() -> None:
    assert shown("| a | b |\n|---|---|\n| x | one two three |", 12) == [
        "a │ b", "──┼─────────", "x │ one two", "  │ three",
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(60))
def test_pieces_do_not_depend_on_how_the_text_came(seed: int) -> None:
    chance = random.Random(seed)
    text = "".join(chance.choice(PARTS) for _ in range(chance.randint(1, 250)))
    whole, grown = MarkdownSplitter(), MarkdownSplitter()
    whole.feed(text)
    position = 0
    while position < len(text):
        step = chance.randint(1, 12)
        grown.feed(text[position : position + step])
        position += step
    assert "".join(piece.source for piece in grown.pieces) == text
    assert [(p.kind, p.indent, p.source) for p in grown.pieces] == [(p.kind, p.indent, p.source) for p in whole.pieces]
    for width in (4, 17, 60):
        laid = lay_out_all(text, width)
        assert len(laid.rows) == len(laid.starts)
        assert all(row_cells(row) <= width for row in laid.rows if width >= 17)


@pytest.mark.parametrize("text", ["x" * 20_000, "word " * 4_000, "> quote\n" * 3_000, "`" * 9_000, "[" * 9_000])
def test_no_piece_grows_without_bound(text: str) -> None:
    splitter = MarkdownSplitter()
    for start in range(0, len(text), 50):
        splitter.feed(text[start : start + 50])
    assert "".join(piece.source for piece in splitter.pieces) == text
    assert max(len(piece.source) for piece in splitter.pieces) <= MOST_CHARACTERS + 100


def test_code_is_coloured_without_changing_its_rows() -> None:
    code = "def lamp(x):\n\treturn f'{x}'  # why\n"
    splitter = MarkdownSplitter()
    splitter.feed(f"```python\n{code}```\n")
    piece = splitter.pieces[0]
    plain = lay_out_code(piece, 24)
    spans = coloured_code("def lamp(x):\n    return f'{x}'  # why", language_of(piece.info))
    assert spans is not None
    coloured = lay_out_code(piece, 24, spans)
    assert [row_text(row) for row in coloured.rows] == [row_text(row) for row in plain.rows]
    kinds = {text.strip(): own & ink.CODE_KINDS for row in coloured.rows for text, own in row}
    assert kinds["def"] == ink.KEYWORD and kinds["lamp"] == ink.NAME and kinds["# why"] == ink.COMMENT


def test_a_language_that_nobody_knows_stays_in_one_ink() -> None:
    assert language_of("") == "" and language_of("{.Python attrs}") == "python"
    assert coloured_code("x", "no-such-language") is None
