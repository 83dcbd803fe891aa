"""Writing a prompt."""

from __future__ import annotations

from textual import events
from textual.app import App, ComposeResult

from edgetui.widgets.prompt_input import PromptInput


class OnePrompt(App[None]):
    """The prompt alone; keeps what was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    def compose(self) -> ComposeResult:
        yield PromptInput()

    def on_prompt_input_submitted(self, message: PromptInput.Submitted) -> None:
        self.sent.append(message.text)

    @property
    def prompt(self) -> PromptInput:
        return self.query_one(PromptInput)


async def test_enter_sends_and_blank_text_does_not() -> None:
    app = OnePrompt()
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("enter", "space", "enter", *"hi", "enter")
        await pilot.pause()
        assert app.sent == [" hi"]


async def test_pasted_text_keeps_its_lines_and_loses_its_controls() -> None:
    app = OnePrompt()
    async with app.run_test(size=(40, 10)) as pilot:
        app.prompt.post_message(events.Paste("one\r\ntwo\x1b[31m\rthree"))
        await pilot.pause()
        assert app.prompt.text == "one\ntwo␛[31m\nthree"
        assert app.sent == []
        await pilot.press("enter")
        await pilot.pause()
        assert app.sent == ["one\ntwo␛[31m\nthree"]


async def test_the_prompt_grows_with_its_lines_up_to_a_limit() -> None:
    app = OnePrompt()
    async with app.run_test(size=(40, 20)) as pilot:
        heights = []
        for _ in range(9):
            heights.append(app.prompt.size.height)
            await pilot.press("ctrl+j")
            await pilot.pause()
        assert heights == [1, 2, 3, 4, 5, 6, 6, 6, 6]


async def test_a_prompt_that_could_not_be_sent_comes_back_unless_another_was_begun() -> None:
    app = OnePrompt()
    async with app.run_test(size=(40, 10)) as pilot:
        app.prompt.restore("first")
        await pilot.pause()
        assert app.prompt.text == "first"
        app.prompt.restore("second")
        assert app.prompt.text == "first"


async def test_the_same_prompt_twice_stands_once_in_the_history() -> None:
    app = OnePrompt()
    async with app.run_test(size=(40, 10)) as pilot:
        for text in ("one", "two", "two"):
            app.prompt.remember(text)
        await pilot.press("up", "up")
        assert app.prompt.text == "one"


async def test_a_large_paste_stands_there_as_its_size_and_is_sent_whole() -> None:
    app = OnePrompt()
    pasted = "word " * 20_480
    async with app.run_test(size=(60, 10)) as pilot:
        await pilot.press(*"see ")
        app.prompt.post_message(events.Paste(pasted))
        await pilot.pause()
        assert app.prompt.text == "see [pasted 102,400 characters]"
        await pilot.press("!", "enter")
        await pilot.pause()
        assert app.sent == [f"see {pasted}!"]
        app.prompt.remember(app.sent[0])
        await pilot.press("up")
        assert app.prompt.text == "[pasted 102,405 characters]"
        await pilot.press("enter")
        await pilot.pause()
        assert app.sent[1] == app.sent[0]


async def test_a_key_takes_a_label_whole_or_leaves_it_whole() -> None:
    app = OnePrompt()
    async with app.run_test(size=(60, 10)) as pilot:
        app.prompt.post_message(events.Paste("x" * 3000))
        await pilot.pause()
        await pilot.press("left", "left", "a")
        assert app.prompt.text == "[pasted 3,000 characters]a"
        await pilot.press("left", "backspace")
        assert app.prompt.text == "a"
