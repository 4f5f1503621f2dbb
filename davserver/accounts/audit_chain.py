"""How the audit log hangs together: each entry on the one before, the last on a head under the master key.

It must never write behind a head that nobody vouches for as if nothing had happened: then the chain is begun
anew, and says so. Called by `audit_log.py`, which writes, and by those that read and check.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Self

from davserver.audit import AuditEvent
from davserver.crypto.audit_links import SALT_BYTES
from davserver.crypto.primitives import random_bytes
from davserver.db.audit import HEAD, NO_LINK, AuditEntryRow, AuditHeadRow
from davserver.db.engine import Transaction
from davserver.errors import CorruptRow, InvalidValue
from davserver.keyring import Keyring

NAME_CHARS, CREDENTIAL_CHARS, CLIENT_CHARS, REASON_CHARS = 255, 64, 64, 200
"""Longest texts that the columns take; what is longer is cut."""

HEAD_ALTERED = "the head of the log was altered or removed"
ENTRY_IN_THE_WAY = "somebody else had added an entry"
"""Why a chain was begun anew: reasons of `AuditEvent.AUDIT_BROKEN`."""

_MARK = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Happening:
    """What there is to say, before it has a place in the log.

    Attributes:
        at: Unix seconds.
    """

    event: AuditEvent
    at: int
    account: str = ""
    actor: str = ""
    credential: str = ""
    client: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the log, kept elsewhere: whoever has one sees whether what came before it is still there."""

    seq: int
    link: bytes

    def text(self) -> str:
        """As it is printed and read: `812:` and 64 hexadecimal digits."""
        return f"{self.seq}:{self.link.hex()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `text` made.

        Raises:
            InvalidValue: it is no such text.
        """
        found = _MARK.fullmatch(text.strip())
        if found is None:
            raise InvalidValue("a head is a number, a colon and 64 hexadecimal digits")
        return cls(int(found[1]), bytes.fromhex(found[2]))


class AuditChain:
    """The chain of one store."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._links = keyring.audit_links

    # ── writing
    def append(self, tx: Transaction, happening: Happening) -> str | None:
        """Add an entry; why the chain had to be begun anew before it, if so."""
        head, broken = self.head(tx), None
        if head is None:
            head, broken = self._begin_anew(tx, happening.at, HEAD_ALTERED), HEAD_ALTERED
        if not self._add(tx, head, happening):
            head, broken = self._begin_anew(tx, happening.at, ENTRY_IN_THE_WAY), ENTRY_IN_THE_WAY
            self._require_added(added=self._add(tx, head, happening))
        return broken

    def put_head(self, tx: Transaction, head: AuditHeadRow) -> AuditHeadRow:
        """Vouch for a head and write it."""
        head = self._keyring.with_mac(head)
        tx.audit.put_head(head)
        return head

    # ── reading
    def head(self, tx: Transaction) -> AuditHeadRow | None:
        """The head; None if it is gone or nobody vouches for it."""
        head = tx.audit.head()
        try:
            return None if head is None else self._keyring.checked(head)
        except CorruptRow:
            return None

    def follows(self, row: AuditEntryRow, previous: object) -> bool:
        """Whether an entry is as it was written, behind one with this link. Its address is not looked at."""
        if not isinstance(previous, bytes):  # altered
            return False
        try:
            self._links.check_link(row.link, previous, row.linked())
        except CorruptRow:
            return False
        return True

    def has_its_address(self, row: AuditEntryRow) -> bool:
        """Whether the address is the one that was written with the entry; or none, where there was none."""
        if row.client_commitment is None or row.client is None or row.client_salt is None:
            return (row.client, row.client_salt, row.client_commitment) == (None, None, None)
        try:
            self._links.check_commitment(row.client_commitment, row.client_salt, row.client)
        except CorruptRow:
            return False
        return True

    @staticmethod
    def lost_its_address(row: AuditEntryRow, head: AuditHeadRow | None) -> bool:
        """Whether the address was taken out when it was old enough for that, as the head says."""
        at: object = row.at  # of any type, if it was altered
        is_old = head is not None and isinstance(at, int) and at < head.forgotten_before
        return row.client is None and row.client_salt is None and is_old

    def _add(self, tx: Transaction, head: AuditHeadRow, happening: Happening) -> bool:
        row = self._linked(head, happening)
        if not tx.audit.append(row):
            return False
        self.put_head(tx, replace(head, seq=row.seq, link=row.link))
        return True

    def _linked(self, head: AuditHeadRow, happening: Happening) -> AuditEntryRow:
        client = happening.client[:CLIENT_CHARS]
        salt = random_bytes(SALT_BYTES) if client else None
        row = AuditEntryRow(
            seq=head.seq + 1,
            at=happening.at,
            event=happening.event.value,
            account=happening.account[:NAME_CHARS],
            actor=happening.actor[:NAME_CHARS],
            credential=happening.credential[:CREDENTIAL_CHARS],
            client=client or None,
            client_salt=salt,
            client_commitment=None if salt is None else self._links.commitment(salt, client),
            reason=happening.reason[:REASON_CHARS],
            link=NO_LINK,
        )
        return replace(row, link=self._links.link(head.link, row.linked()))

    def _begin_anew(self, tx: Transaction, at: int, why: str) -> AuditHeadRow:
        """A chain behind everything that is there, which stays as it is; its first entry says why.

        To refuse instead would let whoever can alter one row keep everybody from signing in, and
        administrators from suspending anybody.
        """
        last = tx.audit.last_seq()
        head = AuditHeadRow(HEAD, last, NO_LINK, last, NO_LINK, forgotten_before=0)
        self._require_added(added=self._add(tx, head, Happening(AuditEvent.AUDIT_BROKEN, at, reason=why)))
        found = tx.audit.head()
        if found is None:
            raise CorruptRow("the head of the audit log is not kept")
        return found

    @staticmethod
    def _require_added(*, added: bool) -> None:
        if not added:
            raise CorruptRow("there is no room behind the last entry of the audit log")
