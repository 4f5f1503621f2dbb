"""One-time codes: each opens once, guessing is slow, and the secret stays sealed."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from davserver.accounts.totp import RULE, SKEW_STEPS, Totp, require_fresh_totp
from davserver.audit import AuditEvent
from davserver.errors import (
    AuthenticationError,
    CorruptRow,
    NotFound,
    NotPermitted,
    Throttled,
    TotpInvalid,
    TotpOutOfSync,
    TotpReplayed,
)
from davserver.model import Account, Principal
from tests import tamper
from tests.factories import World, make_code, make_principal, make_totp, make_world


@pytest.fixture
def account(world: World) -> Account:
    """Somebody."""
    return world.accounts.create("alice")


@pytest.fixture
def principal(world: World, account: Account) -> Principal:
    """Somebody who has shown the first factor only."""
    return make_principal(account, world.clock, fresh_totp=False)


def enrol(world: World, principal: Principal, totp: Totp | None = None) -> str:
    """Enrol a device and let its first code pass by; returns its secret in base32."""
    totp = totp or make_totp(world)
    secret = totp.begin(principal).secret
    totp.confirm(principal, make_code(secret, world.clock))
    world.clock.advance(seconds=60)
    return secret


def wrong_code(secret: str, world: World) -> str:
    """Six digits that are no code of a time near now."""
    near = {make_code(secret, world.clock, steps=steps) for steps in range(-SKEW_STEPS - 5, SKEW_STEPS + 6)}
    return next(code for code in (f"{number:06}" for number in range(1000)) if code not in near)


# ── enrolment ───────────────────────────────────────────────────────────────────────────────────────────────
def test_enrolling_proves_the_second_factor(world: World, principal: Principal) -> None:
    """The first code confirms the device and dates the proof; before that the account is not enrolled."""
    totp = make_totp(world)
    enrolment = totp.begin(principal)
    assert not totp.is_enrolled(principal.account)
    proved = totp.confirm(principal, make_code(enrolment.secret, world.clock))
    assert totp.is_enrolled(principal.account)
    assert proved.totp_at == world.clock()
    assert proved.account == principal.account


def test_the_enrolment_is_what_apps_understand(world: World, principal: Principal) -> None:
    """20 bytes in base32, and a URI that names issuer and account (the Key URI format)."""
    enrolment = make_totp(world).begin(principal)
    uri = urlsplit(enrolment.uri)
    assert len(base64.b32decode(enrolment.secret)) == 20
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", "/Sealdav:alice")
    assert parse_qs(uri.query)["secret"] == [enrolment.secret]
    assert parse_qs(uri.query)["issuer"] == ["Sealdav"]
    assert enrolment.secret not in repr(enrolment)


def test_the_secret_is_stored_sealed(tmp_path: Path, world: World, principal: Principal) -> None:
    """Neither the raw secret nor its base32 or hexadecimal form is anywhere in the database."""
    secret = enrol(world, principal)
    raw = base64.b32decode(secret)
    world.database.dispose()
    stored = (tmp_path / "sealdav.db").read_bytes()
    assert not any(
        form in stored for form in (raw, secret.encode(), raw.hex().encode(), base64.b64encode(raw))
    )


def test_an_enrolment_waits_ten_minutes(world: World, principal: Principal) -> None:
    """At ten minutes it is confirmed, a second later there is nothing to confirm."""
    totp = make_totp(world)
    secret = totp.begin(principal).secret
    world.clock.advance(minutes=10, seconds=1)
    with pytest.raises(NotFound):
        totp.confirm(principal, make_code(secret, world.clock))
    secret = totp.begin(principal).secret
    world.clock.advance(minutes=10)
    totp.confirm(principal, make_code(secret, world.clock))


def test_only_the_last_enrolment_counts(world: World, principal: Principal) -> None:
    """Beginning again makes the code shown before worthless."""
    totp = make_totp(world)
    first = totp.begin(principal).secret
    totp.begin(principal)
    with pytest.raises(TotpInvalid):
        totp.confirm(principal, make_code(first, world.clock))


def test_a_pending_device_is_for_whoever_began_it(world: World, principal: Principal) -> None:
    """Its name is needed to see it again or to confirm it; a name of another device finds nothing."""
    totp = make_totp(world)
    first, second = totp.begin(principal), totp.begin(principal)
    code = make_code(second.secret, world.clock)
    assert first.device_id != second.device_id
    assert totp.pending(principal, first.device_id) is None
    assert totp.pending(principal, second.device_id) == second
    with pytest.raises(NotFound):
        totp.confirm(principal, code, first.device_id)
    assert not totp.is_enrolled(principal.account)
    proved = totp.confirm(principal, code, second.device_id)
    assert totp.pending(proved, second.device_id) is None


def test_a_wrong_name_is_no_guess(world: World, principal: Principal) -> None:
    """Whoever types codes for a device that was replaced does not slow its owner down."""
    totp = make_totp(world)
    first, second = totp.begin(principal), totp.begin(principal)
    for _ in range(RULE.free + 1):
        with pytest.raises(NotFound):
            totp.confirm(principal, "000000", first.device_id)
    totp.confirm(principal, make_code(second.secret, world.clock), second.device_id)


def test_a_device_that_waits_is_seen_for_ten_minutes(world: World, principal: Principal) -> None:
    """By its own name too: a second later it is gone."""
    totp = make_totp(world)
    begun = totp.begin(principal)
    world.clock.advance(minutes=10)
    assert totp.pending(principal, begun.device_id) == begun
    world.clock.advance(seconds=1)
    assert totp.pending(principal, begun.device_id) is None


def test_a_pending_device_proves_nothing(world: World, principal: Principal) -> None:
    """`verify` does not look at a device that was never confirmed, `confirm` not at one that was."""
    totp = make_totp(world)
    secret = totp.begin(principal).secret
    with pytest.raises(NotFound):
        totp.verify(principal, make_code(secret, world.clock))
    totp.confirm(principal, make_code(secret, world.clock))
    world.clock.advance(seconds=30)
    with pytest.raises(NotFound):
        totp.confirm(principal, make_code(secret, world.clock))


def test_the_old_device_stays_until_the_new_one_is_confirmed(world: World, principal: Principal) -> None:
    """Replacing a device needs its own code; afterwards only the new one counts."""
    totp = make_totp(world)
    old = enrol(world, principal, totp)
    proved = totp.verify(principal, make_code(old, world.clock))
    new = totp.begin(proved).secret
    world.clock.advance(seconds=60)
    totp.verify(principal, make_code(old, world.clock))
    totp.confirm(principal, make_code(new, world.clock))
    world.clock.advance(seconds=60)
    with pytest.raises(TotpInvalid):
        totp.verify(principal, make_code(old, world.clock))
    totp.verify(principal, make_code(new, world.clock))


@pytest.mark.parametrize("age", [None, 301, -1])
def test_a_device_is_not_replaced_with_a_password_alone(
    world: World, principal: Principal, age: int | None
) -> None:
    """Without a code of the enrolled device within five minutes there is no new one (A8)."""
    totp = make_totp(world)
    enrol(world, principal, totp)
    stale = make_principal(principal.account, world.clock, fresh_totp=age is not None)
    world.clock.advance(seconds=age or 0)
    with pytest.raises(NotPermitted):
        totp.begin(stale)


# ── verification ────────────────────────────────────────────────────────────────────────────────────────────
def test_this_step_and_the_one_before_are_accepted(world: World, principal: Principal) -> None:
    """One step of delay, as RFC 6238 allows, and no more."""
    totp = make_totp(world)
    secret = enrol(world, principal, totp)
    assert totp.verify(principal, make_code(secret, world.clock, steps=-1)).totp_at == world.clock()
    assert totp.verify(principal, make_code(secret, world.clock)).totp_at == world.clock()


def test_t41_a_code_opens_once(world: World, principal: Principal) -> None:
    """The same code again is refused, and so is the one of an earlier step after a later one (T41)."""
    totp = make_totp(world)
    secret = enrol(world, principal, totp)
    totp.verify(principal, make_code(secret, world.clock))
    for steps in (0, -1):
        with pytest.raises(TotpReplayed):
            totp.verify(principal, make_code(secret, world.clock, steps=steps))


def test_the_code_of_the_enrolment_is_used_up(world: World, principal: Principal) -> None:
    """What confirmed the device does not verify afterwards."""
    totp = make_totp(world)
    secret = totp.begin(principal).secret
    code = make_code(secret, world.clock)
    totp.confirm(principal, code)
    with pytest.raises(TotpReplayed):
        totp.verify(principal, code)


def test_t41_of_fifty_threads_one_gets_in(tmp_path: Path, world: World, principal: Principal) -> None:
    """The same code from 50 threads in two processes' worth of objects: exactly one success (T41)."""
    secret = enrol(world, principal)
    code = make_code(secret, world.clock)
    other = make_world(tmp_path, clock=world.clock)
    services = [make_totp(world), make_totp(other)]

    def attempt(number: int) -> str:
        try:
            services[number % 2].verify(principal, code)
        except TotpReplayed:
            return "replayed"
        return "in"

    with ThreadPoolExecutor(50) as threads:
        outcomes = list(threads.map(attempt, range(50)))
    other.database.dispose()
    assert sorted(outcomes) == ["in"] + ["replayed"] * 49


