"""An identity provider's registry that a test fills, breaks and asks what it was asked."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from davserver.errors import NotFound, ProviderMisconfigured, ProviderUnavailable
from davserver.identity.base import ROLE_USER, Person


@dataclass
class Entry:
    """Somebody in it."""

    enabled: bool = True
    roles: set[str] = field(default_factory=lambda: {ROLE_USER})
    sessions: set[str] = field(default_factory=set)
    password_at: int = 1000


@dataclass
class FakeRegistry:
    """See `davserver.identity.base.Registry`.

    Attributes:
        people: by subject.
        known: who else is there, with the role and nothing more.
        asked: how often each question was put, and about how many people `find` was.
        batches: the subjects of each `find`.
        error: what every question raises instead of an answer.
        before: called before each answer, outside of any lock: the world may change there.
    """

    people: dict[str, Entry] = field(default_factory=dict)
    known: Callable[[str], bool] = lambda _subject: False
    asked: Counter[str] = field(default_factory=Counter)
    batches: list[tuple[str, ...]] = field(default_factory=list)
    error: Exception | None = None
    before: Callable[[str], None] = lambda _question: None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # ── what happens there
    def is_down(self) -> None:
        """It does not answer any more."""
        self.error = ProviderUnavailable("no answer")

    def forbids(self) -> None:
        """Our service account has lost its role."""
        self.error = ProviderMisconfigured("the role is gone")

    def is_back(self) -> None:
        """It answers again."""
        self.error = None

    # ── questions
    def find(self, subjects: Collection[str]) -> dict[str, Person]:
        """See `Directory.find`."""
        self._put("find")
        self.batches.append(tuple(subjects))
        found = {one: self._entry(one) for one in subjects if self._is_there(one)}
        return {subject: Person(subject, subject, entry.enabled) for subject, entry in found.items()}

    def roles(self, subject: str) -> frozenset[str]:
        """See `Registry.roles`."""
        return frozenset(self._one("roles", subject).roles)

    def sessions(self, subject: str) -> frozenset[str]:
        """See `Registry.sessions`."""
        return frozenset(self._one("sessions", subject).sessions)

    def password_set_at(self, subject: str) -> int:
        """See `Registry.password_set_at`."""
        return self._one("password", subject).password_at

    def _one(self, question: str, subject: str) -> Entry:
        self._put(question)
        if not self._is_there(subject):
            raise NotFound("nobody")
        return self._entry(subject)

    def _is_there(self, subject: str) -> bool:
        return subject in self.people or self.known(subject)

    def _entry(self, subject: str) -> Entry:
        return self.people.get(subject) or Entry()

    def _put(self, question: str) -> None:
        with self._lock:
            self.asked[question] += 1
        self.before(question)
        if self.error is not None:
            raise self.error
