"""A conversation as a tree of turns: what was said, what answered it, and the alternatives to both."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgetui.core.run_settings import LoadSettings, SamplingSettings
from edgetui.core.token_rate import decode_tps, prefill_tps

CUT_OFF = "cut off"
"""Reason of an answer that has no end: the program that wrote it down ended before."""
FAILED = "failed"
"""Reason of an answer that ended with a failure."""
UNREADABLE = "its figures cannot be read"
"""Reason of an answer of which nothing but the words is known."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer was made with, and its figures; those that were not measured are None."""

    model_name: str
    engine: str
    engine_version: str = ""
    load: LoadSettings = LoadSettings()
    sampling: SamplingSettings = SamplingSettings()
    profile: str = ""
    """Name of the profile that the settings came from, where they did."""
    reason: str = CUT_OFF
    """`end`, `max_tokens`, `context_full`, `stop_text`, `stopped`; or one of those above."""
    failure: str = ""
    """The sentence of an answer that failed."""
    seed: int | None = None
    prompt_tokens: int | None = None
    reused_tokens: int | None = None
    prefill_tokens: int | None = None
    prefill_s: float | None = None
    ttft_s: float | None = None
    generated_tokens: int | None = None
    decode_s: float | None = None
    context_used: int | None = None
    context_tokens: int | None = None
    draft_tokens: int = 0
    accepted_tokens: int = 0
    network_s: float | None = None
    itl_p50_s: float | None = None
    itl_p95_s: float | None = None
    itl_p99_s: float | None = None
    """Inter-token latency at a percentile."""
    threads: int | None = None
    """Those that computed; None where the engine does not tell."""
    backend: str = ""
    resident_bytes: int | None = None
    """Of the worker at the end of the answer; None for a server's."""
    kv_cache_bytes: int | None = None
    use_mmap: bool | None = None
    """What became of the setting; None where it is not known."""
    huge_page_bytes: int = 0
    """Weights that lay in huge pages."""
    joules_per_token: float | None = None

    @property
    def decode_tps(self) -> float | None:
        """Decode tokens over decode time, the first token excluded."""
        return decode_tps(self.generated_tokens or 0, self.decode_s or 0.0)

    @property
    def prefill_tps(self) -> float | None:
        """Computed prompt tokens over prefill time."""
        return prefill_tps(self.prefill_tokens or 0, self.prefill_s or 0.0)


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One message, by the person or by a model."""

    number: int
    """Rises in the order in which they were said; unique in a conversation (`services.conversations.new_number`)."""
    parent: int
    """Number of the turn before it; 0 for a first one."""
    role: Literal["user", "assistant"]
    content: str
    said_at: float
    """Unix time in seconds."""
    answer: Answer | None = None
    """Of a model's turn."""


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """What was said with one model after another, and which of the alternatives is the present one."""

    id: str
    started_at: float
    """Unix time in seconds."""
    model: str = ""
    """Key of the model that answered last (`services.profiles.model_key`)."""
    model_name: str = ""
    engine: str = ""
    system_prompt: str = ""
    is_raw: bool = False
    """Whether it is one text that the model continues, without chat template."""
    turns: tuple[Turn, ...] = ()
    """Every turn, in the order of their numbers."""
    leaf: int = 0
    """The last turn of the present path; 0 before anything was said."""

    def turn(self, number: int) -> Turn:
        """The turn with a number; KeyError where there is none."""
        for turn in self.turns:
            if turn.number == number:
                return turn
        raise KeyError(number)

    @property
    def path(self) -> list[Turn]:
        """The turns from the first to the leaf."""
        return self.path_to(self.leaf)

    def path_to(self, number: int) -> list[Turn]:
        """The turns from the first to this one, itself included."""
        by_number = {turn.number: turn for turn in self.turns}
        path = []
        while number in by_number:
            path.append(by_number[number])
            number = by_number[number].parent
        return path[::-1]

    def alternatives(self, number: int) -> list[int]:
        """Numbers of the turns that stand at this one's place, itself among them, the oldest first."""
        parent = self.turn(number).parent
        return [turn.number for turn in self.turns if turn.parent == parent]

    def last_below(self, number: int) -> int:
        """Where the newest path through a turn ends."""
        newest = {turn.parent: turn.number for turn in self.turns}
        while number in newest:
            number = newest[number]
        return number

    def with_turns(self, *turns: Turn) -> Conversation:
        """This conversation with turns added or replaced by number; the last of them is the leaf."""
        by_number = {turn.number: turn for turn in (*self.turns, *turns)}
        return msgspec.structs.replace(
            self, turns=tuple(by_number[number] for number in sorted(by_number)), leaf=turns[-1].number
        )

    def without(self, *numbers: int) -> Conversation:
        """This conversation without some turns that nothing follows; the leaf is then what stood before them."""
        gone = set(numbers)
        leaf = self.leaf
        while leaf in gone:
            leaf = self.turn(leaf).parent
        return msgspec.structs.replace(
            self, turns=tuple(turn for turn in self.turns if turn.number not in gone), leaf=leaf
        )


class ConversationRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a list of conversations."""

    id: str
    started_at: float
    changed_at: float
    """Unix time of the last thing said."""
    model: str
    model_name: str
    engine: str
    is_raw: bool
    turn_count: int
    title: str
    """How its first message begins."""
    found: str = ""
    """The words around the first one searched for, where it stands in a turn."""
