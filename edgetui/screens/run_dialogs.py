"""What Run's keys open: models, settings, presets, prompts, conversations, alternatives, commands that repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.services.profiles import model_key

if TYPE_CHECKING:
    from edgetui.screens.run import RunScreen
    from edgetui.services.chat import Chat

_NO_ALTERNATIVE = Failure("bad_request", "There is no other answer yet: ctrl+r makes one, e edits a message.")


class RunDialogs:
    """Each method opens something, waits for what the person does with it, and has the screen follow."""

    def __init__(self, screen: RunScreen, chat: Chat) -> None:
        self._screen = screen
        self._chat = chat

    async def choose_model(self) -> None:
        """Run another model."""
        from edgetui.screens.model_picker import ModelPicker

        try:
            lab = self._screen.lab
            found = [*await lab.servers.entries(), *await lab.catalog.scan()]
        except EdgetuiError as error:
            self._screen.show_failure(error)
            return
        # What no engine runs, such as weights to convert, would only be refused; a damaged file tells its reason.
        entries = [entry for entry in found if entry.can_run or entry.problem is not None]
        entry = await self._screen.app.push_screen_wait(ModelPicker(entries, "Run a model"))
        if entry is not None:
            await self._screen.open_model(entry)

    async def edit_settings(self) -> None:
        """Change how the model is loaded and how tokens are chosen."""
        from edgetui.core.run_settings import RunSettings
        from edgetui.screens.run_settings_dialog import RunSettingsDialog

        chat = self._chat
        settings = RunSettings(chat.load_settings, chat.sampling, chat.system_prompt)
        dialog = RunSettingsDialog(settings, chat.entry, self._screen.lab.profiles, chat.profile)
        values = await self._screen.app.push_screen_wait(dialog)
        if values is None:
            return
        chosen = dialog.chosen(values)
        reload = chosen.settings.load != chat.load_settings and chat.loaded is not None
        chat.load_settings, chat.sampling, chat.system_prompt = chosen.settings
        chat.profile = chosen.profile
        if reload:
            self._screen.session.load()
        self._screen.show_model()

    async def choose_preset(self) -> None:
        """Take samplers that go together."""
        from edgetui.screens.run_choices import choose_preset

        chat = self._chat
        sampling = await choose_preset(self._screen.app, chat.entry, chat.sampling)
        if sampling is not None and sampling != chat.sampling:
            chat.sampling, chat.profile = sampling, ""
            self._screen.show_model()

    async def choose_prompt(self) -> None:
        """Take a prompt to try the model on."""
        from edgetui.screens.run_choices import choose_prompt

        text = await choose_prompt(self._screen.app)
        if text is not None:
            self._screen.write(text)

    async def choose_conversation(self) -> None:
        """Find what was said before, and go on with it."""
        from edgetui.screens.conversations_dialog import ConversationsDialog

        screen, entry = self._screen, self._chat.entry
        dialog = ConversationsDialog(
            screen.lab.conversations, model_key(entry) if entry is not None else "", entry.name if entry else ""
        )
        chosen = await screen.app.push_screen_wait(dialog)
        if self._chat.conversation.id in dialog.deleted:
            screen.begin_anew(is_raw=self._chat.is_raw)
        if chosen is None:
            return
        try:
            self._chat.resume(await screen.lab.conversations.get(chosen))
        except EdgetuiError as error:
            screen.show_failure(error)
            return
        screen.show_other_conversation()

    async def choose_message(self) -> None:
        """Say an earlier message otherwise."""
        from edgetui.screens.run_choices import choose_message

        turn = await choose_message(self._screen.app, self._chat.conversation)
        if turn is not None:
            self._screen.write(turn.content, instead_of=turn.number)

    async def choose_alternative(self) -> None:
        """Go back to an answer or message that another stands in for."""
        from edgetui.screens.run_choices import choose_alternative

        conversation = self._chat.conversation
        if not any(len(conversation.alternatives(turn.number)) > 1 for turn in conversation.path):
            self._screen.show_failure(_NO_ALTERNATIVE)
            return
        number = await choose_alternative(self._screen.app, conversation)
        if number is not None:
            self._chat.choose(number)
            # Figures of one answer beside another would be taken for its own.
            self._screen.show_other_conversation()

    async def show_figures(self) -> None:
        """Every figure, and the reason for each that is missing."""
        from edgetui.screens.figures_dialog import FiguresDialog

        await self._screen.app.push_screen_wait(FiguresDialog(self._screen.figures))
