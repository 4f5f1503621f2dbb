"""Documents of the provider: bounded, and told apart when they are wrong."""

from __future__ import annotations

import threading

import pytest

from davserver.errors import ProviderMisconfigured, ProviderUnavailable, SignInStale
from davserver.identity.fetching import MAX_ANSWER_BYTES, Patience, get_json
from tests.fake_keycloak import DISCOVERY, FakeKeycloak


def url(fake: FakeKeycloak) -> str:
    """An address that answers."""
    return fake.issuer.removesuffix("/realms/test") + DISCOVERY


def test_a_document(fake: FakeKeycloak) -> None:
    """What is there is read."""
    assert get_json(url(fake), "")["issuer"] == fake.issuer


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b"\xff", b'{"a": "' + b"x" * MAX_ANSWER_BYTES]
)
def test_answers_that_are_no_document(fake: FakeKeycloak, body: bytes) -> None:
    """Another kind of server, or one that would fill the memory."""
    fake.body = body
    with pytest.raises(ProviderMisconfigured, match=r"identity\.issuer"):
        get_json(url(fake), "")


def test_a_redirect_is_not_followed(fake: FakeKeycloak) -> None:
    """Keys come from the configured address or not at all."""
    fake.status = 302
    with pytest.raises(ProviderMisconfigured, match="302"):
        get_json(url(fake), "")
    assert fake.fetches.total() == 1


def test_trouble(fake: FakeKeycloak) -> None:
    """It may be over soon."""
    fake.status = 502
    with pytest.raises(ProviderUnavailable, match="502"):
        get_json(url(fake), "")


def test_a_question_that_fails_fails_where_it_is_waited_for() -> None:
    """And its place is free again, for the next one."""
    patience = Patience(1)

    def fail() -> str:
        raise SignInStale("used before")

    for _ in range(3):
        with pytest.raises(SignInStale, match="used before"):
            patience.ask(fail)
    assert patience.ask(lambda: "answer") == "answer"


def test_without_a_thread_nothing_is_asked_and_no_place_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that can start no more threads the caller is told at once."""
    patience = Patience(1)

    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", start)
        for _ in range(2):
            with pytest.raises(ProviderUnavailable, match="too much is going on"):
                patience.ask(lambda: "answer")
    assert patience.ask(lambda: "answer") == "answer"
