"""Conversations in the database: written turn by turn and part by part, found again by words."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.core.conversations import UNREADABLE, Answer, Conversation, ConversationRow, Turn

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from edgetui.store.database import Database, Value

_TITLE_CHARACTERS = 200
_AROUND_CHARACTERS = 30
"""So much is shown before a word that was found."""


class SavedConversations:
    """Every method may raise `EdgetuiError` as the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, conversation: Conversation, turns: Sequence[Turn]) -> None:
        """Write a conversation's own row and some of its turns, whole; parts that came of them are done with.

        Its other turns are written where they are missing, since another window may have deleted them.
        """
        with self._database.transaction() as connection:
            # Not REPLACE, which would delete the row first, and its turns with it.
            connection.execute(
                "INSERT INTO conversations (id, started_at, changed_at, model, model_name, engine, system_prompt,"
                " is_raw, leaf) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                " changed_at = excluded.changed_at, model = excluded.model, model_name = excluded.model_name,"
                " engine = excluded.engine, system_prompt = excluded.system_prompt, leaf = excluded.leaf",
                (
                    conversation.id,
                    conversation.started_at,
                    time.time(),
                    conversation.model,
                    conversation.model_name,
                    conversation.engine,
                    conversation.system_prompt,
                    int(conversation.is_raw),
                    conversation.leaf,
                ),
            )
            there = {
                row["number"]
                for row in connection.execute("SELECT number FROM turns WHERE conversation_id = ?", (conversation.id,))
            }
            given = {turn.number for turn in turns}
            for turn in (*turns, *(turn for turn in conversation.turns if turn.number not in there | given)):
                _put_turn(connection, conversation.id, turn)

    def append(self, conversation_id: str, number: int, part: str) -> None:
        """Write the next part of an answer under way."""
        self._database.write(
            "INSERT INTO turn_parts (conversation_id, number, part) VALUES (?, ?, ?)", (conversation_id, number, part)
        )

    def remove_turns(self, conversation: Conversation, numbers: Sequence[int]) -> None:
        """Forget turns; of a conversation without any nothing stays, unless another window said something in it."""
        with self._database.transaction() as connection:
            for number in numbers:
                _forget_turn(connection, conversation.id, number)
            if conversation.turns:
                connection.execute(
                    "UPDATE conversations SET leaf = ? WHERE id = ?", (conversation.leaf, conversation.id)
                )
            else:
                connection.execute(
                    "DELETE FROM conversations WHERE id = ?"
                    " AND NOT EXISTS (SELECT 1 FROM turns WHERE conversation_id = conversations.id)",
                    (conversation.id,),
                )

    def settle(self) -> None:
        """Make the parts of answers whose writers ended before them the answers' content.

        Harmless while one is still being written: its end replaces the content.
        """
        if not self._database.read("SELECT 1 FROM turn_parts LIMIT 1"):
            return
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT conversation_id, number, part FROM turn_parts ORDER BY conversation_id, number, rowid"
            ).fetchall()
            texts: dict[tuple[str, int], str] = {}
            for row in rows:
                key = (row["conversation_id"], row["number"])
                texts[key] = texts.get(key, "") + row["part"]
            for (conversation_id, number), text in texts.items():
                connection.execute(
                    "UPDATE turns SET content = content || ?, folded = folded || ?"
                    " WHERE conversation_id = ? AND number = ?",
                    (text, text.casefold(), conversation_id, number),
                )
            connection.execute("DELETE FROM turn_parts")

    def find(self, words: Sequence[str] = (), model: str = "", limit: int = 500) -> list[ConversationRow]:
        """Conversations in which every word occurs, in a turn or as part of the model's name; the newest first."""
        self.settle()
        conditions, values = [], list[Any]()
        if model:
            conditions.append("c.model = ?")
            values.append(model)
        for word in words:
            conditions.append(
                "(c.id IN (SELECT conversation_id FROM turns WHERE instr(folded, ?)) OR instr(lower(c.model_name), ?))"
            )
            values += [word.casefold()] * 2
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        rows = self._database.read(
            "SELECT c.*, (SELECT count(*) FROM turns WHERE conversation_id = c.id) AS turn_count,"
            f" (SELECT substr(content, 1, {_TITLE_CHARACTERS}) FROM turns WHERE conversation_id = c.id"
            f" ORDER BY number LIMIT 1) AS title FROM conversations AS c {where} ORDER BY c.changed_at DESC LIMIT ?",
            (*values, limit),
        )
        return [self._row(row, words) for row in rows]

    def get(self, conversation_id: str) -> Conversation | None:
        """The whole of one; None where there is none."""
        self.settle()
        rows = self._database.read("SELECT * FROM conversations WHERE id = ?", (conversation_id,))
        if not rows:
            return None
        turns = self._database.read("SELECT * FROM turns WHERE conversation_id = ? ORDER BY number", (conversation_id,))
        return Conversation(
            id=conversation_id,
            started_at=rows[0]["started_at"],
            model=rows[0]["model"],
            model_name=rows[0]["model_name"],
            engine=rows[0]["engine"],
            system_prompt=rows[0]["system_prompt"],
            is_raw=bool(rows[0]["is_raw"]),
            leaf=rows[0]["leaf"],
            turns=tuple(_turn(turn, rows[0]) for turn in turns),
        )

    def ids_beginning(self, text: str) -> list[str]:
        """Ids that begin so, at most a few: a person need not write one in full."""
        rows = self._database.read("SELECT id FROM conversations WHERE substr(id, 1, ?) = ? LIMIT 5", (len(text), text))
        return [row["id"] for row in rows]

    def delete(self, conversation_id: str) -> bool:
        """Forget one; says whether it was there."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM turn_parts WHERE conversation_id = ?", (conversation_id,))
            return connection.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,)).rowcount > 0

    def _row(self, row: sqlite3.Row, words: Sequence[str]) -> ConversationRow:
        return ConversationRow(
            id=row["id"],
            started_at=row["started_at"],
            changed_at=row["changed_at"],
            model=row["model"],
            model_name=row["model_name"],
            engine=row["engine"],
            is_raw=bool(row["is_raw"]),
            turn_count=row["turn_count"],
            title=" ".join((row["title"] or "").split()),
            found=self._around(row["id"], words[0]) if words else "",
        )

    def _around(self, conversation_id: str, word: str) -> str:
        folded = word.casefold()
        values: tuple[Value, ...] = (folded, _AROUND_CHARACTERS, _TITLE_CHARACTERS, conversation_id, folded)
        rows = self._database.read(
            "SELECT substr(content, max(1, instr(folded, ?) - ?), ?) AS around FROM turns"
            " WHERE conversation_id = ? AND instr(folded, ?) ORDER BY number LIMIT 1",
            values,
        )
        return " ".join(rows[0]["around"].split()) if rows else ""


def _put_turn(connection: sqlite3.Connection, conversation_id: str, turn: Turn) -> None:
    _forget_turn(connection, conversation_id, turn.number)
    connection.execute(
        "INSERT INTO turns (conversation_id, number, parent, role, said_at, content, folded, answer)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            conversation_id,
            turn.number,
            turn.parent,
            turn.role,
            turn.said_at,
            turn.content,
            turn.content.casefold(),
            None if turn.answer is None else msgspec.json.encode(turn.answer).decode(),
        ),
    )


def _forget_turn(connection: sqlite3.Connection, conversation_id: str, number: int) -> None:
    for table in ("turn_parts", "turns"):
        connection.execute(
            f"DELETE FROM {table} WHERE conversation_id = ? AND number = ?",
            (conversation_id, number),
        )


def _turn(row: sqlite3.Row, conversation: sqlite3.Row) -> Turn:
    return Turn(
        number=row["number"],
        parent=row["parent"],
        role=row["role"],
        content=row["content"],
        said_at=row["said_at"],
        answer=None if row["answer"] is None else _answer(row["answer"], conversation),
    )


def _answer(text: str, conversation: sqlite3.Row) -> Answer:
    """What is kept with an answer; its words stay where that is damaged, or of an edgetui that keeps other settings."""
    try:
        return msgspec.json.decode(text, type=Answer)
    except (msgspec.DecodeError, UnicodeError):
        return Answer(model_name=conversation["model_name"], engine=conversation["engine"], reason=UNREADABLE)