def another_process(folder: Path, world: World, codes: list[str]) -> subprocess.Popen[str]:
    """One that has opened the same store, and types these codes at once when it is told to."""
    arguments = [str(folder), world.clock().isoformat(), "alice", *codes]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.accounts.another_process", *arguments],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def outcomes(process: subprocess.Popen[str]) -> list[str]:
    """Let it begin and wait for its end."""
    said, _ = process.communicate("go\n", timeout=60)
    assert process.returncode == 0
    return said.split()


def test_t41_of_fifty_threads_in_two_processes_one_gets_in(
    tmp_path: Path, world: World, principal: Principal
) -> None:
    """T41: the same code, typed 25 times at once in each of two processes: exactly one success."""
    secret = enrol(world, principal)
    codes = [make_code(secret, world.clock)] * 25
    processes = [another_process(tmp_path, world, codes) for _ in range(2)]
    with ThreadPoolExecutor(2) as together:
        said = [outcome for each in together.map(outcomes, processes) for outcome in each]
    assert sorted(said) == ["TotpReplayed"] * 49 + ["in"]


def test_t41_guessing_is_slow_in_every_process(tmp_path: Path, world: World, principal: Principal) -> None:
    """T41: wrong codes typed in one process keep another waiting, even with the right one."""
    totp = make_totp(world)
    secret = enrol(world, principal, totp)
    wrong, right = wrong_code(secret, world), make_code(secret, world.clock)
    guessed = outcomes(another_process(tmp_path, world, [wrong] * 6))
    assert sorted(guessed) == ["Throttled"] + ["TotpInvalid"] * 5
    with pytest.raises(Throttled):
        totp.verify(principal, right)
    assert outcomes(another_process(tmp_path, world, [right])) == ["Throttled"]
    world.clock.advance(seconds=61)
    assert outcomes(another_process(tmp_path, world, [make_code(secret, world.clock)])) == ["in"]


