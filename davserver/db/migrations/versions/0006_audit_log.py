"""The audit log: its entries, and its head, for which whoever has the master key vouches next.

Never to be changed once a version with it was released: a later revision changes what this one made.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the tables, and the head of an empty log."""
    op.create_table(
        "audit_entry",
        Column("seq", Integer, primary_key=True, autoincrement=False),
        Column("at", BigInteger, nullable=False),
        Column("event", String(32), nullable=False),
        Column("account", String(255), nullable=False),
        Column("actor", String(255), nullable=False),
        Column("credential", String(64), nullable=False),
        Column("client", String(64)),
        Column("client_salt", LargeBinary(16)),
        Column("client_commitment", LargeBinary(32)),
        Column("reason", String(200), nullable=False),
        Column("link", LargeBinary(32), nullable=False),
        Index("ix_audit_entry_at", "at"),
        Index("ix_audit_entry_event", "event"),
        Index("ix_audit_entry_account", "account"),
        Index("ix_audit_entry_address", "at", sqlite_where=sa.text("client IS NOT NULL")),
    )
    head = op.create_table(
        "audit_head",
        Column("head_id", Integer, primary_key=True, autoincrement=False),
        Column("seq", BigInteger, nullable=False),
        Column("link", LargeBinary(32), nullable=False),
        Column("anchor_seq", BigInteger, nullable=False),
        Column("anchor_link", LargeBinary(32), nullable=False),
        Column("forgotten_before", BigInteger, nullable=False),
        Column("mac", LargeBinary(32), nullable=False),
    )
    empty = {"head_id": 1, "seq": 0, "link": bytes(32), "anchor_seq": 0, "anchor_link": bytes(32)}
    op.execute(sa.insert(head).values(**empty, forgotten_before=0, mac=b""))
