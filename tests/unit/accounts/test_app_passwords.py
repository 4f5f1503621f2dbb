"""App passwords: who may issue one, with which limits, and that revoking takes everything away."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from davserver.accounts.app_passwords import (
    MAX_LABEL_CHARS,
    MAX_NETWORKS,
    Policy,
    parse_networks,
)
from davserver.audit import AuditEvent
from davserver.crypto import tokens
from davserver.errors import (
    AuthenticationError,
    CorruptRow,
    InvalidValue,
    LimitExceeded,
    NotFound,
    NotPermitted,
    WrongKind,
)
from davserver.model import ROOT_ID, Account, NodeId, NodeKind, Principal, Scope
from davserver.vault.paths import VaultPath
from tests import tamper
from tests.factories import (
    World,
    make_app_password,
    make_app_passwords,
    make_authenticator,
    make_principal,
    make_vaults,
)


@pytest.fixture
def account(world: World) -> Account:
    """Somebody."""
    return world.accounts.create("alice")


@pytest.fixture
def principal(world: World, account: Account) -> Principal:
    """Somebody who has just typed a one-time code."""
    return make_principal(account, world.clock)


# ── who may issue ───────────────────────────────────────────────────────────────────────────────────────────
def test_a_new_app_password_opens_the_account(world: World, principal: Principal) -> None:
    """The token that is shown signs in at once, with what was asked for."""
    issued = make_app_passwords(world).issue(principal, "  laptop ")
    assert issued.app_password.label == "laptop"
    assert issued.app_password.expires_at - world.clock() == timedelta(days=365)
    assert issued.app_password.root_id == ROOT_ID
    assert tokens.parse(issued.token).id == issued.app_password.id
    opened = make_authenticator(world).authenticate("alice", issued.token, "192.0.2.1")
    assert opened.account == principal.account
    assert opened.totp_at is None


@pytest.mark.parametrize("age", [None, timedelta(minutes=5, seconds=1), timedelta(seconds=-1)])
def test_nothing_is_issued_without_a_fresh_code(
    world: World, account: Account, age: timedelta | None
) -> None:
    """A password alone, or a code of more than five minutes ago, is not enough (A8)."""
    principal = make_principal(account, world.clock, fresh_totp=False)
    if age is not None:
        principal = replace(principal, totp_at=world.clock() - age)
    with pytest.raises(NotPermitted):
        make_app_passwords(world).issue(principal, "laptop")
    assert make_app_passwords(world).list(account) == []


def test_an_app_password_cannot_beget_another(world: World, account: Account) -> None:
    """Whoever signed in with an app password never proved the second factor."""
    token = make_app_password(world, account).token
    opened = make_authenticator(world).authenticate("alice", token, "192.0.2.1")
    with pytest.raises(NotPermitted):
        make_app_passwords(world).issue(opened, "second")


@pytest.mark.parametrize("limits", [{"scopes": Scope.READ_ONLY}, {"root_id": NodeId(b"f" * 16)}])
def test_nobody_gives_what_they_lack(world: World, principal: Principal, limits: dict[str, object]) -> None:
    """A principal that is limited itself cannot issue an app password that is not."""
    limited = replace(principal, **limits)  # type: ignore[arg-type]
    with pytest.raises(NotPermitted):
        make_app_passwords(world).issue(limited, "laptop", scopes=Scope.FULL)


def test_a_suspended_account_issues_nothing(world: World, principal: Principal) -> None:
    """What counts is the account's state in the database, not the one of when somebody signed in."""
    world.accounts.suspend("alice")
    with pytest.raises(NotPermitted):
        make_app_passwords(world).issue(principal, "laptop")


# ── limits ──────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("scopes", [Scope.FULL, Scope.READ_ONLY, Scope.NO_DELETE])
def test_scopes_reach_the_principal(world: World, account: Account, scopes: Scope) -> None:
    """What was granted is what the device may do, no more and no less."""
    issued = make_app_password(world, account, scopes=scopes)
    assert make_authenticator(world).authenticate("alice", issued.token, "192.0.2.1").scopes == scopes


