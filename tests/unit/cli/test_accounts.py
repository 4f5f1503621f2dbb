"""`sealdav user quota`, `show` and `delete`."""

from __future__ import annotations

import pytest

from davserver.bootstrap import Services
from davserver.cli.exits import ExitCode
from davserver.vault.paths import VaultPath
from tests.factories import make_principal
from tests.unit.cli.conftest import PASSWORD, Cli


def put(services: Services, cli: Cli, name: str, content: bytes) -> None:
    """Store a file of alice's in a folder of its own."""
    vault = services.vaults.open(make_principal(services.accounts.find("alice"), cli.clock))
    vault.make_collection(VaultPath.parse(f"folder-of-{name}"))
    with vault.write(VaultPath.parse(f"folder-of-{name}/{name}")) as upload:
        upload.write(content)
        upload.commit()


@pytest.fixture
def alice(cli: Cli) -> Cli:
    """The command line with an account that has two files and an app password that was used."""
    issued = cli.enrol("alice").objects[-1]
    with cli.services() as services:
        put(services, cli, "small", b"x" * 10)
        put(services, cli, "big", b"x" * 100_000)
        services.authenticator.authenticate("alice", issued["app_password"], "192.0.2.1")
    return cli


# ── quota
def test_a_quota_is_set_and_lifted(alice: Cli) -> None:
    """With a unit, in bytes, or none; what makes no sense changes nothing."""
    assert alice("user", "quota", "alice", "10GiB", "--json").objects[0]["quota"] == 10 * 1024**3
    assert "10.0GiB" in alice("user", "quota", "alice", "10GiB").out
    assert alice("user", "quota", "alice", "1000", "--json").objects[0]["quota"] == 1000
    assert alice("user", "quota", "alice", "much").code == ExitCode.USAGE
    assert alice("user", "quota", "alice", "--json").code == ExitCode.USAGE
    assert alice("user", "quota", "bob", "1000").code == ExitCode.FAILED
    assert alice("user", "show", "alice", "--json").objects[0]["quota"] == 1000
    assert "unlimited" in alice("user", "quota", "alice", "NONE").out
    assert alice("user", "show", "alice", "--json").objects[0]["quota"] is None


# ── show
def test_an_account_is_shown(alice: Cli) -> None:
    """State, space, devices with their last use, authenticator and recovery codes."""
    (shown,) = alice("user", "show", "ALICE", "--json").objects
    now = alice.clock().isoformat()
    assert {key: shown[key] for key in ("account", "state", "used", "files", "folders", "locks")} == {
        "account": "alice",
        "state": "active",
        "used": 100_010,
        "files": 2,
        "folders": 2,
        "locks": 0,
    }
    assert (shown["totp_since"], shown["created_at"], shown["recovery_codes"]) == (now, now, 10)
    (device,) = shown["devices"]
    assert (device["label"], device["state"]) == ("first device", "live")
    assert (device["last_used_at"], device["last_used_from"]) == (now, "192.0.2.1")


def test_devices_are_shown_as_they_are_now(alice: Cli) -> None:
    """Live, expired, revoked; for people too, and never the name of a file."""
    answers = [PASSWORD, alice.next_code("alice")]
    alice("app-password", "issue", "alice", "--days", "1", "--label", "old", "--json", answers=[*answers])
    (first, _) = alice("user", "show", "alice", "--json").objects[0]["devices"]
    alice("app-password", "revoke", "alice", first["id"])
    alice.clock.advance(days=2)
    devices = alice("user", "show", "alice", "--json").objects[0]["devices"]
    assert {one["label"]: one["state"] for one in devices} == {"first device": "revoked", "old": "expired"}
    words = alice("user", "show", "alice").out
    for part in ("active", "2 files, 2 folders", "recovery codes left: 10", "revoked", "never used"):
        assert part in words
    assert "folder-of" not in words
    assert alice("user", "show", "bob").code == ExitCode.FAILED


def test_an_account_without_a_second_factor_is_shown(cli: Cli) -> None:
    """Nothing of what is missing is made up."""
    cli("user", "add", "bob", "--json", answers=[PASSWORD])
    (shown,) = cli("user", "show", "bob", "--json").objects
    assert (shown["totp_since"], shown["recovery_codes"], shown["devices"]) == (None, 0, [])
    assert "authenticator  none" in cli("user", "show", "bob").out


# ── delete
def test_an_account_is_deleted(alice: Cli) -> None:
    """What is said is what remains; the store is clean and the name free."""
    done = alice("user", "delete", "alice", "--yes")
    assert done.code == ExitCode.OK
    for part in ("alice is deleted", "still hold the account's wrapped key", "sealdav rotate-keys"):
        assert part in done.out
    assert alice("user", "list").out == ""
    report = {"accounts": 0, "nodes": 0, "blobs": 0, "bytes": 0, "problems": 0}
    (shown,) = alice("verify", "--json").objects
    assert shown.pop("audit_entries") > 0
    assert shown == report
    assert alice("user", "delete", "alice", "--yes").code == ExitCode.FAILED
    assert alice.enrol("alice").code == ExitCode.OK


def test_the_name_has_to_be_typed(alice: Cli) -> None:
    """Something else, or nobody there, deletes nothing."""
    for answers in (["bob"], ["yes"], [""], []):
        done = alice("user", "delete", "alice", "--json", answers=[*answers])
        assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert alice("user", "show", "alice", "--json").objects[0]["files"] == 2
    done = alice("user", "delete", "alice", "--json", answers=[" Alice "])
    assert done.code == ExitCode.OK
    (result,) = done.objects
    assert (result["account"], result["nodes"], result["blobs"]) == ("alice", 5, 2)
    assert (result["left"], result["log_emptied"]) == (0, True)


def test_an_unfinished_deletion_is_finished(alice: Cli) -> None:
    """It is shown as what it is, and nobody is asked again."""
    with alice.services() as services:
        services.deletion.shred("alice")
    alice.capsys.readouterr()  # the log of this process
    assert alice("user", "show", "alice", "--json").objects[0]["state"] == "deleted"
    assert alice("user", "resume", "alice").code == ExitCode.FAILED
    assert alice.enrol("alice").code == ExitCode.FAILED
    assert alice("verify").code == alice("gc").code == ExitCode.OK
    assert alice("user", "delete", "alice").code == ExitCode.OK
    assert alice("user", "list").out == ""


def test_the_only_administrator_is_not_deleted(alice: Cli) -> None:
    """The way out is in the message, and works."""
    alice("user", "admin", "alice")
    refused = alice("user", "delete", "alice", "--yes")
    assert refused.code == ExitCode.REFUSED
    assert "sealdav user admin alice --revoke" in refused.err
    assert alice("user", "show", "alice", "--json").objects[0]["state"] == "active"
    alice("user", "admin", "alice", "--revoke")
    assert alice("user", "delete", "alice", "--yes").code == ExitCode.OK
