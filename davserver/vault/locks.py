"""What a write lock is (RFC 4918, 6): its token, its limits, and its row sealed and opened.

A lock belongs to the account: any of its devices that may write and knows the token holds it; no other
account can see it. What locks prevent is judged in `moment.py`; they are granted in `locking.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from davserver.crypto.keys import AccountKey
from davserver.crypto.primitives import random_bytes
from davserver.crypto.properties import Purpose, open_value, seal_value
from davserver.db.locks import LockRow
from davserver.keyring import Keyring
from davserver.model import ID_BYTES, Lock, NodeId

MAX_SECONDS = 3600
"""Longest time for which a lock is granted or refreshed; who is still there refreshes it."""

MAX_SHARED = 32
"""Shared locks that one file or collection may bear."""

MAX_OWNER_BYTES = 1024
"""Longest `owner` element."""

SCHEME = "urn:uuid:"


def new_lock_id() -> bytes:
    """A random UUID (RFC 9562, 5.4)."""
    return UUID(bytes=random_bytes(ID_BYTES), version=4).bytes


def token_of(lock_id: bytes) -> str:
    """The token of a lock."""
    return f"{SCHEME}{UUID(bytes=lock_id)}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a LOCK asks for.

    Attributes:
        owner: the serialised `owner` element, or "".
        seconds: how long, at most `MAX_SECONDS`.
    """

    exclusive: bool
    infinite: bool
    owner: str
    seconds: int


class LockCodec:
    """Seals and opens the lock rows of one account."""

    def __init__(self, key: AccountKey, keyring: Keyring) -> None:
        self._key = key
        self._keyring = keyring

    def open_lock(self, row: LockRow) -> Lock:
        """Check and decrypt a row.

        Raises:
            CorruptRow: it was altered.
        """
        self._keyring.checked(row)
        owner = open_value(self._key, row.node_id, Purpose.LOCK_OWNER, row.lock_id, row.owner_sealed)
        return Lock(
            row.lock_id,
            token_of(row.lock_id),
            row.node_id,
            bool(row.exclusive),
            bool(row.infinite),
            owner.decode(),
            row.expires_at,
        )

    def new_row(self, node_id: NodeId, wanted: Wanted, *, now: int, lock_id: bytes | None = None) -> LockRow:
        """The row of a lock that is granted now; `lock_id` if it has one already."""
        lock_id = lock_id or new_lock_id()
        owner = wanted.owner.encode()
        row = LockRow(
            account_id=self._key.account_id,
            lock_id=lock_id,
            node_id=node_id,
            exclusive=wanted.exclusive,
            infinite=wanted.infinite,
            owner_sealed=seal_value(self._key, node_id, Purpose.LOCK_OWNER, lock_id, owner),
            created_at=now,
            expires_at=now + wanted.seconds,
            version=1,
        )
        return self._keyring.with_mac(row)

    def hung_on(self, lock: Lock, node_id: NodeId, *, now: int) -> LockRow:
        """The row of a lock that goes on, with its token and its end, on another node."""
        wanted = Wanted(lock.exclusive, lock.infinite, lock.owner, lock.expires_at - now)
        return self.new_row(node_id, wanted, now=now, lock_id=lock.id)

    def refreshed(self, row: LockRow, expires_at: int) -> LockRow:
        """The row with another end."""
        return self._keyring.with_mac(replace(row, expires_at=expires_at, version=row.version + 1))
