"""Write locks and dead properties (RFC 4918, 6 and 4.3); both go with the node that they hang on.

Never to be changed once a version with it was released: a later revision changes what this one made.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, ForeignKeyConstraint, LargeBinary

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "lock",
        Column(
            "account_id",
            LargeBinary(16),
            ForeignKey("account.account_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        Column("lock_id", LargeBinary(16), primary_key=True),
        Column("node_id", LargeBinary(16), nullable=False),
        Column("exclusive", Boolean, nullable=False),
        Column("infinite", Boolean, nullable=False),
        Column("owner_sealed", LargeBinary, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("mac", LargeBinary(32), nullable=False),
        ForeignKeyConstraint(
            ["account_id", "node_id"], ["node.account_id", "node.node_id"], ondelete="CASCADE"
        ),
    )
    op.create_index("ix_lock_node", "lock", ["account_id", "node_id"])
    op.create_index("ix_lock_expires", "lock", ["expires_at"])
    op.create_table(
        "property",
        Column(
            "account_id",
            LargeBinary(16),
            ForeignKey("account.account_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        Column("node_id", LargeBinary(16), primary_key=True),
        Column("name_sealed", LargeBinary, primary_key=True),
        Column("value_sealed", LargeBinary, nullable=False),
        ForeignKeyConstraint(
            ["account_id", "node_id"], ["node.account_id", "node.node_id"], ondelete="CASCADE"
        ),
    )
