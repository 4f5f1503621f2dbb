"""When the identity provider last vouched for whom, and which process asks it.

Never to be changed once a version with it was released: a later revision changes what this one made.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "confirmation",
        Column(
            "account_id",
            LargeBinary(16),
            ForeignKey("account.account_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        Column("enabled_at", BigInteger, nullable=False),
        Column("role_at", BigInteger, nullable=False),
        Column("off_at", BigInteger),
        Column("reason", String(32), nullable=False),
        Column("password_at", BigInteger),
        Column("new_password_at", BigInteger),
        Column("version", BigInteger, nullable=False),
        Column("mac", LargeBinary(32), nullable=False),
        Column("wanted_at", BigInteger, nullable=False),
        Index("ix_confirmation_wanted_at", "wanted_at"),
    )
    op.create_table(
        "lease",
        Column("lease_id", Integer, primary_key=True, autoincrement=False),
        Column("holder", LargeBinary(16), nullable=False),
        Column("until", BigInteger, nullable=False),
        Column("trouble", String(200), nullable=False),
        Column("trouble_at", BigInteger),
    )