def test_scopes_mean_what_they_say() -> None:
    """Read-only changes nothing, no-delete deletes nothing, full does everything (the data of T44)."""
    everything = {Scope.LIST, Scope.READ, Scope.WRITE, Scope.DELETE, Scope.LOCK, Scope.PROPERTIES}
    assert set(Scope.FULL) == everything
    assert set(Scope.READ_ONLY) == {Scope.LIST, Scope.READ}
    assert set(Scope.NO_DELETE) == everything - {Scope.DELETE}


@pytest.mark.parametrize("scopes", [Scope(0), Scope.WRITE, Scope.READ | Scope.DELETE])
def test_odd_scopes_are_refused(world: World, principal: Principal, scopes: Scope) -> None:
    """Only the three combinations that people are offered."""
    with pytest.raises(InvalidValue):
        make_app_passwords(world).issue(principal, "laptop", scopes=scopes)


def test_a_folder_becomes_the_root(world: World, principal: Principal) -> None:
    """The device sees the chosen collection as its root."""
    vaults = make_vaults(world)
    folder = vaults.open(principal).make_collection(VaultPath.parse("/photos"))
    issued = make_app_password(world, principal.account, root_id=folder.id)
    assert make_authenticator(world).authenticate("alice", issued.token, "192.0.2.1").root_id == folder.id
    vaults.close()


def test_a_root_must_be_a_folder_of_the_account(world: World, principal: Principal) -> None:
    """Neither a made-up id, nor another account's folder, nor a file."""
    vaults = make_vaults(world)
    bob = make_principal(world.accounts.create("bob"), world.clock)
    his = vaults.open(bob).make_collection(VaultPath.parse("/his"))
    vault = vaults.open(principal)
    with vault.write(VaultPath.parse("/file"), expected_size=0) as upload:
        file = upload.commit().node
    assert file.kind is NodeKind.FILE
    for root_id, error in ((his.id, NotFound), (NodeId(b"x" * 16), NotFound), (file.id, WrongKind)):
        with pytest.raises(error):
            make_app_passwords(world).issue(principal, "laptop", root_id=root_id)
    vaults.close()


@pytest.mark.parametrize(
    "label", ["", "   ", "x" * (MAX_LABEL_CHARS + 1), "a\nb", "a\x1b[31m", "a\u202eb", "\x00"]
)
def test_labels_that_are_refused(world: World, principal: Principal, label: str) -> None:
    """A label is shown in terminals and pages: nothing that moves a cursor or turns text round."""
    with pytest.raises(InvalidValue):
        make_app_passwords(world).issue(principal, label)


def test_what_would_be_refused_can_be_asked_for_before(world: World, principal: Principal) -> None:
    """By the same rules, and nothing is made: neither of what would be allowed."""
    service = make_app_passwords(world, Policy(max_live=1))
    service.judge(principal, "laptop", expires_at=world.clock() + timedelta(days=1))
    assert service.list(principal.account) == []
    for wrong in ({"scopes": Scope(0)}, {"expires_at": world.clock()}, {"label": ""}):
        with pytest.raises(InvalidValue):
            service.judge(principal, **{"label": "laptop", **wrong})  # type: ignore[arg-type]  # as they come
    service.issue(principal, "laptop")
    with pytest.raises(LimitExceeded):
        service.judge(principal, "laptop")


def test_one_is_found_whatever_became_of_it(world: World, principal: Principal) -> None:
    """Expired and revoked ones too, which no list shows; nobody else's, and none that was altered."""
    service = make_app_passwords(world)
    issued = service.issue(principal, "laptop").app_password
    assert service.find(principal.account, issued.id) == issued
    service.revoke(principal.account, issued.id)
    assert service.list(principal.account) == []
    assert service.find(principal.account, issued.id).label == "laptop"
    for account, app_id in ((world.accounts.create("bob"), issued.id), (principal.account, "0" * 10)):
        with pytest.raises(NotFound):
            service.find(account, app_id)
    tamper.write_column(world.database, "app_password", "label", "other")
    with pytest.raises(CorruptRow):
        service.find(principal.account, issued.id)


