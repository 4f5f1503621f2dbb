"""Built-in accounts: passwords hashed with argon2id (RFC 9106). The embedded default.

These passwords sign in to the site and the terminal, together with a one-time code; they never open `/dav`.
Nothing here may tell an unknown user from a wrong password, by words or by time.
"""

from __future__ import annotations

import threading
import unicodedata
from base64 import b64encode
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from davserver.audit import AuditEvent, AuditSink
from davserver.clock import Clock, to_seconds
from davserver.crypto.primitives import random_bytes
from davserver.db.accounts import AccountRow, IdentityRow
from davserver.db.engine import Database, Transaction, Within
from davserver.errors import AuthenticationError, CorruptRow, InvalidValue, NotFound, Throttled
from davserver.identity.base import Person, RowKeeper
from davserver.model import ID_BYTES, AccountId, AccountState

NOBODY = AccountId(bytes(ID_BYTES))
"""An account that there never is: ids are random."""

# RFC 9106, 4: the second recommended option, for machines that cannot spare 2 GiB a hash.
TIME_COST = 3
MEMORY_KIB = 64 * 1024
LANES = 4
SALT_BYTES = 16
HASH_BYTES = 32

MIN_PASSWORD_CHARS = 8
"""NIST SP 800-63B-4, 3.1.1.2: at least 8 where a second factor follows; no rule on kinds of characters."""

MAX_PASSWORD_CHARS = 256
"""Far above the 64 that the same section asks for; bounds the work that a request can cause."""

SLOT_SECONDS = 2.0
"""How long an attempt waits for its turn to be hashed."""

MAX_HASHES_AT_ONCE = 4
"""More wait in line: each takes `MEMORY_KIB` of memory."""

COMMON_PASSWORDS = frozenset(
    """
    00000000 11111111 12121212 12341234 12345678 123456789 1234567890 11223344 87654321 88888888 abc12345
    abcd1234 abcdefgh administrator asdfasdf asdfghjkl baseball changeme computer football iloveyou letmein1
    password password1 password12 password123 princess q1w2e3r4 qazwsxedc qwer1234 qwerty123 qwertyui
    qwertyuiop sealdav1 starwars sunshine superman trustno1 welcome1 welcome123 whatever zaq12wsx
    """.split()  # noqa: SIM905 - a list would be two pages
)
"""Guessed first by everybody; refused as the same section demands, beside the account's own name."""


