"""Every table, on one page. Alembic's revisions in `migrations/` must lead to exactly this (a test compares).

What protects each column (AEAD, row MAC, or recomputed by `verify`) is listed in docs/format.md, "Rows".
Moments are whole seconds since the Unix epoch. Ids are 16 raw bytes.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    },
)


def _account_id() -> Column[bytes]:
    return Column(
        "account_id", LargeBinary(16), ForeignKey("account.account_id", ondelete="CASCADE"), primary_key=True
    )


instance = Table(
    "instance",
    metadata,
    Column("instance_id", LargeBinary(16), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("issuer", Text),
)

master_key = Table(
    "master_key",
    metadata,
    Column("key_id", Integer, primary_key=True, autoincrement=False),
    Column("key_check", LargeBinary(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("pepper_sealed", LargeBinary(48)),
    Column("retired_at", BigInteger),
)

account = Table(
    "account",
    metadata,
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
    Column("kept", BigInteger, nullable=False, server_default=text("0")),
)

local_identity = Table(
    "local_identity",
    metadata,
    _account_id(),
    Column("password_hash", Text, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
)

totp_device = Table(
    "totp_device",
    metadata,
    _account_id(),
    Column("device_id", LargeBinary(16), primary_key=True),
    Column("sealed_secret", LargeBinary(64), nullable=False),
    Column("confirmed", Boolean, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
)

recovery_code = Table(
    "recovery_code",
    metadata,
    _account_id(),
    Column("verifier", LargeBinary(32), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
)

app_password = Table(
    "app_password",
    metadata,
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

# What a device has done, and what it was refused for: a row for each kind. `device` is the id of an app
# password, or what stands for the identity provider's tokens of the account.
device_sign = Table(
    "device_sign",
    metadata,
    _account_id(),
    Column("device", String(10), primary_key=True),
    Column("sign", String(16), primary_key=True),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

web_session = Table(
    "web_session",
    metadata,
    Column("session_id", LargeBinary(32), primary_key=True),
    Column("account_id", LargeBinary(16), ForeignKey("account.account_id", ondelete="CASCADE"), index=True),
    Column("began_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False, index=True),
    Column("signed_in_at", BigInteger),
    Column("totp_at", BigInteger),
    Column("admin", Boolean, nullable=False),
    Column("provider_session", LargeBinary(32), index=True),
    Column("data_sealed", LargeBinary, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
)

second_factor_proof = Table(
    "second_factor_proof",
    metadata,
    Column("provider_session", LargeBinary(32), primary_key=True),
    Column(
        "account_id",
        LargeBinary(16),
        ForeignKey("account.account_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("proved_at", BigInteger, nullable=False, index=True),
    Column("mac", LargeBinary(32), nullable=False),
)

# A row may tell of a session that was never used here, so it hangs on no account.
ended_session = Table(
    "ended_session",
    metadata,
    Column("whose", LargeBinary(32), primary_key=True),
    Column("ended_at", BigInteger, nullable=False, index=True),
    Column("mac", LargeBinary(32), nullable=False),
)

invitation = Table(
    "invitation",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),
    Column("username", String(255), nullable=False),
    Column("admin", Boolean, nullable=False),
    Column("quota", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
)

profile = Table(
    "profile",
    metadata,
    _account_id(),
    Column("admin", Boolean, nullable=False),
    Column("email", String(254), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
)

# What the identity provider last said of an account's owner; `wanted_at` is when they last used this server.
confirmation = Table(
    "confirmation",
    metadata,
    _account_id(),
    Column("enabled_at", BigInteger, nullable=False),
    Column("role_at", BigInteger, nullable=False),
    Column("off_at", BigInteger),
    Column("reason", String(32), nullable=False),
    Column("password_at", BigInteger),
    Column("new_password_at", BigInteger),
    Column("version", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
    Column("wanted_at", BigInteger, nullable=False, index=True),
)

# One row: which process asks the identity provider about everybody, and what is wrong with the answers.
lease = Table(
    "lease",
    metadata,
    Column("lease_id", Integer, primary_key=True, autoincrement=False),
    Column("holder", LargeBinary(16), nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("trouble", String(200), nullable=False),
    Column("trouble_at", BigInteger),
)

# An entry hangs on no account: it outlives the one that it tells of. `seq` is SQLite's own row number.
audit_entry = Table(
    "audit_entry",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("event", String(32), nullable=False, index=True),
    Column("account", String(255), nullable=False, index=True),
    Column("actor", String(255), nullable=False),
    Column("credential", String(64), nullable=False),
    Column("client", String(64)),
    Column("client_salt", LargeBinary(16)),
    Column("client_commitment", LargeBinary(32)),
    Column("reason", String(200), nullable=False),
    Column("link", LargeBinary(32), nullable=False),
    # Finds the addresses that are to be forgotten, however many entries have lost theirs before.
    Index("ix_audit_entry_address", "at", sqlite_where=text("client IS NOT NULL")),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("head_id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("link", LargeBinary(32), nullable=False),
    Column("anchor_seq", BigInteger, nullable=False),
    Column("anchor_link", LargeBinary(32), nullable=False),
    Column("forgotten_before", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
)

throttle = Table(
    "throttle",
    metadata,
    Column("purpose", String(16), primary_key=True),
    Column("subject", LargeBinary(32), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("blocked_until", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

# Clustered by parent and name: a look-up is one descent, a listing one contiguous run of pages.
node = Table(
    "node",
    metadata,
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


def _of_node() -> ForeignKeyConstraint:
    """What hangs on a node goes with it; MOVE keeps the node's id, so it also goes where the node goes."""
    return ForeignKeyConstraint(
        ["account_id", "node_id"], ["node.account_id", "node.node_id"], ondelete="CASCADE"
    )


