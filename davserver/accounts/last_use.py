"""When and from where an app password was last used: a note for its owner, kept off the request's path.

It must never slow a request down nor refuse one: a note that cannot be kept is lost. Written at most once a
minute for each app password. Called by `authenticator.py`; `bootstrap` closes it.
"""

from __future__ import annotations

import queue
import re
import threading
from collections import OrderedDict, deque
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Protocol

from davserver.accounts.clients import client_neighbourhood
from davserver.audit import AuditEvent, AuditSink, get_logger
from davserver.db.engine import Database, Transaction
from davserver.errors import DavserverError

NOTE_EVERY_S = 60
"""Seconds between two notes about the same app password."""

QUEUE_LENGTH = 1024
"""Notes that may wait for the writer; more are lost."""

REMEMBERED = 10_000
"""App passwords whose last note is remembered to save asking the database."""

NETWORKS_KNOWN = 16
"""Networks of a device that are remembered: home, work and the train are told once each, not every day."""

MOVES_TOLD = 3
"""How many new networks of a device are told within `MOVES_WINDOW_S`; nobody reads more mails than that."""

MOVES_WINDOW_S = 24 * 3600
"""Seconds of a day."""

MAX_CLIENT_CHARS = 64
MAX_AGENT_CHARS = 200
"""What the columns hold."""


_UNPRINTABLE = re.compile("[^ -~]")


@dataclass(frozen=True, slots=True)
class Use:
    """One use of an app password at `now` (Unix seconds), by a program that calls itself `agent`."""

    app_id: str
    now: int
    client: str
    agent: str = ""


class UseNotes(Protocol):
    """Where uses are noted."""

    def note(self, use: Use) -> None:
        """Keep a note; returns at once and never raises."""
        ...


@dataclass(slots=True)
class _Travels:
    """Where one device has been, as far as this process knows, and when that was told."""

    networks: deque[str] = field(default_factory=lambda: deque(maxlen=NETWORKS_KNOWN))
    told: deque[int] = field(default_factory=lambda: deque(maxlen=MOVES_TOLD))

    def is_news(self, before: object, use: Use) -> bool:
        """Whether a use is to be told. The last one was `before`, a note that nobody vouches for."""
        if not isinstance(before, str):  # it is the first use, or was altered
            return False
        if not self.networks:
            self.networks.append(client_neighbourhood(before))
        now = client_neighbourhood(use.client)
        if now in self.networks:
            self.networks.remove(now)  # and to the end: the one unseen for longest is forgotten
            self.networks.append(now)
            return False
        self.networks.append(now)
        if len(self.told) == MOVES_TOLD and use.now - self.told[0] < MOVES_WINDOW_S:
            return False
        self.told.append(use.now)
        return True


class UseWriter:
    """Writes notes to the database, in the caller's thread. Belongs to one thread.

    Args:
        audit: hears of uses from networks that are new; None: nobody does.
    """

    def __init__(self, database: Database, audit: AuditSink | None = None) -> None:
        self._database = database
        self._audit = audit
        self._travels: OrderedDict[str, _Travels] = OrderedDict()

    def note(self, use: Use) -> None:
        """See `UseNotes.note`; what keeps it from being written is logged and costs this note, no more."""
        travels = deepcopy(self._travels.get(use.app_id, _Travels()))
        try:
            with self._database.write() as tx:
                before = tx.credentials.with_account(use.app_id)
                tx.credentials.record_use(
                    use.app_id,
                    now=use.now,
                    client=use.client[:MAX_CLIENT_CHARS],
                    agent=_UNPRINTABLE.sub("?", use.agent)[:MAX_AGENT_CHARS],
                )
                if before is not None and travels.is_news(before[0].last_used_from, use):
                    self._record_move(tx, before[1].username, use)
                tx.commit()
        except DavserverError:
            get_logger("sealdav.accounts").warning("last use not noted", credential=use.app_id)
            return
        self._remember(use.app_id, travels)

    def _record_move(self, tx: Transaction, username: str, use: Use) -> None:
        if self._audit is not None:
            self._audit.record(
                AuditEvent.APP_PASSWORD_MOVED,
                account=username,
                credential=use.app_id,
                client=use.client,
                tx=tx,
            )

    def _remember(self, app_id: str, travels: _Travels) -> None:
        """Only now that it is durable: what was not written was not told either."""
        self._travels[app_id] = travels
        self._travels.move_to_end(app_id)
        if len(self._travels) > REMEMBERED:
            self._travels.popitem(last=False)


class BackgroundNotes:
    """Hands notes to a thread that writes them, unless there was one from there in the last minute."""

    def __init__(self, writer: UseNotes) -> None:
        self._writer = writer
        self._last: dict[str, Use] = {}
        self._lock = threading.Lock()
        self._waiting: queue.Queue[Use | None] = queue.Queue(QUEUE_LENGTH)
        self._thread = threading.Thread(target=self._run, name="last-use", daemon=True)
        self._thread.start()

    def note(self, use: Use) -> None:
        """See `UseNotes.note`."""
        with self._lock:
            last = self._last.get(use.app_id)
            if last is not None and use.now - last.now < NOTE_EVERY_S and use.client == last.client:
                return
            try:
                self._waiting.put_nowait(use)
            except queue.Full:
                return
            if len(self._last) >= REMEMBERED:
                self._last.clear()
            self._last[use.app_id] = use

    def close(self) -> None:
        """Write what is waiting and end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (use := self._waiting.get()) is not None:
            self._writer.note(use)
