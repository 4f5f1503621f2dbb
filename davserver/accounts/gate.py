"""May the owner of an account still come in? The question of whatever lets people in, and its short answer.

The long answer, for accounts whose owners an identity provider knows, is in `confirmations.py`. Used by
whatever lets somebody in.
"""

from __future__ import annotations

from typing import Protocol

from davserver.db.reads import Reads
from davserver.model import Account


class Gate(Protocol):
    """What lets people in asks this of each of them."""

    def admit(self, account: Account, reads: Reads | None = None) -> Account:
        """Let a device of somebody in, whose credential is right.

        Args:
            account: whose.
            reads: what the request reads in; it is let go of before anybody is waited for.

        Returns:
            The account as it is now: it may have been opened again by this very question.

        Raises:
            AuthenticationError: its owner has left, or has to prove who they are on the site first.
            Unconfirmed: nobody can tell.
        """
        ...

    def require(self, account: Account) -> None:
        """The same for its owner on the site, who may be there to prove it.

        Raises:
            AuthenticationError: its owner has left.
            Unconfirmed: nobody can tell.
        """
        ...

    def welcome(self, subject: str) -> None:
        """Somebody has just signed in at the identity provider: ask it again, however lately it was asked.

        Raises:
            Unconfirmed: nobody can tell.
        """
        ...

    def proved(self, account: Account) -> None:
        """Its owner has proved both factors on the site."""
        ...


class OpenGate:
    """The gate of built-in accounts: nobody is asked anything."""

    def admit(self, account: Account, reads: Reads | None = None) -> Account:  # noqa: ARG002 - nobody is waited for
        """See `Gate.admit`."""
        return account

    def require(self, account: Account) -> None:
        """See `Gate.require`."""

    def welcome(self, subject: str) -> None:
        """See `Gate.welcome`."""

    def proved(self, account: Account) -> None:
        """See `Gate.proved`."""
