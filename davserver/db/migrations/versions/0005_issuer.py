"""Whose people have accounts here: the identity provider's name for itself.

Never to be changed once a version with it was released: a later revision changes what this one made.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column."""
    op.add_column("instance", Column("issuer", Text))
