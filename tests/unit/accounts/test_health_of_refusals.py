"""What a device is refused for is noted for its owner; of what is no app password, only that it came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from davserver.accounts.authenticator import Authenticator
from davserver.accounts.gate import Gate, OpenGate
from davserver.accounts.health import Sign, Trouble
from davserver.crypto import tokens
from davserver.db.reads import Reads
from davserver.errors import AuthenticationError, Unconfirmed
from davserver.model import Account, AccountId, AccountState
from tests.factories import World, make_app_password
from tests.fakes import START
from tests.unit.accounts.test_authenticator import (
    HERE,
    MALFORMED,
    Case,
    Notes,
    elsewhere,
    expired,
    revoked,
    somebody_else,
    statements,
    suspended,
    unknown,
    wrong,
    wrong_secret,
)

Noted = tuple[AccountId, str, Sign | Trouble]


@dataclass
class Remembered:
    """Remembers notes in memory."""

    notes: list[Noted] = field(default_factory=list)
    moments: list[int] = field(default_factory=list)
    attempts: list[tuple[str, str | None, int]] = field(default_factory=list)

    def note(self, account_id: AccountId, device: str, what: Sign | Trouble, now: int) -> bool:
        """See `HealthNotes.note`."""
        self.notes.append((account_id, device, what))
        self.moments.append(now)
        return True

    def note_attempt(self, username: str, app_id: str | None, now: int) -> None:
        """See `HealthNotes.note_attempt`."""
        self.attempts.append((username, app_id, now))


class Shut(OpenGate):
    """A gate that lets nobody in, each time in the same way."""

    def __init__(self, outcome: Exception | AccountState) -> None:
        self._outcome = outcome

    def admit(self, account: Account, reads: Reads | None = None) -> Account:  # noqa: ARG002 - as `Gate`
        """See `Gate.admit`."""
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return Account(
            **{name: getattr(account, name) for name in account.__slots__} | {"state": self._outcome}
        )


@pytest.fixture
def account(world: World) -> Account:
    """Somebody."""
    return world.accounts.create("alice")


@pytest.fixture
def token(world: World, account: Account) -> str:
    """An app password of hers."""
    return make_app_password(world, account).token


@pytest.fixture
def noted() -> Remembered:
    """What is noted."""
    return Remembered()


def door(world: World, noted: Remembered, gate: Gate | None = None) -> Authenticator:
    """The check of app passwords, with notes in memory."""
    return Authenticator(world.database, world.keyring, world.clock, world.audit, Notes(), gate, noted)


@pytest.mark.parametrize(
    ("case", "trouble"),
    [
        (wrong, Trouble.WRONG_SECRET),
        (expired, Trouble.EXPIRED),
        (revoked, Trouble.REVOKED),
        (suspended, Trouble.SUSPENDED),
        (somebody_else, Trouble.WRONG_NAME),
        (elsewhere, Trouble.OTHER_NETWORK),
    ],
)
def test_each_refusal_has_its_reason(
    world: World, token: str, noted: Remembered, case: Case, trouble: Trouble
) -> None:
    """Of the device and the account that the app password belongs to, whatever name was given."""
    username, secret, client = case(world, token)
    with pytest.raises(AuthenticationError):
        door(world, noted).authenticate(username, secret, client)
    alice = world.accounts.find("alice")
    assert noted.notes == [(alice.id, tokens.parse(secret).id, trouble)]
    assert noted.moments == [int(world.clock().timestamp())]


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("username", ["alice", "ALICE", "nobody-of-this-name", ""])
def test_of_what_is_no_app_password_only_the_attempt_is_noted(
    world: World, token: str, noted: Remembered, username: str
) -> None:
    """Whose the name is, the door does not ask; of what came as an app password it hands nothing on."""
    _, made_up, client = unknown(world, token)
    attempts = [made_up, token[4:], token[:8], "x" + token, *MALFORMED]
    now = int(world.clock().timestamp())
    for secret in attempts:
        with statements(world) as sent, pytest.raises(AuthenticationError):
            door(world, noted).authenticate(username, secret, client)
        asked = [one.split()[0] for one in sent if not one.startswith("INSERT INTO audit")]
        assert ("SELECT" in asked) == (secret == made_up)
    assert noted.notes == []
    assert {(name, at) for name, _, at in noted.attempts} == {(username, now)}
    assert len(noted.attempts) == len(attempts)
    assert noted.attempts[:4] == [(username, None, now)] * 4


@pytest.mark.parametrize("spoilt", [-1, -6, -12, 30, 15])
def test_what_is_left_of_an_app_password_still_names_it(
    world: World, token: str, noted: Remembered, spoilt: int
) -> None:
    """Cut off, or with one character mistyped: the id that it begins with is public, and is handed on."""
    other = "y" if token[spoilt] != "y" else "z"
    mistyped = token[:spoilt] + other + token[spoilt:][1:]
    for secret in (token[:spoilt], mistyped, f" {token[:spoilt].upper()} "):
        with pytest.raises(AuthenticationError):
            door(world, noted).authenticate("alice", secret, HERE)
    now = int(world.clock().timestamp())
    assert noted.attempts == [("alice", tokens.parse(token).id, now)] * 3
    assert noted.notes == []


@pytest.mark.parametrize("also", [expired, suspended])
def test_who_does_not_know_the_secret_is_told_nothing_else(
    world: World, token: str, noted: Remembered, also: Callable[[World, str], object]
) -> None:
    """The owner reads that it was another secret, not that the device itself was here after its end."""
    also(world, token)
    with pytest.raises(AuthenticationError):
        door(world, noted).authenticate("alice", wrong_secret(token), HERE)
    assert [what for _, _, what in noted.notes] == [Trouble.WRONG_SECRET]


@pytest.mark.parametrize(
    ("outcome", "trouble"),
    [
        (AuthenticationError("gone"), Trouble.LEFT),
        (AccountState.OFFBOARDED, Trouble.LEFT),
        (AccountState.SUSPENDED, Trouble.SUSPENDED),
        (Unconfirmed(5), Trouble.UNCONFIRMED),
    ],
)
def test_what_the_identity_provider_says_is_a_reason_too(
    world: World, token: str, noted: Remembered, outcome: Exception | AccountState, trouble: Trouble
) -> None:
    """That the owner has left, or that nobody can tell; the answer is what it was."""
    kind = Unconfirmed if isinstance(outcome, Unconfirmed) else AuthenticationError
    with pytest.raises(kind):
        door(world, noted, Shut(outcome)).authenticate("alice", token, HERE)
    assert [what for _, _, what in noted.notes] == [trouble]


def test_a_device_that_is_let_in_is_no_trouble(world: World, token: str, noted: Remembered) -> None:
    """What it does is the door's to note."""
    door(world, noted).authenticate("alice", token, HERE)
    assert noted.notes == []
    assert world.clock() == START
