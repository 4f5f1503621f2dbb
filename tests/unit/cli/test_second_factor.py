"""`sealdav totp recover` and `recovery-codes`: the way back to an account whose authenticator is lost."""

from __future__ import annotations

import json

from davserver.cli.exits import ExitCode
from tests.factories import make_code
from tests.unit.cli.conftest import PASSWORD, Cli


def recover(cli: Cli, code: str, *, password: str = PASSWORD) -> tuple[int, list[dict[str, object]]]:
    """Recover alice's account with a new authenticator; exit code and objects printed."""
    printed: list[str] = []

    def first_code() -> str:
        printed.append(cli.capsys.readouterr().out)
        cli.secrets["alice"] = json.loads(printed[0])["secret"]
        return make_code(cli.secrets["alice"], cli.clock)

    done = cli("totp", "recover", "alice", "--json", answers=[password, code, first_code])
    return done.code, [json.loads(line) for line in "".join([*printed, done.out]).splitlines()]


def test_a_recovery_code_replaces_a_lost_authenticator(cli: Cli) -> None:
    """Password and code lead to a new enrolment; the code is used up, and the old authenticator is out."""
    codes = cli.enrol("alice").objects[1]["recovery_codes"]
    lost = cli.secrets["alice"]
    code, (offered, result) = recover(cli, codes[0].upper())
    assert code == ExitCode.OK
    assert offered["secret"] != lost
    assert result == {"account": "alice", "recovery_codes_left": 9}
    answers = [PASSWORD, cli.next_code("alice")]
    assert cli("app-password", "issue", "alice", "--json", answers=[*answers]).code == ExitCode.OK
    cli.clock.advance(seconds=60)
    answers = [PASSWORD, make_code(lost, cli.clock)]
    assert cli("app-password", "issue", "alice", "--json", answers=[*answers]).code == ExitCode.REFUSED
    assert recover(cli, codes[0])[0] == ExitCode.REFUSED


def test_neither_factor_alone_recovers(cli: Cli) -> None:
    """A wrong password or a wrong code changes nothing."""
    codes = cli.enrol("alice").objects[1]["recovery_codes"]
    assert recover(cli, codes[0], password="not the password at all") == (ExitCode.REFUSED, [])
    assert recover(cli, "0" * 24) == (ExitCode.REFUSED, [])
    assert recover(cli, "nonsense") == (ExitCode.REFUSED, [])
    answers = [PASSWORD, cli.next_code("alice")]
    assert cli("app-password", "issue", "alice", "--json", answers=[*answers]).code == ExitCode.OK


def test_a_recovery_that_stops_half_way_goes_on_with_enrol(cli: Cli) -> None:
    """The code is used up and the old authenticator out; the words say how to go on."""
    codes = cli.enrol("alice").objects[1]["recovery_codes"]
    done = cli("totp", "recover", "alice", "--json", answers=[PASSWORD, codes[0], "000000"])
    assert done.code == ExitCode.REFUSED
    assert "go on with: sealdav enrol alice" in done.err
    again = cli.enrol("alice")
    assert again.code == ExitCode.OK
    assert len(again.objects) == 2, "the codes that are left stay as they are"


def test_the_last_code_leads_to_new_ones(cli: Cli) -> None:
    """Whoever has used up the set gets another one with the new authenticator."""
    codes = cli.enrol("alice").objects[1]["recovery_codes"]
    for code in codes[:-1]:
        assert len(recover(cli, code)[1]) == 2
        cli.clock.advance(seconds=60)
    _, (_, new, result) = recover(cli, codes[-1])
    assert len(set(new["recovery_codes"]) - set(codes)) == 10  # type: ignore[call-overload]
    assert result["recovery_codes_left"] == 10


def test_new_codes_need_both_factors(cli: Cli) -> None:
    """They are shown once, for people and for scripts, and the old ones are worth nothing."""
    old = cli.enrol("alice").objects[1]["recovery_codes"]
    refused = cli("totp", "recovery-codes", "alice", "--json", answers=[PASSWORD, "000000"])
    assert (refused.code, refused.out) == (ExitCode.REFUSED, "")
    answers = [PASSWORD, cli.next_code("alice")]
    new = cli("totp", "recovery-codes", "alice", "--json", answers=[*answers]).objects[0]["recovery_codes"]
    assert len(set(new) | set(old)) == 20
    assert recover(cli, old[0])[0] == ExitCode.REFUSED
    shown = cli(
        *("totp", "recovery-codes", "alice", "--password-stdin"), answers=[PASSWORD, cli.next_code("alice")]
    )
    assert "print or save them" in shown.out
    assert sum(len(line.split("-")) == 6 for line in shown.out.splitlines()) == 10