def test_replays_do_not_slow_the_owner_down(world: World, principal: Principal) -> None:
    """A second click is no guess: it is refused but not counted."""
    totp = make_totp(world)
    secret = enrol(world, principal, totp)
    code = make_code(secret, world.clock)
    totp.verify(principal, code)
    for _ in range(10):
        with pytest.raises(TotpReplayed):
            totp.verify(principal, code)
    world.clock.advance(seconds=30)
    totp.verify(principal, make_code(secret, world.clock))


@pytest.mark.parametrize("steps", [-2, -SKEW_STEPS])
def test_a_slow_clock_is_told(world: World, principal: Principal, steps: int) -> None:
    """A code of the last minutes is named as such, opens nothing and counts as a failure."""
    totp = make_totp(world)
    secret = enrol(world, principal, totp)
    for _ in range(RULE.free):
        with pytest.raises(TotpOutOfSync):
            totp.verify(principal, make_code(secret, world.clock, steps=steps))
    with pytest.raises(Throttled):
        totp.verify(principal, make_code(secret, world.clock))


@pytest.mark.parametrize("steps", [1, SKEW_STEPS])
def test_a_guess_of_a_future_code_is_not_confirmed(world: World, principal: Principal, steps: int) -> None:
    """Naming a code of the future would hand a guesser one that is good soon; while enrolling it helps."""
    totp = make_totp(world)
    pending = totp.begin(principal).secret
    with pytest.raises(TotpOutOfSync):
        totp.confirm(principal, make_code(pending, world.clock, steps=steps))
    totp.confirm(principal, make_code(pending, world.clock))
    with pytest.raises(TotpInvalid):
        totp.verify(principal, make_code(pending, world.clock, steps=steps))


