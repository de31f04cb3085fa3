"""`GET /v1/dead-letters`: what could not be applied, and why."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import Field

from flow.dead_letters import StoredLetter
from flow.errors import Reason
from flow.instants import format_instant
from service.api.models import Answer, example, problems
from service.api.parameters import LONGEST_NAME
from service.reader import StateReader
from service.reader_letters import LetterReader

LONGEST_BODY: Final = 4_000
"""Characters of a body that are shown; the whole of it is kept, and is what a replay sends."""


class DeadLetter(Answer):
    """One letter. Headers are kept for a replay and not shown: they may hold what is secret."""

    id: str
    kind: str = Field(description="`fact`: a line of the log; `delivery`: a webhook as it came")
    source: str
    reason: str
    message: str
    at: str
    partition: int | None
    offset: int | None
    body: str = Field(description=f"The first {LONGEST_BODY} characters")
    body_bytes: int = Field(description="Size of the whole body")


class LetterCount(Answer):
    """Letters ever written of one source and reason."""

    source: str
    reason: str
    count: int


class DeadLetters(Answer):
    """One page, newest first, and the counts of all. A page may be empty and still have a `next_cursor`."""

    model_config = example(
        {
            "letters": [
                {
                    "id": "1795339800000-0",
                    "kind": "fact",
                    "source": "acme",
                    "reason": "no_stream",
                    "message": "no stream claims item ABC-1 of source acme",
                    "at": "2026-11-22T09:30:00Z",
                    "partition": 3,
                    "offset": 1207,
                    "body": '{"subject":"item","id":"evt-9","source":"acme","item":"ABC-1","at":1795339800000}',
                    "body_bytes": 82,
                }
            ],
            "next_cursor": None,
            "counts": [{"source": "acme", "reason": "no_stream", "count": 1}],
        }
    )

    letters: list[DeadLetter]
    next_cursor: str | None
    counts: list[LetterCount]


LimitQuery = Annotated[int, Query(description="The most letters on a page", ge=1, le=100)]
CursorQuery = Annotated[str | None, Query(description="`next_cursor` of the page before", max_length=100)]
SourceQuery = Annotated[str | None, Query(description="Only letters of this source", max_length=LONGEST_NAME)]
ReasonQuery = Annotated[Reason | None, Query(description="Only letters with this reason")]


def dead_letters_router(reader: StateReader) -> APIRouter:
    """The routes of this group."""
    router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"])
    letters = LetterReader(reader)

    @router.get(
        "", operation_id="list_dead_letters", responses=problems(400, 401, 422, 503), response_model=DeadLetters
    )
    async def list_dead_letters(
        limit: LimitQuery = 20, cursor: CursorQuery = None, reason: ReasonQuery = None, source: SourceQuery = None
    ) -> dict[str, Any]:
        """What could not be applied, newest first, with the reason. Nothing of it is lost: it can be replayed."""
        page = await letters.page(limit, cursor, source, reason)
        counts = sorted((await letters.counts()).items())
        return {
            "letters": [_shown(letter) for letter in page.letters],
            "next_cursor": page.cursor,
            "counts": [{"source": source, "reason": reason, "count": count} for (source, reason), count in counts],
        }

    return router


def _shown(letter: StoredLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "kind": letter.kind,
        "source": letter.source,
        "reason": letter.reason,
        "message": letter.message,
        "at": format_instant(letter.at),
        "partition": letter.partition,
        "offset": letter.offset,
        "body": letter.body[: LONGEST_BODY * 4].decode(errors="replace")[:LONGEST_BODY],
        "body_bytes": len(letter.body),
    }
