"""Which answer of the conversation the figures beside it belong to: the last one, or an older one that is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgetui.core.conversations import Turn
    from edgetui.screens.run_figures_feed import FiguresFeed
    from edgetui.services.chat import Chat
    from edgetui.widgets.transcript import Transcript


class AnswerCursor:
    """Moves over the answers of the present path; without a mark the figures are those of the last one."""

    def __init__(self, chat: Chat, transcript: Transcript, feed: FiguresFeed) -> None:
        self._chat = chat
        self._transcript = transcript
        self._feed = feed

    @property
    def _answers(self) -> list[Turn]:
        return [turn for turn in self._chat.conversation.path if turn.answer is not None]

    def move(self, steps: int) -> None:
        """To an older answer (-1) or a newer one (1); after the last one the present figures are shown again."""
        answers = self._answers
        marked = self._transcript.marked_answer
        index = (len(answers) - 1 if marked is None else marked) + steps
        if index >= len(answers) - 1 or not answers:
            self.leave()
            return
        index = max(0, index)
        self._transcript.mark_answer(index)
        self._show_kept(answers, index)

    def leave(self) -> None:
        """Back to the last answer, and to its figures."""
        self._transcript.mark_answer(None)
        if self._feed.has_answer:
            self._feed.show_present()
        else:
            self.show_last_kept()

    def show_last_kept(self) -> None:
        """The figures that were kept with the last answer, where this session made none."""
        answers = self._answers
        if answers:
            self._show_kept(answers, len(answers) - 1)

    def _show_kept(self, answers: list[Turn], index: int) -> None:
        answer = answers[index].answer
        assert answer is not None
        self._feed.show_kept(answer, f"{index + 1} of {len(answers)}")
