"""Where whoever has to be asked about before anything is served waits for the identity provider's answer.

One question is under way at a time, and it is about everybody who waits. Few wait for it: the others are told
to come back soon, and are asked about all the same, so that the answer is there by then. While the provider
does not answer nobody waits at all. Called by `confirmations`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass

from davserver.accounts.offboarding import Known
from davserver.audit import get_logger
from davserver.errors import ConfigError, DavserverError, ProviderUnavailable, Unconfirmed
from davserver.model import Account, AccountId

Answer = Known | DavserverError
"""What is known of somebody, or why that cannot be told."""

Ask = Callable[[Sequence[Account]], Mapping[AccountId, Answer]]
"""`Inquiries.about`."""

TOGETHER = 20
"""How many people one question is about. Each of them is a request to the provider, and those who wait for
the question after it must still get an answer in time."""

MAX_WAITING = 8
"""How many threads wait; the server needs the others for whoever has been confirmed."""

MAX_LISTED = 2000
"""How many people are listed to be asked about."""

WAIT_SECONDS = 4.0
"""How long a thread waits: a little longer than an answer may take."""

PAUSE_SECONDS = 5
"""After a failure nothing is asked for so long."""

SOON_SECONDS = 2
"""When those come back who are asked about without being waited for."""


@dataclass(slots=True, eq=False)
class _Ticket:
    """Somebody who is asked about."""

    account: Account
    answer: Answer | None = None


class Desk:
    """The queue before the provider.

    Args:
        ask: puts the question.
        monotonic: seconds since some moment.
        step_aside: called before anything is waited for.
    """

    def __init__(
        self, ask: Ask, monotonic: Callable[[], float], step_aside: Callable[[], None] = lambda: None
    ) -> None:
        self._step_aside = step_aside
        self._ask = ask
        self._monotonic = monotonic
        self._listed: dict[AccountId, _Ticket] = {}
        self._lock = threading.Lock()
        self._busy = threading.Lock()
        self._waiting = threading.BoundedSemaphore(MAX_WAITING)
        self._down_until = float("-inf")
        self._log = get_logger("sealdav.accounts")

    def ask(self, account: Account) -> Known:
        """What the provider says of an account's owner at this moment.

        Raises:
            Unconfirmed: it does not answer, or others are asked about first.
            NotFound: the account is gone.
            CorruptRow: one of its rows was altered.
        """
        ticket = self._list(account)
        if not self._waiting.acquire(blocking=False):
            raise Unconfirmed(SOON_SECONDS)
        self._step_aside()
        try:
            deadline = self._monotonic() + WAIT_SECONDS
            while ticket.answer is None:
                self._next(ticket, deadline)
        finally:
            self._waiting.release()
        if isinstance(ticket.answer, Known):
            return ticket.answer
        raise _once_more(ticket.answer)

    def _list(self, account: Account) -> _Ticket:
        """The ticket of somebody; one that is there already is joined."""
        with self._lock:
            if self._monotonic() < self._down_until:
                raise Unconfirmed(PAUSE_SECONDS)
            ticket = self._listed.get(account.id)
            if ticket is None:
                if len(self._listed) >= MAX_LISTED:
                    raise Unconfirmed(SOON_SECONDS)
                ticket = self._listed[account.id] = _Ticket(account)
        return ticket

    def _next(self, ticket: _Ticket, deadline: float) -> None:
        """Put the next question, or wait for the one that somebody else has put."""
        if not self._busy.acquire(timeout=max(0.0, deadline - self._monotonic())):
            raise Unconfirmed(SOON_SECONDS)
        try:
            if ticket.answer is None:
                self._serve(self._take(ticket))
        finally:
            self._busy.release()

    def _take(self, first: _Ticket) -> list[_Ticket]:
        """Those whom the next question is about; who asks is among them."""
        with self._lock:
            others = [one for one in self._listed.values() if one is not first]
        return [first, *others[: TOGETHER - 1]]

    def _serve(self, tickets: Sequence[_Ticket]) -> None:
        try:
            answers = self._ask([one.account for one in tickets])
        except (ProviderUnavailable, ConfigError) as error:
            self._log.warning("nobody could be confirmed", reason=str(error))
            with self._lock:
                self._down_until = self._monotonic() + PAUSE_SECONDS
                self._settle(tuple(self._listed.values()), {}, Unconfirmed(PAUSE_SECONDS))
        except BaseException:
            with self._lock:
                self._settle(tickets, {}, Unconfirmed(SOON_SECONDS))
            raise
        else:
            with self._lock:
                self._settle(tickets, answers, Unconfirmed(SOON_SECONDS))

    def _settle(
        self, tickets: Iterable[_Ticket], answers: Mapping[AccountId, Answer], otherwise: DavserverError
    ) -> None:
        for one in tickets:
            one.answer = answers.get(one.account.id, otherwise)
            self._listed.pop(one.account.id, None)


def _once_more(error: DavserverError) -> DavserverError:
    """A copy: raised again and again by many threads, one object would collect all their tracebacks."""
    return copy(error)
