"""The nouns: frozen values that every layer speaks about. No behaviour beyond invariants, no I/O.

Times of files are integers, nanoseconds since the Unix epoch (what file systems and clients exchange);
times of credentials are `datetime` in UTC. Ids are 16 random bytes, kept apart by type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, Flag, auto
from ipaddress import IPv4Network, IPv6Network
from types import MappingProxyType
from typing import Literal, NamedTuple, NewType

from davserver.clock import SECOND_NS

ID_BYTES = 16
"""Length of every id (128 bits, random)."""

AccountId = NewType("AccountId", bytes)
NodeId = NewType("NodeId", bytes)
BlobId = NewType("BlobId", bytes)

ROOT_ID = NodeId(bytes(ID_BYTES))
"""The root collection of every account. Node ids are unique per account, so one constant serves all."""

TRASH_ID = NodeId(b"\xff" * ID_BYTES)
"""What everything in the trash has for its parent. No row has this id: no path leads there."""

UPLOADS_ID = NodeId(b"\xfe" * ID_BYTES)
"""What every unfinished upload has for its parent, in the same way."""

Durability = Literal["full", "relaxed"]
"""What an acknowledged write survives: "full" loss of power, "relaxed" only the end of the process."""

Network = IPv4Network | IPv6Network


class NodeKind(Enum):
    """What a node is (RFC 4918, 3: resource and collection)."""

    FILE = 1
    COLLECTION = 2


@dataclass(frozen=True, slots=True)
class Content:
    """The blob behind a file, as pinned inside the node's encrypted metadata.

    Attributes:
        blob_id: name of the blob.
        sealed_size: length of the encrypted blob in bytes.
        commitment: the 32-byte key commitment of the blob's header.
    """

    blob_id: BlobId
    sealed_size: int
    commitment: bytes


class Node(NamedTuple):
    """One entry of an account's tree, decrypted and authenticated.

    A tuple, because a listing makes thousands and tuples are the cheapest frozen values to make.

    Attributes:
        name: exactly as the client that created it sent it; empty for the root.
        size: plaintext length in bytes; 0 for a collection.
        etag: opaque content version without quotes, unchanged by a new time; "" for a collection, and where
            it was not asked for (`Vault.listing`).
        modified_ns, created_ns: nanoseconds since the Unix epoch.
        content: what holds the bytes; None for a collection.
        sha1: digest of the plaintext if it is known, else None.
        md5: digest of the plaintext if it is known, else None.
        version: rises by one with every change of the row.
        extras: small further values kept encrypted (for example Windows attributes).
        lock_born: an empty file that a LOCK has made and that nothing was put into (RFC 4918, 7.3); it goes
            when its last lock does.
    """

    id: NodeId
    account_id: AccountId
    parent_id: NodeId
    kind: NodeKind
    name: str
    size: int
    etag: str
    modified_ns: int
    created_ns: int
    content: Content | None
    sha1: bytes | None
    md5: bytes | None
    version: int
    extras: Mapping[str, object] = MappingProxyType({})
    lock_born: bool = False

    def __hash__(self) -> int:
        """Of what says which node it is, and in which version."""
        return hash((self.account_id, self.id, self.version))

    @property
    def is_collection(self) -> bool:
        """Whether the node can have children."""
        return self.kind is NodeKind.COLLECTION


class KeptKind(Enum):
    """Why a node is kept that no path leads to."""

    TRASH = 1
    VERSION = 2


Position = tuple[int, NodeId]
"""A place in the trash, which is listed newest first: when it came there in seconds, and its id."""


@dataclass(frozen=True, slots=True)
class TrashEntry:
    """A file or collection that was deleted or replaced, with everything that lay below it.

    Attributes:
        node: as it was, under the name that it had; its content can be read.
        path: where it was: names from the account's root on, the last one its own; empty if that was too long
            to be noted.
        parent_id: the collection that held it.
        deleted_ns: nanoseconds since the Unix epoch.
        bytes: how much room it takes: all files below it, without their previous versions.
    """

    node: Node
    path: tuple[str, ...]
    parent_id: NodeId
    deleted_ns: int
    bytes: int

    @property
    def id(self) -> NodeId:
        """The id of the node, the same before, in the trash and after."""
        return self.node.id

    @property
    def position(self) -> Position:
        """Where to go on behind it."""
        return self.deleted_ns // SECOND_NS, self.node.id


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A content that a file had before.

    Attributes:
        node: the file as it was, under the name that it had then; its content can be read.
        file_id: the file whose content it was.
        replaced_ns: when it was replaced, in nanoseconds since the Unix epoch.
    """

    node: Node
    file_id: NodeId
    replaced_ns: int

    @property
    def id(self) -> NodeId:
        """The id of this version."""
        return self.node.id


