"""`sealdav trash` and `sealdav versions`: the owner gets all back, with both factors, and nobody else."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from davserver.bootstrap import Services
from davserver.cli.exits import ExitCode
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from tests.factories import make_principal
from tests.unit.cli.conftest import OF_OWNERS, PASSWORD, Cli, Done

FILES = {f"/photos/{number}.jpg": b"%d" % number * 1000 for number in range(5)}

Ask = Callable[..., Done]


def opened(services: Services, cli: Cli) -> Vault:
    """Alice's files."""
    return services.vaults.open(make_principal(services.accounts.find("alice"), cli.clock))


def put(vault: Vault, path: str, content: bytes) -> None:
    """PUT."""
    with vault.write(VaultPath.parse(path)) as upload:
        upload.write(content)
        upload.commit()


def contents(cli: Cli) -> dict[str, bytes]:
    """All files of the account."""
    with cli.services() as services:
        vault, found = opened(services, cli), dict[str, bytes]()
        pending = [VaultPath()]
        while pending:
            folder = pending.pop()
            for node in vault.listing(vault.stat(folder)):
                if node.is_collection:
                    pending.append(folder / node.name)
                else:
                    with vault.read(node) as download:
                        found[str(folder / node.name)] = b"".join(map(bytes, download.blocks()))
        return found


@pytest.fixture
def alice(cli: Cli) -> Cli:
    """An account with a folder that was deleted, a file that was, and one that was overwritten twice."""
    assert cli.enrol("alice").code == ExitCode.OK
    with cli.services() as services:
        vault = opened(services, cli)
        vault.make_collection(VaultPath.parse("/photos"))
        for path, content in {**FILES, "/gone": b"gone", "/notes": b"first"}.items():
            put(vault, path, content)
        for content in (b"second", b"by mistake"):
            cli.clock.advance(minutes=1)
            put(vault, "/notes", content)
        for path in ("/gone", "/photos"):
            cli.clock.advance(minutes=1)
            vault.delete(VaultPath.parse(path))
    return cli


@pytest.fixture
def ask(alice: Cli) -> Ask:
    """Runs a command of alice's, who types her password and a one-time code."""

    def run(*arguments: str) -> Done:
        answers: list[str | Callable[[], str]] = [PASSWORD, alice.next_code("alice")]
        return alice(*arguments, "--json", answers=answers)

    return run


def objects(done: Done) -> list[dict[str, Any]]:
    """What a command that went well has said."""
    assert done.code == ExitCode.OK, done.err
    return done.objects


def test_the_trash_is_listed(alice: Cli, ask: Ask) -> None:
    """The latest first, with where it was; for people in words."""
    photos, gone = objects(ask("trash", "list", "alice"))
    assert (photos["path"], photos["folder"], photos["bytes"]) == ("/photos", True, 5000)
    assert (gone["path"], gone["folder"], gone["bytes"]) == ("/gone", False, 4)
    assert gone["deleted_at"] == "2030-01-02T03:07:05+00:00"
    done = alice("trash", "list", "alice", "--password-stdin", answers=[PASSWORD, alice.next_code("alice")])
    assert [line.split()[0] for line in done.out.splitlines()] == [photos["id"], gone["id"]]
    assert "2030-01-02 03:08" in done.out
    assert "/photos/" in done.out


def test_a_deleted_folder_comes_back(alice: Cli, ask: Ask) -> None:
    """By its id, identical."""
    entry = objects(ask("trash", "list", "alice"))[0]
    assert objects(ask("trash", "restore", "alice", entry["id"])) == [{"id": entry["id"], "path": "/photos"}]
    found = contents(alice)
    assert {path: found[path] for path in FILES} == FILES


