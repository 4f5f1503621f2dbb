"""Accounts of people who sign in at the identity provider: they hang on the subject, never on a name."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from davserver.audit import PROVIDER, AuditEvent
from davserver.errors import AlreadyExists, InvalidValue, NotFound, NotPermitted
from davserver.identity.base import Identity
from tests.factories import World, make_identity

ALICE = Identity(
    subject="1b4e28ba-2fa1-11d2-883f-0016d3cca427",
    username="Alice",
    name="Alice Example",
    email="alice@example.test",
    roles=frozenset({"dav-user"}),
    quota=1000,
    sid="s",
    id_token="a.b.c",
    auth_time=0,
)


def test_the_first_sign_in_makes_the_account(world: World) -> None:
    """With the quota that the provider says, and audited."""
    account = world.accounts.provision(ALICE)
    assert (account.subject, account.username, account.quota) == (ALICE.subject, "alice", 1000)
    assert [one.account for one in world.audit.of(AuditEvent.ACCOUNT_CREATED)] == ["alice"]


def test_later_ones_find_it(world: World) -> None:
    """Whatever the person is called by then; a quota that is not said stays."""
    made = world.accounts.provision(ALICE)
    found = world.accounts.provision(replace(ALICE, username="alice.married", quota=None))
    assert (found.id, found.username, found.quota) == (made.id, "alice", 1000)
    assert world.accounts.find_subject(ALICE.subject) == found


def test_a_new_quota_is_taken_over(world: World) -> None:
    """At the next sign-in, and audited as the provider's word: with the account, and once for each change."""
    world.accounts.provision(ALICE)
    assert world.accounts.provision(replace(ALICE, quota=5)).quota == 5
    assert world.accounts.provision(replace(ALICE, quota=5)).quota == 5
    said = [(one.actor, one.reason) for one in world.audit.of(AuditEvent.QUOTA_CHANGED)]
    assert said == [(PROVIDER, "from no limit to 1000 bytes"), (PROVIDER, "from 1000 bytes to 5 bytes")]


def test_a_name_that_is_taken(world: World) -> None:
    """Somebody of the same name gets nothing of the account, and the message says what to do."""
    world.accounts.create("alice")
    with pytest.raises(AlreadyExists, match="administrator"):
        world.accounts.provision(ALICE)
    with pytest.raises(NotFound):
        world.accounts.find_subject(ALICE.subject)


def test_a_person_made_anew_is_another_person(world: World) -> None:
    """Deleted and created again at Keycloak: a new subject, which does not get the old files."""
    world.accounts.provision(ALICE)
    with pytest.raises(AlreadyExists):
        world.accounts.provision(replace(ALICE, subject="another"))


def test_two_first_sign_ins_at_once(world: World) -> None:
    """Two browsers, one account."""
    ids: list[bytes] = []
    both = [threading.Thread(target=lambda: ids.append(world.accounts.provision(ALICE).id)) for _ in range(8)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len(ids) == 8
    assert len(set(ids)) == 1


def test_a_suspended_account_stays_shut(world: World) -> None:
    """Signing in there does not open it here."""
    world.accounts.provision(ALICE)
    world.accounts.suspend("alice")
    with pytest.raises(NotPermitted):
        world.accounts.provision(ALICE)


@pytest.mark.parametrize(
    "identity",
    [
        replace(ALICE, username="Alice in Wonderland"),
        replace(ALICE, username="ä"),
        replace(ALICE, subject="s" * 256),
        replace(ALICE, quota=-1),
    ],
)
def test_what_makes_no_account(world: World, identity: Identity) -> None:
    """The message says which rule is broken; nothing is made."""
    with pytest.raises(InvalidValue):
        world.accounts.provision(identity)
    assert world.accounts.list() == []


def test_a_provider_cannot_name_a_built_in_account(world: World) -> None:
    """A subject that looks like one of ours opens nothing."""
    ours = world.accounts.create("alice")
    with pytest.raises(InvalidValue):
        world.accounts.provision(replace(ALICE, subject=ours.subject))


def test_the_directory_of_built_in_accounts(world: World) -> None:
    """Who is there, who is shut out, who never was."""
    here, shut = world.accounts.create("alice"), world.accounts.create("bob")
    world.accounts.suspend("bob")
    found = make_identity(world).find([here.subject, shut.subject, "local:00"])
    assert {subject: (one.username, one.enabled) for subject, one in found.items()} == {
        here.subject: ("alice", True),
        shut.subject: ("bob", False),
    }