def test_labels_that_are_allowed(world: World, principal: Principal) -> None:
    """Any printable text up to the limit."""
    label = "Zoë's phone 📱 " + "x" * (MAX_LABEL_CHARS - 14)
    assert make_app_passwords(world).issue(principal, label).app_password.label == label


def test_a_lifetime_has_limits(world: World, principal: Principal) -> None:
    """From now on (excluded) to the longest lifetime (included)."""
    service = make_app_passwords(world, Policy(longest_lifetime=timedelta(days=30)))
    now = world.clock()
    for wrong in (now, now - timedelta(days=1), now + timedelta(days=30, seconds=1)):
        with pytest.raises(InvalidValue, match="30 days"):
            service.issue(principal, "laptop", expires_at=wrong)
    longest = now + timedelta(days=30)
    assert service.issue(principal, "laptop", expires_at=longest).app_password.expires_at == longest


def test_the_usual_lifetime_is_a_setting(world: World, principal: Principal) -> None:
    """Unless asked otherwise, an app password lives as long as the installation says."""
    issued = make_app_passwords(world, Policy(lifetime=timedelta(days=7))).issue(principal, "laptop")
    assert issued.app_password.expires_at == world.clock() + timedelta(days=7)


def test_networks_are_kept(world: World, principal: Principal) -> None:
    """What was asked for comes back in the list."""
    networks = parse_networks(["2001:db8::/32", "192.0.2.7", " 10.0.0.0/8 ", "10.0.0.0/8"])
    assert networks == (ip_network("10.0.0.0/8"), ip_network("192.0.2.7/32"), ip_network("2001:db8::/32"))
    make_app_passwords(world).issue(principal, "laptop", networks=networks)
    (listed,) = make_app_passwords(world).list(principal.account)
    assert listed.networks == networks


@pytest.mark.parametrize(
    "text", ["", "10.0.0.1/8", "example.org", "10.0.0.0/33", "10.0.0.0/8,::/0", "::1%lo/128"]
)
def test_networks_that_are_refused(text: str) -> None:
    """Only exact CIDR notation: a slip must not widen or narrow access unnoticed."""
    with pytest.raises(InvalidValue):
        parse_networks([text])


def test_networks_are_limited_in_number(world: World, principal: Principal) -> None:
    """Each is compared on every request."""
    networks = parse_networks([f"10.{number}.0.0/16" for number in range(MAX_NETWORKS + 1)])
    make_app_passwords(world).issue(principal, "most", networks=networks[1:])
    with pytest.raises(InvalidValue):
        make_app_passwords(world).issue(principal, "one more", networks=networks)


def test_live_app_passwords_are_limited_in_number(world: World, principal: Principal) -> None:
    """Revoked and expired ones do not count, nor do other accounts'."""
    service = make_app_passwords(world, Policy(max_live=2))
    first = service.issue(principal, "one").app_password
    service.issue(principal, "two", expires_at=world.clock() + timedelta(minutes=1))
    with pytest.raises(LimitExceeded):
        service.issue(principal, "three")
    service.revoke(principal.account, first.id)
    service.issue(principal, "three")
    world.clock.advance(minutes=1)
    service.issue(principal, "four")
    with pytest.raises(LimitExceeded):
        service.issue(principal, "five")
    bob = make_principal(world.accounts.create("bob"), world.clock)
    service.issue(bob, "his")


