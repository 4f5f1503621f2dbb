"""A store whose people an identity provider knows: its processes, its accounts, and what opens them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from davserver.accounts.authenticator import Authenticator
from davserver.accounts.confirmations import Confirmations
from davserver.accounts.desk import Desk
from davserver.accounts.inquiries import Inquiries
from davserver.accounts.last_use import UseWriter
from davserver.accounts.lease import Lease
from davserver.accounts.lost_sessions import LostSessions
from davserver.accounts.offboarding import Offboarding
from davserver.accounts.rounds import LEASE_BEATS, Pace, Rounds
from davserver.accounts.sessions import Sessions
from davserver.model import Account, AccountState, Principal
from tests.factories import World, make_app_password, make_provider_sessions, make_world
from tests.fake_registry import Entry, FakeRegistry

CONFIRM, POLL = 55, 15
"""The settings' defaults."""

ADDRESS = "192.0.2.1"


@dataclass
class Company:
    """One process on the store, as `bootstrap` builds it.

    Attributes:
        suspends: devices wait after a new password.
        tokens: app passwords by user name.
    """

    world: World
    registry: FakeRegistry
    suspends: bool = False
    tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Build what lets people in."""
        world, seconds = self.world, self.seconds
        sessions = make_provider_sessions(world)
        self.offboarding = Offboarding(world.database, world.keyring, sessions, world.audit)
        inquiries = Inquiries(self.registry, self.offboarding, world.clock, passwords=self.suspends)
        self.confirmations = Confirmations(
            world.database,
            self.offboarding,
            inquiries,
            Desk(inquiries.about, seconds),
            world.clock,
            confirm_seconds=CONFIRM,
            suspends=self.suspends,
        )
        pace = Pace.of(poll_seconds=POLL, confirm_seconds=CONFIRM)
        self.lost_sessions = LostSessions(
            world.database, world.keyring, self.registry, sessions, world.clock, world.audit, CONFIRM
        )
        self.lease = Lease(world.database, world.audit, LEASE_BEATS * pace.beat)
        self.rounds = Rounds(
            self.offboarding,
            inquiries,
            self.confirmations,
            self.lost_sessions,
            self.lease,
            world.clock,
            pace,
            seconds,
        )
        self.authenticator = Authenticator(
            world.database,
            world.keyring,
            world.clock,
            world.audit,
            UseWriter(world.database),
            self.confirmations,
        )
        self.sessions = Sessions(
            world.database, world.keyring, world.clock, world.audit, sessions, gate=self.confirmations
        )

    def seconds(self) -> float:
        """A stopwatch that goes with the clock."""
        return self.world.clock.now.timestamp()

    def other_process(self, folder: Path) -> Company:
        """Another process on the same store, at the same time."""
        world = make_world(folder, clock=self.world.clock)
        return Company(world, self.registry, self.suspends, self.tokens)

    def hire(self, name: str) -> Account:
        """Somebody whom the provider knows, with an account and a device."""
        self.registry.people[f"sub-{name}"] = Entry()
        account = self.world.accounts.create(name, f"sub-{name}")
        self.tokens[name] = make_app_password(self.world, account).token
        return account

    def entry(self, name: str) -> Entry:
        """Somebody's entry at the provider."""
        return self.registry.people[f"sub-{name}"]

    def fire(self, name: str) -> None:
        """Delete somebody at the provider."""
        del self.registry.people[f"sub-{name}"]

    def enter(self, name: str) -> Principal:
        """A request of somebody's device."""
        return self.authenticator.authenticate(name, self.tokens[name], ADDRESS)

    def state(self, name: str) -> AccountState:
        """The state of an account."""
        return self.world.accounts.find(name).state

    def beats(self, seconds: float) -> None:
        """Let so much time go by, with a beat of the rounds every few seconds."""
        beat = self.rounds.beat_seconds
        for _ in range(round(seconds / beat)):
            self.world.clock.advance(seconds=beat)
            self.rounds.beat()
