"""Recovery codes: each is good once, with the password, and only for a new authenticator."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from davserver.accounts import totp
from davserver.accounts.recovery import CODES, RULE, RecoveryCodes
from davserver.audit import AuditEvent
from davserver.crypto import tokens
from davserver.errors import AuthenticationError, CorruptRow, NotPermitted, Throttled
from davserver.model import Account, AuthMethod, Principal
from tests import tamper
from tests.factories import World, make_code, make_principal, make_throttle, make_totp, make_world


def make_recovery_codes(world: World) -> RecoveryCodes:
    """The recovery codes of the world's accounts."""
    return RecoveryCodes(world.database, world.keyring, make_throttle(world), world.clock, world.audit)


@pytest.fixture
def account(world: World) -> Account:
    """Somebody."""
    return world.accounts.create("alice")


@pytest.fixture
def principal(world: World, account: Account) -> Principal:
    """Somebody who has just given the password, and nothing else."""
    return make_principal(account, world.clock, fresh_totp=False)


@pytest.fixture
def secret(world: World, principal: Principal) -> str:
    """The one-time-password secret of that person's authenticator."""
    service = make_totp(world)
    secret = service.begin(principal).secret
    service.confirm(principal, make_code(secret, world.clock))
    world.clock.advance(seconds=60)
    return secret


@pytest.fixture
def codes(world: World, principal: Principal, secret: str) -> list[str]:
    """That person's recovery codes, made at enrolment."""
    proved = make_totp(world).verify(principal, make_code(secret, world.clock))
    return make_recovery_codes(world).make_first(proved)


WRONG = "0000-0000-0000-0000-0000-0000"


# ── making them ─────────────────────────────────────────────────────────────────────────────────────────────
def test_a_set_is_ten_different_codes(world: World, account: Account, codes: list[str]) -> None:
    """Of 24 characters in groups of four; nothing of a code can be read where it is stored."""
    assert len(set(codes)) == CODES == 10
    assert {tuple(map(len, code.split("-"))) for code in codes} == {(4,) * 6}
    assert make_recovery_codes(world).left(account) == CODES


def test_codes_are_not_stored(tmp_path: Path, world: World, codes: list[str]) -> None:
    """Neither as text nor as bytes."""
    world.database.dispose()
    stored = (tmp_path / "sealdav.db").read_bytes()
    for code in codes:
        raw = tokens.parse_recovery_code(code)
        assert not any(form in stored for form in (raw, code.encode(), code.replace("-", "").encode()))


def test_the_first_set_is_made_once(world: World, account: Account, codes: list[str]) -> None:
    """A second authenticator does not replace codes that lie in a drawer."""
    service = make_recovery_codes(world)
    assert service.make_first(make_principal(account, world.clock)) == []
    service.use(make_principal(account, world.clock, fresh_totp=False), codes[0])


def test_a_new_set_makes_the_old_one_worthless(world: World, account: Account, codes: list[str]) -> None:
    """And is good itself."""
    service = make_recovery_codes(world)
    new = service.renew(make_principal(account, world.clock))
    assert not set(new) & set(codes)
    principal = make_principal(account, world.clock, fresh_totp=False)
    with pytest.raises(AuthenticationError):
        service.use(principal, codes[0])
    service.use(principal, new[0])


@pytest.mark.parametrize("age", [None, 301, -1])
def test_a_set_needs_a_fresh_one_time_code(world: World, account: Account, age: int | None) -> None:
    """Whoever has the password alone makes none."""
    stale = make_principal(account, world.clock, fresh_totp=age is not None)
    world.clock.advance(seconds=age or 0)
    service = make_recovery_codes(world)
    for make in (service.renew, service.make_first):
        with pytest.raises(NotPermitted):
            make(stale)
    assert service.left(account) == 0


# ── using one ───────────────────────────────────────────────────────────────────────────────────────────────
def test_a_code_takes_the_authenticator_away(
    world: World, principal: Principal, secret: str, codes: list[str]
) -> None:
    """A new one can be enrolled with the password, the old one is worth nothing, and it is on record."""
    world.clock.advance(seconds=60)
    service, authenticators = make_recovery_codes(world), make_totp(world)
    with pytest.raises(NotPermitted):
        authenticators.begin(principal)
    service.use(principal, codes[3])
    assert not authenticators.is_enrolled(principal.account)
    new = authenticators.begin(principal).secret
    authenticators.confirm(principal, make_code(new, world.clock))
    world.clock.advance(seconds=60)
    with pytest.raises(AuthenticationError):
        authenticators.verify(principal, make_code(secret, world.clock))
    assert service.left(principal.account) == CODES - 1
    assert [event.account for event in world.audit.of(AuditEvent.RECOVERY_CODE_USED)] == ["alice"]


def test_a_code_is_good_once(world: World, principal: Principal, codes: list[str]) -> None:
    """The others stay good."""
    service = make_recovery_codes(world)
    service.use(principal, codes[0])
    with pytest.raises(AuthenticationError, match="used before"):
        service.use(principal, codes[0])
    service.use(principal, codes[1])


def test_of_fifty_threads_with_one_code_one_gets_in(
    tmp_path: Path, world: World, principal: Principal, codes: list[str]
) -> None:
    """In two processes' worth of objects; the rest are refused or told to wait."""
    other = make_world(tmp_path, clock=world.clock)
    services = [make_recovery_codes(world), make_recovery_codes(other)]

    def attempt(number: int) -> bool:
        try:
            services[number % 2].use(principal, codes[0])
        except AuthenticationError:
            return False
        return True

    with ThreadPoolExecutor(50) as threads:
        assert sum(threads.map(attempt, range(50))) == 1
    other.database.dispose()
    assert services[0].left(principal.account) == CODES - 1


