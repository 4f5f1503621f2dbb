"""What was deleted or overwritten and is kept for a while: which nodes, since when, and how much they are.

Never to be changed once a version with it was released: a later revision changes what this one made.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    SmallInteger,
    text,
)

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Drop the table of versions that nothing was ever written to; add the one that takes its place."""
    op.drop_table("node_version")
    op.create_table(
        "kept",
        Column(
            "account_id",
            LargeBinary(16),
            ForeignKey("account.account_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        Column("node_id", LargeBinary(16), primary_key=True),
        Column("kind", SmallInteger, nullable=False),
        Column("kept_at", BigInteger, nullable=False),
        Column("bytes", BigInteger, nullable=False),
        ForeignKeyConstraint(
            ["account_id", "node_id"], ["node.account_id", "node.node_id"], ondelete="CASCADE"
        ),
        Index("ix_kept_order", "account_id", "kept_at"),
        Index("ix_kept_kind", "account_id", "kind", "kept_at"),
        Index("ix_kept_at", "kept_at"),
        sqlite_with_rowid=False,
    )
    op.add_column("account", Column("kept", BigInteger, nullable=False, server_default=text("0")))
