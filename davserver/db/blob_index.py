"""Which blobs exist and in which state; small ones are kept here whole.

    staging --publish--> live --claim--> dead --forget--> (gone)

A blob is referenced by the nodes that name it, those in the trash and previous versions too: there is no
counter that could drift. `unreferenced_at` only says since when a blob is worth a look; the claim asks the
tree itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects import sqlite

from davserver.db.driver import Driver
from davserver.db.prepared import Prepared
from davserver.db.rows import AuthenticatedRow, build, columns_of
from davserver.db.schema import blob, inline_blob, node
from davserver.model import AccountId, BlobId


class BlobState(StrEnum):
    """Where a blob is in its life."""

    STAGING = "staging"
    LIVE = "live"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class BlobRow(AuthenticatedRow):
    """One row of the table `blob`, without its times.

    Attributes:
        state: value of a `BlobState`.
        inline: whether the sealed bytes are in the table `inline_blob` instead of the blob store.
        wrapped_key: the file key, sealed under the account key (48 bytes).
        version: rises by one with every change of state.
    """

    TABLE: ClassVar[str] = "blob"

    blob_id: BlobId
    account_id: AccountId
    state: str
    inline: bool
    sealed_size: int
    plain_size: int
    format: int
    key_version: int
    wrapped_key: bytes = field(repr=False)
    version: int


_COLUMNS = columns_of(BlobRow, blob)
_THIS = blob.c.blob_id == bindparam("id")
_FETCH = Prepared(
    sa.select(*_COLUMNS, inline_blob.c.data)
    .select_from(blob.outerjoin(inline_blob, inline_blob.c.blob_id == blob.c.blob_id))
    .where(_THIS, blob.c.account_id == bindparam("account"))
)
_INSERT = Prepared(sa.insert(blob))
_INSERT_INLINE = Prepared(sa.insert(inline_blob))


def _insert_instead() -> Prepared:
    """Add a row, and in the same step write down of another one since when it is worth a look.

    The other row, as it is, conflicts with itself, and only its time is updated; if it is gone, so be it.
    """
    new = sa.select(*(bindparam(column.name, type_=column.type) for column in blob.c))
    other = sa.select(blob).where(blob.c.blob_id == bindparam("old"))
    insert = sqlite.insert(blob).from_select(list(blob.c), sa.union_all(new, other))
    time = {"unreferenced_at": bindparam("now", type_=sa.BigInteger)}
    return Prepared(insert.on_conflict_do_update(index_elements=[blob.c.blob_id], set_=time))


_INSERT_INSTEAD = _insert_instead()
_CHANGE_STATE = (
    sa.update(blob)
    .where(_THIS, blob.c.version == bindparam("expected"), blob.c.state == bindparam("old_state"))
    .values(
        state=bindparam("new_state"),
        sealed_size=bindparam("new_sealed_size"),
        plain_size=bindparam("new_plain_size"),
        version=bindparam("new_version"),
        mac=bindparam("new_mac"),
        heartbeat_at=bindparam("now", type_=sa.BigInteger),
    )
)
_REFERENCED = sa.exists().where(node.c.blob_id == blob.c.blob_id)
_PUBLISH = Prepared(_CHANGE_STATE)
_CLAIM = _CHANGE_STATE.where(
    sa.not_(_REFERENCED),
    sa.or_(blob.c.state == BlobState.STAGING, blob.c.unreferenced_at <= bindparam("before")),
)
_HEARTBEAT = Prepared(
    sa.update(blob)
    .where(_THIS, blob.c.state == BlobState.STAGING)
    .values(heartbeat_at=bindparam("now", type_=sa.BigInteger))
)
_MARK = Prepared(sa.update(blob).where(_THIS).values(unreferenced_at=bindparam("now", type_=sa.BigInteger)))
_UNMARK = sa.update(blob).where(_THIS, _REFERENCED).values(unreferenced_at=None)


class BlobIndex:
    """The tables `blob` and `inline_blob`."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def fetch(self, account: AccountId, blob_id: BlobId) -> tuple[BlobRow, bytes | None] | None:
        """The row, and the sealed bytes if they are kept inline."""
        found = self._driver.one(_FETCH, {"account": account, "id": blob_id})
        return None if found is None else (build(BlobRow, found[:-1]), found[-1])

    def insert(
        self, row: BlobRow, *, now: int, data: bytes | None = None, instead_of: BlobId | None = None
    ) -> None:
        """Add a blob.

        Args:
            row: as it is to be.
            now: when.
            data: the sealed bytes if it is kept inline.
            instead_of: a blob that a node is about to give up for it, for garbage collection to look at.
        """
        values = {**row.columns(), "heartbeat_at": now, "unreferenced_at": None}
        if instead_of is None:
            self._driver.change(_INSERT, values)
        else:
            self._driver.change(_INSERT_INSTEAD, {**values, "old": instead_of, "now": now})
        if data is not None:
            self._driver.change(_INSERT_INLINE, {"blob_id": row.blob_id, "data": data})

    def heartbeat(self, blob_id: BlobId, *, now: int) -> bool:
        """Say that a staging blob is still being written; False if garbage collection has claimed it."""
        return self._driver.change(_HEARTBEAT, {"id": blob_id, "now": now}) == 1

    def publish(self, row: BlobRow, *, now: int) -> bool:
        """Turn a staging blob live; `row` is as it will be. False if garbage collection has claimed it."""
        return self._driver.change(_PUBLISH, _change(row, BlobState.STAGING, now)) == 1

    def mark_unreferenced(self, blob_id: BlobId, *, now: int) -> None:
        """Let garbage collection have a look at this blob: a node that named it no longer does."""
        self._driver.change(_MARK, {"id": blob_id, "now": now})

    def add_reference(self, blob_ids: Sequence[BlobId]) -> bool:
        """Keep live blobs for a COPY; False if one of them is no longer live."""
        distinct = set(blob_ids)
        statement = sa.update(blob).where(blob.c.blob_id.in_(distinct), blob.c.state == BlobState.LIVE)
        return self._driver.sqlalchemy.execute(statement.values(unreferenced_at=None)).rowcount == len(
            distinct
        )

    def collectable(self, *, live_before: int, staging_before: int, limit: int) -> list[BlobRow]:
        """Blobs that look like garbage: unreferenced, abandoned while staging, or already dead."""
        statement = sa.select(*_COLUMNS).where(
            sa.or_(
                sa.and_(blob.c.state == BlobState.LIVE, blob.c.unreferenced_at <= live_before),
                # Named while staging is no state that we make: it is left for `verify` to report.
                sa.and_(
                    blob.c.state == BlobState.STAGING,
                    blob.c.heartbeat_at <= staging_before,
                    sa.not_(_REFERENCED),
                ),
                blob.c.state == BlobState.DEAD,
            )
        )
        return [build(BlobRow, found) for found in self._driver.sqlalchemy.execute(statement.limit(limit))]

    def claim(self, row: BlobRow, *, old_state: str, before: int) -> bool:
        """Turn a blob dead if nothing has named it since `before`; `row` is as it will be.

        Returns False if something does or did, and then forgets a mark that is out of date.
        """
        parameters = {**_change(row, old_state, before), "before": before}
        if self._driver.sqlalchemy.execute(_CLAIM, parameters).rowcount == 1:
            return True
        self._driver.sqlalchemy.execute(_UNMARK, {"id": row.blob_id})
        return False

    def forget(self, blob_ids: Sequence[BlobId]) -> None:
        """Remove dead blobs, wrapped keys and inline bytes; their bytes in the store are gone already."""
        dead = sa.delete(blob).where(blob.c.blob_id.in_(blob_ids), blob.c.state == BlobState.DEAD)
        self._driver.sqlalchemy.execute(dead)

    def scan(self, *, after: BlobId | None, limit: int) -> list[BlobRow]:
        """At most `limit` blobs of all accounts in order of their ids, for `verify`; `after` None starts."""
        statement = sa.select(*_COLUMNS).order_by(blob.c.blob_id).limit(limit)
        if after is not None:
            statement = statement.where(blob.c.blob_id > after)
        return [build(BlobRow, found) for found in self._driver.sqlalchemy.execute(statement)]

    def known(self, blob_ids: Sequence[BlobId]) -> set[BlobId]:
        """Which of these ids have a row."""
        statement = sa.select(blob.c.blob_id).where(blob.c.blob_id.in_(blob_ids))
        return {BlobId(found) for (found,) in self._driver.sqlalchemy.execute(statement)}


def _change(row: BlobRow, old_state: str, now: int) -> dict[str, object]:
    return {
        "id": row.blob_id,
        "expected": row.version - 1,
        "old_state": old_state,
        "new_state": row.state,
        "new_sealed_size": row.sealed_size,
        "new_plain_size": row.plain_size,
        "new_version": row.version,
        "new_mac": row.mac,
        "now": now,
    }
