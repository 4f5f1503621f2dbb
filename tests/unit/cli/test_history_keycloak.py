"""T39: `sealdav trash` and `sealdav versions` for people of a Keycloak: by its device flow and a code.

A small Keycloak signs; everything that judges is real. What other commands say to such people is here, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from davserver.accounts.offboarding import Offboarding
from davserver.accounts.second_factor import ProviderSessions
from davserver.accounts.verdicts import News, Standing
from davserver.bootstrap import Services
from davserver.cli.exits import ExitCode
from davserver.clock import to_seconds
from davserver.vault.paths import VaultPath
from tests.factories import make_code, make_principal
from tests.fake_keycloak import CLIENT, DEVICE, SECRET, SUBJECT, FakeKeycloak
from tests.unit.cli.conftest import OF_OWNERS, PASSWORD, Cli, Done

BOTH: dict[str, object] = {"acr": "mfa", "amr": ["pwd", "otp"]}
"""What Keycloak says of a sign-in with its own second factor."""

BOB = "00000000-0000-0000-0000-000000000002"
STRANGER = "00000000-0000-0000-0000-000000000003"


@dataclass
class Company:
    """A store whose people are in a Keycloak; alice has an authenticator of ours, and has lost files."""

    cli: Cli
    fake: FakeKeycloak

    def __call__(self, *arguments: str, code: str | None = None) -> Done:
        """Run a command; somebody says yes at a browser, and types `code` here, if there is one."""
        return self.run(*arguments, "--json", answers=[] if code is None else [code])

    def run(self, *arguments: str, answers: list[str | Callable[[], str]] | None = None) -> Done:
        """The same as it is; what was logged while the test looked behind the commands is none of theirs."""
        self.cli.capsys.readouterr()
        return self.cli(*arguments, answers=answers)

    def own(self, *arguments: str) -> list[dict[str, Any]]:
        """What a command of alice's has said, which went well: by a code of ours, after the invitation."""
        done = self(*arguments, code=self.code())
        assert done.code == ExitCode.OK, done.err
        invitation, *told = done.objects
        assert set(invitation) == {"open", "code"}
        return told

    def code(self) -> str:
        """Alice's next one-time code; Keycloak has just confirmed everybody."""
        code = self.cli.next_code("alice")
        self.hear("alice", "bob", has_role=True)
        return code

    def hear(self, *names: str, has_role: bool) -> None:
        """What Keycloak says of people now."""
        with self.cli.services() as services:
            sessions = ProviderSessions(services.database, services.keyring, services.clock)
            offboarding = Offboarding(services.database, services.keyring, sessions, services.audit)
            now = to_seconds(self.cli.clock())
            for name in names:
                account = services.accounts.find(name)
                offboarding.learn(account.id, [News(now, standing=Standing.ENABLED, has_role=has_role)])

    def step_up(self) -> None:
        """From here on Keycloak's second factor counts, and ours does not."""
        self.cli.monkeypatch.setenv("DAVSERVER_IDENTITY__SECOND_FACTOR", "keycloak")
        self.cli.monkeypatch.setenv("DAVSERVER_IDENTITY__REQUIRED_ACR", "mfa")
        self.hear("alice", "bob", has_role=True)

    def content(self, path: str) -> bytes | None:
        """What alice has there."""
        with self.cli.services() as services:
            vault = services.vaults.open(make_principal(services.accounts.find("alice"), self.cli.clock))
            found = {f"/{node.name}": node for node in vault.listing(vault.stat(VaultPath()))}
            if path not in found:
                return None
            with vault.read(found[path]) as download:
                return b"".join(map(bytes, download.blocks()))

    def reasons(self) -> list[str | None]:
        """Why tokens were refused, as the audit log has it."""
        return [
            one["reason"] for one in self.run("audit", "tail", "--event", "token-refused", "--json").objects
        ]


@pytest.fixture
def fake(cli: Cli) -> Iterator[FakeKeycloak]:
    """A Keycloak whose clock is that of the command line; a person there takes a second to say yes."""
    with FakeKeycloak(cli.clock, interval=1) as running:
        yield running


