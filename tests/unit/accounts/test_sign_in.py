"""Signing in with a password: slowed down per user and address, and only ever the first factor."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from davserver.accounts.sign_in import ADDRESS_RULE, RULE, SignIn
from davserver.accounts.throttle import Throttle
from davserver.audit import AuditEvent
from davserver.errors import AuthenticationError, NotPermitted, Throttled
from davserver.model import ROOT_ID, Account, AccountId, AuthMethod, Principal, Scope
from tests.factories import World, make_throttle, make_world

HERE = "192.0.2.1"
RIGHT = "right"


class People:
    """An identity provider with one person, whose password is `RIGHT`, and no slow hash."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def authenticate(self, username: str, password: str) -> AccountId:
        """See `IdentityProvider.authenticate`."""
        if (username.casefold(), password) != (self._account.username, RIGHT):
            raise AuthenticationError("unknown user or wrong password")
        return self._account.id


@pytest.fixture
def account(world: World) -> Account:
    """Somebody."""
    return world.accounts.create("alice")


@pytest.fixture
def sign_in(world: World, account: Account) -> SignIn:
    """The way in."""
    return make_way_in(world, account, make_throttle(world))


def make_way_in(world: World, account: Account, throttle: Throttle) -> SignIn:
    """The way in, over one process's objects."""
    people = People(account)
    return SignIn(world.database, world.keyring, people, throttle, world.clock, world.audit)


def attempt(
    sign_in: SignIn, password: str = RIGHT, *, username: str = "alice", client: str = HERE
) -> Principal:
    """Sign in from the terminal."""
    return sign_in.with_password(username, password, client=client, method=AuthMethod.TERMINAL)


def test_a_password_is_the_first_factor(world: World, account: Account, sign_in: SignIn) -> None:
    """The principal may see its vault, and nothing counts as a proof of the second factor."""
    principal = attempt(sign_in, username="ALICE")
    assert principal == Principal(account, Scope.FULL, ROOT_ID, AuthMethod.TERMINAL, world.clock())
    assert principal.totp_at is None


def test_failures_slow_down_even_the_right_password(tmp_path: Path, world: World, account: Account) -> None:
    """After five failures there is a pause, in other processes as well; waiting ends it."""
    sign_in = make_way_in(world, account, make_throttle(world))
    for _ in range(RULE.free):
        with pytest.raises(AuthenticationError):
            attempt(sign_in, "wrong")
    other = make_world(tmp_path, clock=world.clock)
    with pytest.raises(Throttled) as caught:
        attempt(make_way_in(other, account, make_throttle(other)))
    assert caught.value.retry_after == 60
    other.database.dispose()
    world.clock.advance(seconds=60)
    attempt(sign_in)


def test_nobody_locks_the_owner_out_from_elsewhere(sign_in: SignIn) -> None:
    """An attacker's failures count for the attacker's address only (T48)."""
    for _ in range(RULE.free + 5):
        with pytest.raises(AuthenticationError):
            attempt(sign_in, "wrong", client="198.51.100.66")
    attempt(sign_in)


def test_success_starts_the_count_again(sign_in: SignIn) -> None:
    """Four wrong, one right, four wrong: nobody waits."""
    for _ in range(2):
        for _ in range(RULE.free - 1):
            with pytest.raises(AuthenticationError):
                attempt(sign_in, "wrong")
        attempt(sign_in)


def test_attempts_at_once_get_no_more_than_one_by_one(sign_in: SignIn) -> None:
    """Fifty at the same time: five are looked at, the others are refused unseen."""

    def outcome(_number: int) -> type[AuthenticationError]:
        try:
            attempt(sign_in, "wrong")
        except AuthenticationError as refusal:
            return type(refusal)
        raise AssertionError("a wrong password was accepted")

    with ThreadPoolExecutor(50) as threads:
        outcomes = list(threads.map(outcome, range(50)))
    assert outcomes.count(AuthenticationError) == RULE.free
    assert outcomes.count(Throttled) == 50 - RULE.free


def test_unknown_users_are_slowed_down_alike(sign_in: SignIn) -> None:
    """The same words and the same pauses: nobody learns which names exist."""
    words = set()
    for username in ("alice", "nobody"):
        for _ in range(RULE.free):
            with pytest.raises(AuthenticationError) as caught:
                attempt(sign_in, "wrong", username=username)
            words.add((type(caught.value), str(caught.value)))
        with pytest.raises(Throttled):
            attempt(sign_in, "wrong", username=username)
    assert len(words) == 1


def test_a_suspended_account_is_told_so(world: World, sign_in: SignIn) -> None:
    """Only to whoever knows the password."""
    world.accounts.suspend("alice")
    with pytest.raises(AuthenticationError):
        attempt(sign_in, "wrong")
    with pytest.raises(NotPermitted, match="suspended"):
        attempt(sign_in)


def test_refusals_are_recorded_without_what_was_typed(world: World, sign_in: SignIn) -> None:
    """People type passwords into the field for the name: neither is kept."""
    with pytest.raises(AuthenticationError):
        attempt(sign_in, "a secret", username="another secret")
    (event,) = world.audit.of(AuditEvent.PASSWORD_REFUSED)
    assert (event.client, event.account) == (HERE, None)
    assert "secret" not in repr(world.audit.events)


def test_one_address_cannot_try_many_names(sign_in: SignIn) -> None:
    """T48: password spraying is slowed down although every name is tried once; other addresses are not."""
    for number in range(ADDRESS_RULE.free):
        with pytest.raises(AuthenticationError):
            sign_in.with_password(f"name{number}", "wrong", client=HERE, method=AuthMethod.TERMINAL)
    with pytest.raises(Throttled):
        sign_in.with_password("another", "wrong", client=HERE, method=AuthMethod.TERMINAL)
    with pytest.raises(AuthenticationError) as caught:
        sign_in.with_password("another", "wrong", client="192.0.2.8", method=AuthMethod.TERMINAL)
    assert not isinstance(caught.value, Throttled)
