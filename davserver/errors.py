"""Every error that crosses a package boundary.

    DavserverError
    ├── NotFound                    no such file, collection, account or app password
    │   └── FolderGone              the collection that a device is limited to is not there any more
    ├── Conflict                    the tree is not in the state that the request needs
    │   ├── AlreadyExists
    │   │   └── NameTaken           and nobody has decided yet what is to become of what has the name
    │   ├── ParentMissing           a collection on the way to the target does not exist
    │   ├── WrongKind               a file where a collection is needed, or the other way round
    │   ├── TargetInsideSource      MOVE or COPY of a collection into itself
    │   ├── NoSuchLock              a lock token that covers nothing here (any more)
    │   ├── WrongOffset             a part that does not begin where the parts before it end
    │   └── VersionConflict         somebody else changed the same row in between
    ├── Locked                      a write lock is in the way whose token was not submitted (RFC 4918, 7)
    │   └── LockConflict            a lock is in the way of a new lock
    ├── PreconditionFailed          If-Match and its relatives (RFC 9110, 13)
    ├── PathError                   a name that cannot be stored
    ├── InvalidValue                a user name, password, label or network that breaks its rule
    ├── LimitExceeded               a named limit of `model.py` or of the settings
    │   ├── TooLarge                a file; carries the limit in bytes
    │   └── TooMany                 no more locks or properties fit here
    ├── QuotaExceeded
    ├── UploadRefused
    │   ├── LengthMismatch          fewer or more bytes than announced
    │   └── ChecksumMismatch
    ├── IntegrityError              something in storage was altered, truncated or swapped
    │   ├── CorruptBlob
    │   └── CorruptRow
    ├── AuthenticationError         the credential does not open anything
    │   ├── Throttled               too many failures; carries `retry_after` in seconds
    │   ├── TotpInvalid
    │   ├── TotpOutOfSync           right secret, wrong clock
    │   ├── TotpReplayed            a code that was already used
    │   ├── SignInCancelled         the person turned back at the identity provider
    │   ├── SignInStale             an answer to no sign-in that is under way: begin again
    │   ├── TokenRefused            a token that is not to be believed
    │   ├── SecondFactorMissing     the identity provider's second factor was not proved there
    │   └── ClockMismatch           our clock and the identity provider's disagree
    ├── NotPermitted                a valid credential whose scopes do not cover the request
    │   └── RoleMissing             known at the identity provider, but not allowed in here
    ├── ConfigError
    │   ├── MasterKeyError          missing, unreadable or wrong
    │   └── ProviderMisconfigured   the identity provider does not know our realm, client or secret
    ├── TooBusy                     too many requests of the same account are running
    ├── ProviderUnavailable         the identity provider cannot be reached right now
    │   └── Unconfirmed             and has not said lately that somebody may still come in
    └── StorageUnavailable          database or blob store cannot be reached right now
        └── StorageFull             no space left

The domain never raises HTTP numbers. Each door has one table from these errors to statuses
(`davserver/dav/errors.py`, `enroll_web/errors.py`); a test fails when a leaf has no row.
Messages are written for the person who reads them and hold no file name, path or secret. They are English;
what changes from case to case stands beside them, so that the site can say them in another language.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

RETRY_SECONDS = 1
"""When to come back after a collision or an outage that passes by itself."""


class DavserverError(Exception):
    """Root of the tree.

    Args:
        message: a sentence without its capital and its full stop.
        values: what each `%(name)s` in it stands for.
    """

    values: Mapping[str, object] = MappingProxyType({})

    def __init__(self, message: str = "", **values: object) -> None:
        super().__init__(message)
        self.values = values

    @property
    def message(self) -> str:
        """The message as it stands in the code."""
        return str(self.args[0]) if self.args else ""

    def __str__(self) -> str:
        return self.message % self.values if self.values else self.message


class NotFound(DavserverError):
    """No such file, collection, account or app password."""


class FolderGone(NotFound):
    """The collection that a device is limited to is not there any more."""


class Conflict(DavserverError):
    """The tree is not in the state that the request needs."""


class AlreadyExists(Conflict):
    """The target name is taken."""


class NameTaken(AlreadyExists):
    """The target name is taken, and what is to become of what has it was not decided.

    Attributes:
        is_collection: whether that is a collection.
        size: its length in bytes; 0 for a collection.
        modified_ns: its time of change, in nanoseconds since the Unix epoch.
        etag: its entity tag without quotes; "" for a collection.
    """

    def __init__(self, *, is_collection: bool, size: int, modified_ns: int, etag: str) -> None:
        super().__init__("the name is taken")
        self.is_collection = is_collection
        self.size = size
        self.modified_ns = modified_ns
        self.etag = etag


class ParentMissing(Conflict):
    """A collection on the way to the target does not exist."""


class WrongKind(Conflict):
    """A file where a collection is needed, or the other way round."""


class TargetInsideSource(Conflict):
    """A collection cannot be moved or copied into itself."""


class NoSuchLock(Conflict):
    """The lock token does not cover this resource: unknown, expired, or of another one."""


class WrongOffset(Conflict):
    """A part of an upload does not begin where the parts before it end, or there is none to come.

    Attributes:
        received: where they end, in bytes.
    """

    def __init__(self, message: str, received: int) -> None:
        super().__init__(message)
        self.received = received


class VersionConflict(Conflict):
    """Somebody else changed the same row in between; nothing was changed by this request."""


class Locked(DavserverError):
    """A write lock is in the way, and its token was not submitted (RFC 4918, 7).

    Attributes:
        roots: the roots of such locks, as far as the principal can address them: names, and whether it is a
            collection. For the answer only: never to be logged.
    """

    def __init__(self, message: str, roots: tuple[tuple[tuple[str, ...], bool], ...] = ()) -> None:
        super().__init__(message)
        self.roots = roots


class LockConflict(Locked):
    """A lock is in the way of a new lock (RFC 4918, 6.2)."""


class PreconditionFailed(DavserverError):
    """The client's condition on the current state does not hold (RFC 9110, 13)."""