@pytest.fixture
def company(cli: Cli, fake: FakeKeycloak) -> Company:
    """The store, and what alice has deleted and overwritten."""
    for name, value in {
        "PROVIDER": "keycloak",
        "ISSUER": fake.issuer,
        "CLIENT_ID": CLIENT,
        "CLIENT_SECRET": SECRET,
    }.items():
        cli.monkeypatch.setenv(f"DAVSERVER_IDENTITY__{name}", value)
    with cli.services() as services:
        services.accounts.create("bob", BOB)
        alice = make_principal(services.accounts.create("alice", SUBJECT), cli.clock)
        cli.secrets["alice"] = services.totp.begin(alice).secret
        services.totp.confirm(alice, make_code(cli.secrets["alice"], cli.clock))
        lose(services, cli)
    return Company(cli, fake)


def lose(services: Services, cli: Cli) -> None:
    """A file that was deleted, and one that was overwritten."""
    vault = services.vaults.open(make_principal(services.accounts.find("alice"), cli.clock))
    for path, content in (("/gone", b"gone"), ("/notes", b"first"), ("/notes", b"by mistake")):
        with vault.write(VaultPath.parse(path)) as upload:
            upload.write(content)
            upload.commit()
    vault.delete(VaultPath.parse("/gone"))


# ── with a one-time code of ours
def test_what_was_lost_comes_back(company: Company) -> None:
    """A sign-in at Keycloak and a code typed here: listed and given back, identical."""
    (entry,) = company.own("trash", "list", "alice")
    assert (entry["path"], entry["bytes"]) == ("/gone", 4)
    assert company.own("trash", "restore", "alice", entry["id"]) == [{"id": entry["id"], "path": "/gone"}]
    assert company.content("/gone") == b"gone"
    (version,) = company.own("versions", "list", "alice", "/notes")
    assert company.own("versions", "restore", "alice", "/notes", version["id"])[0]["bytes"] == 5
    assert company.content("/notes") == b"first"


def test_a_person_is_led_beside_the_result(company: Company) -> None:
    """The page, the code and who is to sign in; what is printed is the result alone."""
    done = company.run("trash", "list", "alice", answers=[company.code()])
    assert done.code == ExitCode.OK, done.err
    assert f"sign in as alice:\n\n  {company.fake.issuer}/device?user_code=ABCD-EFGH\n" in done.err
    assert "ABCD-EFGH; say yes to no other one" in done.err
    (line,) = done.out.splitlines()
    assert line.endswith("/gone")


@pytest.mark.parametrize("arguments", OF_OWNERS, ids=" ".join)
def test_a_token_alone_opens_nothing(company: Company, arguments: list[str]) -> None:
    """Without a code, nor with Keycloak's second factor in its place; no name is told."""
    company.fake.claimed = BOTH
    company.code()
    done = company(*arguments, code="000000")
    assert done.code == ExitCode.REFUSED
    assert len(done.objects) == 1
    assert "gone" not in done.err
    assert (company.content("/gone"), company.content("/notes")) == (None, b"by mistake")


def test_nobody_to_type_a_code(company: Company) -> None:
    """A question without an answer; a code that was used is none."""
    code = company.code()
    assert company("trash", "list", "alice").code == ExitCode.USAGE
    assert company("trash", "list", "alice", code=code).code == ExitCode.OK
    assert company("trash", "list", "alice", code=code).code == ExitCode.REFUSED


def test_somebody_without_an_authenticator_is_sent_to_the_site(company: Company) -> None:
    """Before they sign in anywhere."""
    done = company("trash", "list", "bob")
    assert (done.code, done.out) == (ExitCode.REFUSED, "")
    assert "set up on the site, http://127.0.0.1:8080/" in done.err
    assert company.fake.fetches[DEVICE] == 0


