"""Names that somebody has for a while: whoever comes first, in whichever process; a crash gives them back.

They lie in the table `throttle`, under purposes of their own, as keyed hashes. Called by `export.py`, and by
the identity provider's side for tokens that may be used once.
"""

from __future__ import annotations

from davserver.db.engine import Database
from davserver.db.throttle import ThrottleRow
from davserver.errors import CorruptRow
from davserver.keyring import Keyring


class TakenNames:
    """The names of one purpose.

    Args:
        purpose: name of the kind, at most 16 characters.
    """

    def __init__(self, database: Database, keyring: Keyring, purpose: str) -> None:
        self._database = database
        self._keyring = keyring
        self._purpose = purpose

    def first_time(self, name: str | bytes, now: int, forget_at: int) -> bool:
        """Take a name, unless it is taken; names whose time is over are forgotten.

        Args:
            name: what is taken.
            now: seconds since the Unix epoch, as `forget_at`.
            forget_at: until when nobody else may have it.

        Returns:
            Whether it was free.
        """
        with self._database.write() as tx:
            tx.throttle.forget(self._purpose, before=now)
            try:
                row = tx.throttle.find(self._purpose, self._subject(name))
            except CorruptRow:  # nobody knows for how long it was to be taken
                return False
            if row is not None and now < row.blocked_until:
                return False
            tx.throttle.put(self._row(name, forget_at))
            tx.commit()
        return True

    def keep(self, name: str | bytes, forget_at: int) -> None:
        """Have a name for longer that was taken."""
        with self._database.write() as tx:
            tx.throttle.put(self._row(name, forget_at))
            tx.commit()

    def give_back(self, name: str | bytes) -> None:
        """Let others have it."""
        with self._database.write() as tx:
            tx.throttle.clear(self._purpose, self._subject(name))
            tx.commit()

    def _row(self, name: str | bytes, forget_at: int) -> ThrottleRow:
        """For `forget` a row is as old as its end."""
        return ThrottleRow(self._purpose, self._subject(name), 1, forget_at, forget_at)

    def _subject(self, name: str | bytes) -> bytes:
        return self._keyring.private_id(self._purpose, name)
