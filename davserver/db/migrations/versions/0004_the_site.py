"""What the site needs: sessions, links that let somebody set up an account, and what an account may do there.

Never to be changed once a version with it was released: a later revision changes what this one made.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, LargeBinary, String

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "web_session",
        Column("session_id", LargeBinary(32), primary_key=True),
        Column("account_id", LargeBinary(16), ForeignKey("account.account_id", ondelete="CASCADE")),
        Column("began_at", BigInteger, nullable=False),
        Column("seen_at", BigInteger, nullable=False),
        Column("signed_in_at", BigInteger),
        Column("totp_at", BigInteger),
        Column("admin", Boolean, nullable=False),
        Column("provider_session", LargeBinary(32)),
        Column("data_sealed", LargeBinary, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("mac", LargeBinary(32), nullable=False),
        Index("ix_web_session_account_id", "account_id"),
        Index("ix_web_session_provider_session", "provider_session"),
        Index("ix_web_session_seen_at", "seen_at"),
    )
    op.create_table(
        "invitation",
        Column("token_hash", LargeBinary(32), primary_key=True),
        Column("username", String(255), nullable=False),
        Column("admin", Boolean, nullable=False),
        Column("quota", BigInteger),
        Column("created_at", BigInteger, nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        Column("mac", LargeBinary(32), nullable=False),
    )
    op.create_table(
        "profile",
        Column(
            "account_id",
            LargeBinary(16),
            ForeignKey("account.account_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        Column("admin", Boolean, nullable=False),
        Column("email", String(254), nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("mac", LargeBinary(32), nullable=False),
    )