def test_reading_is_forgiving(world: World, principal: Principal, codes: list[str]) -> None:
    """Case, spaces, hyphens, and letters that look like digits."""
    service = make_recovery_codes(world)
    for number, spelled in enumerate(
        (
            codes[0].upper(),
            codes[1].replace("-", " "),
            codes[2].replace("-", ""),
            f"  {codes[3]}\n",
            codes[4].replace("1", "l").replace("0", "o"),
            codes[5].replace("1", "I").replace("0", "O"),
        ),
        start=1,
    ):
        service.use(principal, spelled)
        assert service.left(principal.account) == CODES - number


def test_a_code_is_good_for_its_account_only(world: World, codes: list[str]) -> None:
    """Somebody else's code opens nothing."""
    bob = make_principal(world.accounts.create("bob"), world.clock, fresh_totp=False)
    with pytest.raises(AuthenticationError):
        make_recovery_codes(world).use(bob, codes[0])


@pytest.mark.parametrize("age", [301, -61])
def test_the_password_must_have_been_given_just_now(
    world: World, principal: Principal, codes: list[str], age: int
) -> None:
    """A session that was left open is not the second of two factors."""
    world.clock.advance(seconds=age)
    with pytest.raises(NotPermitted):
        make_recovery_codes(world).use(principal, codes[0])


def test_an_app_password_is_not_the_password(world: World, principal: Principal, codes: list[str]) -> None:
    """A stolen device and a stolen code make no new authenticator."""
    device = replace(principal, method=AuthMethod.APP_PASSWORD)
    with pytest.raises(NotPermitted):
        make_recovery_codes(world).use(device, codes[0])


# ── guessing ────────────────────────────────────────────────────────────────────────────────────────────────
def test_guessing_is_slowed_down_and_never_shuts_out(
    world: World, account: Account, codes: list[str]
) -> None:
    """After five wrong codes there is one attempt an hour; the right one is good, however many there were."""
    service = make_recovery_codes(world)
    for _ in range(200):
        principal = make_principal(account, world.clock, fresh_totp=False)
        with pytest.raises(AuthenticationError):
            service.use(principal, WRONG)
        if world.audit.of(AuditEvent.RECOVERY_CODE_REFUSED)[RULE.free :]:
            world.clock.advance(seconds=RULE.longest_delay.total_seconds())
    world.clock.advance(seconds=RULE.longest_delay.total_seconds())
    service.use(make_principal(account, world.clock, fresh_totp=False), codes[0])


def test_five_wrong_codes_make_the_right_one_wait(
    world: World, principal: Principal, codes: list[str]
) -> None:
    """A minute, also for another process."""
    for _ in range(RULE.free):
        with pytest.raises(AuthenticationError):
            make_recovery_codes(world).use(principal, WRONG)
    with pytest.raises(Throttled):
        make_recovery_codes(world).use(principal, codes[0])
    world.clock.advance(seconds=61)
    make_recovery_codes(world).use(principal, codes[0])


@pytest.mark.parametrize("text", ["", "0000", "u" * 24, "0" * 25, "0" * 23, "é" * 24, "0" * 10_000])
def test_what_cannot_be_a_code_is_no_guess(world: World, principal: Principal, text: str) -> None:
    """It is refused without being counted."""
    for _ in range(RULE.free + 1):
        with pytest.raises(AuthenticationError, match="a recovery code has 24 letters and digits"):
            make_recovery_codes(world).use(principal, text)


def test_a_code_lifts_the_authenticators_lock_out(
    world: World, principal: Principal, secret: str, codes: list[str]
) -> None:
    """It is the way back after too many wrong one-time codes: the new device starts without failures."""
    authenticators = make_totp(world)
    wrong = "000000" if make_code(secret, world.clock) != "000000" else "000001"
    for _ in range(totp.RULE.free):
        with pytest.raises(AuthenticationError):
            authenticators.verify(principal, wrong)
    with pytest.raises(Throttled):
        authenticators.verify(principal, wrong)
    make_recovery_codes(world).use(principal, codes[0])
    new = authenticators.begin(principal).secret
    authenticators.confirm(principal, make_code(new, world.clock))


# ── the database in somebody else's hands ───────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("column", ["created_at", "mac"])
def test_an_altered_row_opens_nothing(
    world: World, principal: Principal, codes: list[str], column: str
) -> None:
    """Whatever was changed in it, the code is refused and the authenticator stays."""
    value = 12345 if column == "created_at" else bytes(32)
    tamper.write_column(world.database, "recovery_code", column, value)
    with pytest.raises(CorruptRow):
        make_recovery_codes(world).use(principal, codes[0])
    assert make_totp(world).is_enrolled(principal.account)


def test_a_code_cannot_be_planted_in_another_account(
    world: World, principal: Principal, codes: list[str]
) -> None:
    """Rows that are moved to another account match no code there."""
    bob = world.accounts.create("bob")
    tamper.write_column(world.database, "recovery_code", "account_id", bob.id)
    for who in (principal, make_principal(bob, world.clock, fresh_totp=False)):
        with pytest.raises(AuthenticationError):
            make_recovery_codes(world).use(who, codes[0])
    with pytest.raises(CorruptRow):
        make_recovery_codes(world).left(bob)


def test_a_reset_takes_the_codes_too(world: World, account: Account, codes: list[str]) -> None:
    """An administrator's last resort leaves nothing of the old second factor."""
    make_totp(world).reset(account)
    assert make_recovery_codes(world).left(account) == 0
    with pytest.raises(AuthenticationError):
        make_recovery_codes(world).use(make_principal(account, world.clock), codes[0])
