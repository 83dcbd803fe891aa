"""The transcript as it stands on the screen."""

from __future__ import annotations

import random
import sys
import unicodedata
from pathlib import Path

import pytest
from rich.cells import set_cell_size
from textual.app import App, ComposeResult

from edgetui.core import ink
from edgetui.core.ink import row_text
from edgetui.core.markdown_layout import lay_out_all
from edgetui.core.text_wrap import WrappedText
from edgetui.widgets.transcript import Transcript
from tests.e2e.terminal import Terminal
from tests.waiting import until
from tests.widgets import transcript_app

LOREM = "Rain on the tin roof, small drums for a sleeping town. Morning: the road shines. "


class OneTranscript(App[None]):
    """Nothing but a transcript."""

    def compose(self) -> ComposeResult:
        yield Transcript()

    @property
    def transcript(self) -> Transcript:
        return self.query_one(Transcript)

    @property
    def shown(self) -> list[str]:
        """What the compositor has put on the screen, row by row."""
        return [strip.text.rstrip() for strip in self.screen._compositor.render_strips()]


async def test_blocks_are_told_apart_without_colour() -> None:
    app = OneTranscript()
    async with app.run_test(size=(20, 10)) as pilot:
        app.transcript.add_block("user", "Write a haiku about rain.")
        app.transcript.add_block("answer")
        app.transcript.append("Rain on the")
        app.transcript.append(" roof")
        app.transcript.add_block("note", "stopped")
        await pilot.pause()
        assert app.shown[:7] == ["> Write a haiku", "  about rain.", "", "Rain on the roof", "", "- stopped", ""]


async def test_an_answer_is_marked_at_the_top_and_the_end_comes_back() -> None:
    app = OneTranscript()
    async with app.run_test(size=(30, 6)) as pilot:
        for number in range(5):
            app.transcript.add_block("user", f"Question {number}?")
            app.transcript.add_block("answer", f"Answer {number}.\n\nMore of {number}.")
        app.transcript.finish_block()
        await pilot.pause()
        assert app.shown[-1] == "More of 4."
        app.transcript.mark_answer(1)
        await pilot.pause()
        assert app.transcript.marked_answer == 1 and not app.transcript.following
        assert [row.rstrip("<|# ") for row in app.shown[:3]] == ["Answer 1.", "", "More of 1."]
        assert [row[-1] == "<" for row in app.shown] == [True] * 3 + [False] * 3
        # The last one is shorter than the view, and stands at its top all the same.
        app.transcript.mark_answer(4)
        await pilot.pause()
        assert app.shown[0].startswith("Answer 4.") and app.shown[0].endswith("<")
        app.transcript.mark_answer(None)
        await pilot.pause()
        assert app.shown[-1] == "More of 4." and app.transcript.marked_answer is None and app.transcript.following


async def test_an_empty_transcript_says_what_to_do() -> None:
    app = OneTranscript()
    async with app.run_test(size=(30, 6)) as pilot:
        app.transcript.set_hint("Press ctrl+o to choose a model.")
        await pilot.pause()
        assert app.shown[:2] == ["Press ctrl+o to choose a", "model."]
        app.transcript.add_block("user", "Hello")
        await pilot.pause()
        assert app.shown[:2] == ["> Hello", ""]


def laid_out(text: str, width: int) -> list[str]:
    """Rows of Markdown of which more may come."""
    return [row_text(row).rstrip() for row in lay_out_all(text, width, growing=True).rows]


@pytest.mark.parametrize("raw", [False, True], ids=["markdown", "raw"])
@pytest.mark.parametrize("seed", range(6))
async def test_what_grew_in_pieces_is_shown_like_the_whole(seed: int, raw: bool) -> None:
    chance = random.Random(seed)
    text = transcript_app.make_text(seed)
    app = OneTranscript()
    async with app.run_test(size=(chance.randint(12, 60), chance.randint(3, 16))) as pilot:
        app.transcript.show_raw_text(raw)
        app.transcript.add_block("answer")
        position = 0
        while position < len(text):
            step = chance.randint(1, 40)
            app.transcript.append(text[position : position + step])
            position += step
            if chance.random() < 0.3:
                await pilot.pause()
        await pilot.pause()
        width = app.size.width - 1
        expected = WrappedText(width, text).lines if raw else laid_out(text, width)
        # The end is in view; how many rows are above it is known only near the view.
        filled = app.transcript.line_count - round(app.transcript.scroll_y)
        assert 0 < filled <= app.size.height
        rows = [line.rstrip() for line in expected[-filled:]]
        assert app.shown == rows + [""] * (app.size.height - len(rows))


