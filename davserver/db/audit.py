"""What has happened: the tables `audit_entry` and `audit_head`.

Rows leave as they are stored. An entry is believed because of its link to the one before, the head because of
its authenticator: who checks both is `davserver/accounts/audit_chain.py`. Nothing here changes an entry; only
addresses are taken out of old ones, and the oldest entries removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.crypto.rowmac import Field
from davserver.db.rows import AuthenticatedRow, build, columns_of
from davserver.db.schema import audit_entry, audit_head

HEAD = 1
"""The key of the only row of `audit_head`."""

NO_LINK = bytes(32)
"""What stands for the link before the first entry of a chain."""

HIGHEST_SEQ = 2**62
"""No entry of ours comes near this number; one beyond it was put there by somebody else."""

BATCH_ROWS = 500
"""Rows fetched at a time."""


@dataclass(frozen=True, slots=True)
class AuditEntryRow:
    """One row of the table `audit_entry`.

    Attributes:
        seq: counts entries, from 1 on, without a gap.
        client, client_salt: None if there is no address, or none any more.
        client_commitment: stands for the address in `link` (32 bytes); None if there never was one.
        link: keyed hash over the link before and every field but the address and its salt (32 bytes).
    """

    seq: int
    at: int
    event: str
    account: str
    actor: str
    credential: str
    client: str | None
    client_salt: bytes | None
    client_commitment: bytes | None
    reason: str
    link: bytes

    def linked(self) -> tuple[Field, ...]:
        """The values that the link stands for, behind the link before, in their order: part of the format."""
        return (
            self.seq,
            self.at,
            self.event,
            self.account,
            self.actor,
            self.credential,
            self.client_commitment,
            self.reason,
        )


@dataclass(frozen=True, slots=True)
class AuditHeadRow(AuthenticatedRow):
    """The only row of the table `audit_head`: between which two links the chain lies.

    Attributes:
        seq, link: of the last entry.
        anchor_seq, anchor_link: of the one before the first that is kept.
        forgotten_before: entries from before this moment may have lost their address.
    """

    TABLE: ClassVar[str] = "audit_head"

    head_id: int
    seq: int
    link: bytes
    anchor_seq: int
    anchor_link: bytes
    forgotten_before: int


EMPTY_HEAD = AuditHeadRow(HEAD, 0, NO_LINK, 0, NO_LINK, 0)
"""What the revision that makes the tables puts there; nobody vouches for it yet."""

_COLUMNS = tuple(one.name for one in fields(AuditEntryRow))
_ENTRIES = sa.select(*[audit_entry.c[name] for name in _COLUMNS])
_HEAD = sa.select(*columns_of(AuditHeadRow, audit_head)).where(audit_head.c.head_id == HEAD)
_PUT_HEAD = sa.insert(audit_head).prefix_with("OR REPLACE")
_APPEND = sa.insert(audit_entry).prefix_with("OR IGNORE")
_FIRST = sa.select(sa.func.min(audit_entry.c.seq))
_LAST = sa.select(sa.func.max(audit_entry.c.seq)).where(audit_entry.c.seq < HIGHEST_SEQ)
_WITH_ADDRESS = (
    sa.select(audit_entry.c.seq)
    .where(audit_entry.c.at < bindparam("before", type_=sa.BigInteger), audit_entry.c.client.is_not(None))
    .limit(bindparam("limit", type_=sa.Integer))
)
_FORGET = sa.update(audit_entry).where(audit_entry.c.seq.in_(_WITH_ADDRESS))
_AFTER = _ENTRIES.where(audit_entry.c.seq > bindparam("after", type_=sa.Integer)).order_by(audit_entry.c.seq)
_LINK = sa.select(audit_entry.c.link).where(audit_entry.c.seq == bindparam("this", type_=sa.Integer))


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries somebody wants to see; what is None does not matter.

    Attributes:
        since, until: Unix seconds; `until` itself is not among them.
    """

    account: str | None = None
    event: str | None = None
    since: int | None = None
    until: int | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """The same for SQL."""
        found: list[sa.ColumnElement[bool]] = []
        if self.account is not None:
            found.append(audit_entry.c.account == self.account)
        if self.event is not None:
            found.append(audit_entry.c.event == self.event)
        if self.since is not None:
            found.append(audit_entry.c.at >= self.since)
        if self.until is not None:
            found.append(audit_entry.c.at < self.until)
        return found


