"""Conversations kept in the database: found again, gone on with, and safe from whatever ends the program."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from edgetui.core.conversations import UNREADABLE, Answer, Conversation, Turn
from edgetui.core.failures import EdgetuiError
from edgetui.services.conversations import Conversations, new_conversation, new_number
from edgetui.store.database import Database

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.services.lab import Lab

BY = Answer(model_name="Small model", engine="llama.cpp", reason="end", seed=7, generated_tokens=5, decode_s=0.04)


def said(*contents: str, name: str = "Small model") -> Conversation:
    """A conversation of messages and answers in turn."""
    turns = tuple(
        Turn(
            number=number,
            parent=number - 1,
            role="user" if number % 2 else "assistant",
            content=content,
            said_at=1000.0 + number,
            answer=None if number % 2 else BY,
        )
        for number, content in enumerate(contents, start=1)
    )
    return msgspec.structs.replace(
        new_conversation("Be kind."), model=f"key of {name}", model_name=name, turns=turns, leaf=len(turns)
    )


def said_next(conversation: Conversation, *contents: str) -> Conversation:
    """The conversation after one more message and its answer, numbered as Run does."""
    for role, content in zip(("user", "assistant"), contents, strict=True):
        turn = Turn(
            number=new_number(conversation),
            parent=conversation.leaf,
            role="user" if role == "user" else "assistant",
            content=content,
            said_at=2000.0,
            answer=BY if role == "assistant" else None,
        )
        conversation = conversation.with_turns(turn)
    return conversation


async def keep(lab: Lab, conversation: Conversation) -> Conversation:
    lab.conversations.keep(conversation, *conversation.turns)
    await lab.conversations.flush()
    return conversation


async def test_conversations_are_found_by_words_in_any_turn_whatever_their_case(lab: Lab) -> None:
    rain = await keep(lab, said("Tell me about RAIN in Zürich", "It falls from clouds.", "And snow?", "It is white."))
    other = await keep(lab, said("Name a colour", "Green, like moss.", name="Other model"))
    everything = await lab.conversations.find()
    assert [row.id for row in everything] == [other.id, rain.id]
    assert everything[1].title == "Tell me about RAIN in Zürich" and everything[1].turn_count == 4
    for words in ("rain", "CLOUDS white", "ZÜRICH snow", "small clouds"):
        assert [row.id for row in await lab.conversations.find(words)] == [rain.id], words
    assert await lab.conversations.find("rain moss") == []
    assert [row.id for row in await lab.conversations.find(model="key of Other model")] == [other.id]
    assert "white" in (await lab.conversations.find("white"))[0].found
    # Nothing typed is a pattern.
    assert await lab.conversations.find("%") == [] and await lab.conversations.find("r_in") == []


async def test_thousands_of_conversations_are_searched_whole(lab: Lab) -> None:
    with lab.database.transaction() as connection:
        for number in range(5000):
            connection.execute(
                "INSERT INTO conversations VALUES (?, 0, ?, 'm', 'Model', 'llama.cpp', '', 0, 2)",
                (f"c{number}", float(number)),
            )
            text = f"question {number} " + "filler " * 40
            connection.executemany(
                "INSERT INTO turns VALUES (?, ?, ?, ?, 0, ?, ?, NULL)",
                [(f"c{number}", turn, turn - 1, role, text, text) for turn, role in ((1, "user"), (2, "assistant"))],
            )
    assert [row.id for row in await lab.conversations.find("question 4321")] == ["c4321"]
    assert len(await lab.conversations.find("filler", limit=50)) == 50


async def test_one_is_opened_by_the_beginning_of_its_id_and_deleted_whole(lab: Lab) -> None:
    kept = await keep(lab, said("Hello", "Hello!"))
    assert await lab.conversations.get(kept.id) == kept
    assert await lab.conversations.get(kept.id[:-1]) == kept
    other = await keep(lab, msgspec.structs.replace(said("Hello"), id=f"{kept.id}x"))
    with pytest.raises(EdgetuiError, match="Several"):
        await lab.conversations.get(kept.id[:-1])
    await lab.conversations.delete(other.id)
    await lab.conversations.delete(kept.id)
    for missing in (kept.id, ""):
        with pytest.raises(EdgetuiError, match="no conversation"):
            await lab.conversations.get(missing)
    assert lab.database.read("SELECT * FROM turns") == []


async def test_an_export_tells_what_was_said_and_what_it_cost(lab: Lab, tmp_path: Path) -> None:
    kept = await keep(lab, said("Hello # you", "Hello!\n\n- one"))
    text = await lab.conversations.export(kept.id, "markdown")
    for part in (
        "# Small model",
        "Be kind.",
        "## You\n\nHello # you",
        "- one",
        "5 tokens, decode 100.0 tok/s",
        "seed 7",
    ):
        assert part in text
    path = tmp_path / "chat.json"
    await lab.conversations.export_to(kept.id, path)
    assert msgspec.convert(json.loads(path.read_text()), Conversation) == kept
    with pytest.raises(EdgetuiError, match="already"):
        await lab.conversations.export_to(kept.id, path)
    with pytest.raises(EdgetuiError, match="cannot be written"):
        await lab.conversations.export_to(kept.id, tmp_path / "none" / "chat.md")


KILLED = """
import asyncio, os, signal, sys
from edgetui.services.lab import Lab
from edgetui.services.conversations import new_conversation
from edgetui.core.conversations import Answer, Turn
import msgspec