@dataclass(frozen=True, slots=True)
class Lock:
    """A write lock (RFC 4918, 6); whoever may write to the account and knows its token holds it.

    Attributes:
        id: 16 bytes, a UUID.
        token: "urn:uuid:" and the same as text.
        node_id: its root.
        exclusive: else shared.
        infinite: whether it covers everything below its root (Depth infinity).
        owner: the `owner` element as the client gave it, serialised; "" if it gave none.
        expires_at: seconds since the Unix epoch.
    """

    id: bytes
    token: str
    node_id: NodeId
    exclusive: bool
    infinite: bool
    owner: str
    expires_at: int


class AccountState(Enum):
    """Whether an account may be used."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    OFFBOARDED = "offboarded"
    """The identity provider says that its owner has left; when they are back there, it is active again."""

    DELETED = "deleted"
    """Its key is gone; its rows and contents are being removed."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody's vault.

    Attributes:
        subject: who it is at the identity provider (OIDC `sub`); the identity. `username` is a label.
        quota: bytes of plaintext that may be stored; None is unlimited.
        used: bytes of plaintext stored now, trash and previous versions among them.
        key_version: which generation of the account key is in use.
        sealed: whether only the owner's credentials can unwrap the account key.
        kept: bytes of trash and previous versions, which give way to whatever is written.
    """

    id: AccountId
    subject: str
    username: str
    state: AccountState
    quota: int | None
    used: int
    created_at: datetime
    key_version: int = 1
    sealed: bool = False
    kept: int = 0


class Scope(Flag):
    """What a credential may do."""

    LIST = auto()
    READ = auto()
    WRITE = auto()
    DELETE = auto()
    LOCK = auto()
    PROPERTIES = auto()

    READ_ONLY = LIST | READ
    NO_DELETE = LIST | READ | WRITE | LOCK | PROPERTIES
    FULL = LIST | READ | WRITE | DELETE | LOCK | PROPERTIES


@dataclass(frozen=True, slots=True)
class AppPassword:
    """A device's credential. The secret itself is shown once and never stored.

    Attributes:
        id: public part of the token, 10 characters of Crockford base32.
        root_id: the collection that the device sees as its root.
        networks: client addresses that may use it; empty means any.
    """

    id: str
    account_id: AccountId
    label: str
    scopes: Scope
    root_id: NodeId
    networks: tuple[Network, ...]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    last_used_from: str | None
    last_used_client: str | None = None


@dataclass(frozen=True, slots=True)
class Unlock:
    """What unwraps the account key.

    An account in standard mode is unwrapped by the server's master key: `secret` is None. A sealed
    vault will carry the app password's secret here, so that the key comes from the credential.
    """

    secret: bytes | None = field(default=None, repr=False)


class AuthMethod(Enum):
    """How somebody proved who they are."""

    APP_PASSWORD = "app-password"  # noqa: S105 - the name of a method, not a secret
    TERMINAL = "terminal"
    BROWSER = "browser"
    BEARER = "bearer"


@dataclass(frozen=True, slots=True)
class Principal:
    """The result of authentication: the only thing a door hands to the services.

    Attributes:
        root_id: the collection that is this principal's root; nothing above it can be addressed.
        credential_id: which app password was used, if any.
        totp_at: when this person last proved the second factor, if known.
        provider_session: the session at the identity provider that a token of it belongs to (32 bytes that
            stand for it here), if any.
    """

    account: Account
    scopes: Scope
    root_id: NodeId
    method: AuthMethod
    authenticated_at: datetime
    totp_at: datetime | None = None
    credential_id: str | None = None
    unlock: Unlock = Unlock()
    provider_session: bytes | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Quota numbers in bytes of plaintext (RFC 4331).

    Attributes:
        used: everything that is stored, with what is kept.
        available: how much more can be written, if all that is kept gives way; None when nobody can tell.
        kept: trash and previous versions.
    """

    used: int
    available: int | None
    kept: int = 0