class LocalIdentity:
    """Passwords of built-in accounts; an `IdentityProvider` and a `Directory`.

    Args:
        hashes_at_once: this process's part of `MAX_HASHES_AT_ONCE`.
    """

    def __init__(
        self,
        database: Database,
        rows: RowKeeper,
        clock: Clock,
        audit: AuditSink,
        *,
        hashes_at_once: int = MAX_HASHES_AT_ONCE,
    ) -> None:
        self._database = database
        self._rows = rows
        self._clock = clock
        self._audit = audit
        self._hasher = PasswordHasher(TIME_COST, MEMORY_KIB, LANES, HASH_BYTES, SALT_BYTES, type=Type.ID)
        self._slots = threading.BoundedSemaphore(hashes_at_once)
        self._nobody = _impossible_hash()

    def set_password(
        self, account_id: AccountId, password: str, *, within: Within = lambda _tx, _account_id: None
    ) -> None:
        """Give an account its password, or another one.

        Args:
            account_id: whose.
            password: as typed.
            within: what else belongs into the same transaction.

        Raises:
            InvalidValue: too short, too long or too well known; the message says the rule.
            NotFound: there is no such account.
            CorruptRow: a row of the account was altered.
        """
        password = _normalise(password)
        with self._database.read() as tx:
            account = tx.accounts.by_id(account_id)
        if account is None:
            raise NotFound("there is no such account")
        username = self._rows.checked(account).username
        _require_acceptable(password, username)

        def changed(tx: Transaction, account_id: AccountId) -> None:
            within(tx, account_id)
            self._audit.record(AuditEvent.PASSWORD_CHANGED, account=username, tx=tx)

        self._store(account_id, self._hash(password), within=changed)

    def first_password(self, username: str, password: str) -> Within:
        """What gives a new account its password, inside the transaction that makes the account.

        The password is judged and hashed at once, so that the slow work holds up no writer.

        Raises:
            InvalidValue: as `set_password`.
        """
        password = _normalise(password)
        _require_acceptable(password, username.casefold())
        encoded, now = self._hash(password), to_seconds(self._clock())

        def give(tx: Transaction, account_id: AccountId) -> None:
            new = IdentityRow(account_id=account_id, password_hash=encoded, changed_at=now, version=1)
            tx.accounts.insert_identity(self._rows.with_mac(new))

        return give

    def has_password(self, account_id: AccountId) -> bool:
        """Whether the account can sign in with a password at all."""
        with self._database.read() as tx:
            return tx.accounts.identity(account_id) is not None

    def authenticate(self, username: str, password: str) -> AccountId:
        """Whose password this is; the hash is renewed if it was made with other parameters.

        Raises:
            AuthenticationError: unknown user or wrong password, without saying which.
            CorruptRow: a row of the account was altered.
        """
        password = _normalise(password)
        account, identity = self._look_up(username.casefold())
        encoded = self._nobody if identity is None else identity.password_hash
        right = len(password) <= MAX_PASSWORD_CHARS and self._matches(encoded, password)
        if not right or account is None or identity is None:
            raise AuthenticationError("unknown user or wrong password")
        if self._hasher.check_needs_rehash(encoded):
            self._store(account.account_id, self._hash(password), replacing=identity)
        return account.account_id

    def find(self, subjects: Collection[str]) -> dict[str, Person]:
        """See `Directory.find`.

        Raises:
            CorruptRow: a row of an account was altered.
        """
        with self._database.read() as tx:
            rows = [tx.accounts.by_subject(subject) for subject in subjects]
        known = [self._rows.checked(row) for row in rows if row is not None]
        return {
            row.subject: Person(row.subject, row.username, row.state == AccountState.ACTIVE.value)
            for row in known
        }

    def _look_up(self, username: str) -> tuple[AccountRow | None, IdentityRow | None]:
        with self._database.read() as tx:  # both are asked for, whoever it is: it costs the same
            account = tx.accounts.by_username(username)
            identity = tx.accounts.identity(NOBODY if account is None else account.account_id)
        if account is not None:
            self._rows.checked(account)
        if identity is not None:
            self._rows.checked(identity)
        return account, identity

    @contextmanager
    def _slot(self) -> Iterator[None]:
        """A turn to hash. A crowd of attempts must not hold every thread of the server, the drive's too."""
        if not self._slots.acquire(timeout=SLOT_SECONDS):
            raise Throttled(1)
        try:
            yield
        finally:
            self._slots.release()

    def _hash(self, password: str) -> str:
        with self._slot():
            return self._hasher.hash(_encode(password), salt=random_bytes(SALT_BYTES))

    def _matches(self, encoded: str, password: str) -> bool:
        with self._slot():
            try:
                return self._hasher.verify(encoded, _encode(password))
            except VerificationError:
                return False
            except InvalidHashError:
                raise CorruptRow("a stored password hash cannot be read") from None

    def _store(
        self,
        account_id: AccountId,
        encoded: str,
        *,
        replacing: IdentityRow | None = None,
        within: Within = lambda _tx, _account_id: None,
    ) -> None:
        """Write a hash; with `replacing`, only over that one, since a new password beats a renewed hash."""
        now = to_seconds(self._clock())
        with self._database.write() as tx:
            old = tx.accounts.identity(account_id)
            if replacing is not None and (old is None or old.version != replacing.version):
                return
            if old is None:
                new = IdentityRow(account_id=account_id, password_hash=encoded, changed_at=now, version=1)
                tx.accounts.insert_identity(self._rows.with_mac(new))
            else:
                new = replace(old, password_hash=encoded, changed_at=now, version=old.version + 1)
                tx.accounts.replace_identity(self._rows.with_mac(new), expected_version=old.version)
            within(tx, account_id)
            tx.commit()


def _normalise(password: str) -> str:
    """One spelling for what looks the same on different keyboards (RFC 8265, 4.2.2)."""
    return unicodedata.normalize("NFC", password)


def _encode(password: str) -> bytes:
    """UTF-8; what a terminal could not decode stays as different as it was."""
    return password.encode("utf-8", "surrogatepass")


def _require_acceptable(password: str, username: str) -> None:
    if not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
        raise InvalidValue(
            "a password has %(least)s to %(most)s characters",
            least=MIN_PASSWORD_CHARS,
            most=MAX_PASSWORD_CHARS,
        )
    if password.casefold() in {*COMMON_PASSWORDS, username}:
        raise InvalidValue("this password would be among the first to be guessed: take another one")


def _impossible_hash() -> str:
    """A hash like those of real passwords that no password has, to spend the same time on unknown users."""
    salt, digest = (
        b64encode(random_bytes(length)).rstrip(b"=").decode() for length in (SALT_BYTES, HASH_BYTES)
    )
    return f"$argon2id$v={ARGON2_VERSION}$m={MEMORY_KIB},t={TIME_COST},p={LANES}${salt}${digest}"
