"""What the hub told before: searches and pages, by the question and the endpoint that answered it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.hub import HubModel, HubPage

if TYPE_CHECKING:
    from edgetui.core.hub import HubQuery
    from edgetui.store.database import Database

MOST_ANSWERS = 1000
"""The oldest are forgotten."""


class HubAnswers:
    """Rows in the database; every method may raise `EdgetuiError` as the database does."""

    def __init__(self, database: Database, endpoint: str) -> None:
        self._database = database
        self._endpoint = endpoint

    def keep_search(self, query: HubQuery, models: list[HubModel]) -> None:
        """The first rows of a search."""
        self._keep(f"search {msgspec.json.encode(query).decode()}", msgspec.json.encode(models))

    def keep_page(self, page: HubPage) -> None:
        """All that is told of one model."""
        self._keep(f"page {page.revision} {page.model.repo}", msgspec.json.encode(page))

    def search(self, query: HubQuery) -> tuple[list[HubModel], float] | None:
        """The rows and when they came (Unix time in seconds)."""
        found = self._find(f"search {msgspec.json.encode(query).decode()}")
        if found is None:
            return None
        try:
            return msgspec.json.decode(found[0], type=list[HubModel]), found[1]
        except msgspec.DecodeError:
            return None

    def page(self, repo: str, revision: str) -> tuple[HubPage, float] | None:
        """The page and when it came."""
        found = self._find(f"page {revision} {repo}")
        if found is None:
            return None
        try:
            return msgspec.json.decode(found[0], type=HubPage), found[1]
        except msgspec.DecodeError:
            return None

    def all_models(self) -> list[HubModel]:
        """Every model that any answer told of, the newest answer's words."""
        rows = self._database.read(
            "SELECT question, answer FROM hub_answers WHERE question LIKE ? ORDER BY fetched_at",
            (f"{self._endpoint} %",),
        )
        models: dict[str, HubModel] = {}
        for row in rows:
            try:
                if row["question"].startswith(f"{self._endpoint} search "):
                    models |= {model.repo: model for model in msgspec.json.decode(row["answer"], type=list[HubModel])}
                else:
                    page = msgspec.json.decode(row["answer"], type=HubPage)
                    models[page.model.repo] = page.model
            except msgspec.DecodeError:
                continue
        return list(models.values())

    def _keep(self, question: str, answer: bytes) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO hub_answers (question, fetched_at, answer) VALUES (?, ?, ?)",
                (f"{self._endpoint} {question}", time.time(), answer),
            )
            connection.execute(
                "DELETE FROM hub_answers WHERE question NOT IN"
                " (SELECT question FROM hub_answers ORDER BY fetched_at DESC LIMIT ?)",
                (MOST_ANSWERS,),
            )

    def _find(self, question: str) -> tuple[bytes, float] | None:
        rows = self._database.read(
            "SELECT answer, fetched_at FROM hub_answers WHERE question = ?", (f"{self._endpoint} {question}",)
        )
        return (rows[0]["answer"], rows[0]["fetched_at"]) if rows else None
