"""Whose people have accounts here: accounts hang on a `sub`, which means somebody at one issuer only.

It must never let another realm's people into accounts of the same `sub`. Called by `bootstrap` at each start.
"""

from __future__ import annotations

from davserver.accounts.service import LOCAL
from davserver.db.engine import Database
from davserver.errors import ConfigError


def require_issuer(database: Database, issuer: str, former: str = "") -> None:
    """Go on only with the issuer that the accounts here belong to, and remember it the first time.

    Args:
        database: where it is remembered.
        issuer: the identity provider's name for itself, from the settings.
        former: what the same one was called before it moved; "" if it has not.

    Raises:
        ConfigError: there are accounts of another issuer's people.
    """
    with database.read() as tx:
        if tx.instance.issuer() == issuer:
            return
    with database.write() as tx:
        known = tx.instance.issuer()
        is_theirs = known in {None, issuer, former}
        if not is_theirs and any(not row.subject.startswith(LOCAL) for row in tx.accounts.all()):
            raise ConfigError(
                f"identity.issuer: the accounts here belong to people of {known}; if that is the same realm "
                "under another address, set identity.former_issuer to it"
            )
        tx.instance.set_issuer(issuer)
        tx.commit()
