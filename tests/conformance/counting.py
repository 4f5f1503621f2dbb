"""How many statements a request sends to the database."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy

from tests.conformance.ours import OurServer

ATTEMPTS = 3
"""Threads beside the requests send some of their own, now and then."""


def fewest_statements(ours: OurServer, ask: Callable[[], object]) -> int:
    """Of the same request, asked several times, after one by which caches know what it is about."""
    statements: list[str] = []
    engine = ours.services.database.engine

    @sqlalchemy.event.listens_for(engine, "before_cursor_execute")
    def count_it(_c: object, _u: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    def count() -> int:
        statements.clear()
        ask()
        return len(statements)

    try:
        ask()
        return min(count() for _ in range(ATTEMPTS))
    finally:
        sqlalchemy.event.remove(engine, "before_cursor_execute", count_it)
