"""Asks the identity provider about everybody who uses an account, again and again, beside the requests.

Any number of processes may serve one store; the one that holds the lease asks, and another takes over when it
is gone. Nothing depends on that for safety: whoever was not confirmed in time is not served. `sealdav serve`
runs it in a thread of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from davserver.accounts.confirmations import LEEWAY_SECONDS, Confirmations
from davserver.accounts.inquiries import Inquiries
from davserver.accounts.lease import Lease
from davserver.accounts.lost_sessions import LostSessions
from davserver.accounts.offboarding import Known, Offboarding, moves
from davserver.accounts.verdicts import News, Standing, has_left, told
from davserver.audit import get_logger
from davserver.clock import Clock, to_seconds
from davserver.db.confirmations import ConfirmationRow
from davserver.errors import ConfigError, CorruptRow, DavserverError, NotFound, ProviderUnavailable

BEAT_SECONDS = 5
"""How often it is looked whether somebody is to be asked about."""

LEASE_BEATS = 4
"""A process that has not renewed the lease for so many beats is taken to be gone."""

WANTED_SECONDS = 600
"""Who has not used an account for so long is not asked about; the next use asks."""

MOST_AT_ONCE = 1000
"""How many people's roles are asked for in one beat at most."""

TOGETHER = 80
"""How many people one request for their standing is about: their ids are in the address, 3 KB of it."""

NOT_ANSWERING = "the identity provider does not answer"
"""What is recorded of an outage, of whichever kind."""

MISSED_BEATS = 2
"""How many beats without an answer are recorded: one can be a restart."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often is asked, in seconds.

    Attributes:
        standing: whether somebody is there and enabled.
        role: whether they have the role. Each of these is a request of its own, so they are spread.
        beat: see `BEAT_SECONDS`.
    """

    standing: int
    role: int
    beat: int

    @classmethod
    def of(cls, *, poll_seconds: int, confirm_seconds: int) -> Pace:
        """What the settings mean: roles are asked for again two beats before a confirmation is too old."""
        beat = min(BEAT_SECONDS, poll_seconds)
        return cls(poll_seconds, max(beat, confirm_seconds - LEEWAY_SECONDS - 2 * beat), beat)