class AuditTable:
    """The tables `audit_entry` and `audit_head`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    # ── the head
    def head(self) -> AuditHeadRow | None:
        """The head; None if somebody has removed it."""
        found = self._connection.execute(_HEAD).one_or_none()
        return None if found is None else build(AuditHeadRow, found)

    def put_head(self, row: AuditHeadRow) -> None:
        """Write the head."""
        self._connection.execute(_PUT_HEAD, row.columns())

    # ── entries
    def append(self, row: AuditEntryRow) -> bool:
        """Add an entry; False if there is one of its number."""
        values = {name: getattr(row, name) for name in _COLUMNS}
        return self._connection.execute(_APPEND, values).rowcount == 1

    def first_seq(self) -> int | None:
        """The lowest number of an entry; None if there is none."""
        found: int | None = self._connection.execute(_FIRST).scalar_one()
        return found

    def last_seq(self) -> int:
        """The highest number of an entry; 0 if there is none."""
        return self._connection.execute(_LAST).scalar_one() or 0

    def walk(self, *, after: int) -> Iterator[AuditEntryRow]:
        """Entries with higher numbers, in order, `BATCH_ROWS` in memory at a time."""
        while True:
            found = self._connection.execute(_AFTER.limit(BATCH_ROWS), {"after": after}).all()
            yield from (AuditEntryRow(*one) for one in found)
            if len(found) < BATCH_ROWS:
                return
            after = found[-1].seq

    def link_of(self, seq: int) -> bytes | None:
        """The link of the entry with this number; None if there is none."""
        found: bytes | None = self._connection.execute(_LINK, {"this": seq}).scalar_one_or_none()
        return found

    def links_of(self, numbers: Sequence[int]) -> dict[int, object]:
        """The links of these entries by their numbers, as far as they are there."""
        statement = sa.select(audit_entry.c.seq, audit_entry.c.link).where(audit_entry.c.seq.in_(numbers))
        return {row.seq: row.link for row in self._connection.execute(statement)}

    def latest(self, wanted: Filter, *, before: int | None, after: int, limit: int) -> list[AuditEntryRow]:
        """At most `limit` entries between these two numbers, the latest first."""
        statement = _ENTRIES.where(audit_entry.c.seq > after, *wanted.conditions())
        if before is not None:
            statement = statement.where(audit_entry.c.seq < before)
        found = self._connection.execute(statement.order_by(audit_entry.c.seq.desc()).limit(limit))
        return [AuditEntryRow(*one) for one in found]

    def earliest(self, wanted: Filter, *, after: int, limit: int) -> list[AuditEntryRow]:
        """At most `limit` entries with higher numbers, the earliest first."""
        statement = _ENTRIES.where(audit_entry.c.seq > after, *wanted.conditions())
        found = self._connection.execute(statement.order_by(audit_entry.c.seq).limit(limit))
        return [AuditEntryRow(*one) for one in found]

    def last_of(self, account: str, events: tuple[str, ...]) -> int:
        """The number of an account's last entry of one of these kinds; 0 if there is none."""
        statement = sa.select(sa.func.max(audit_entry.c.seq)).where(
            audit_entry.c.account == account, audit_entry.c.event.in_(events)
        )
        return self._connection.execute(statement).scalar_one() or 0

    # ── forgetting
    def has_addresses(self, *, before: int) -> bool:
        """Whether an entry from before this moment still holds an address."""
        return self._connection.execute(_WITH_ADDRESS, {"before": before, "limit": 1}).first() is not None

    def forget_addresses(self, *, before: int, limit: int) -> None:
        """Take addresses and their salts out of at most `limit` entries from before this moment."""
        self._connection.execute(
            _FORGET.values(client=None, client_salt=None), {"before": before, "limit": limit}
        )

    def delete_through(self, seq: int) -> int:
        """Remove every entry up to this number; returns how many."""
        return self._connection.execute(sa.delete(audit_entry).where(audit_entry.c.seq <= seq)).rowcount