def test_it_comes_back_by_the_path_where_it_was(alice: Cli, ask: Ask) -> None:
    """The latest that was there; elsewhere if that is wanted, and beside what is there now."""
    with alice.services() as services:
        vault = opened(services, alice)
        put(vault, "/gone", b"gone again")
        alice.clock.advance(minutes=1)
        vault.delete(VaultPath.parse("/gone"))
        put(vault, "/gone", b"there")
    (restored,) = objects(ask("trash", "restore", "alice", "/gone"))
    assert restored["path"] == "/gone (restored)"
    (restored,) = objects(ask("trash", "restore", "alice", "/gone", "--to", "/elsewhere"))
    assert restored["path"] == "/elsewhere"
    found = contents(alice)
    assert (found["/gone"], found["/gone (restored)"], found["/elsewhere"]) == (
        b"there",
        b"gone again",
        b"gone",
    )
    assert ask("trash", "restore", "alice", "/gone").code == ExitCode.FAILED
    assert ask("trash", "restore", "alice", "/photos", "--to", "/gone").code == ExitCode.FAILED


def test_it_is_found_as_it_is_listed(alice: Cli, ask: Ask) -> None:
    """A folder with its stroke, a name as a Mac spells it; in brackets of one second the latest is meant."""
    name = "/caf\u00e9"
    with alice.services() as services:
        vault = opened(services, alice)
        for number in range(6):
            put(vault, name, bytes(number))
            vault.delete(VaultPath.parse(name))
            alice.clock.now += timedelta(milliseconds=100)
    for number in (5, 4, 3, 2, 1, 0):
        (told,) = objects(ask("trash", "purge", "alice", unicodedata.normalize("NFD", name)))
        assert told == {"removed": 1, "bytes": number}
    done = alice("trash", "list", "alice", "--password-stdin", answers=[PASSWORD, alice.next_code("alice")])
    listed = done.out.splitlines()[0].split()[-1]
    assert listed == "/photos/"
    (restored,) = objects(ask("trash", "restore", "alice", listed))
    assert restored["path"] == "/photos"
    assert ask("trash", "restore", "alice", "/").code == ExitCode.FAILED


def test_one_that_was_altered_hides_no_other(alice: Cli, ask: Ask) -> None:
    """It is left out, and that is told; nothing removes it."""
    with alice.services() as services:
        (photos, _) = opened(services, alice).trash()
        with services.database.write() as tx:
            tx._connection.exec_driver_sql("UPDATE kept SET kept_at = 1 WHERE node_id = ?", (photos.id,))  # noqa: SLF001
            tx.commit()
    done = ask("trash", "list", "alice")
    assert [one["path"] for one in objects(done)] == ["/gone"]
    assert "left out, since the database was altered: 1" in done.err
    assert ask("trash", "purge", "alice", photos.id.hex()).code == ExitCode.FAILED
    done = ask("trash", "purge", "alice", "--all")
    assert objects(done) == [{"removed": 1, "bytes": 4}]
    assert "left out, since the database was altered: 1" in done.err


def test_something_is_removed_for_good(alice: Cli, ask: Ask) -> None:
    """One, or all; nothing without saying which."""
    assert objects(ask("trash", "purge", "alice", "/gone")) == [{"removed": 1, "bytes": 4}]
    assert [one["path"] for one in objects(ask("trash", "list", "alice"))] == ["/photos"]
    assert objects(ask("trash", "purge", "alice", "--all")) == [{"removed": 1, "bytes": 5000}]
    assert objects(ask("trash", "list", "alice")) == []
    assert ask("trash", "purge", "alice", "/gone").code == ExitCode.FAILED
    for arguments in (["trash", "purge", "alice"], ["trash", "purge", "alice", "/gone", "--all"]):
        assert alice(*arguments).code == ExitCode.USAGE
    shown = alice("user", "show", "alice", "--json").objects[0]
    assert (shown["used"], shown["kept"]) == (10 + 11, 11)
    assert alice("verify").code == ExitCode.OK


