"""cadaver: every command that people use, and after each one a look at what the server then has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.client import Client
from tests.conformance.multistatus import DAV
from tests.e2e.cadaver import Cadaver
from tests.e2e.drive import Device, Drive
from tests.e2e.witness import LOCKS, locked, witness

pytestmark = pytest.mark.e2e

NAMES = (
    "plain",
    "with space",
    "semi;colon",
    "hash#mark",
    "per%20cent %",
    "question?mark",
    "a&b=c+d",
    "it's",
    "résumé",
    "日本語",
    "emoji 🗝️🔒",
)
"""What cadaver can say: it quotes with double quotes and takes a backslash for an escape."""

FOLDER = "órdner; # % ü"
OWN_PROPERTY = "{http://webdav.org/cadaver/custom-properties/}colour"
"""A property that cadaver sets is in this namespace unless it is told another one."""


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Drive, Device]]:
    """A running server and an account, for all the tests: each works in a collection of its own."""
    drive = Drive(tmp_path_factory.mktemp("cadaver") / "drive")
    try:
        drive.start()
        yield drive, drive.enrol("alice")
    finally:
        drive.close()


@pytest.fixture
def server(account: tuple[Drive, Device], request: pytest.FixtureRequest) -> Client:
    """What the server has in that collection, seen past cadaver."""
    return witness(*account).made_collection(f"ü; #% of {request.node.name}")


@pytest.fixture
def first(account: tuple[Drive, Device], server: Client, tmp_path: Path) -> Iterator[Cadaver]:
    """A cadaver that has come in."""
    with Cadaver(server.url(), account[1], tmp_path / "first") as cadaver:
        yield cadaver


@pytest.fixture
def second(account: tuple[Drive, Device], server: Client, tmp_path: Path) -> Iterator[Cadaver]:
    """Another one of the same account, which knows nothing of the locks of the first."""
    with Cadaver(server.url(), account[1], tmp_path / "second") as cadaver:
        yield cadaver


def refused(answer: str, status: str) -> bool:
    """Whether cadaver says that the server refused, with this status."""
    return answer.endswith(f"failed:\n{status}")


# ── files and collections
def test_files_go_up_and_come_back(first: Cadaver, server: Client) -> None:
    """mkcol, put, ls and get with names that break naive servers; what comes back is what went up."""
    first.does(f'mkcol "{FOLDER}"')
    assert refused(first(f'mkcol "{FOLDER}"'), "405 Method Not Allowed")
    first(f'cd "{FOLDER}"')
    for number, name in enumerate(NAMES):
        (first.home / name).write_bytes(f"{number} of {name}\n".encode() * number)
        first.does(f'put "{name}"')
    expected = {f"{FOLDER}/{name}": (first.home / name).read_bytes() for name in NAMES}
    assert server.tree() == {f"{FOLDER}/": None, **expected}

    lines = first("ls").splitlines()[1:]
    listed = {re.sub(r" +\d+  \w+ +\d+ [\d:]+$", "", line).strip() for line in lines}
    assert listed == set(NAMES)
    for name in NAMES:
        first.does(f'get "{name}" back')
        assert (first.home / "back").read_bytes() == (first.home / name).read_bytes()
        (first.home / "back").unlink()


def test_copies_moves_and_deletions(first: Cadaver, server: Client) -> None:
    """copy, move, delete and rmcol do on the server what they say, to files and to whole collections."""
    (first.home / "file").write_bytes(b"content")
    first.does("put file")
    for name in NAMES[1:]:
        first.does(f'copy file "{name}"')
        first.does(f'move "{name}" "moved {name}"')
    expected: dict[str, bytes | None] = {"file": b"content"}
    expected |= {f"moved {name}": b"content" for name in NAMES[1:]}
    assert server.tree() == expected
    for name in NAMES[1:]:
        first.does(f'delete "moved {name}"')
    assert server.tree() == {"file": b"content"}

    first.does(f'mkcol "{FOLDER}"')
    first.does(f'copy file "{FOLDER}/inside"')
    first.does(f'copy "{FOLDER}" "copied; {FOLDER}"')
    first.does(f'move "{FOLDER}" "moved; {FOLDER}"')
    inside = {f"{verb}; {FOLDER}/{name}" for verb in ("copied", "moved") for name in ("", "inside")}
    assert set(server.tree()) == {"file", *inside}
    first.does(f'rmcol "copied; {FOLDER}"')
    first.does(f'rmcol "moved; {FOLDER}"')
    assert server.tree() == {"file": b"content"}
    assert refused(first("copy file missing/file"), "409 Conflict")
    assert refused(first("delete missing"), "404 Not Found")


# ── locks
def test_a_lock_keeps_others_out_until_it_is_stolen(first: Cadaver, second: Cadaver, server: Client) -> None:
    """Who has no token gets 423 for every change; `steal` finds the token, and then works like its owner."""
    for cadaver, content in ((first, b"of the first"), (second, b"of the second")):
        (cadaver.home / "file").write_bytes(content)
    first.does("put file")
    first.does("lock file")
    assert list(locked(server)) == ["file"]
    changes = ("put file", "delete file", "move file other", "propset file colour red", "lock file")
    for change in changes:
        assert refused(second(change), "423 Locked"), change
    assert server.tree() == {"file": b"of the first"}
    first.does("put file")
    second.does("copy file other")
    assert list(locked(server)) == ["file"]  # A copy is not locked.

    token = server.properties("file", LOCKS).element(LOCKS).findtext(f".//{DAV}locktoken/{DAV}href")
    assert token is not None
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", token)
    for command, cadaver in (("discover file", second), ("showlocks", first)):
        assert f"Lock token <{token}>" in cadaver(command), command
    assert token in second("steal file")
    second.does("put file")
    assert server.tree() == {"file": b"of the second", "other": b"of the first"}
    second.does("unlock file")
    assert not list(locked(server))
    assert second("discover file").endswith("no locks found.")
    assert refused(first("unlock file"), "409 Conflict")


def test_a_locked_collection_keeps_others_out_of_all_below(
    first: Cadaver, second: Cadaver, server: Client
) -> None:
    """Its owner goes on working inside; with the unlock it is everybody's again."""
    for cadaver in (first, second):
        (cadaver.home / "file").write_bytes(b"content")
    first.does("mkcol folder")
    first.does("lock folder")
    for change in ("put file folder/file", "mkcol folder/deeper", "rmcol folder", "move folder other"):
        assert refused(second(change), "423 Locked"), change
    second.does("put file")
    assert refused(second("move file folder/file"), "423 Locked")
    assert server.tree() == {"folder/": None, "file": b"content"}
    first.does("put file folder/file")
    first.does("mkcol folder/deeper")
    assert sorted(locked(server)) == ["folder/", "folder/deeper/", "folder/file"]
    first.does("unlock folder")
    assert not list(locked(server))
    second.does("rmcol folder")
    assert server.tree() == {"file": b"content"}


