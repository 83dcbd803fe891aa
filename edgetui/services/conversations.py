"""Conversations kept on this machine: written behind while they go on, listed, searched, opened, exported, deleted."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Literal

from edgetui.core.conversation_text import as_json, as_markdown
from edgetui.core.conversations import Conversation
from edgetui.core.failures import EdgetuiError, Failure
from edgetui.services.new_file import write_new
from edgetui.store.conversations import SavedConversations

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgetui.core.conversations import ConversationRow, Turn
    from edgetui.store.database import Database


def new_conversation(system_prompt: str = "", *, is_raw: bool = False) -> Conversation:
    """An empty one; nothing of it is kept before something is said."""
    now = time.time()
    name = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    return Conversation(id=f"{name}-{secrets.token_hex(2)}", started_at=now, system_prompt=system_prompt, is_raw=is_raw)


def new_number(conversation: Conversation) -> int:
    """Number for another turn: the time in microseconds, and up to a second of chance.

    Several windows may go on with one conversation, each without the turns of the others. Counted numbers would meet
    and one turn overwrite another; as it is, each window's turns stand as alternatives beside the others'.
    """
    last = conversation.turns[-1].number if conversation.turns else 0
    return max(last, int(time.time() * 1e6)) + 1 + secrets.randbelow(1_000_000)


class Conversations:
    """What is kept goes to the database in order, behind the caller's back: an answer never waits for a disk.

    What cannot be written stays here and is tried again with the next, and when all is waited for. The other methods
    wait for that first, and may raise `EdgetuiError` as the database does.
    """

    def __init__(self, database: Database) -> None:
        self._store = SavedConversations(database)
        self._pending: deque[Callable[[], object]] = deque()
        self._writer: asyncio.Task[None] | None = None
        self.problem: Failure | None = None
        """Why something that was said is not kept; whoever shows it takes it away."""

    # --- writing behind -----------------------------------------------------------------------------------

    def keep(self, conversation: Conversation, *turns: Turn) -> None:
        """Write turns, and what else is known of the conversation, and its turns that are not in the database."""
        self._write(partial(self._store.put, conversation, turns))

    def append(self, conversation: Conversation, number: int, part: str) -> None:
        """Write the next part of an answer under way."""
        self._write(partial(self._store.append, conversation.id, number, part))

    def remove_turns(self, conversation: Conversation, *numbers: int) -> None:
        """Forget turns that nothing came of; `conversation` is what is left."""
        self._write(partial(self._store.remove_turns, conversation, numbers))

    async def flush(self) -> None:
        """Wait until all of that is written, or cannot be."""
        if self._pending:
            self._start_writing()
        if self._writer is not None:
            await asyncio.shield(self._writer)

    def _write(self, work: Callable[[], object]) -> None:
        self._pending.append(work)
        self._start_writing()

    def _start_writing(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        taken = True
        while self._pending and taken:
            taken = await asyncio.to_thread(self._run)

    def _run(self) -> bool:
        """Write what is pending; False where the database takes no more of it."""
        while self._pending:
            step = self._pending.popleft()
            try:
                step()
            except EdgetuiError as error:
                self._pending.appendleft(step)
                self.problem = Failure(
                    error.failure.kind,
                    f"What is said now is not kept yet: {error.failure.message}",
                    error.failure.detail,
                )
                return False
        return True

    # --- reading ------------------------------------------------------------------------------------------

    async def find(self, search: str = "", model: str = "", limit: int = 500) -> list[ConversationRow]:
        """Those that hold every word of `search`, and that `model` (`model_key`) answered last; the newest first."""
        await self.flush()
        return await asyncio.to_thread(self._store.find, search.split(), model, limit)

    async def get(self, conversation_id: str) -> Conversation:
        """One by its id, or by enough of the id's beginning; raises `not_found`."""
        await self.flush()
        found = await asyncio.to_thread(self._store.get, conversation_id)
        if found is None and conversation_id:
            ids = await asyncio.to_thread(self._store.ids_beginning, conversation_id)
            if len(ids) > 1:
                raise EdgetuiError(
                    "not_found",
                    f"Several conversations begin with {conversation_id!r}, such as {ids[0]}: write more of it.",
                )
            if ids:
                found = await asyncio.to_thread(self._store.get, ids[0])
        if found is None:
            raise EdgetuiError(
                "not_found",
                f"There is no conversation {conversation_id!r}: `edgetui chats` lists those that are kept.",
            )
        return found

    async def delete(self, conversation_id: str) -> None:
        """Forget one for good; raises `not_found`."""
        found = await self.get(conversation_id)
        await asyncio.to_thread(self._store.delete, found.id)

    async def export(self, conversation_id: str, kind: Literal["markdown", "json"]) -> str:
        """The whole as text; of Markdown the present path alone."""
        conversation = await self.get(conversation_id)
        return as_markdown(conversation) if kind == "markdown" else as_json(conversation)

    async def export_to(self, conversation_id: str, path: Path) -> Path:
        """Write it to a new file, as JSON where the name ends so; gives its whole path.

        Raises `EdgetuiError` where that cannot be.
        """
        text = await self.export(conversation_id, "json" if path.suffix.lower() == ".json" else "markdown")
        return await asyncio.to_thread(write_new, path, text)