class Rounds:
    """The rounds of one process.

    Args:
        confirmations: hears of what this process was told.
        monotonic: seconds since some moment.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - parts
        self,
        offboarding: Offboarding,
        inquiries: Inquiries,
        confirmations: Confirmations,
        lost_sessions: LostSessions,
        lease: Lease,
        clock: Clock,
        pace: Pace,
        monotonic: Callable[[], float],
    ) -> None:
        self._offboarding = offboarding
        self._inquiries = inquiries
        self._confirmations = confirmations
        self._lost_sessions = lost_sessions
        self._lease = lease
        self._clock = clock
        self._pace = pace
        self._monotonic = monotonic
        self._missed = 0
        self._log = get_logger("sealdav.accounts")

    @property
    def beat_seconds(self) -> int:
        """How often to call `beat`."""
        return self._pace.beat

    def beat(self) -> None:
        """Ask about those whose turn it is, if it is for this process to ask.

        Raises:
            StorageUnavailable: the database cannot be read or written now.
        """
        self._confirmations.write_notes()
        since = self._now() - WANTED_SECONDS
        count = self._offboarding.count(since=since)
        if not count or not self._lease.hold(self._now()):
            return
        try:
            self._ask(since, count)
        except (ProviderUnavailable, ConfigError) as error:
            self._miss(error)
        else:
            self._missed = 0
            self._lease.note("", self._now())

    def end(self) -> None:
        """Leave the rest to another process."""
        self._confirmations.write_notes()
        self._lease.let_go(self._now())

    def _ask(self, since: int, count: int) -> None:
        """Everything that is to be asked in one beat; of the roles as many as there is time for."""
        pace = self._pace
        deadline = self._monotonic() + pace.beat

        def may_go_on() -> bool:
            return self._monotonic() < deadline

        before = self._now() - pace.standing + pace.beat // 2
        self._ask_standings(self._offboarding.due_standings(since=since, before=before))
        self._ask_roles(self._due_roles(since, -(-count * pace.beat // pace.role)), may_go_on)
        self._lost_sessions.end(since=since, may_go_on=may_go_on)

    def _due_roles(self, since: int, share: int) -> list[Known]:
        """Whose role is asked for now: a share of everybody, which spreads them, and whoever is overdue."""
        overdue = self._now() - self._pace.role
        due = self._offboarding.due_roles(since=since, before=self._now() - self._pace.role // 2, most=share)
        if len(due) == share and due[-1].row.role_at <= overdue:
            due = self._offboarding.due_roles(since=since, before=overdue, most=MOST_AT_ONCE)
        return due

    def _ask_standings(self, people: Sequence[Known]) -> None:
        heard: list[tuple[Known, list[News]]] = []
        try:
            for start in range(0, len(people), TOGETHER):
                some = people[start : start + TOGETHER]
                standings = self._inquiries.standings([one.account for one in some])
                heard.extend((one, self._about(one, standings[one.account.id])) for one in some)
        finally:
            self._apply(heard)

    def _about(self, one: Known, standing: News) -> list[News]:
        """Whoever has left and is back is asked for the role at once, so that they need not wait."""
        if standing.standing is Standing.ENABLED and has_left(one.row):
            return [standing, self._inquiries.role(one.account)]
        return [standing]

    def _ask_roles(self, people: Iterable[Known], may_go_on: Callable[[], bool]) -> None:
        heard: list[tuple[Known, list[News]]] = []
        try:
            for one in people:
                if not may_go_on():
                    break
                heard.append((one, [self._inquiries.role(one.account)]))
        finally:
            self._apply(heard)

    def _apply(self, heard: Sequence[tuple[Known, list[News]]]) -> None:
        """What changes nothing is stored for all at once, anything else for each by itself."""
        told_rows: list[tuple[ConfirmationRow, ConfirmationRow]] = []
        for one, news in heard:
            row = reduce(told, news, one.row)
            if moves(one, row):
                self._learn(one, news)
            else:
                told_rows.append((one.row, row))
        # Remembered first: a full disk must not keep out whom the provider has just confirmed.
        self._confirmations.heard(row for _, row in told_rows)
        self._offboarding.confirm(told_rows)

    def _learn(self, one: Known, news: Sequence[News]) -> None:
        try:
            self._offboarding.learn(one.account.id, news)
        except (NotFound, CorruptRow) as error:  # deleted meanwhile, or altered: it opens for nobody
            self._log.warning("an account could not be judged", reason=str(error))

    def _miss(self, error: DavserverError) -> None:
        """What is set up wrongly is recorded at once, an outage only when it lasts."""
        self._missed += 1
        self._log.warning("nobody could be asked about", reason=str(error))
        if isinstance(error, ConfigError):
            self._lease.note(str(error), self._now())
        elif self._missed >= MISSED_BEATS:
            self._lease.note(NOT_ANSWERING, self._now())

    def _now(self) -> int:
        return to_seconds(self._clock())


class Rounder(threading.Thread):
    """Makes the rounds beside the server.

    Args:
        rounds: None where nobody is to be asked.
    """

    def __init__(self, rounds: Rounds | None) -> None:
        super().__init__(name="off-boarding", daemon=True)
        self._rounds = rounds
        self._stopping = threading.Event()
        self._log = get_logger("sealdav.accounts")

    def run(self) -> None:
        """One beat after another; one that fails is logged, and the next is another chance."""
        while self._rounds is not None:
            try:
                self._rounds.beat()
            except Exception:  # noqa: BLE001 - the thread must live on for the next beat; it is logged
                self._log.exception("a beat of off-boarding failed")
            if self._stopping.wait(self._rounds.beat_seconds):
                return

    def stop(self) -> None:
        """End after what is being asked, and leave the rest to another process."""
        self._stopping.set()
        if self.is_alive():
            self.join()
        if self._rounds is None:
            return
        try:
            self._rounds.end()
        except DavserverError:  # nothing is lost: the lease ends by itself
            self._log.exception("the lease could not be let go")
