"""Which installation this is, and how its master keys are recognised: the tables `instance` and `master_key`.

Nothing here is secret. It is read before any migration, so it must work on a database that has no table yet.
Called by `davserver/keyring.py`.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.schema import instance, master_key

_INSTANCE = sa.select(instance.c.instance_id)
_KEY_CHECK = sa.select(master_key.c.key_check).where(master_key.c.key_id == bindparam("key_id"))


class Instance:
    """The tables `instance` and `master_key`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def instance_id(self) -> bytes | None:
        """The 16 bytes that name this installation; None if the database is new."""
        if not sa.inspect(self._connection).has_table(instance.name):
            return None
        found: bytes | None = self._connection.execute(_INSTANCE).scalar_one_or_none()
        return found

    def create(self, instance_id: bytes, *, now: int) -> None:
        """Name this installation, once and for ever."""
        self._connection.execute(sa.insert(instance), {"instance_id": instance_id, "created_at": now})

    def key_check(self, key_id: int) -> bytes | None:
        """What the master key with this id derives as its check value; None: never used here."""
        found: bytes | None = self._connection.execute(_KEY_CHECK, {"key_id": key_id}).scalar_one_or_none()
        return found

    def add_key(self, key_id: int, key_check: bytes, *, now: int) -> None:
        """Remember a master key by its check value."""
        values = {"key_id": key_id, "key_check": key_check, "created_at": now}
        self._connection.execute(sa.insert(master_key), values)