def test_shared_locks_live_beside_each_other(first: Cadaver, second: Cadaver, server: Client) -> None:
    """Two shared locks are granted, an exclusive one beside them is not, and each ends by itself."""
    (first.home / "file").write_bytes(b"content")
    first.does("put file")
    for cadaver in (first, second):
        assert cadaver("set lockscope shared") == ""
        cadaver.does("lock file")
    assert len(server.properties("file", LOCKS).element(LOCKS)) == 2
    first.does("unlock file")
    assert len(server.properties("file", LOCKS).element(LOCKS)) == 1
    first("set lockscope exclusive")
    assert refused(first("lock file"), "423 Locked")
    assert refused(first("put file"), "423 Locked")
    second.does("unlock file")
    first.does("lock file")
    first.does("unlock file")
    assert server.tree() == {"file": b"content"}


def test_a_lock_on_a_new_name_leaves_nothing_behind(first: Cadaver, second: Cadaver, server: Client) -> None:
    """It reserves the name; what was put stays after the unlock, and without a PUT nothing does."""
    for cadaver in (first, second):
        (cadaver.home / "file").write_bytes(b"content")
    for name in ("used", "unused"):
        first.does(f"lock {name}")
        assert refused(second(f"put file {name}"), "423 Locked")
    first.does("put file used")
    first.does("unlock used")
    first.does("unlock unused")
    assert server.tree() == {"used": b"content"}
    assert not list(locked(server))


def test_the_editor_works_under_a_lock(first: Cadaver, second: Cadaver, server: Client) -> None:
    """`edit` locks, fetches, runs the editor, stores and unlocks; meanwhile nobody else can write."""
    (first.home / "file").write_bytes(b"one\n")
    (second.home / "file").write_bytes(b"of the second\n")
    first.does("put file")
    editor = first.home / "editor"
    # The date is changed because cadaver takes a file of the same second for unchanged.
    editor.write_text(f"""#!/bin/sh -e
sed -i s/one/two/ "$1"
touch -d "1 hour" "$1"
cd "{second.home}"
echo put file | HOME=$PWD cadaver '{server.url()}' >said
""")
    editor.chmod(0o700)
    first("set editor ./editor")
    answer = first("edit file")
    assert "423 Locked" in (second.home / "said").read_text()
    assert answer.count("succeeded.") == 4, answer
    assert server.tree() == {"file": b"two\n"}
    assert not list(locked(server))


# ── properties
def test_properties_are_set_listed_and_removed(first: Cadaver, server: Client) -> None:
    """propset, propget, propnames and propdel on a property of one's own, beside those of the server."""
    (first.home / "file").write_bytes(b"content")
    first.does("put file")
    value = "ultramarine; ü & 日本語"
    first.does(f'propset file colour "{value.replace("&", "&amp;")}"')
    assert server.property("file", OWN_PROPERTY) == value
    assert first("propget file colour").endswith(f"Value of colour is: {value}")
    names = first("propnames file")
    for name in ("colour", "getetag", "getcontentlength", "resourcetype", "lockdiscovery"):
        assert re.search(rf"\b{name}\b", names), names
    assert f"{OWN_PROPERTY[1:].replace('}', ' ')} = {value}" in first("propget file")
    first.does("propset file colour red")
    assert server.property("file", OWN_PROPERTY) == "red"
    first.does("propdel file colour")
    assert server.properties("file", OWN_PROPERTY).status_of(OWN_PROPERTY) == 404
    assert "colour" not in first("propnames file")


def test_properties_follow_copies_and_moves(first: Cadaver, server: Client) -> None:
    """Of files and of collections; a new file under an old name has none."""
    (first.home / "file").write_bytes(b"content")
    first.does("mkcol folder")
    first.does("put file folder/file")
    for name in ("folder", "folder/file"):
        first.does(f"propset {name} colour {name}")
    first.does("copy folder copied")
    first.does("move folder moved")
    for folder in ("copied", "moved"):
        assert server.property(f"{folder}/", OWN_PROPERTY) == "folder"
        assert server.property(f"{folder}/file", OWN_PROPERTY) == "folder/file"
    first.does("delete moved/file")
    first.does("put file moved/file")
    assert server.properties("moved/file", OWN_PROPERTY).status_of(OWN_PROPERTY) == 404