# ── with Keycloak's
def test_keycloaks_second_factor(company: Company) -> None:
    """The token says that it was proved there: nobody is asked for a code here."""
    company.step_up()
    company.fake.claimed = BOTH
    _invitation, told = company("trash", "restore", "alice", "/gone").objects
    assert told["path"] == "/gone"
    assert company.content("/gone") == b"gone"
    (noted,) = company.run("audit", "tail", "--event", "signed-in", "--json").objects
    assert (noted["account"], noted["client"]) == ("alice", "terminal")


@pytest.mark.parametrize(
    "claimed",
    [{}, {"acr": "mfa"}, {"amr": ["pwd", "otp"]}, {**BOTH, "auth_time": 1}],
    ids=["none", "no otp", "no acr", "too long ago"],
)
def test_ours_does_not_take_its_place(company: Company, claimed: dict[str, object]) -> None:
    """A token that says too little is refused, and a code of ours is not even asked for."""
    code = company.code()
    company.step_up()
    company.fake.claimed = claimed
    done = company("trash", "restore", "alice", "/gone", code=code)
    assert (done.code, len(done.objects)) == (ExitCode.REFUSED, 1)
    assert "second factor" in done.err
    assert company.content("/gone") is None
    assert company.reasons() == ["no second factor"]


# ── who is let in
@pytest.mark.parametrize("step_up", [False, True], ids=["own", "keycloak"])
@pytest.mark.parametrize(
    ("claimed", "reason"),
    [
        ({"aud": "account"}, "the token is for another client"),
        ({"azp": "account-console"}, "the access token was issued to another client"),
        ({"realm_access": {"roles": []}}, "dav-user"),
        ({"sub": STRANGER, "realm_access": {"roles": []}}, "dav-user"),
    ],
    ids=["audience", "client", "role", "stranger"],
)
def test_tokens_that_the_drive_does_not_take(
    company: Company, *, step_up: bool, claimed: dict[str, object], reason: str
) -> None:
    """Are not taken here either; the audit log has the reason."""
    code = company.code()
    if step_up:
        company.step_up()
    company.fake.claimed = {**BOTH, **claimed}
    done = company("trash", "restore", "alice", "/gone", code=code)
    assert (done.code, len(done.objects)) == (ExitCode.REFUSED, 1)
    assert "`sealdav audit tail` says why" in done.err
    assert company.content("/gone") is None
    (told,) = company.reasons()
    assert reason in str(told)


@pytest.mark.parametrize("step_up", [False, True], ids=["own", "keycloak"])
def test_somebody_else_who_signs_in(company: Company, *, step_up: bool) -> None:
    """Gets nothing of hers with factors of their own, and is told who they are."""
    code = company.code()
    if step_up:
        company.step_up()
    company.fake.claimed = {**BOTH, "sub": BOB}
    done = company("trash", "restore", "alice", "/gone", code=code)
    assert (done.code, len(done.objects)) == (ExitCode.REFUSED, 1)
    assert "bob who signed in at Keycloak" in done.err
    assert company.content("/gone") is None


def test_who_has_left_is_shut_out(company: Company) -> None:
    """As on the drive, and so is whom an administrator has suspended; both without a question about files."""
    code = company.code()
    company.hear("alice", has_role=False)
    assert company("trash", "restore", "alice", "/gone", code=code).code == ExitCode.REFUSED
    company.code()
    assert company.run("user", "suspend", "alice").code == ExitCode.OK
    assert company("trash", "restore", "alice", "/gone", code=company.code()).code == ExitCode.REFUSED
    assert company.reasons() == ["not confirmed by the identity provider", "account suspended"]


def test_whom_keycloak_does_not_confirm_waits(company: Company) -> None:
    """Its administration does not answer: nothing is opened, and nobody is told that they have left."""
    code = company.code()
    company.cli.clock.advance(hours=1)
    done = company("trash", "restore", "alice", "/gone", code=code)
    assert done.code == ExitCode.FAILED
    assert "has not said lately" in done.err


