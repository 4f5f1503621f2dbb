"""The wrapped directory and its traps; tests/e2e/test_keycloak.py has what a real Keycloak answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from davserver.errors import NotFound, ProviderMisconfigured, ProviderUnavailable
from davserver.identity.base import Provider
from davserver.identity.directory import BATCH, NOT_ALLOWED, PAUSE_SECONDS, STRANGE, KeycloakDirectory
from tests.fake_keycloak import CLIENT, SECRET, SUBJECT, FakeKeycloak
from tests.fakes import FrozenClock
from tests.unit.identity.conftest import Seconds
from tests.unit.identity.people_api import OURSELVES, PEOPLE, TOKEN, PeopleApi

OTHER = "6d1e0f62-0000-4000-8000-000000000002"


@pytest.fixture
def directory(fake: FakeKeycloak, seconds: Seconds) -> KeycloakDirectory:
    """It has asked nobody yet."""
    return KeycloakDirectory(fake.provider, seconds)


def test_it_hangs(fake: FakeKeycloak, directory: KeycloakDirectory) -> None:
    """One caller waits a few seconds; who comes after that is told at once, and asks nothing."""
    fake.hangs(yes=True)
    with pytest.raises(ProviderUnavailable):
        directory.find([SUBJECT])
    asked = fake.fetches.total()
    with pytest.raises(ProviderUnavailable, match="a moment ago"):
        directory.roles(SUBJECT)
    assert fake.fetches.total() == asked


def test_it_is_asked_again_after_a_pause(
    fake: FakeKeycloak, directory: KeycloakDirectory, seconds: Seconds
) -> None:
    """An outage is over when it is over."""
    fake.status = 503
    with pytest.raises(ProviderUnavailable):
        directory.find([SUBJECT])
    asked = fake.fetches.total()
    seconds.now += PAUSE_SECONDS
    with pytest.raises(ProviderUnavailable):
        directory.find([SUBJECT])
    assert fake.fetches.total() > asked


def test_an_issuer_that_is_no_realm() -> None:
    """It could not be asked about people."""
    with pytest.raises(ProviderMisconfigured, match="/realms/"):
        KeycloakDirectory(Provider("https://id.example.test", CLIENT, SECRET))


# ── people ──────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def api() -> Iterator[PeopleApi]:
    """Somebody is there who is enabled, and somebody who is not."""
    with PeopleApi(FrozenClock()) as made:
        made.add(SUBJECT)
        made.add(OTHER, enabled=False)
        yield made


@pytest.fixture
def people(api: PeopleApi) -> KeycloakDirectory:
    """The directory of them."""
    return KeycloakDirectory(api.provider)


def found(people: KeycloakDirectory, *subjects: str) -> dict[str, bool]:
    """Who is there, and whether enabled."""
    return {subject: one.enabled for subject, one in people.find(subjects).items()}


def test_many_are_asked_for_at_once(api: PeopleApi, people: KeycloakDirectory) -> None:
    """One request for so many; whoever is gone is looked for once more, by themselves."""
    gone = "6d1e0f62-0000-4000-8000-00000000dead"
    assert found(people, SUBJECT, OTHER, gone) == {SUBJECT: True, OTHER: False}
    assert api.paths == [TOKEN, PEOPLE, f"{PEOPLE}/{gone}", f"{PEOPLE}/{OURSELVES}"]
    api.paths.clear()
    assert found(people) == {}
    many = [f"6d1e0f62-0000-4000-8000-{number:012}" for number in range(100, 100 + BATCH + 1)]
    for one in many:
        api.add(one)
    assert found(people, *many) == dict.fromkeys(many, True)
    assert api.paths == [PEOPLE, PEOPLE]


def test_somebody_left_out_of_an_answer_is_not_deleted(api: PeopleApi, people: KeycloakDirectory) -> None:
    """Asked for by themselves they are there."""
    api.hidden = {SUBJECT, OTHER}
    assert found(people, SUBJECT, OTHER) == {SUBJECT: True, OTHER: False}


def test_without_the_role_nobody_is_deleted(api: PeopleApi, people: KeycloakDirectory) -> None:
    """Keycloak answers that nobody exists: but we do."""
    api.hidden = {SUBJECT, OTHER, OURSELVES}
    with pytest.raises(ProviderMisconfigured, match=NOT_ALLOWED):
        people.find([SUBJECT])


def test_somebody_who_may_not_be_asked_for_is_not_deleted(api: PeopleApi, people: KeycloakDirectory) -> None:
    """Rights that reach a part of the people only."""
    api.hidden, api.forbidden = {SUBJECT}, {SUBJECT}
    with pytest.raises(ProviderMisconfigured, match=NOT_ALLOWED):
        people.find([SUBJECT])


def test_a_realm_that_vanishes_deletes_nobody(api: PeopleApi, people: KeycloakDirectory) -> None:
    """In the middle of a question, and before it."""
    api.hidden = {SUBJECT}
    for subject in (SUBJECT, OURSELVES):
        api.answers[f"{PEOPLE}/{subject}"] = 404, {"error": "Realm not found."}
    with pytest.raises(ProviderMisconfigured, match=STRANGE):
        people.find([SUBJECT])
    api.answers = {PEOPLE: (404, {"error": "Realm not found."})}
    with pytest.raises(ProviderMisconfigured, match=STRANGE):
        people.find([SUBJECT])
    api.answers = {TOKEN: (404, {"error": "Realm does not exist"})}
    with pytest.raises(ProviderMisconfigured, match=STRANGE):
        KeycloakDirectory(api.provider).find([SUBJECT])


@pytest.mark.parametrize(
    "subject", ["", "../users/count", "a b", "a/b", "a?b", "a#b", "..", ".", "ä", "a\nb", "x" * 256]
)
def test_what_is_no_subject_is_not_asked_for(api: PeopleApi, people: KeycloakDirectory, subject: str) -> None:
    """It would get into an address. Nobody is called like that."""
    assert people.find([subject, SUBJECT]).keys() == {SUBJECT}
    for question in (people.roles, people.sessions, people.password_set_at):
        with pytest.raises(NotFound):
            question(subject)
    assert set(api.paths) <= {TOKEN, PEOPLE}


def test_a_subject_of_another_directory(api: PeopleApi, people: KeycloakDirectory) -> None:
    """Keycloak makes it of that directory's own names."""
    subject = "f:6d1e0f62:john.doe+x@example.test"
    api.add(subject)
    assert found(people, subject) == {subject: True}
    assert people.roles(subject) == frozenset()
    assert f"{PEOPLE}/{subject}/role-mappings/realm/composite" in api.paths


