"""What each device has done, and what it was refused for.

Never to be changed once a version with it was released: a later revision changes what this one made.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, String

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "device_sign",
        Column(
            "account_id",
            LargeBinary(16),
            ForeignKey("account.account_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        Column("device", String(10), primary_key=True),
        Column("sign", String(16), primary_key=True),
        Column("first_at", BigInteger, nullable=False),
        Column("last_at", BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
