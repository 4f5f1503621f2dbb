"""Recovery codes: what stands for the second factor when the authenticator is lost. Each is good once.

Stored are keyed hashes, in rows that nobody can plant without the master key; the codes are shown once. A
code opens nothing but a new enrolment, and only together with the password. Called by the command line.
"""

from __future__ import annotations

from datetime import timedelta

from davserver.accounts import totp
from davserver.accounts.throttle import Rule, Throttle
from davserver.accounts.totp import FRESH_FOR, require_fresh_totp
from davserver.audit import AuditEvent, AuditSink
from davserver.clock import Clock, to_seconds
from davserver.crypto import tokens
from davserver.db.engine import Database, Transaction, Within
from davserver.db.recovery_codes import RecoveryCodeRow
from davserver.errors import AuthenticationError, NotPermitted
from davserver.keyring import Keyring
from davserver.model import Account, AccountId, AuthMethod, Principal

CODES = 10
"""Codes of a set."""

RULE = Rule(
    purpose="recovery",
    free=5,
    first_delay=timedelta(minutes=1),
    longest_delay=timedelta(hours=1),
    forget_after=timedelta(days=1),
)
"""Per account. 120 bits are not guessed: this bounds the work, and must never shut the owner out for good."""


class RecoveryCodes:
    """The recovery codes of all accounts.

    Args:
        fresh_for: how long ago the other factor may have been proved.
    """

    def __init__(  # noqa: PLR0913 - parts and a setting
        self,
        database: Database,
        keyring: Keyring,
        throttle: Throttle,
        clock: Clock,
        audit: AuditSink,
        *,
        fresh_for: timedelta = FRESH_FOR,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._throttle = throttle
        self._clock = clock
        self._audit = audit
        self._fresh_for = fresh_for

    def left(self, account: Account) -> int:
        """How many codes were not used.

        Raises:
            CorruptRow: a row was altered.
        """
        with self._database.read() as tx:
            return len(self._rows(tx, account.id))

    def make_first(self, principal: Principal) -> list[str]:
        """A set for an account that has none left, to be shown now and never again; nothing if it has.

        Raises:
            NotPermitted: no fresh one-time code.
            CorruptRow: a row was altered.
        """
        return self._make(principal, only_first=True)

    def renew(self, principal: Principal) -> list[str]:
        """A new set, to be shown now and never again; the old one is worth nothing from here on.

        Raises:
            NotPermitted: no fresh one-time code.
        """
        return self._make(principal, only_first=False)

    def use(self, principal: Principal, code: str, *, within: Within = lambda _tx, _account_id: None) -> None:
        """Use a code up and take the lost authenticator away, with its failures: a new one is enrolled next.

        Args:
            principal: somebody who has just given the account's password.
            code: as typed; case, spaces and hyphens do not matter.
            within: what else belongs into the same transaction, if the code is right.

        Raises:
            NotPermitted: the password was not given just now.
            Throttled: too many wrong codes.
            AuthenticationError: not a code of this account, or one that was used.
            CorruptRow: the code's row was altered.
        """
        account = principal.account
        self._require_password(principal)
        secret = tokens.parse_recovery_code(code)  # what cannot be a code is no guess either
        with self._database.write() as tx:
            self._throttle.require_open(tx, RULE, account.id)
            right = self._consume(tx, account.id, secret)
            if right:
                tx.credentials.delete_devices(account.id)
                tx.proofs.delete_of(account.id)
                self._throttle.succeeded(tx, RULE, account.id)
                self._throttle.succeeded(tx, totp.RULE, account.id)
                within(tx, account.id)
            else:
                self._throttle.failed(tx, RULE, account.id)
            event = AuditEvent.RECOVERY_CODE_USED if right else AuditEvent.RECOVERY_CODE_REFUSED
            self._audit.record(event, account=account.username, tx=tx)
            tx.commit()
        if not right:
            raise AuthenticationError("wrong recovery code, or one that was used before")

    def _make(self, principal: Principal, *, only_first: bool) -> list[str]:
        account, now = principal.account, self._clock()
        require_fresh_totp(principal, now, self._fresh_for)
        secrets = [tokens.mint_recovery_code() for _ in range(CODES)]
        rows = [
            RecoveryCodeRow(account.id, self._keyring.recovery_verifier(account.id, secret), to_seconds(now))
            for secret in secrets
        ]
        with self._database.write() as tx:
            if only_first and self._rows(tx, account.id):
                return []
            tx.recovery_codes.delete(account.id)
            tx.recovery_codes.insert([self._keyring.with_mac(row) for row in rows])
            self._audit.record(AuditEvent.RECOVERY_CODES_MADE, account=account.username, tx=tx)
            tx.commit()
        return [tokens.recovery_text(secret) for secret in secrets]

    def _consume(self, tx: Transaction, account_id: AccountId, secret: bytes) -> bool:
        row = tx.recovery_codes.find(account_id, self._keyring.recovery_verifier(account_id, secret))
        return row is not None and tx.recovery_codes.consume(self._keyring.checked(row))

    def _rows(self, tx: Transaction, account_id: AccountId) -> list[RecoveryCodeRow]:
        return [self._keyring.checked(row) for row in tx.recovery_codes.of(account_id)]

    def _require_password(self, principal: Principal) -> None:
        age = self._clock() - principal.authenticated_at
        if principal.method is AuthMethod.APP_PASSWORD or not timedelta(0) <= age <= self._fresh_for:
            raise NotPermitted("this needs the account's password, given within the last minutes")
