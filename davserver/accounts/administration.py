"""What administrators do with others' accounts: each act is one step, recorded with who, whose and why.

No act shows a file or a secret. Whoever acts on the site must have proved the second factor just now: that is
asked for by `enroll_web/entrance.py`. Quotas are in `service.py`, invitations in `invitations.py`. Called by
the pages for administrators and by the command line.
"""

from __future__ import annotations

from davserver.accounts.administrators import Administrators
from davserver.accounts.app_passwords import AppPasswords, Revoked
from davserver.accounts.confirmations import Confirmations
from davserver.accounts.profiles import Profiles
from davserver.accounts.reasons import checked_reason
from davserver.accounts.service import Accounts
from davserver.accounts.sessions import Sessions, WebSession
from davserver.accounts.totp import RESET_REASONS, Totp
from davserver.db.engine import Transaction
from davserver.errors import InvalidValue, NotFound, NotPermitted
from davserver.identity.local import LocalIdentity
from davserver.model import Account, AccountId, AccountState
from davserver.texts import marked

NOT_ONESELF = marked("nobody does this to themself: ask another administrator")


class Administration:
    """The acts. `by` is the user name of the administrator, None a command at the terminal.

    Reasons are as `checked_reason` takes them; on the site one is always given.

    Args:
        confirmations: knows what an identity provider has said of the owners; None where there is none.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - parts
        self,
        accounts: Accounts,
        identity: LocalIdentity,
        profiles: Profiles,
        app_passwords: AppPasswords,
        sessions: Sessions,
        totp: Totp,
        administrators: Administrators,
        confirmations: Confirmations | None,
    ) -> None:
        self._accounts = accounts
        self._identity = identity
        self._profiles = profiles
        self._app_passwords = app_passwords
        self._sessions = sessions
        self._totp = totp
        self._administrators = administrators
        self._confirmations = confirmations

    def add(self, username: str, password: str, *, quota: int | None = None, admin: bool = False) -> Account:
        """Make a built-in account with a password, and its owner an administrator with it.

        Raises:
            InvalidValue, AlreadyExists: as `Accounts.create`, or not a password.
        """
        give_password = self._identity.first_password(username, password)

        def begin(tx: Transaction, account_id: AccountId) -> None:
            give_password(tx, account_id)
            if admin:
                self._profiles.grant(tx, account_id, username.casefold())

        return self._accounts.create(username, quota=quota, within=begin)

    def suspend(self, username: str, *, by: str | None = None, reason: str | None = None) -> Account:
        """Shut an account, as off-boarding does: browsers are signed out, tokens and devices refused.

        Transfers that run end within seconds. It stays shut until an administrator opens it, whatever an
        identity provider says.

        Raises:
            NotFound: there is none.
            NotPermitted: one's own account, or that of the only administrator; the message says what to do.
            InvalidValue: the reason breaks its rule.
            CorruptRow: a row was altered.
        """

        def leave_one(tx: Transaction, account_id: AccountId) -> None:
            self._require_another(tx, account_id)
            self._sessions.end_within(tx, account_id)

        self._require_other(username, by)
        return self._accounts.suspend(username, by=by, reason=checked_reason(reason), within=leave_one)

    def resume(self, username: str, *, by: str | None = None) -> Account:
        """Take an administrator's suspension back.

        If the identity provider's last word was that the owner has left, the account is shut for that reason
        now, and opens by itself when they are back there.

        Raises:
            NotFound: there is none.
            NotPermitted: the identity provider has shut it, no administrator; the message says what to do.
            CorruptRow: a row was altered.
        """
        try:
            return self._accounts.resume(username, by=by, state=self._left_to)
        except NotPermitted:
            if self._confirmations is None:
                raise NotPermitted(
                    "this account was shut by the identity provider, and there is no such provider any more: "
                    "suspend the account first, then resume it"
                ) from None
            raise

    def sign_out(
        self,
        account: Account,
        *,
        by: str,
        reason: str | None = None,
        keep: WebSession | None = None,
    ) -> int:
        """Sign every browser of an account out, but for `keep`; returns how many there were.

        Tokens of an identity provider open the drive again once the second factor was proved anew.

        Raises:
            InvalidValue: the reason breaks its rule.
            CorruptRow: a row was altered.
        """
        return self._sessions.end_others(account, keep, signed_out_by=by, reason=checked_reason(reason))

    def revoke(
        self, account: Account, app_id: str, *, by: str | None = None, reason: str | None = None
    ) -> None:
        """Shut one app password of somebody for good.

        Raises:
            NotFound: the account has no such app password, or it was revoked before.
            InvalidValue: the reason breaks its rule.
        """
        self._app_passwords.revoke(account, app_id, Revoked(by, checked_reason(reason)))

    def revoke_all(self, account: Account, *, by: str | None = None, reason: str | None = None) -> int:
        """Shut every app password of somebody for good; returns how many there were.

        Raises:
            InvalidValue: the reason breaks its rule.
        """
        return self._app_passwords.revoke_all(account, Revoked(by, checked_reason(reason)))

    def reset_totp(self, account: Account, reason: str, *, by: str | None = None) -> None:
        """Take authenticator and recovery codes away; browsers are signed out, devices go on working.

        Args:
            account: whose.
            reason: one of `RESET_REASONS`.
            by: who does it.

        Raises:
            InvalidValue: no such reason.
        """
        if reason not in RESET_REASONS:
            raise InvalidValue("say why: %(words)s", words=", ".join(RESET_REASONS))
        self._totp.reset(account, reason, by=by, within=self._sessions.end_within)

    def set_admin(
        self, account: Account, *, admin: bool, by: str | None = None, reason: str | None = None
    ) -> None:
        """Make somebody an administrator, or no longer. The terminal may take it from the last one, too.

        Raises:
            NotPermitted: one's own right, or that of the only administrator, is not taken on the site.
            InvalidValue: the reason breaks its rule.
            CorruptRow: a row was altered.
        """

        def leave_one(tx: Transaction, account_id: AccountId) -> None:
            if by is not None and not admin:
                self._require_another(tx, account_id)

        if not admin:
            self._require_other(account.username, by)
        self._profiles.set_admin(account, admin=admin, by=by, reason=checked_reason(reason), within=leave_one)

    @staticmethod
    def _require_other(username: str, by: str | None) -> None:
        if by is not None and username.casefold() == by:
            raise NotPermitted(NOT_ONESELF)

    def _require_another(self, tx: Transaction, account_id: AccountId) -> None:
        row = tx.accounts.by_id(account_id)
        if row is None:
            raise NotFound("there is no account of this name")
        self._administrators.require_another(tx, row)

    def _left_to(self, tx: Transaction, account: Account) -> AccountState:
        return (
            AccountState.ACTIVE if self._confirmations is None else self._confirmations.left_to(tx, account)
        )
