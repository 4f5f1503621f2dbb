"""The end of an account: its credentials at once, its tree and contents in batches, its own row last.

Called by `accounts/deletion.py`, which decides, and `vault/shredding.py`, which removes.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.blob_index import BlobRow
from davserver.db.rows import build, columns_of
from davserver.db.schema import (
    account,
    app_password,
    blob,
    confirmation,
    device_sign,
    hidden_tree,
    local_identity,
    node,
    profile,
    recovery_code,
    second_factor_proof,
    totp_device,
    web_session,
)
from davserver.model import AccountId, BlobId

_MINE = bindparam("mine", type_=sa.LargeBinary)
_LIMIT = bindparam("most", type_=sa.Integer)


def _some(table: sa.Table) -> sa.Delete:
    """Delete the rows of at most `most` nodes of an account."""
    chosen = sa.select(table.c.node_id).where(table.c.account_id == _MINE).limit(_LIMIT)
    return sa.delete(table).where(table.c.account_id == _MINE, table.c.node_id.in_(chosen))


_CREDENTIALS = [
    sa.delete(table).where(table.c.account_id == _MINE)
    for table in (
        *(local_identity, totp_device, recovery_code, app_password),
        *(web_session, second_factor_proof, profile, confirmation, device_sign),
    )
]
_TREE = [_some(table) for table in (hidden_tree, node)]
_ACCOUNT = sa.delete(account).where(account.c.account_id == _MINE)
_BLOBS = sa.select(*columns_of(BlobRow, blob)).where(blob.c.account_id == _MINE).order_by(blob.c.blob_id)
_BLOB_IDS = sa.select(blob.c.blob_id).where(blob.c.account_id == _MINE)
_HAS_NODES = sa.select(sa.exists().where(node.c.account_id == _MINE))


class Deletion:
    """Everything that hangs on one account."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def delete_credentials(self, account_id: AccountId) -> None:
        """Remove whatever could open the account: passwords, devices, recovery codes, sessions."""
        for statement in _CREDENTIALS:
            self._connection.execute(statement, {"mine": account_id})

    def delete_some_nodes(self, account_id: AccountId, *, limit: int) -> int:
        """Remove at most `limit` nodes with all that hangs on them; returns how many rows that were."""
        parameters = {"mine": account_id, "most": limit}
        return sum(self._connection.execute(statement, parameters).rowcount for statement in _TREE)

    def blobs(self, account_id: AccountId, *, after: BlobId | None, limit: int) -> list[BlobRow]:
        """At most `limit` blobs of the account in order of their ids; `after` None starts."""
        statement = _BLOBS.limit(limit)
        if after is not None:
            statement = statement.where(blob.c.blob_id > after)
        return [build(BlobRow, found) for found in self._connection.execute(statement, {"mine": account_id})]

    def delete_account(self, account_id: AccountId, *, besides: frozenset[BlobId]) -> bool:
        """Remove the account's row if nothing hangs on it but the blobs `besides`; else do nothing."""
        mine = {"mine": account_id}
        blobs = set(self._connection.execute(_BLOB_IDS, mine).scalars())
        if self._connection.execute(_HAS_NODES, mine).scalar_one() or not blobs <= besides:
            return False
        self._connection.execute(_ACCOUNT, mine)
        return True