async def main():
    lab = Lab()
    question = Turn(number=1, parent=0, role="user", content="Tell a story", said_at=0.0)
    answer = Turn(number=2, parent=1, role="assistant", content="", said_at=0.0,
                  answer=Answer(model_name="m", engine="e"))
    conversation = new_conversation().with_turns(question, answer)
    lab.conversations.keep(conversation, question, answer)
    for part in ("Once ", "upon ", "a TIME"):
        lab.conversations.append(conversation, 2, part)
    await lab.conversations.flush()
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_killed_program_leaves_what_was_answered_so_far(lab: Lab) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED], check=False)  # noqa: ASYNC221 - nothing else runs here
    assert ended.returncode == -signal.SIGKILL
    (row,) = await lab.conversations.find("time")
    conversation = await lab.conversations.get(row.id)
    assert conversation.path[-1].content == "Once upon a TIME"
    assert conversation.path[-1].answer is not None and conversation.path[-1].answer.reason == "cut off"
    # Whoever goes on writing the same answer is not disturbed by the look in between.
    lab.conversations.append(conversation, 2, "!")
    assert (await lab.conversations.get(row.id)).path[-1].content == "Once upon a TIME!"


async def test_a_database_that_cannot_be_written_stops_no_conversation(lab: Lab, tmp_path: Path) -> None:
    lab.paths.database.parent.mkdir(parents=True)
    lab.paths.database.write_bytes(b"no database at all" * 100)
    conversation = said("Hello", "Hello!")
    lab.conversations.keep(conversation, *conversation.turns)
    await lab.conversations.flush()
    assert lab.conversations.problem is not None and "not kept" in lab.conversations.problem.message


async def test_two_windows_on_one_conversation_lose_no_turn_of_each_other(lab: Lab) -> None:
    begun = await keep(lab, said("Hello", "Hello!"))
    other_window = Conversations(Database(lab.paths.database))
    here, there = await lab.conversations.get(begun.id), await other_window.get(begun.id)
    here = said_next(here, "asked here", "answered here")
    lab.conversations.keep(here, *here.turns[2:])
    await lab.conversations.flush()
    there = said_next(there, "asked there", "answered there")
    other_window.keep(there, *there.turns[2:])
    await other_window.flush()
    kept = await lab.conversations.get(begun.id)
    assert {turn.content for turn in kept.turns} == {turn.content for turn in (*here.turns, *there.turns)}
    # Each goes on from what was said before both, so that one is an alternative to the other.
    assert kept.alternatives(here.turns[2].number) == sorted((here.turns[2].number, there.turns[2].number))
    assert kept.path_to(here.leaf) == list(here.turns) and kept.path == list(there.turns)


async def test_a_conversation_deleted_in_another_window_is_kept_whole_when_it_goes_on(lab: Lab) -> None:
    begun = await keep(lab, said("Hello", "Hello!", "And?", "So."))
    await Conversations(Database(lab.paths.database)).delete(begun.id)
    gone_on = said_next(begun, "Still there?", "Yes.")
    lab.conversations.keep(gone_on, *gone_on.turns[4:])
    assert await lab.conversations.get(begun.id) == gone_on


async def test_a_first_message_taken_back_leaves_what_another_window_said(lab: Lab) -> None:
    begun = said("Hello")
    await keep(lab, begun)
    other_window = Conversations(Database(lab.paths.database))
    there = said_next(await other_window.get(begun.id), "asked there", "answered there")
    other_window.keep(there, *there.turns[1:])
    await other_window.flush()
    lab.conversations.remove_turns(begun.without(1), 1)
    assert [turn.content for turn in (await lab.conversations.get(begun.id)).path] == ["asked there", "answered there"]


async def test_turns_that_a_busy_database_refused_are_written_when_it_is_free(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetui.store.database.BUSY_TIMEOUT_S", 0.05)
    kept = await keep(lab, said("q1", "a1"))
    other = sqlite3.connect(lab.paths.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begun = said_next(kept, "q2", "")
    lab.conversations.keep(begun, *begun.turns[2:])
    for part in ("a", "2"):
        lab.conversations.append(begun, begun.leaf, part)
    await lab.conversations.flush()
    assert lab.conversations.problem is not None and lab.conversations.problem.kind == "busy"
    other.execute("ROLLBACK")
    other.close()
    assert [turn.content for turn in (await lab.conversations.get(kept.id)).path] == ["q1", "a1", "q2", "a2"]


async def test_an_answer_whose_figures_cannot_be_read_keeps_its_words(lab: Lab) -> None:
    """A setting of another edgetui, or a damaged text, in one answer of several."""
    kept = await keep(lab, said("One?", "First.", "Two?", "Second.", "Three?", "Third."))
    for number, damage in ((2, '"load":{"warp_factor":9'), (4, '"load":{"threads":-5')):
        lab.database.write(
            "UPDATE turns SET answer = replace(answer, '\"load\":{', ?) WHERE number = ?", (damage + ",", number)
        )
    again = await lab.conversations.get(kept.id)
    assert [turn.content for turn in again.path] == ["One?", "First.", "Two?", "Second.", "Three?", "Third."]
    reasons = [turn.answer.reason for turn in again.path if turn.answer is not None]
    assert reasons == [UNREADABLE, UNREADABLE, "end"]
    # Going on with it writes nothing over what could not be read.
    longer = said_next(again, "Four?", "Fourth.")
    lab.conversations.keep(longer, *longer.turns[-2:])
    await lab.conversations.flush()
    rows = lab.database.read("SELECT answer FROM turns WHERE number IN (2, 4) ORDER BY number")
    assert "warp_factor" in rows[0]["answer"] and '"threads":-5' in rows[1]["answer"]