def test_a_file_gets_back_what_it_was(alice: Cli, ask: Ask) -> None:
    """The latest, or the one that is named; what it is now is kept in turn."""
    second, first = objects(ask("versions", "list", "alice", "/notes"))
    assert (second["bytes"], first["bytes"]) == (6, 5)
    assert second["replaced_at"] == "2030-01-02T03:06:05+00:00"
    (told,) = objects(ask("versions", "restore", "alice", "/notes"))
    assert (told["path"], told["bytes"]) == ("/notes", 6)
    assert contents(alice)["/notes"] == b"second"
    objects(ask("versions", "restore", "alice", "/notes", first["id"]))
    assert contents(alice)["/notes"] == b"first"
    assert [one["bytes"] for one in objects(ask("versions", "list", "alice", "/notes"))] == [6, 10]
    done = alice(
        *("versions", "restore", "alice", "notes", "--password-stdin"),
        answers=[PASSWORD, alice.next_code("alice")],
    )
    assert "/notes is as it was: 6B" in done.out


def test_versions_are_removed_for_good(alice: Cli, ask: Ask) -> None:
    """One, or all; the file stays."""
    second, _ = objects(ask("versions", "list", "alice", "/notes"))
    purge = ("versions", "purge", "alice", "/notes")
    assert objects(ask(*purge, second["id"])) == [{"removed": 1, "bytes": 6}]
    assert ask(*purge, second["id"]).code == ExitCode.FAILED
    assert ask(*purge, "nonsense").code == ExitCode.FAILED
    assert objects(ask(*purge, "--all")) == [{"removed": 1, "bytes": 5}]
    assert objects(ask("versions", "list", "alice", "/notes")) == []
    assert ask("versions", "restore", "alice", "/notes").code == ExitCode.FAILED
    assert alice(*purge).code == ExitCode.USAGE
    assert contents(alice)["/notes"] == b"by mistake"


def test_what_makes_room_needs_none(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk that is too full to begin on, things can be removed for good, and only that."""
    monkeypatch.setattr(os, "statvfs", lambda _folder: os.statvfs_result((0,) * 11))
    assert ask("trash", "restore", "alice", "/gone").code == ExitCode.STORAGE
    assert objects(ask("trash", "purge", "alice", "/gone"))[0]["removed"] == 1
    assert objects(ask("trash", "purge", "alice", "--all"))[0]["removed"] == 1
    assert objects(ask("versions", "purge", "alice", "/notes", "--all"))[0]["removed"] == 2


@pytest.mark.parametrize("arguments", OF_OWNERS, ids=" ".join)
def test_nobody_gets_in_without_both_factors(alice: Cli, arguments: list[str]) -> None:
    """Nor sees a name; whoever runs the server is no exception."""
    before = contents(alice)
    wrong = [["wrong", alice.next_code("alice")], [PASSWORD, "000000"], []]
    for answers in wrong:
        done = alice(*arguments, "--json", answers=list(answers))
        assert done.code in {ExitCode.REFUSED, ExitCode.USAGE}
        assert done.out == ""
        assert "gone" not in done.err
        assert "notes" not in done.err
    assert contents(alice) == before


def test_what_is_due_is_given_up_by_gc(alice: Cli, ask: Ask) -> None:
    """And told; with the settings of the moment."""
    (told,) = alice("gc", "--json").objects
    assert (told["kept"], told["kept_bytes"]) == (0, 0)
    alice.clock.advance(days=30)
    done = alice("gc", "--grace-minutes", "0")
    assert "given up from trash and previous versions: 4 (4.9KiB)" in done.out
    assert objects(ask("trash", "list", "alice")) == []
    assert ask("versions", "restore", "alice", "/notes").code == ExitCode.FAILED
    shown = alice("user", "show", "alice")
    assert "previous versions" not in shown.out


def test_what_is_kept_is_shown_with_the_account(alice: Cli) -> None:
    """In numbers."""
    shown = alice("user", "show", "alice")
    assert "4.9KiB of it are trash and previous versions" in shown.out
    assert "1 files, 0 folders" in shown.out


def test_with_nothing_kept(alice: Cli, ask: Ask) -> None:
    """`history.keep_days = 0`: the next collection takes all."""
    (told,) = alice("--set", "history.keep_days=0", "gc", "--json").objects
    assert told["kept"] == 4
    assert objects(ask("trash", "list", "alice")) == []
