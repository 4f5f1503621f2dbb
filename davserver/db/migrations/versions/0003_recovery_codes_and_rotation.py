"""Recovery codes, and what outlives a master key: the pepper, and that the key is no longer in use.

Never to be changed once a version with it was released: a later revision changes what this one made.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the table and the columns."""
    op.create_table(
        "recovery_code",
        Column(
            "account_id",
            LargeBinary(16),
            ForeignKey("account.account_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        Column("verifier", LargeBinary(32), primary_key=True),
        Column("created_at", BigInteger, nullable=False),
        Column("mac", LargeBinary(32), nullable=False),
    )
    op.add_column("master_key", Column("pepper_sealed", LargeBinary(48)))
    op.add_column("master_key", Column("retired_at", BigInteger))
