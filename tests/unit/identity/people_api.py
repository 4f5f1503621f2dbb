"""A small Keycloak that also answers about its people, as its administration does, and lies when told to."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fake_keycloak import FakeKeycloak

OURSELVES = "6d1e0f62-0000-4000-8000-000000000001"
"""Our service account's own subject."""

PEOPLE = "/admin/realms/test/users"
TOKEN = "/realms/test/protocol/openid-connect/token"


@dataclass
class PeopleApi(FakeKeycloak):
    """Beside the rest: people.

    Attributes:
        people: what it answers of whom; our service account is among them.
        hidden: who is left out of answers about many.
        forbidden: who may not be asked for by themselves.
        answers: what it says instead of anything else, by path.
        paths: what was asked, decoded.
    """

    people: dict[str, dict[str, object]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    forbidden: set[str] = field(default_factory=set)
    answers: dict[str, tuple[int, object]] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Nobody is there but ourselves."""
        super().__post_init__()
        self.add(OURSELVES)

    def add(self, subject: str, *, enabled: bool = True) -> None:
        """One more."""
        self.people[subject] = {"id": subject, "username": f"user-{subject[:4]}", "enabled": enabled}

    def _answer_to(self, path: str, body: str) -> tuple[int, object]:
        place = unquote(urlsplit(path).path)
        self.paths.append(place)
        if self.status == 200 and place in self.answers:
            return self.answers[place]
        if self.status == 200 and place == TOKEN:
            token = self.sign(self.access_claims(sub=OURSELVES))
            return 200, {"access_token": token, "expires_in": 300, "token_type": "Bearer"}
        if self.status == 200 and place == PEOPLE:
            wanted = parse_qs(urlsplit(path).query)["search"][0].removeprefix("id:").split()
            return 200, [self.people[one] for one in wanted if one in self.people and one not in self.hidden]
        if self.status == 200 and place.startswith(f"{PEOPLE}/"):
            return self._one(*place.removeprefix(f"{PEOPLE}/").split("/", 1))
        return super()._answer_to(path, body)

    def _one(self, subject: str, question: str = "") -> tuple[int, object]:
        if subject in self.forbidden:
            return 403, {"error": "HTTP 403 Forbidden"}
        if subject not in self.people:
            return 404, {"error": "User not found"}
        return 200, self.people[subject].get(question, []) if question else self.people[subject]
