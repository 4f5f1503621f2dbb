"""Which installation this is, and how its master keys are recognised: the tables `instance` and `master_key`.

Nothing here is secret. `instance_id` and `key_checks` are read before any migration, so they must work on a
database that has no table yet, or those of the first revision. Called by `keyring.py` and `rotation.py`.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.schema import instance, master_key

_INSTANCE = sa.select(instance.c.instance_id)
_ISSUER = sa.select(instance.c.issuer)
_KEY_CHECKS = sa.select(master_key.c.key_id, master_key.c.key_check)
_IN_USE = sa.select(master_key.c.key_id).where(master_key.c.retired_at.is_(None))
_PEPPER = sa.select(master_key.c.pepper_sealed).where(master_key.c.key_id == bindparam("wanted"))
_RETIRE = sa.update(master_key).where(
    master_key.c.key_id == bindparam("wanted"), master_key.c.retired_at.is_(None)
)


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

    def issuer(self) -> str | None:
        """The identity provider whose people have accounts here; None before there was one."""
        found: str | None = self._connection.execute(_ISSUER).scalar_one_or_none()
        return found

    def set_issuer(self, issuer: str) -> None:
        """Remember the identity provider."""
        self._connection.execute(sa.update(instance).values(issuer=issuer))

    def key_checks(self) -> dict[int, bytes]:
        """What every master key that was ever used here derives as its check value, by key id."""
        return {row.key_id: row.key_check for row in self._connection.execute(_KEY_CHECKS)}

    def keys_in_use(self) -> set[int]:
        """Ids of the master keys that rows may be authenticated under: one, or two during a rotation."""
        return set(self._connection.execute(_IN_USE).scalars())

    def sealed_pepper(self, key_id: int) -> bytes | None:
        """The pepper that this master key has taken over from an older one; None: its own."""
        found: bytes | None = self._connection.execute(_PEPPER, {"wanted": key_id}).scalar_one()
        return found

    def add_key(self, key_id: int, key_check: bytes, *, now: int, pepper_sealed: bytes | None = None) -> None:
        """Remember a master key by its check value."""
        values = {
            "key_id": key_id,
            "key_check": key_check,
            "created_at": now,
            "pepper_sealed": pepper_sealed,
        }
        self._connection.execute(sa.insert(master_key), values)

    def retire_key(self, key_id: int, *, now: int) -> bool:
        """Say that no row is authenticated under this master key any more; False if that was said before."""
        return self._connection.execute(_RETIRE.values(retired_at=now), {"wanted": key_id}).rowcount == 1