async def test_the_view_moves_on_by_part_of_a_page() -> None:
    app = OneTranscript()
    async with app.run_test(size=(20, 12)) as pilot:
        app.transcript.add_block("answer")
        tops = []
        for number in range(60):
            app.transcript.append(f"line {number}\n")
            await pilot.pause()
            tops.append(round(app.transcript.scroll_y))
        assert tops == sorted(tops)
        assert len(set(tops)) <= 9


async def test_scrolled_back_the_view_stands_still_while_text_arrives() -> None:
    app = OneTranscript()
    async with app.run_test(size=(30, 8)) as pilot:
        app.transcript.add_block("answer", "\n".join(f"line {number}" for number in range(50)))
        await pilot.pause()
        app.transcript.scroll_to(y=5, animate=False)
        await pilot.pause()
        assert not app.transcript.following
        before = app.shown
        # The last column says where in the text that is.
        assert [row[:-1].rstrip() for row in before] == [f"line {number}" for number in range(5, 13)]
        assert {row[-1] for row in before} == {"#", "|"}
        app.transcript.append("\nmore\n" * 20)
        await pilot.pause()
        assert [row[:-1] for row in app.shown] == [row[:-1] for row in before]
        app.transcript.scroll_end(animate=False)
        await pilot.pause()
        assert app.transcript.following and "more" in app.shown
        app.transcript.append("the end")
        await pilot.pause()
        assert "the end" in app.shown


async def test_a_new_prompt_brings_the_end_back_into_view() -> None:
    app = OneTranscript()
    async with app.run_test(size=(30, 8)) as pilot:
        app.transcript.add_block("answer", "line\n" * 50)
        await pilot.pause()
        app.transcript.scroll_home(animate=False)
        await pilot.pause()
        app.transcript.add_block("user", "Next")
        await pilot.pause()
        assert "> Next" in app.shown


