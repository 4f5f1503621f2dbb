"""How a device is: what it has done here, when, and what it was last refused for. For its owner to read.

It decides nothing, and nobody vouches for it. Notes are taken by `health_notes.py`; the words for people are
the site's. Used by both doors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from davserver.clock import from_seconds
from davserver.db.engine import Database
from davserver.db.signs import StoredSign
from davserver.errors import CorruptRow
from davserver.model import Account

TOKENS = "token"
"""Stands for all of an account's tokens of the identity provider, where an app password's id would stand."""

BY_NAME = "name"
"""Stands there for whoever comes with an account's user name and with no app password of the account."""


class Sign(StrEnum):
    """What a device has done."""

    CONNECTED = "connected"
    """Signed in, whatever came of its request."""
    LISTED = "listed"
    READ = "read"
    WROTE = "wrote"
    KEPT_TIMES = "kept-times"
    """It gave a file a time of its own, and that was kept."""
    CLOCK_RIGHT = "clock-right"
    """It told the time, and that is ours."""


class Trouble(StrEnum):
    """What keeps a device from what it wants; the worst first."""

    WRONG_SECRET = "wrong-secret"  # noqa: S105 - the name of a trouble
    """The id of this app password, with another secret, or with only a part of it."""
    NO_APP_PASSWORD = "no-app-password"  # noqa: S105 - the name of a trouble
    """The right user name, with something that is no app password of the account."""
    WRONG_NAME = "wrong-name"
    """The right app password, with another user name."""
    EXPIRED = "expired"
    REVOKED = "revoked"
    OTHER_NETWORK = "other-network"
    SUSPENDED = "suspended"
    LEFT = "left"
    """The identity provider does not let the owner in, or the owner has to sign in on the site first."""
    UNCONFIRMED = "unconfirmed"
    """The identity provider does not answer, so nobody is served."""
    NO_SECOND_FACTOR = "no-second-factor"
    """A token with no second factor behind it."""
    FOLDER_GONE = "folder-gone"
    """The folder that it is limited to is not there any more."""
    OUTSIDE_FOLDER = "outside-folder"
    """It writes into a folder that is not there, and sees nothing but the one that it is limited to."""
    NO_ROOM = "no-room"
    READ_ONLY = "read-only"
    NO_DELETE = "no-delete"
    CLOCK = "clock"
    """Nothing was refused: its clock is far from ours."""
    FILE_TIME = "file-time"
    """Nothing was refused: a file that it wrote is of the future."""


ENDS: Mapping[Trouble, frozenset[Sign]] = MappingProxyType(
    {
        **{
            trouble: frozenset({Sign.CONNECTED})
            for trouble in (
                *(Trouble.WRONG_SECRET, Trouble.NO_APP_PASSWORD, Trouble.WRONG_NAME),
                *(Trouble.EXPIRED, Trouble.REVOKED, Trouble.OTHER_NETWORK),
                *(Trouble.SUSPENDED, Trouble.LEFT, Trouble.UNCONFIRMED, Trouble.NO_SECOND_FACTOR),
            )
        },
        Trouble.FOLDER_GONE: frozenset({Sign.LISTED, Sign.READ, Sign.WROTE}),
        Trouble.OUTSIDE_FOLDER: frozenset({Sign.WROTE}),
        Trouble.NO_ROOM: frozenset({Sign.WROTE}),
        Trouble.READ_ONLY: frozenset({Sign.WROTE}),
        Trouble.NO_DELETE: frozenset(),
        Trouble.CLOCK: frozenset({Sign.CLOCK_RIGHT}),
        Trouble.FILE_TIME: frozenset({Sign.KEPT_TIMES}),
    }
)
"""What a device does that was in such trouble, once it is out of it."""

OF_ONE_FILE = frozenset({Trouble.NO_ROOM, Trouble.FILE_TIME})
"""What may go wrong with one file and well with another in the same second: only a later one says that it is
over. Finder and Windows write an empty file first, and that fits on a full drive."""

_SEVERITY = {trouble: place for place, trouble in enumerate(Trouble)}


