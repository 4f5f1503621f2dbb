"""One-time codes (RFC 6238): enrolment, and proof of the second factor.

A code opens once: the step of the last accepted one only ever rises, by one conditional statement in the
database. No secret leaves this file but in the enrolment for its owner. Called by the terminal and the site.
"""

from __future__ import annotations

import re
from base64 import b32encode
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum

import pyotp

from davserver.accounts.throttle import Rule, Throttle
from davserver.audit import AuditEvent, AuditSink
from davserver.clock import Clock, to_seconds
from davserver.crypto.primitives import constant_time_equal, random_bytes
from davserver.db.credentials import TotpDeviceRow
from davserver.db.engine import Database, Transaction, Within
from davserver.errors import (
    AuthenticationError,
    NotFound,
    NotPermitted,
    TotpInvalid,
    TotpOutOfSync,
    TotpReplayed,
)
from davserver.keyring import Keyring
from davserver.model import ID_BYTES, Account, AccountId, Principal

SECRET_BYTES = 20
"""Length of the shared secret (RFC 4226, 4, R6)."""

DIGITS = 6
STEP_SECONDS = 30
"""With SHA-1 above them, these are what every authenticator app supports."""

PAST_STEPS = 1
"""Steps before the present one that are accepted: one of delay (RFC 6238, 5.2). None ahead."""

SKEW_STEPS = 20
"""How far a clock may be wrong for its owner to be told so (10 minutes); such a code opens nothing."""

FRESH_FOR = timedelta(minutes=5)
"""How long a proof of the second factor lets credentials be issued."""

PENDING_FOR = timedelta(minutes=10)
"""How long an enrolment waits for its first code."""

RULE = Rule(
    purpose="totp",
    free=5,
    first_delay=timedelta(minutes=1),
    longest_delay=timedelta(hours=1),
    stop=100,  # NIST SP 800-63B-4, 3.2.2
)
"""Per account. At the longest delay a guesser has 24 attempts a day, each good for two in a million."""


class ResetReason(Enum):
    """Why an administrator takes a second factor away: what the log may say of it."""

    LOST = "lost"
    BROKEN = "broken"
    STOLEN = "stolen"
    REPLACED = "replaced"
    REFUSED = "refused"


RESET_REASONS = tuple(reason.value for reason in ResetReason)