async def test_resizing_wraps_anew_and_keeps_what_is_looked_at() -> None:
    app = OneTranscript()
    async with app.run_test(size=(40, 8)) as pilot:
        app.transcript.add_block("answer", "\n".join(f"Verse {number}. {LOREM}" for number in range(20)))
        await pilot.pause()
        for width, height in ((24, 8), (72, 5), (12, 3), (40, 10)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            text = app.transcript.text_of("answer")[0]
            assert app.shown == [line.rstrip() for line in WrappedText(width - 1, text).lines[-height:]]
        app.transcript.scroll_to(
            y=WrappedText(39, text).lines.index("Verse 7. Rain on the tin roof, small "), animate=False
        )
        await pilot.pause()
        for width in (61, 23, 40):
            await pilot.resize_terminal(width, 10)
            await pilot.pause()
            assert app.shown[0].startswith("Verse 7. Rain")


async def test_clearing_begins_anew() -> None:
    app = OneTranscript()
    async with app.run_test(size=(30, 8)) as pilot:
        app.transcript.set_hint("Nothing yet.")
        app.transcript.add_block("answer", "line\n" * 50)
        await pilot.pause()
        app.transcript.clear_blocks()
        await pilot.pause()
        assert app.transcript.is_empty and app.transcript.following
        assert app.shown == ["Nothing yet."] + [""] * 7


async def test_controls_in_the_text_are_shown_and_not_sent() -> None:
    app = OneTranscript()
    async with app.run_test(size=(40, 5)) as pilot:
        app.transcript.add_block("answer", "\x1b[2J\x1b]0;pwned\x07 and [bold]markup[/]")
        await pilot.pause()
        assert app.shown[0] == "␛[2J␛]0;pwned␇ and [bold]markup[/]"


THOUGHT = "<think>\nWho asks?\n\nA **person**.\n</think>\n\nHello *there*."


async def test_thinking_is_one_row_until_it_is_unfolded() -> None:
    app = OneTranscript()
    async with app.run_test(size=(40, 12)) as pilot:
        app.transcript.add_block("answer")
        for start in range(0, 24, 6):
            app.transcript.append(THOUGHT[start : start + 6], tokens=2)
        await pilot.pause()
        assert app.shown[0].startswith("[+] thinking... 6 tokens") and app.shown[1] == ""
        app.transcript.append(THOUGHT[24:], tokens=9)
        app.transcript.finish_block()
        await pilot.pause()
        assert app.shown[0].startswith("[+] thought 15 tokens")
        assert app.shown[1:4] == ["", "Hello there.", ""]
        app.transcript.unfold(True)
        await pilot.pause()
        assert app.shown[0].startswith("[-] thought 15 tokens")
        assert app.shown[1:6] == ["│ Who asks?", "│", "│ A person.", "", "Hello there."]
        assert app.transcript.text_of("answer") == [THOUGHT]
        assert app.transcript.last_answer == "Hello *there*."


async def test_thinking_that_the_template_opened_is_folded_once_it_ends() -> None:
    app = OneTranscript()
    async with app.run_test(size=(40, 8)) as pilot:
        app.transcript.add_block("answer")
        app.transcript.append("Who asks?\n</th")
        await pilot.pause()
        assert app.shown[0] == "Who asks?"
        app.transcript.append("ink>\n\nHello.")
        await pilot.pause()
        assert app.shown[0].startswith("[+] thought") and app.shown[2] == "Hello."
        assert app.transcript.last_answer == "Hello."


async def test_raw_text_is_what_was_written_and_the_place_is_kept() -> None:
    app = OneTranscript()
    async with app.run_test(size=(40, 8)) as pilot:
        app.transcript.add_block("answer", THOUGHT)
        app.transcript.show_raw_text(True)
        await pilot.pause()
        assert app.shown[:7] == ["<think>", "Who asks?", "", "A **person**.", "</think>", "", "Hello *there*."]
        app.transcript.show_raw_text(False)
        app.transcript.add_block("answer", "\n\n".join(f"Part **{number}** of it" for number in range(60)))
        await pilot.pause()
        app.transcript.scroll_to(y=44, animate=False)
        await pilot.pause()
        first = app.shown[0][:-1].rstrip()
        assert first.startswith("Part ")
        app.transcript.show_raw_text(True)
        await pilot.pause()
        assert app.shown[0][:-1].replace("*", "").rstrip() == first


async def test_a_huge_prompt_is_folded_behind_its_size() -> None:
    app = OneTranscript()
    prompt = "word " * 20_480
    async with app.run_test(size=(60, 16)) as pilot:
        app.transcript.add_block("user", prompt)
        app.transcript.add_block("answer", "Yes.")
        await pilot.pause()
        assert app.shown[0].startswith("> word word")
        assert "  [+] 102,400 characters, 1 line in all" in app.shown and "Yes." in app.shown
        app.transcript.unfold(True)
        await pilot.pause()
        assert app.transcript.line_count > 1_500 and "Yes." in app.shown
        assert app.transcript.text_of("user") == [prompt]


async def test_old_turns_are_packed_and_come_back_as_they_were() -> None:
    app = OneTranscript()
    answers = [f"# Turn {number}\n\n- one *{number}*\n- two\n\n```\ncode\n```" for number in range(60)]
    async with app.run_test(size=(40, 12)) as pilot:
        for answer in answers:
            app.transcript.add_block("user", "Go on.")
            app.transcript.add_block("answer", answer)
            app.transcript.finish_block()
        await pilot.pause()
        kept = sum(bool(block.units) for block in app.transcript._lines.blocks)
        assert kept <= 20
        assert app.transcript.text_of("answer") == answers
        seen: list[str] = []
        app.transcript.scroll_home(animate=False)
        await pilot.pause()
        while not app.transcript.following:
            seen.append(app.shown[0][:-1].rstrip())
            app.transcript.scroll_to(y=app.transcript.scroll_y + 1, animate=False)
            await pilot.pause()
        turns = [row for row in seen if row.startswith("# Turn")]
        assert len(turns) >= 57 and turns == [f"# Turn {number}" for number in range(len(turns))]
        assert seen[:9] == ["> Go on.", "", "# Turn 0", "", "• one 0", "• two", "", "```", "code"]


async def test_code_gets_its_colours_once_it_is_complete() -> None:
    app = OneTranscript()
    async with app.run_test(size=(40, 8)) as pilot:
        app.transcript.add_block("answer", "```python\nreturn 1\n```\n\nafter")
        await until(lambda: any(own & ink.KEYWORD for row in app.transcript._painted.values() for _, own in row),
                    pilot.pause)  # fmt: skip
        assert app.shown[:5] == ["```python", "return 1", "```", "", "after"]


@pytest.mark.parametrize("seed", [1])
def test_partial_repaints_leave_a_real_terminal_with_the_right_picture(seed: int) -> None:
    program = Path(transcript_app.__file__)
    terminal = Terminal([sys.executable, program, str(seed)], columns=60, rows=14)
    try:
        terminal.wait_for("done")
        shown = [set_cell_size(row, 47).rstrip() for row in terminal.text.split("\n")]
        # The emulator composes letters and their marks.
        text = unicodedata.normalize("NFC", transcript_app.make_text(seed))
        expected = laid_out(text, 47)
        last = max(row for row in range(14) if shown[row])
        assert last >= 2
        assert shown[: last + 1] == expected[len(expected) - last - 1 :]
    finally:
        terminal.close()