@dataclass(frozen=True, slots=True)
class Seen:
    """When something happened: the first time, and the last one, to the minute."""

    first: datetime
    last: datetime

    def words(self) -> dict[str, str]:
        """Both, in ISO 8601."""
        return {"first": self.first.isoformat(), "last": self.last.isoformat()}


@dataclass(frozen=True, slots=True)
class Health:
    """One device.

    Attributes:
        signs: what it has done.
        troubles: what it ever was in trouble for.
    """

    signs: Mapping[Sign, Seen] = field(default_factory=dict)
    troubles: Mapping[Trouble, Seen] = field(default_factory=dict)

    @property
    def standing(self) -> list[Trouble]:
        """The troubles that it is not out of, the latest first; of the same moment, the worst first."""
        return sorted((one for one in self.troubles if not self.is_over(one)), key=self._rank)

    @property
    def last_trouble(self) -> Trouble | None:
        """The latest one that surely was its own, whether or not it is over."""
        own = (one for one in self.troubles if one is not Trouble.NO_APP_PASSWORD)
        return min(own, key=self._rank, default=None)

    def words(self) -> dict[str, dict[str, Any]]:
        """Everything, as JSON can say it; times in ISO 8601.

        Under `done` and `troubles` is when each thing was seen last, and of the troubles only those that it
        is in; under `noted` all that is known.
        """
        return {
            "done": {sign.value: seen.last.isoformat() for sign, seen in self.signs.items()},
            "troubles": {one.value: self.troubles[one].last.isoformat() for one in self.standing},
            "noted": {
                **{sign.value: seen.words() for sign, seen in self.signs.items()},
                **{
                    one.value: {**seen.words(), "stands": not self.is_over(one)}
                    for one, seen in self.troubles.items()
                },
            },
        }

    def is_over(self, trouble: Trouble) -> bool:
        """Whether the device has done since what it could not do then."""
        last = self.troubles[trouble].last
        ends = [self.signs[sign].last for sign in ENDS[trouble] if sign in self.signs]
        return any(end > last or (end == last and trouble not in OF_ONE_FILE) for end in ends)

    def _rank(self, trouble: Trouble) -> tuple[float, int]:
        return -self.troubles[trouble].last.timestamp(), _SEVERITY[trouble]


class HealthRecords:
    """Reads what was noted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, account: Account, device: str) -> Health:
        """One device of an account, in one statement; nothing, if it was never here or is none of theirs.

        Since it was made, it may have been this device that came with the account's user name and no app
        password: that counts, too.

        Raises:
            CorruptRow: a note is none that we take.
        """
        with self._database.read() as tx:
            return _health(tx.signs.of_device(account.id, device, BY_NAME))

    def of_all(self, account: Account) -> dict[str, Health]:
        """All devices of an account that were ever here, by their ids, in one statement.

        Raises:
            CorruptRow: as `of`.
        """
        with self._database.read() as tx:
            stored = tx.signs.of_account(account.id)
        by_device: dict[str, list[StoredSign]] = {}
        for one in stored:
            by_device.setdefault(str(one.device), []).append(one)
        return {device: _health(signs) for device, signs in by_device.items()}


def _health(stored: Iterable[StoredSign]) -> Health:
    signs: dict[Sign, Seen] = {}
    troubles: dict[Trouble, Seen] = {}
    for one in stored:
        seen = Seen(_moment(one.first_at), _moment(one.last_at))
        if one.sign in _SIGNS:
            signs[Sign(str(one.sign))] = seen
        elif one.sign in _TROUBLES:
            troubles[Trouble(str(one.sign))] = seen
        else:
            raise CorruptRow("the notes of a device were altered")
    return Health(signs, troubles)


_SIGNS = frozenset(sign.value for sign in Sign)
_TROUBLES = frozenset(trouble.value for trouble in Trouble)


def _moment(seconds: object) -> datetime:
    if not isinstance(seconds, int):
        raise CorruptRow("the notes of a device were altered")
    try:
        return from_seconds(seconds)
    except (ValueError, OverflowError):
        raise CorruptRow("the notes of a device were altered") from None
