"""The first schema.

Never to be changed once a version with it was released: a later revision changes what this one made.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Text,
)

revision = "0001"
down_revision = None


def _account_id() -> Column[bytes]:
    return Column(
        "account_id", LargeBinary(16), ForeignKey("account.account_id", ondelete="CASCADE"), primary_key=True
    )


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "instance",
        Column("instance_id", LargeBinary(16), primary_key=True),
        Column("created_at", BigInteger, nullable=False),
    )
    op.create_table(
        "master_key",
        Column("key_id", Integer, primary_key=True, autoincrement=False),
        Column("key_check", LargeBinary(16), nullable=False),
        Column("created_at", BigInteger, nullable=False),
    )
    op.create_table(
        "account",
        Column("account_id", LargeBinary(16), primary_key=True),
        Column("subject", String(255), nullable=False, unique=True),
        Column("username", String(255), nullable=False, unique=True),
        Column("state", String(16), nullable=False),
        Column("quota", BigInteger),
        Column("used", BigInteger, nullable=False),
        Column("sealed", Boolean, nullable=False),
        Column("wrapped_key", LargeBinary(48)),
        Column("master_key_id", Integer, ForeignKey("master_key.key_id"), nullable=False),
        Column("key_version", Integer, nullable=False),
        Column("key_commitment", LargeBinary(32), nullable=False),
        Column("structure_version", BigInteger, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("mac", LargeBinary(32), nullable=False),
    )
    op.create_table(
        "local_identity",
        _account_id(),
        Column("password_hash", Text, nullable=False),
        Column("changed_at", BigInteger, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("mac", LargeBinary(32), nullable=False),
    )
    op.create_table(
        "totp_device",
        _account_id(),
        Column("device_id", LargeBinary(16), primary_key=True),
        Column("sealed_secret", LargeBinary(64), nullable=False),
        Column("confirmed", Boolean, nullable=False),
        Column("last_step", BigInteger, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("mac", LargeBinary(32), nullable=False),
    )
    op.create_table(
        "app_password",
        Column("app_id", String(10), primary_key=True),
        Column(
            "account_id",
            LargeBinary(16),
            ForeignKey("account.account_id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        Column("label", String(100), nullable=False),
        Column("scopes", Integer, nullable=False),
        Column("root_id", LargeBinary(16), nullable=False),
        Column("networks", Text, nullable=False),
        Column("verifier", LargeBinary(32)),
        Column("wrapped_key", LargeBinary(48)),
        Column("public_key", LargeBinary),
        Column("key_version", Integer, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        Column("revoked_at", BigInteger),
        Column("version", BigInteger, nullable=False),
        Column("mac", LargeBinary(32), nullable=False),
        Column("last_used_at", BigInteger),
        Column("last_used_from", String(64)),
        Column("last_used_client", String(200)),
    )
    op.create_table(
        "throttle",
        Column("purpose", String(16), primary_key=True),
        Column("subject", LargeBinary(32), primary_key=True),
        Column("failures", Integer, nullable=False),
        Column("blocked_until", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
    )
    op.create_table(
        "node",
        _account_id(),
        Column("parent_id", LargeBinary(16), primary_key=True),
        Column("name_sealed", LargeBinary(304), primary_key=True),
        Column("node_id", LargeBinary(16), nullable=False),
        Column("kind", SmallInteger, nullable=False),
        Column("blob_id", LargeBinary(16)),
        Column("metadata_sealed", LargeBinary, nullable=False),
        Column("version", BigInteger, nullable=False),
        Index("ix_node_id", "account_id", "node_id", unique=True),
        Index("ix_node_blob", "blob_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "node_version",
        _account_id(),
        Column("node_id", LargeBinary(16), primary_key=True),
        Column("version", BigInteger, primary_key=True),
        Column("blob_id", LargeBinary(16), nullable=False),
        Column("metadata_sealed", LargeBinary, nullable=False),
        Column("replaced_at", BigInteger, nullable=False),
        Index("ix_node_version_blob", "blob_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "hidden_tree",
        _account_id(),
        Column("node_id", LargeBinary(16), primary_key=True),
        Column("heartbeat_at", BigInteger, nullable=False),
    )
    op.create_table(
        "blob",
        Column("blob_id", LargeBinary(16), primary_key=True),
        Column(
            "account_id",
            LargeBinary(16),
            ForeignKey("account.account_id", ondelete="CASCADE"),
            nullable=False,
        ),
        Column("state", String(8), nullable=False),
        Column("inline", Boolean, nullable=False),
        Column("sealed_size", BigInteger, nullable=False),
        Column("plain_size", BigInteger, nullable=False),
        Column("format", SmallInteger, nullable=False),
        Column("key_version", Integer, nullable=False),
        Column("wrapped_key", LargeBinary(48), nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("mac", LargeBinary(32), nullable=False),
        Column("heartbeat_at", BigInteger, nullable=False),
        Column("unreferenced_at", BigInteger),
        Index("ix_blob_collectable", "state", "unreferenced_at"),
        Index("ix_blob_account", "account_id"),
    )
    op.create_table(
        "inline_blob",
        Column("blob_id", LargeBinary(16), ForeignKey("blob.blob_id", ondelete="CASCADE"), primary_key=True),
        Column("data", LargeBinary, nullable=False),
    )
