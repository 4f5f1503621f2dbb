"""What the rest of the program expects of whoever knows people: the contract of an identity provider.

It must never know how accounts are kept. `accounts/sign_in.py` calls a provider; `bootstrap` chooses it.
"""

from __future__ import annotations

from typing import Protocol

from davserver.db.rows import Row
from davserver.model import AccountId


class IdentityProvider(Protocol):
    """Knows who somebody is from a user name and a password."""

    def authenticate(self, username: str, password: str) -> AccountId:
        """Whose password this is. Takes as long for an unknown user as for a wrong password.

        Raises:
            AuthenticationError: unknown user or wrong password, without saying which.
        """
        ...


class RowKeeper(Protocol):
    """Vouches for rows and checks them; `Keyring` does."""

    def with_mac(self, row: Row) -> Row:
        """The row with the authenticator of its present content."""
        ...

    def checked(self, row: Row) -> Row:
        """The same row, now believed.

        Raises:
            CorruptRow: the row is not the one that was authenticated.
        """
        ...