@pytest.mark.parametrize(
    ("error", "code"), [("access_denied", ExitCode.REFUSED), ("unauthorized_client", ExitCode.CONFIG)]
)
def test_sign_ins_that_come_to_nothing(company: Company, error: str, code: ExitCode) -> None:
    """Somebody says no, or Keycloak does not know us: one line."""
    company.code()
    company.fake.pending = [error]
    done = company("trash", "list", "alice")
    assert (done.code, len(done.objects), done.err.count("\n")) == (code, 1, 1)


def test_without_a_client_for_the_terminal(company: Company) -> None:
    """Whoever has left its name empty lets no tokens in: the message says which setting that is."""
    company.cli.monkeypatch.setenv("DAVSERVER_IDENTITY__CLI_CLIENT_ID", "")
    done = company("trash", "list", "alice")
    assert (done.code, "identity.cli_client_id" in done.err) == (ExitCode.CONFIG, True)
    assert company.fake.fetches[DEVICE] == 0


def test_an_unknown_name(company: Company) -> None:
    """Nobody is led to Keycloak for an account that is not there."""
    done = company("trash", "list", "carol")
    assert (done.code, "no account of this name" in done.err) == (ExitCode.FAILED, True)
    assert company.fake.fetches[DEVICE] == 0


# ── built-in accounts beside them, and the other way round
def test_built_in_accounts_stay_as_they_are(company: Company) -> None:
    """A password and a code, with a Keycloak beside them or without."""
    company.cli.capsys.readouterr()
    assert company.cli.enrol("carol").code == ExitCode.OK
    for provider in ("keycloak", "local"):
        company.cli.monkeypatch.setenv("DAVSERVER_IDENTITY__PROVIDER", provider)
        answers: list[str | Callable[[], str]] = [PASSWORD, company.cli.next_code("carol")]
        done = company.run("trash", "list", "carol", "--json", answers=answers)
        assert (done.code, done.out) == (ExitCode.OK, ""), done.err
    assert company.fake.fetches[DEVICE] == 0


def test_without_its_keycloak_an_account_needs_a_password(company: Company) -> None:
    """The message says so, before one is asked for; with one it is as any other account."""
    company.cli.monkeypatch.setenv("DAVSERVER_IDENTITY__PROVIDER", "local")
    done = company("trash", "list", "alice")
    assert done.code == ExitCode.REFUSED
    assert "identity.provider" in done.err
    assert "sealdav user passwd alice" in done.err
    company.run("user", "passwd", "alice", "--json", answers=[PASSWORD])
    answers: list[str | Callable[[], str]] = [PASSWORD, company.cli.next_code("alice")]
    assert company.run("trash", "list", "alice", "--json", answers=answers).code == ExitCode.OK


@pytest.mark.parametrize(
    "arguments",
    [
        ["enrol", "alice"],
        ["enrol", "bob"],
        ["app-password", "issue", "alice"],
        ["totp", "recover", "alice"],
        ["totp", "recovery-codes", "alice"],
    ],
    ids=" ".join,
)
def test_other_commands_send_people_of_keycloak_to_the_site(company: Company, arguments: list[str]) -> None:
    """Instead of asking for a password that nobody has; above all, none is made for them."""
    company.cli.monkeypatch.setenv("DAVSERVER_SERVER__PUBLIC_URL", "https://drive.example")
    done = company(*arguments, code=PASSWORD)
    assert (done.code, done.out) == (ExitCode.REFUSED, "")
    assert "signs in at Keycloak" in done.err
    assert "https://drive.example/" in done.err
    company.step_up()
    assert "one-time codes at Keycloak" in company(*arguments, code=PASSWORD).err
    with company.cli.services() as services:
        assert not services.identity.has_password(services.accounts.find(arguments[-1]).id)


def test_after_a_reset_they_are_sent_there_too(company: Company) -> None:
    """Not to a command that would refuse them."""
    done = company.run("totp", "reset", "alice")
    assert done.out == "reset; devices and one-time codes are set up on the site, http://127.0.0.1:8080/\n"