def test_roles_sessions_and_passwords(api: PeopleApi, people: KeycloakDirectory) -> None:
    """By name, by id, and the newest password; credentials of other kinds are none."""
    api.people[SUBJECT] |= {
        "role-mappings/realm/composite": [{"name": "dav-user"}, {"name": "other"}],
        "sessions": [{"id": "one"}, {"id": "two"}],
        "credentials": [
            {"type": "password", "createdDate": 1000},
            {"type": "password", "createdDate": 3000},
            {"type": "otp", "createdDate": 9000},
        ],
    }
    assert people.roles(SUBJECT) == {"dav-user", "other"}
    assert people.sessions(SUBJECT) == {"one", "two"}
    assert people.password_set_at(SUBJECT) == 3000
    assert people.password_set_at(OTHER) == 0
    for question in (people.roles, people.sessions, people.password_set_at):
        with pytest.raises(NotFound):
            question("6d1e0f62-0000-4000-8000-00000000dead")


@pytest.mark.parametrize("answer", [{}, [1], [{}], [{"id": 1, "username": "a"}], "text", None, 5])
def test_an_answer_that_is_none(api: PeopleApi, people: KeycloakDirectory, answer: object) -> None:
    """Of a proxy, or of something that is no Keycloak: told as that, and nothing is concluded."""
    api.hidden = {SUBJECT}
    one = f"{PEOPLE}/{SUBJECT}"
    questions: dict[str, Callable[[], object]] = {
        PEOPLE: lambda: people.find([SUBJECT]),
        one: lambda: people.find([SUBJECT]),
        f"{one}/role-mappings/realm/composite": lambda: people.roles(SUBJECT),
        f"{one}/sessions": lambda: people.sessions(SUBJECT),
        f"{one}/credentials": lambda: people.password_set_at(SUBJECT),
    }
    for path, question in questions.items():
        api.answers = {path: (200, answer)}
        with pytest.raises(ProviderMisconfigured, match=STRANGE):
            question()


def test_a_password_of_no_moment(api: PeopleApi, people: KeycloakDirectory) -> None:
    """Nothing is concluded from it."""
    api.people[SUBJECT]["credentials"] = [{"type": "password", "createdDate": "today"}]
    with pytest.raises(ProviderMisconfigured, match=STRANGE):
        people.password_set_at(SUBJECT)


def test_an_answer_in_html(api: PeopleApi, people: KeycloakDirectory) -> None:
    """A page of a proxy."""
    people.find([SUBJECT])
    api.body = b"<!doctype html><title>Sign in</title>"
    for question in (lambda: people.find([SUBJECT]), lambda: people.roles(SUBJECT)):
        with pytest.raises(ProviderMisconfigured, match=STRANGE):
            question()


@pytest.mark.parametrize(("status", "words"), [(401, "check its secret"), (403, "view-users")])
def test_a_client_that_is_not_let_in(
    api: PeopleApi, people: KeycloakDirectory, status: int, words: str
) -> None:
    """A secret that was made anew, a service account without its role: said as what it is."""
    api.answers = {TOKEN: (status, {"error": "no"})} if status == 401 else {PEOPLE: (status, {"error": "no"})}
    with pytest.raises(ProviderMisconfigured, match=words):
        people.find([SUBJECT])