class PathError(DavserverError):
    """The path holds a name that cannot be stored."""


class InvalidValue(DavserverError):
    """A user name, password, label, network or lifetime that breaks its rule. The message says the rule."""


class LimitExceeded(DavserverError):
    """A named limit was passed."""


class TooLarge(LimitExceeded):
    """A file is larger than any may be.

    Attributes:
        most: how large it may be, in bytes.
    """

    def __init__(self, most: int) -> None:
        super().__init__("the file is larger than the %(most)s bytes that this server takes", most=most)
        self.most = most


class TooMany(LimitExceeded):
    """No more locks or properties fit here."""


class QuotaExceeded(DavserverError):
    """The account's quota has no room for this.

    Attributes:
        missing: how many bytes too many it is, if that was counted: what has to go for it to fit.
    """

    def __init__(self, message: str, missing: int = 0) -> None:
        super().__init__(message)
        self.missing = missing


class UploadRefused(DavserverError):
    """What arrived is not what was announced; nothing was stored."""


class LengthMismatch(UploadRefused):
    """Fewer or more bytes arrived than were announced."""


class ChecksumMismatch(UploadRefused):
    """The content does not have the checksum that the client sent."""


class IntegrityError(DavserverError):
    """Something in storage was altered, truncated or swapped. It is never served."""


class CorruptBlob(IntegrityError):
    """An encrypted blob is missing, or is not what was written."""


class CorruptRow(IntegrityError):
    """A database row does not carry a valid authenticator."""


class AuthenticationError(DavserverError):
    """The credential does not open anything."""


class Throttled(AuthenticationError):
    """Too many failures; try again after `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many failed attempts, try again in %(seconds)s seconds", seconds=retry_after)
        self.retry_after = retry_after


class TotpInvalid(AuthenticationError):
    """The one-time code is wrong."""


class TotpOutOfSync(AuthenticationError):
    """The one-time code belongs to another time: the device's clock is wrong."""


class TotpReplayed(AuthenticationError):
    """The one-time code was already used."""


class SignInCancelled(AuthenticationError):
    """The person turned back at the identity provider."""


class SignInStale(AuthenticationError):
    """The identity provider's answer belongs to no sign-in that is under way here: begin again."""


class TokenRefused(AuthenticationError):
    """A token of an identity provider is not to be believed."""


class SecondFactorMissing(AuthenticationError):
    """The identity provider's second factor is demanded, and the person has not proved it there."""


class ClockMismatch(AuthenticationError):
    """The clocks of this server and of the identity provider disagree. The message says by how much."""


class NotPermitted(DavserverError):
    """The credential is valid, but its scopes do not cover this request."""


class RoleMissing(NotPermitted):
    """The identity provider knows the person, but did not give them the role that lets them in."""


class ConfigError(DavserverError):
    """A setting is missing, unknown or wrong. The message says what to do, on one line."""


class MasterKeyError(ConfigError):
    """The master key is missing, unreadable or not the one this store was made with."""


class ProviderMisconfigured(ConfigError):
    """The identity provider does not know our realm, client, address or secret. The message says which."""


class TooBusy(DavserverError):
    """Too many requests of the same account are running: try again later."""


class ProviderUnavailable(DavserverError):
    """The identity provider cannot be reached right now."""


class Unconfirmed(ProviderUnavailable):
    """The identity provider has not said lately that somebody may still come in; ask again later.

    Attributes:
        retry_after: after how many seconds.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__("the identity provider has not said lately that this person may still come in")
        self.retry_after = retry_after


class StorageUnavailable(DavserverError):
    """The database or the blob store cannot be reached right now."""


class StorageFull(StorageUnavailable):
    """There is no space left on the storage."""