def test_codes_far_away_are_plainly_wrong(world: World, principal: Principal) -> None:
    """Beyond the window of a wrong clock nothing is told."""
    totp = make_totp(world)
    secret = enrol(world, principal, totp)
    with pytest.raises(TotpInvalid):
        totp.verify(principal, make_code(secret, world.clock, steps=-SKEW_STEPS - 1))


def test_spaces_do_not_matter(world: World, principal: Principal) -> None:
    """Apps show codes in two groups; people type them so."""
    totp = make_totp(world)
    secret = enrol(world, principal, totp)
    code = make_code(secret, world.clock)
    totp.verify(principal, f" {code[:3]} {code[3:]}\n")


@pytest.mark.parametrize(
    "typed", ["", "12345", "1234567", "12345a", "-12345", "+12345", "１２３４５６", "١٢٣٤٥٦", "1" * 9999]
)
def test_what_is_no_code_is_not_counted(world: World, principal: Principal, typed: str) -> None:
    """Only six ASCII digits are an attempt; anything else is refused before the database."""
    totp = make_totp(world)
    secret = enrol(world, principal, totp)
    for _ in range(RULE.free + 1):
        with pytest.raises(TotpInvalid, match="6 digits"):
            totp.verify(principal, typed)
    totp.verify(principal, make_code(secret, world.clock))


# ── guessing ────────────────────────────────────────────────────────────────────────────────────────────────
def test_t41_guessing_becomes_slow_and_stays_so(tmp_path: Path, world: World, principal: Principal) -> None:
    """After five wrong codes even the right one has to wait, and after a restart as well (T41)."""
    totp = make_totp(world)
    secret = enrol(world, principal, totp)
    for _ in range(5):
        with pytest.raises(TotpInvalid):
            totp.verify(principal, wrong_code(secret, world))
    with pytest.raises(Throttled) as caught:
        totp.verify(principal, make_code(secret, world.clock))
    assert caught.value.retry_after == 60

    other = make_world(tmp_path, clock=world.clock)
    restarted = make_totp(other)
    with pytest.raises(Throttled):
        restarted.verify(principal, make_code(secret, world.clock))
    world.clock.advance(seconds=60)
    with pytest.raises(TotpInvalid):
        restarted.verify(principal, wrong_code(secret, world))
    with pytest.raises(Throttled) as caught:
        totp.verify(principal, make_code(secret, world.clock))
    assert caught.value.retry_after == 120
    world.clock.advance(seconds=120)
    totp.verify(principal, make_code(secret, world.clock))
    other.database.dispose()


def test_success_resets_the_count(world: World, principal: Principal) -> None:
    """Four wrong codes, a right one, four wrong ones: nobody waits."""
    totp = make_totp(world)
    secret = enrol(world, principal, totp)
    for _ in range(2):
        for _ in range(4):
            with pytest.raises(TotpInvalid):
                totp.verify(principal, wrong_code(secret, world))
        totp.verify(principal, make_code(secret, world.clock))
        world.clock.advance(seconds=30)


def test_after_a_hundred_failures_only_a_reset_helps(world: World, principal: Principal) -> None:
    """However long somebody waits; after the reset a new device can be enrolled."""
    totp = make_totp(world)
    secret = enrol(world, principal, totp)
    for _ in range(100):
        with pytest.raises(TotpInvalid):
            totp.verify(principal, wrong_code(secret, world))
        world.clock.advance(hours=1)
    world.clock.advance(days=365)
    with pytest.raises(AuthenticationError, match="administrator"):
        totp.verify(principal, make_code(secret, world.clock))
    totp.reset(principal.account)
    assert not totp.is_enrolled(principal.account)
    enrol(world, principal, totp)