_CODE = re.compile(rf"[0-9]{{{DIGITS}}}")


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator app needs; shown once.

    Attributes:
        secret: the shared secret in base32, for typing.
        uri: the same as an `otpauth:` URI, for a QR code.
        device_id: what whoever began it names it by; no secret, but nobody else is told.
    """

    secret: str = field(repr=False)
    uri: str = field(repr=False)
    device_id: bytes


def require_fresh_totp(principal: Principal, now: datetime, fresh_for: timedelta = FRESH_FOR) -> None:
    """Refuse a principal whose second factor was not proved just now.

    Raises:
        NotPermitted: never, or too long ago.
    """
    if principal.totp_at is None or not timedelta(0) <= now - principal.totp_at <= fresh_for:
        raise NotPermitted("this needs a one-time code entered within the last minutes")


class Totp:
    """The second factor of accounts.

    Args:
        issuer: what authenticator apps show above the account's name.
        fresh_for: how long a proof lets an enrolled device be replaced.
        pending_for: how long an enrolment waits for its first code.
    """

    def __init__(  # noqa: PLR0913 - parts and two settings
        self,
        database: Database,
        keyring: Keyring,
        throttle: Throttle,
        clock: Clock,
        audit: AuditSink,
        *,
        issuer: str = "Sealdav",
        fresh_for: timedelta = FRESH_FOR,
        pending_for: timedelta = PENDING_FOR,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._throttle = throttle
        self._clock = clock
        self._audit = audit
        self._issuer = issuer
        self._fresh_for = fresh_for
        self._pending_for = pending_for

    def is_enrolled(self, account: Account) -> bool:
        """Whether the account has a confirmed device.

        Raises:
            CorruptRow: a row was altered.
        """
        with self._database.read() as tx:
            return any(device.confirmed for device in self._devices(tx, account.id))

    def begin(self, principal: Principal) -> Enrolment:
        """Make a new secret, pending until `confirm`; a device that is enrolled stays until then.

        Raises:
            NotPermitted: there is an enrolled device, and it was not used just now.
            CorruptRow: a row was altered.
        """
        account, now = principal.account, self._clock()
        secret, device_id = random_bytes(SECRET_BYTES), random_bytes(ID_BYTES)
        device = TotpDeviceRow(
            account_id=account.id,
            device_id=device_id,
            sealed_secret=self._keyring.seal_totp(account.id, device_id, secret),
            confirmed=False,
            last_step=0,
            created_at=to_seconds(now),
            version=1,
        )
        with self._database.write() as tx:
            if any(one.confirmed for one in self._devices(tx, account.id)):
                require_fresh_totp(principal, now, self._fresh_for)
            tx.credentials.delete_devices(account.id, confirmed=False)
            tx.credentials.insert_device(self._keyring.with_mac(device))
            self._audit.record(AuditEvent.TOTP_BEGUN, account=account.username, tx=tx)
            tx.commit()
        return self._enrolment(account, device_id, secret)

    def pending(self, principal: Principal, device_id: bytes) -> Enrolment | None:
        """The secret that waits for its first code, for a page that is loaded again; None if there is none.

        It is for the browser that began it: another one may belong to somebody who only has the password.

        Args:
            principal: who asks.
            device_id: the device that this browser has begun.

        Raises:
            NotPermitted: as `begin`.
            CorruptRow: a row was altered.
        """
        account, now = principal.account, self._clock()
        with self._database.read() as tx:
            devices = self._devices(tx, account.id)
        if any(one.confirmed for one in devices):
            require_fresh_totp(principal, now, self._fresh_for)
        for one in devices:
            if self._is_waiting(one, now, device_id):
                secret = self._keyring.open_totp(account.id, one.device_id, one.sealed_secret)
                return self._enrolment(account, one.device_id, secret)
        return None

    def confirm(
        self,
        principal: Principal,
        code: str,
        device_id: bytes | None = None,
        *,
        client: str | None = None,
        within: Within = lambda _tx, _account_id: None,
    ) -> Principal:
        """Finish an enrolment with the first code of the new device, which replaces the old one.

        Args:
            principal: who types the code.
            code: six digits; spaces do not matter.
            device_id: the only device that it may confirm; None is whichever is pending.
            client: address of the peer, for the audit log.
            within: what else belongs into the same transaction, if the code is right.

        Raises:
            NotFound: nothing is pending, or it has waited too long, or it is another device.
            Throttled, TotpInvalid, TotpOutOfSync, TotpReplayed, AuthenticationError: as `verify`.
            CorruptRow: a row was altered.
        """
        return self._prove(principal, code, pending=True, device_id=device_id, client=client, within=within)

    def verify(self, principal: Principal, code: str, *, client: str | None = None) -> Principal:
        """Prove the second factor: the same principal, with `totp_at` set to now.

        Args:
            principal: who types the code.
            code: six digits; spaces do not matter.
            client: address of the peer, for the audit log.

        Raises:
            NotFound: no device is enrolled.
            Throttled: too many wrong codes.
            TotpInvalid, TotpOutOfSync, TotpReplayed: wrong, of another time, or used before.
            AuthenticationError: so many wrong codes in a row that only a reset helps.
            CorruptRow: a row was altered.
        """
        return self._prove(principal, code, pending=False, client=client)

    def reset(
        self,
        account: Account,
        reason: str | None = None,
        *,
        by: str | None = None,
        within: Within = lambda _tx, _account_id: None,
    ) -> None:
        """Take the second factor away with recovery codes and failures: an administrator's last resort.

        Args:
            account: whose.
            reason: one of `RESET_REASONS`.
            by: who does it, for the audit log.
            within: what else belongs into the same transaction.
        """
        with self._database.write() as tx:
            tx.credentials.delete_devices(account.id)
            tx.recovery_codes.delete(account.id)
            tx.proofs.delete_of(account.id)
            self._throttle.succeeded(tx, RULE, account.id)
            self._audit.record(
                AuditEvent.TOTP_RESET, account=account.username, actor=by, reason=reason, tx=tx
            )
            within(tx, account.id)
            tx.commit()

    def _enrolment(self, account: Account, device_id: bytes, secret: bytes) -> Enrolment:
        generator = _generator(secret)
        uri = generator.provisioning_uri(name=account.username, issuer_name=self._issuer)
        return Enrolment(generator.secret, uri, device_id)

    def _prove(  # noqa: PLR0913 - as `confirm`
        self,
        principal: Principal,
        code: str,
        *,
        pending: bool,
        device_id: bytes | None = None,
        client: str | None = None,
        within: Within = lambda _tx, _account_id: None,
    ) -> Principal:
        account, now = principal.account, self._clock()
        digits = "".join(code.split())
        if not _CODE.fullmatch(digits):
            raise TotpInvalid("a one-time code has %(digits)s digits", digits=DIGITS)
        with self._database.write() as tx:
            self._throttle.require_open(tx, RULE, account.id)
            device = (
                self._waiting(tx, account.id, now, device_id) if pending else self._enrolled(tx, account.id)
            )
            refusal = self._consume(tx, device, digits, to_seconds(now) // STEP_SECONDS)
            if refusal is None:
                self._throttle.succeeded(tx, RULE, account.id)
                within(tx, account.id)
            elif not isinstance(refusal, TotpReplayed):  # a second click is no guess
                self._throttle.failed(tx, RULE, account.id)
            event, reason = _told(refusal, pending=pending)
            self._audit.record(event, account=account.username, client=client, reason=reason, tx=tx)
            tx.commit()
        if refusal is not None:
            raise refusal
        return replace(principal, totp_at=now)

    def _consume(
        self, tx: Transaction, device: TotpDeviceRow, digits: str, step: int
    ) -> AuthenticationError | None:
        """Use a code up; the reason if it is not good."""
        secret = self._keyring.open_totp(device.account_id, device.device_id, device.sealed_secret)
        matching = _matching_steps(secret, digits, range(step - PAST_STEPS, step + 1))
        unused = [one for one in matching if one > device.last_step]
        if not unused:
            return (
                TotpReplayed("this code was used already: wait for the next")
                if matching
                else self._wrong(device, secret, digits, step)
            )
        used = replace(device, last_step=unused[-1], confirmed=True, version=device.version + 1)
        if not tx.credentials.consume_step(self._keyring.with_mac(used), expected_version=device.version):
            return TotpReplayed("this code was used already: wait for the next")
        if not device.confirmed:
            tx.credentials.delete_devices(device.account_id, keep=device.device_id)
            tx.proofs.delete_of(device.account_id)  # what the device before it proved
        return None

    def _wrong(self, device: TotpDeviceRow, secret: bytes, digits: str, step: int) -> AuthenticationError:
        """Tell a wrong clock from a wrong code, where that helps no guesser.

        A code of the past will never open anything. One of the future will, so it is only named while the
        device is being enrolled, when whoever types it has the secret on the screen.
        """
        ahead = 0 if device.confirmed else SKEW_STEPS
        if _matching_steps(secret, digits, range(step - SKEW_STEPS, step + ahead + 1)):
            return TotpOutOfSync("this code belongs to another time: set the device's clock")
        return TotpInvalid("wrong one-time code: type the one that the app shows now")

    def _enrolled(self, tx: Transaction, account_id: AccountId) -> TotpDeviceRow:
        for device in self._devices(tx, account_id):
            if device.confirmed:
                return device
        raise NotFound("no second factor is enrolled")

    def _waiting(
        self, tx: Transaction, account_id: AccountId, now: datetime, device_id: bytes | None
    ) -> TotpDeviceRow:
        for device in self._devices(tx, account_id):
            if self._is_waiting(device, now, device_id):
                return device
        raise NotFound("no enrolment is waiting for a code")

    def _is_waiting(self, device: TotpDeviceRow, now: datetime, device_id: bytes | None) -> bool:
        """Whether a code may confirm the device, if it is the one that is meant (None: any)."""
        if device.confirmed or device.created_at < to_seconds(now - self._pending_for):
            return False
        return device_id is None or device.device_id == device_id

    def _devices(self, tx: Transaction, account_id: AccountId) -> list[TotpDeviceRow]:
        return [self._keyring.checked(device) for device in tx.credentials.devices(account_id)]


def _told(refusal: AuthenticationError | None, *, pending: bool) -> tuple[AuditEvent, str | None]:
    """What the audit log is told of a code."""
    if refusal is not None:
        return AuditEvent.TOTP_REFUSED, type(refusal).__name__
    return (AuditEvent.TOTP_CONFIRMED if pending else AuditEvent.TOTP_ACCEPTED), None


def _generator(secret: bytes) -> pyotp.TOTP:
    return pyotp.TOTP(b32encode(secret).decode(), digits=DIGITS, interval=STEP_SECONDS)


def _matching_steps(secret: bytes, digits: str, steps: Iterable[int]) -> list[int]:
    generator, code = _generator(secret), digits.encode()
    return [step for step in steps if constant_time_equal(generator.generate_otp(step).encode(), code)]