lock = Table(
    "lock",
    metadata,
    _account_id(),
    Column("lock_id", LargeBinary(16), primary_key=True),
    Column("node_id", LargeBinary(16), nullable=False),
    Column("exclusive", Boolean, nullable=False),
    Column("infinite", Boolean, nullable=False),
    Column("owner_sealed", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
    _of_node(),
    Index("ix_lock_node", "account_id", "node_id"),
    Index("ix_lock_expires", "expires_at"),
)

# Named `property_` here: `property` is Python's.
property_ = Table(
    "property",
    metadata,
    _account_id(),
    Column("node_id", LargeBinary(16), primary_key=True),
    Column("name_sealed", LargeBinary, primary_key=True),
    Column("value_sealed", LargeBinary, nullable=False),
    _of_node(),
)

# Finds what is in the trash, and what a file was before, by its age, and says how much it is; nothing is
# believed that the node itself does not say as well.
kept = Table(
    "kept",
    metadata,
    _account_id(),
    Column("node_id", LargeBinary(16), primary_key=True),
    Column("kind", SmallInteger, nullable=False),
    Column("kept_at", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    _of_node(),
    Index("ix_kept_order", "account_id", "kept_at"),
    Index("ix_kept_kind", "account_id", "kind", "kept_at"),
    Index("ix_kept_at", "kept_at"),
    sqlite_with_rowid=False,
)

# Root of a COPY that is still being written in batches: its nodes hang on a parent that nothing reaches yet.
hidden_tree = Table(
    "hidden_tree",
    metadata,
    _account_id(),
    Column("node_id", LargeBinary(16), primary_key=True),
    Column("heartbeat_at", BigInteger, nullable=False),
)

blob = Table(
    "blob",
    metadata,
    Column("blob_id", LargeBinary(16), primary_key=True),
    Column(
        "account_id", LargeBinary(16), ForeignKey("account.account_id", ondelete="CASCADE"), nullable=False
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

inline_blob = Table(
    "inline_blob",
    metadata,
    Column("blob_id", LargeBinary(16), ForeignKey("blob.blob_id", ondelete="CASCADE"), primary_key=True),
    Column("data", LargeBinary, nullable=False),
)