def test_one_account_does_not_slow_another(world: World, principal: Principal) -> None:
    """Failures and codes are the account's own."""
    totp = make_totp(world)
    secret = enrol(world, principal, totp)
    bob = make_principal(world.accounts.create("bob"), world.clock, fresh_totp=False)
    bobs = enrol(world, bob, totp)
    for _ in range(6):
        with pytest.raises(AuthenticationError):
            totp.verify(principal, wrong_code(secret, world))
    with pytest.raises(TotpInvalid):
        totp.verify(bob, make_code(secret, world.clock))
    totp.verify(bob, make_code(bobs, world.clock))


# ── storage ─────────────────────────────────────────────────────────────────────────────────────────────────
COLUMNS = [
    "account_id",
    "device_id",
    "sealed_secret",
    "confirmed",
    "last_step",
    "created_at",
    "version",
    "mac",
]


@pytest.mark.parametrize("column", COLUMNS)
def test_an_altered_device_proves_nothing(world: World, principal: Principal, column: str) -> None:
    """Whichever column is altered (a lower last step, an enrolment marked confirmed), no code is accepted."""
    totp = make_totp(world)
    secret = enrol(world, principal, totp)
    tamper.alter(world.database, "totp_device", column)
    with pytest.raises((CorruptRow, NotFound) if column == "account_id" else CorruptRow):
        totp.verify(principal, make_code(secret, world.clock))


def test_every_column_is_accounted_for(world: World) -> None:
    """The sweep above knows every column of the table."""
    assert set(tamper.columns(world.database, "totp_device")) == set(COLUMNS)


def test_a_device_is_not_confirmed_by_hand(world: World, principal: Principal) -> None:
    """Setting `confirmed` in the database does not enrol a pending device."""
    totp = make_totp(world)
    secret = totp.begin(principal).secret
    tamper.write_column(world.database, "totp_device", "confirmed", 1)
    with pytest.raises(CorruptRow):
        totp.verify(principal, make_code(secret, world.clock))


def test_a_used_step_is_not_given_back_by_hand(world: World, principal: Principal) -> None:
    """Lowering the last step in the database does not make a used code good again."""
    totp = make_totp(world)
    secret = enrol(world, principal, totp)
    code = make_code(secret, world.clock)
    totp.verify(principal, code)
    tamper.write_column(world.database, "totp_device", "last_step", 0)
    with pytest.raises(CorruptRow):
        totp.verify(principal, code)


# ── what is recorded ────────────────────────────────────────────────────────────────────────────────────────
def test_events_name_the_account_and_no_code(world: World, principal: Principal) -> None:
    """Enrolment, refusals and reset are recorded, without code or secret."""
    totp = make_totp(world)
    secret = enrol(world, principal, totp)
    wrong = wrong_code(secret, world)
    with pytest.raises(TotpInvalid):
        totp.verify(principal, wrong)
    totp.reset(principal.account)
    kinds = [AuditEvent.TOTP_BEGUN, AuditEvent.TOTP_CONFIRMED, AuditEvent.TOTP_REFUSED, AuditEvent.TOTP_RESET]
    events = world.audit.events[1:]
    assert [one.event for one in events] == kinds
    assert {one.account for one in events} == {"alice"}
    assert events[2].reason == "TotpInvalid"
    assert not re.search(rf"{secret}|{wrong}", repr(events))


def test_freshness_has_two_ends(world: World, account: Account) -> None:
    """Proof of five minutes ago counts, of before that or of the future does not."""
    principal = make_principal(account, world.clock)
    proved_at = world.clock()
    world.clock.advance(minutes=5)
    require_fresh_totp(principal, world.clock())
    world.clock.advance(seconds=1)
    for now in (world.clock(), proved_at.replace(year=2029)):
        with pytest.raises(NotPermitted):
            require_fresh_totp(principal, now)
