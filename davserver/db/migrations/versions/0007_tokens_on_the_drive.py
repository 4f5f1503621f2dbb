"""Which sessions at the identity provider have proved the second factor here, and which were ended.

Never to be changed once a version with it was released: a later revision changes what this one made.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "second_factor_proof",
        Column("provider_session", LargeBinary(32), primary_key=True),
        Column(
            "account_id",
            LargeBinary(16),
            ForeignKey("account.account_id", ondelete="CASCADE"),
            nullable=False,
        ),
        Column("proved_at", BigInteger, nullable=False),
        Column("mac", LargeBinary(32), nullable=False),
        Index("ix_second_factor_proof_account_id", "account_id"),
        Index("ix_second_factor_proof_proved_at", "proved_at"),
    )
    op.create_table(
        "ended_session",
        Column("whose", LargeBinary(32), primary_key=True),
        Column("ended_at", BigInteger, nullable=False),
        Column("mac", LargeBinary(32), nullable=False),
        Index("ix_ended_session_ended_at", "ended_at"),
    )