# ── what is stored ──────────────────────────────────────────────────────────────────────────────────────────
def test_the_secret_is_not_stored(tmp_path: Path, world: World, account: Account) -> None:
    """Neither the token nor its raw secret is in the database, only its public id; `repr` hides the token."""
    issued = make_app_password(world, account)
    token = tokens.parse(issued.token)
    world.database.dispose()
    stored = (tmp_path / "sealdav.db").read_bytes()
    body = issued.token.removeprefix("ew1-")
    assert token.id.encode() in stored
    assert not any(
        form in stored
        for form in (token.secret, token.secret.hex().encode(), body[10:42].encode(), body.encode())
    )
    assert issued.token not in repr(issued)


def test_the_list_is_the_account_s_own(world: World, account: Account) -> None:
    """In order of age; expired ones stay visible until they are revoked."""
    bob = world.accounts.create("bob")
    issued = [make_app_password(world, account)]
    world.clock.advance(days=400)
    issued.append(make_app_password(world, account))
    make_app_password(world, bob)
    assert make_app_passwords(world).list(account) == [one.app_password for one in issued]


# ── revoking ────────────────────────────────────────────────────────────────────────────────────────────────
def test_revoking_takes_the_verifier_away(world: World, account: Account) -> None:
    """The row stays, without anything that a secret could be compared with."""
    issued = make_app_password(world, account)
    service = make_app_passwords(world)
    world.clock.advance(days=1)
    service.revoke(account, issued.app_password.id)
    assert service.list(account) == []
    with world.database.read() as tx:
        (row,) = tx.credentials.app_passwords(account.id)
    assert (row.verifier, row.wrapped_key, row.public_key) == (None, None, None)
    assert row.revoked_at is not None
    with pytest.raises(AuthenticationError):
        make_authenticator(world).authenticate("alice", issued.token, "192.0.2.1")


def test_only_the_owner_s_live_app_passwords_are_revoked(world: World, account: Account) -> None:
    """Not somebody else's, not an unknown one, not one twice."""
    bob = world.accounts.create("bob")
    issued = make_app_password(world, account)
    service = make_app_passwords(world)
    with pytest.raises(NotFound):
        service.revoke(bob, issued.app_password.id)
    with pytest.raises(NotFound):
        service.revoke(account, "0000000000")
    service.revoke(account, issued.app_password.id)
    with pytest.raises(NotFound):
        service.revoke(account, issued.app_password.id)


def test_all_can_be_revoked_at_once(world: World, account: Account) -> None:
    """Every live one of the account, and nobody else's."""
    bob = world.accounts.create("bob")
    hers = [make_app_password(world, account) for _ in range(3)]
    his = make_app_password(world, bob)
    service, door = make_app_passwords(world), make_authenticator(world)
    assert service.revoke_all(account) == 3
    assert service.revoke_all(account) == 0
    for issued in hers:
        with pytest.raises(AuthenticationError):
            door.authenticate("alice", issued.token, "192.0.2.1")
    door.authenticate("bob", his.token, "192.0.2.1")


def test_a_damaged_app_password_can_be_revoked(world: World, account: Account) -> None:
    """Corruption keeps an app password out of the list, and must not keep it alive."""
    issued = make_app_password(world, account)
    tamper.alter(world.database, "app_password", "label")
    service = make_app_passwords(world)
    with pytest.raises(CorruptRow):
        service.list(account)
    service.revoke(account, issued.app_password.id)
    assert service.list(account) == []


def test_events_name_the_credential_and_no_secret(world: World, account: Account) -> None:
    """Issuing and revoking are recorded under the public id."""
    issued = make_app_password(world, account)
    make_app_passwords(world).revoke(account, issued.app_password.id)
    kinds = (AuditEvent.APP_PASSWORD_ISSUED, AuditEvent.APP_PASSWORD_REVOKED)
    events = [one for one in world.audit.events if one.event in kinds]
    assert [one.event for one in events] == list(kinds)
    assert {(one.account, one.credential) for one in events} == {("alice", issued.app_password.id)}
    assert issued.token not in repr(world.audit.events)
