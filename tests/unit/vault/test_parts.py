"""Files that arrive in parts: what is there of them, where they go, and what they count meanwhile."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from io import BytesIO
from itertools import count
from pathlib import Path

import pytest

from davserver.errors import (
    AlreadyExists,
    CorruptRow,
    LengthMismatch,
    LimitExceeded,
    Locked,
    NameTaken,
    NotFound,
    NotPermitted,
    ParentMissing,
    PathError,
    QuotaExceeded,
    VersionConflict,
    WrongOffset,
)
from davserver.model import UPLOADS_ID, NodeId, Scope
from davserver.vault import unfinished
from davserver.vault.access import Limits
from davserver.vault.export import archive, everything
from davserver.vault.paths import VaultPath
from davserver.vault.scrub import Finding
from davserver.vault.unfinished import MAX_OPEN, PART_BYTES, IfTaken
from davserver.vault.upload import WORD_EXTRA
from tests.unit.vault.arriving import CONTENT, IDLE_DAYS, PART, TIME, Arriving, open_uploads, shorten_parts
from tests.unit.vault.store import Drive, Store, make_store

at = VaultPath.parse
begin = Arriving.begin

WORD = bytes(range(16))
"""By this a client calls its file."""


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many parts of a small file."""
    shorten_parts(monkeypatch)


# ── there and whole ─────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 2 * PART, len(CONTENT)])
def test_a_file_comes_together(store: Store, alice: Drive, size: int) -> None:
    """Byte for byte, with its time and the digests that are kept; nothing is visible before that."""
    alice.mkdir("/d")
    arriving = begin(alice, "/d/f", CONTENT[:size])
    for expected in range(PART, size + PART, PART):
        assert alice.tree() == {"/d": None}
        assert arriving.send() == min(expected, size)
    assert alice.tree() == {"/d": None}
    node = arriving.join(keep=frozenset({"SHA1"}))
    assert alice.tree() == {"/d": None, "/d/f": CONTENT[:size]}
    assert (node.modified_ns, node.size) == (TIME, size)
    assert node.sha1 == hashlib.sha1(CONTENT[:size]).digest()
    assert (alice.used, open_uploads(alice)) == (size, [])
    store.assert_tidy()


def test_the_usual_length_of_a_part() -> None:
    """What the documents and the page say: 8 MiB."""
    assert PART_BYTES == 8 * 1024 * 1024


def test_it_goes_on_in_another_process(store: Store, alice: Drive) -> None:
    """Nothing of it is in the memory of one: begun here, gone on with there, finished after a restart."""
    arriving = begin(alice, "/f")
    arriving.send()
    others = [make_store(store.folder) for _ in range(2)]
    try:
        for number, other in enumerate(others):
            other.clock.now = store.clock.now
            elsewhere = Arriving(other.drive("alice"), arriving.id, CONTENT)
            assert elsewhere.received == (1 + number) * PART
            elsewhere.send()
        assert open_uploads(alice) == [("/f", 3 * PART)]
        arriving.send_all()
        Arriving(others[0].drive("alice"), arriving.id, CONTENT).join()
    finally:
        for other in others:
            other.close()
    assert alice.get("/f") == CONTENT
    store.assert_tidy()


# ── parts ───────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_part_that_is_sent_again_is_told_where_to_go_on(store: Store, alice: Drive) -> None:
    """Repeated, overlapping, beyond the end, before the beginning: the right place is told."""
    arriving = begin(alice, "/f")
    arriving.send(), arriving.send()
    for offset in (0, PART, 2 * PART - 1, 2 * PART + 1, 3 * PART, len(CONTENT), -PART, 10**30):
        with pytest.raises(WrongOffset) as told:
            arriving.send(offset)
        assert told.value.received == 2 * PART
    arriving.send_all()
    with pytest.raises(WrongOffset) as told:
        arriving.send(len(CONTENT))
    assert told.value.received == len(CONTENT)
    arriving.join()
    assert alice.get("/f") == CONTENT
    store.assert_tidy()


def test_of_two_that_send_the_same_part_one_counts(store: Store, alice: Drive) -> None:
    """An old request that comes back to life beside the new one; the slower of them is told so."""
    arriving = begin(alice, "/f")
    with alice.vault.parts.append(arriving.id, 0) as slow:
        slow.write(bytes(PART))
        arriving.send()
        with pytest.raises(WrongOffset) as told:
            slow.commit()
    assert told.value.received == PART
    assert alice.used == PART
    arriving.send_all().join()
    assert alice.get("/f") == CONTENT
    store.assert_tidy()


@pytest.mark.parametrize("length", [0, 1, PART - 1, PART + 1])
def test_a_part_has_its_length(store: Store, alice: Drive, length: int) -> None:
    """Neither less nor more, so that nobody fills the database with tiny ones; nothing of it is kept."""
    arriving = begin(alice, "/f")

    def send() -> None:
        with alice.vault.parts.append(arriving.id, 0) as upload:
            upload.write(bytes(length))
            upload.commit()

    with pytest.raises(LengthMismatch):
        send()
    assert (arriving.received, alice.used) == (0, 0)
    store.assert_tidy()


def test_a_part_that_is_cut_off_is_not_there(store: Store, alice: Drive) -> None:
    """What came of it is dropped, and what was there before stays."""
    arriving = begin(alice, "/f")
    arriving.send()
    with alice.vault.parts.append(arriving.id, PART) as upload:
        upload.write(CONTENT[:1000])
    assert (arriving.received, alice.used) == (PART, PART)
    store.assert_tidy()


def test_a_part_costs_the_same_however_many_there_are(store: Store, alice: Drive) -> None:
    """Statements and commits: the parts before it are not looked at."""
    arriving, costs = begin(alice, "/f"), []
    for offset in range(0, 3 * PART, PART):
        with store.tripwire.armed() as steps:
            arriving.part(offset)
        statements = [step for step in steps if step.startswith("sql") and not step.startswith("sql BEGIN")]
        costs.append((len(statements), steps.count("commit")))
    assert costs == [(8, 2)] * 3


def test_whose_parts_they_are_can_be_seen(alice: Drive) -> None:
    """Each part has its SHA-1 beside it, so that nobody goes on with an upload of another file."""
    arriving = begin(alice, "/f")
    for offset in range(0, len(CONTENT) + PART, PART):
        sha1s = [hashlib.sha1(CONTENT[start : start + PART]).digest() for start in range(0, offset, PART)]
        found, digests = alice.vault.parts.arrived(arriving.id)
        assert (found.received, digests) == (min(offset, len(CONTENT)), sha1s)
        if offset < len(CONTENT):
            arriving.part(offset)


def test_it_is_not_joined_before_all_is_there(store: Store, alice: Drive) -> None:
    """The place where to go on is told, and nothing is lost."""
    arriving = begin(alice, "/f")
    arriving.send()
    with pytest.raises(WrongOffset) as told:
        arriving.join()
    assert told.value.received == PART
    arriving.send_all().join()
    store.assert_tidy()


# ── what it counts ──────────────────────────────────────────────────────────────────────────────────────────
def test_every_byte_counts_once_at_every_moment(store: Store, alice: Drive) -> None:
    """Parts while they are there, the file from the moment on in which they are not; seen by others, too."""
    alice.put("/other", b"12345")
    seen: list[int] = []
    arriving = begin(alice, "/f")
    with store.tripwire.armed():
        for _ in range(4):
            seen.append(alice.used - 5)
            arriving.send()
    assert seen == [0, PART, 2 * PART, 3 * PART]
    joining = alice.vault.parts.join(arriving.id)
    for _ in joining:
        assert alice.used == len(CONTENT) + 5
        assert store.problems() == []
    assert alice.used == len(CONTENT) + 5
    store.assert_tidy()


def test_a_quota_that_is_just_large_enough(store: Store, alice: Drive) -> None:
    """The file and its parts never count together."""
    store.accounts.set_quota("alice", len(CONTENT))
    begin(alice, "/f").send_all().join()
    assert alice.used == len(CONTENT)
    store.assert_tidy()


def test_a_quota_that_is_too_small(store: Store, alice: Drive) -> None:
    """It is said before a byte arrives; of two that fit alone only one does, and its parts stay for later."""
    store.accounts.set_quota("alice", len(CONTENT) - 1)
    with pytest.raises(QuotaExceeded):
        begin(alice, "/f")
    store.accounts.set_quota("alice", len(CONTENT) + PART)
    first, second = begin(alice, "/a"), begin(alice, "/b")
    first.send_all()
    second.send()
    with pytest.raises(QuotaExceeded):
        second.send()
    assert second.received == PART
    first.join()
    store.accounts.set_quota("alice", None)
    second.send_all().join()
    assert alice.tree() == {"/a": CONTENT, "/b": CONTENT}
    store.assert_tidy()


def test_a_quota_that_was_lowered_meanwhile(store: Store, alice: Drive) -> None:
    """The file is refused as any write would be; the parts wait until there is room."""
    arriving = begin(alice, "/f").send_all()
    store.accounts.set_quota("alice", len(CONTENT) - 1)
    with pytest.raises(QuotaExceeded):
        arriving.join()
    assert (arriving.received, alice.used) == (len(CONTENT), len(CONTENT))
    store.accounts.set_quota("alice", len(CONTENT))
    arriving.join()
    assert alice.get("/f") == CONTENT
    store.assert_tidy()


def test_what_is_kept_gives_way_to_parts(store: Store, alice: Drive) -> None:
    """Trash and versions never stand in the way, neither of a part nor of the file that is replaced."""
    store.accounts.set_quota("alice", 2 * len(CONTENT))
    alice.put("/old", CONTENT)
    alice.delete("/old")
    alice.put("/f", CONTENT[::-1])
    arriving = begin(alice, "/f", if_taken=IfTaken.REPLACE).send_all()
    assert alice.kept() == {}
    arriving.join()
    assert (alice.get("/f"), alice.before("/f")) == (CONTENT, [CONTENT[::-1]])
    assert alice.used == 2 * len(CONTENT)
    store.assert_tidy()


def test_room_for_parts_beside_what_is_replaced(store: Store, alice: Drive) -> None:
    """The old file stays until the new one is there, so there has to be room for both."""
    store.accounts.set_quota("alice", 2 * len(CONTENT) - 1)
    alice.put("/f", CONTENT[::-1])
    with pytest.raises(QuotaExceeded):
        begin(alice, "/f", if_taken=IfTaken.REPLACE)
    assert alice.get("/f") == CONTENT[::-1]


# ── where it goes ───────────────────────────────────────────────────────────────────────────────────────────
def test_a_name_that_is_taken_is_asked_about_at_once(store: Store, alice: Drive) -> None:
    """Before anything is stored, whatever it is; the answers do what they say."""
    alice.put("/f", b"old")
    alice.mkdir("/c")
    for path in ("/f", "/c"):
        with pytest.raises(AlreadyExists):
            begin(alice, path)
    with pytest.raises(AlreadyExists):
        begin(alice, "/c", if_taken=IfTaken.REPLACE)
    assert open_uploads(alice) == []
    begin(alice, "/f", if_taken=IfTaken.REPLACE).send_all().join()
    assert (alice.get("/f"), alice.before("/f")) == (CONTENT, [b"old"])
    begin(alice, "/f", if_taken=IfTaken.BOTH).send_all().join()
    begin(alice, "/c", if_taken=IfTaken.BOTH).send_all().join()
    assert alice.names() == ["c", "c (2)", "f", "f (2)"]
    assert alice.get("/f (2)") == CONTENT
    store.assert_tidy()


Change = Callable[[Drive], object]

CHANGES: dict[str, tuple[IfTaken, Change]] = {
    "a file comes": (IfTaken.ASK, lambda drive: drive.put("/new", b"theirs")),
    "a collection comes": (IfTaken.ASK, lambda drive: drive.mkdir("/new")),
    "the file that was to be replaced changes": (
        IfTaken.REPLACE,
        lambda drive: drive.put("/there", b"theirs"),
    ),
    "a file comes where there was none to replace": (
        IfTaken.REPLACE,
        lambda drive: drive.put("/new", b"theirs"),
    ),
    "a collection comes in its place": (
        IfTaken.REPLACE,
        lambda drive: (drive.move("/there", "/moved"), drive.mkdir("/there")),
    ),
}


@pytest.mark.parametrize("when", ["before", "during"])
@pytest.mark.parametrize("name", CHANGES)
def test_what_comes_meanwhile_is_asked_about(store: Store, alice: Drive, name: str, when: str) -> None:
    """Nothing is replaced that nobody has decided about, and nothing is lost by the question."""
    if_taken, change = CHANGES[name]
    alice.put("/there", b"there")
    path = "/there" if "/there" in name or "replaced changes" in name or "in its place" in name else "/new"
    arriving = begin(alice, path, if_taken=if_taken).send_all()
    if when == "before":
        change(alice)
        with pytest.raises(AlreadyExists):
            arriving.join()
    else:
        joining = iter(alice.vault.parts.join(arriving.id))
        next(joining)
        change(alice)
        with pytest.raises(AlreadyExists):
            list(joining)
    before = {path: content for path, content in alice.tree().items() if content is not None}
    assert CONTENT not in before.values()
    assert arriving.received == len(CONTENT)
    arriving.join(if_taken=IfTaken.BOTH)
    assert alice.get(f"{path} (2)") == CONTENT
    assert {path: alice.get(path) for path in before} == before
    store.assert_tidy()


def test_the_second_answer_is_about_what_is_there_then(store: Store, alice: Drive) -> None:
    """And it is judged again, too."""
    alice.put("/f", b"1")
    arriving = begin(alice, "/f", if_taken=IfTaken.REPLACE).send_all()
    alice.put("/f", b"2")
    joining = alice.vault.parts.join(arriving.id, if_taken=IfTaken.REPLACE)
    alice.put("/f", b"3")
    with pytest.raises(AlreadyExists):
        list(joining)
    assert alice.get("/f") == b"3"
    arriving.join(if_taken=IfTaken.REPLACE)
    assert (alice.get("/f"), set(alice.before("/f"))) == (CONTENT, {b"1", b"2", b"3"})
    store.assert_tidy()


def test_what_was_shown_is_what_is_replaced(store: Store, alice: Drive) -> None:
    """An answer names the file that it is about; another one that has come since is asked about anew."""
    etags = [alice.put("/f", b"1").node.etag]

    def asked_after(content: bytes) -> Iterator[None]:
        etags.append(alice.put("/f", content).node.etag)
        with pytest.raises(NameTaken) as taken:
            yield
        assert (taken.value.etag, taken.value.size, taken.value.is_collection) == (etags[-1], 3, False)

    asked = contextmanager(asked_after)
    with asked(b"two"):
        begin(alice, "/f", if_taken=IfTaken.REPLACE, there=etags[0])
    arriving = begin(alice, "/f", if_taken=IfTaken.REPLACE, there=etags[1]).send_all()
    with asked(b"111"):
        arriving.join()
    with asked(b"222"):
        alice.vault.parts.join(arriving.id, if_taken=IfTaken.REPLACE, there=etags[2])
    joining = alice.vault.parts.join(arriving.id, if_taken=IfTaken.REPLACE, there=etags[3])
    with asked(b"333"):
        list(joining)
    assert alice.get("/f") == b"333"
    list(alice.vault.parts.join(arriving.id, if_taken=IfTaken.REPLACE, there=etags[4]))
    assert (alice.get("/f"), len(alice.before("/f"))) == (CONTENT, 5)
    store.assert_tidy()


def test_what_was_shown_may_be_gone(alice: Drive) -> None:
    """Then the name is free, and nobody is asked; what was shown as nothing is nothing that is replaced."""
    etag = alice.put("/f", b"1").node.etag
    alice.delete("/f")
    begin(alice, "/f", if_taken=IfTaken.REPLACE, there=etag).send_all().join()
    with pytest.raises(NameTaken):
        begin(alice, "/f", if_taken=IfTaken.REPLACE, there="")


def test_another_time_is_no_other_file(alice: Drive) -> None:
    """What was decided about a content holds as long as it is that content."""
    alice.put("/f", b"1")
    arriving = begin(alice, "/f", if_taken=IfTaken.REPLACE).send_all()
    alice.times("/f", modified_ns=1)
    arriving.join()
    assert alice.get("/f") == CONTENT


def test_what_was_to_be_replaced_may_be_gone(alice: Drive) -> None:
    """Then it is a new file."""
    alice.put("/f", b"1")
    arriving = begin(alice, "/f", if_taken=IfTaken.REPLACE).send_all()
    alice.delete("/f")
    arriving.join()
    assert (alice.get("/f"), alice.before("/f")) == (CONTENT, [])


def test_it_follows_its_folder(store: Store, alice: Drive) -> None:
    """A folder that was moved or renamed meanwhile is the same folder."""
    alice.mkdir("/d")
    alice.mkdir("/e")
    arriving = begin(alice, "/d/f").send_all()
    alice.move("/d", "/e/d2")
    assert open_uploads(alice) == [("/e/d2/f", len(CONTENT))]
    arriving.join()
    assert alice.get("/e/d2/f") == CONTENT
    store.assert_tidy()


def test_its_folder_is_gone(store: Store, alice: Drive) -> None:
    """The parts wait: for the folder to come back, or for another one of its name."""
    alice.mkdir("/d")
    first, second = begin(alice, "/d/1").send_all(), begin(alice, "/d/2").send_all()
    alice.delete("/d")
    assert sorted(open_uploads(alice)) == [("/d/1", len(CONTENT)), ("/d/2", len(CONTENT))]
    with pytest.raises(ParentMissing):
        first.join()
    alice.undo("/d")
    first.join()
    alice.delete("/d")
    alice.mkdir("/d")
    second.join()
    assert alice.tree("/d") == {"/d/2": CONTENT}
    store.assert_tidy()


def test_its_folder_lies_too_deep_by_now(store: Store, alice: Drive) -> None:
    """No path leads there: it is listed as going to where it was, beside the others, and waits."""
    deep = "/".join(["d"] * 200)
    alice.plant_chain(["d"] * 200)
    other, arriving = begin(alice, "/other"), begin(alice, f"/{deep}/f").send_all()
    alice.plant_chain(["e"] * 60)
    alice.move("/d", "/" + "/".join(["e"] * 60) + "/d")
    assert sorted(open_uploads(alice)) == [(f"/{deep}/f", len(CONTENT)), ("/other", 0)]
    with pytest.raises(ParentMissing):
        arriving.join()
    assert (arriving.received, other.received) == (len(CONTENT), 0)
    alice.move("/" + "/".join(["e"] * 60) + "/d", "/d")
    arriving.join()
    assert alice.get(f"/{deep}/f") == CONTENT
    store.assert_tidy()


def test_locks_hold_at_the_beginning_and_at_the_end(store: Store, alice: Drive) -> None:
    """Of what is replaced, of the folder, and those that come meanwhile; the parts wait for them."""
    alice.mkdir("/d")
    alice.put("/d/f", b"old")
    for path, infinite in (("/d/f", False), ("/d", True)):
        token = alice.lock(path, infinite=infinite)
        with pytest.raises(Locked):
            begin(alice, "/d/f", if_taken=IfTaken.REPLACE)
        alice.unlock(path, token)
    arriving = begin(alice, "/d/f", if_taken=IfTaken.REPLACE).send_all()
    new = begin(alice, "/d/new", if_taken=IfTaken.BOTH).send_all()
    token = alice.lock("/d", infinite=True)
    for one in (arriving, new):
        with pytest.raises(Locked):
            one.join()
    alice.unlock("/d", token)
    joining = alice.vault.parts.join(arriving.id)
    token = alice.lock("/d/f")
    with pytest.raises(Locked):
        list(joining)
    assert alice.get("/d/f") == b"old"
    alice.unlock("/d/f", token)
    arriving.join(), new.join()
    assert alice.tree("/d") == {"/d/f": CONTENT, "/d/new": CONTENT}
    store.assert_tidy()


def test_a_lock_on_the_folder_alone_is_in_the_way_of_a_new_name(alice: Drive) -> None:
    """As for any write (RFC 4918, 7.4)."""
    alice.mkdir("/d")
    arriving = begin(alice, "/d/f").send_all()
    token = alice.lock("/d")
    with pytest.raises(Locked):
        arriving.join()
    alice.unlock("/d", token)
    arriving.join()


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/none/f", ParentMissing),
        ("/file/f", ParentMissing),
        ("/", NotPermitted),
        ("/" + "/".join(["x" * 250] * 140), ParentMissing),
    ],
)
def test_where_nothing_can_be(alice: Drive, path: str, error: type[Exception]) -> None:
    """It is said at the beginning."""
    alice.put("/file")
    with pytest.raises(error):
        begin(alice, path)
    with pytest.raises(PathError):
        begin(alice, "/a\x00")


def test_names_that_are_too_long_together(alice: Drive) -> None:
    """A path of 250 long names does not fit into the row: that is said before anything arrives."""
    names = ["ü" * 120] * 250
    alice.plant_chain(names)
    with pytest.raises(LimitExceeded):
        begin(alice, "/" + "/".join(names) + "/f")
    assert open_uploads(alice) == []


def test_the_limits_of_a_file(folder: Path) -> None:
    """The largest size, and times that no row can hold."""
    store = make_store(folder, Limits(max_file_bytes=1000))
    drive = store.drive("alice")
    try:
        with pytest.raises(LimitExceeded):
            begin(drive, "/f", bytes(1001))
        begin(drive, "/f", bytes(1000)).send_all().join()
        with pytest.raises(LimitExceeded):
            drive.vault.parts.begin(at("/g"), 1, 2**63)
    finally:
        store.close()


def test_so_many_at_once(store: Store, alice: Drive, bob: Drive) -> None:
    """Twenty, of each account; one that is idle makes way for another one."""
    for number in range(MAX_OPEN):
        begin(alice, f"/{number}").send()
        store.clock.advance(seconds=1)
    with pytest.raises(LimitExceeded):
        begin(alice, "/one more")
    begin(bob, "/f").send()
    store.clock.advance(days=IDLE_DAYS, seconds=-2)
    kept = Arriving(alice, alice.vault.parts.all()[0].id, CONTENT)
    kept.send()
    store.clock.advance(seconds=1)
    begin(alice, "/one more")
    assert open_uploads(alice) == [("/0", 2 * PART), ("/one more", 0)]
    assert (alice.used, bob.used) == (2 * PART, PART)
    store.assert_tidy()


# ── by which word ───────────────────────────────────────────────────────────────────────────────────────────
def test_what_is_begun_again_is_the_same_upload(store: Store, alice: Drive, bob: Drive) -> None:
    """However often the answer gets lost it takes one place; as far as it has come, whatever has its name."""
    first = begin(alice, "/f", word=WORD)
    first.send()
    alice.put("/f", b"theirs")
    for _ in range(MAX_OPEN + 1):
        again = alice.vault.parts.begin(at("/f"), len(CONTENT), TIME, word=WORD)
        assert (again.id, again.received) == (first.id, PART)
    others = [
        begin(alice, "/g", word=WORD[::-1]),
        begin(alice, "/g"),
        begin(alice, "/g"),
        begin(bob, "/g", word=WORD),
    ]
    assert len({one.id for one in (first, *others)}) == 5
    first.cancel()
    assert begin(alice, "/new", word=WORD).id != first.id
    store.assert_tidy()


def test_a_file_keeps_the_word_by_which_it_was_sent(store: Store, alice: Drive) -> None:
    """For as long as it has that content, wherever it is; another content has none, or its own."""

    def word_of(path: str) -> object:
        return alice.stat(path).extras.get(WORD_EXTRA)

    begin(alice, "/f", word=WORD).send_all().join()
    alice.put("/g", b"whole", word=WORD)
    for path, moved in (("/f", "/f2"), ("/g", "/g2")):
        alice.times(path, modified_ns=1)
        alice.move(path, moved)
        alice.delete(moved)
        alice.undo(moved)
        assert word_of(moved) == WORD
        alice.put(moved, b"by a program")
        assert word_of(moved) is None
        alice.put(moved, b"by the browser", word=WORD[::-1])
        assert word_of(moved) == WORD[::-1]
        begin(alice, moved, if_taken=IfTaken.REPLACE).send_all().join()
        assert word_of(moved) is None
    store.assert_tidy()


# ── who ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_only_who_sees_the_whole_account_and_may_write(store: Store, alice: Drive, bob: Drive) -> None:
    """Not a device that is limited to a folder, nor one that only reads; nobody reaches another's upload."""
    alice.mkdir("/d")
    arriving = begin(alice, "/d/f").send_all()
    for other in (alice.narrowed(root="/d"), alice.narrowed(Scope.READ_ONLY)):
        with pytest.raises(NotPermitted):
            other.vault.parts.all()
        with pytest.raises(NotPermitted):
            Arriving(other, arriving.id, CONTENT).join()
    for act in (Arriving.send, Arriving.join, Arriving.cancel):
        with pytest.raises(NotFound):
            act(Arriving(bob, arriving.id, CONTENT))
    assert open_uploads(bob) == []
    arriving.join()
    store.assert_tidy()


def test_what_is_no_upload(alice: Drive) -> None:
    """Ids of files, of the root, of parts, and of nothing."""
    file = alice.put("/f", b"content").node
    arriving = begin(alice, "/g")
    arriving.send()
    (part,) = alice.store.sql("SELECT node_id FROM node WHERE parent_id = ?", arriving.id)[0]
    for upload_id in (file.id, file.parent_id, NodeId(part), NodeId(bytes(range(16))), NodeId(b"")):
        for act in (Arriving.send, Arriving.join, Arriving.cancel):
            with pytest.raises(NotFound):
                act(Arriving(alice, upload_id, CONTENT))
    assert alice.get("/f") == b"content"


def test_nothing_else_shows_them(store: Store, alice: Drive) -> None:
    """No path, listing, search, archive, trash or count of files; no device has one for its root."""
    begin(alice, "/f").send()
    assert alice.tree() == {}
    assert alice.kept() == {}
    assert alice.vault.search(VaultPath(), "f").hits == ()
    made = b"".join(archive(alice.vault, everything(alice.vault, {}), store.clock()))
    assert zipfile.ZipFile(BytesIO(made)).namelist() == []
    with store.database.read() as tx:
        assert tx.summary.nodes_by_kind(alice.principal.account.id) == {}
        assert tx.nodes.unreachable(alice.principal.account.id) == []
    inside = replace(alice.principal, root_id=alice.vault.parts.all()[0].id)
    with pytest.raises(NotFound):
        Drive(store, inside).stat("/")


# ── given up ────────────────────────────────────────────────────────────────────────────────────────────────
def test_given_up(store: Store, alice: Drive) -> None:
    """At once, with all of its parts; what it was to replace was never touched."""
    alice.put("/f", b"old")
    arriving = begin(alice, "/f", if_taken=IfTaken.REPLACE)
    arriving.send(), arriving.send()
    assert arriving.cancel() == 2 * PART
    for act in (Arriving.send, Arriving.join, Arriving.cancel):
        with pytest.raises(NotFound):
            act(arriving)
    assert (alice.used, alice.get("/f"), alice.kept()) == (3, b"old", {})
    assert store.collect().blobs == 2
    store.assert_tidy()


def test_given_up_while_it_is_joined(store: Store, alice: Drive) -> None:
    """In another window: then there is no file."""
    arriving = begin(alice, "/f").send_all()
    joining = iter(alice.vault.parts.join(arriving.id))
    next(joining)
    arriving.cancel()
    with pytest.raises(NotFound):
        list(joining)
    assert alice.tree() == {}
    store.assert_tidy()


def test_given_up_while_a_part_arrives(store: Store, alice: Drive) -> None:
    """The part is refused, and nothing of it is left."""
    arriving = begin(alice, "/f")
    with alice.vault.parts.append(arriving.id, 0) as upload:
        upload.write(CONTENT[:PART])
        arriving.cancel()
        with pytest.raises(NotFound):
            upload.commit()
    assert alice.used == 0
    store.assert_tidy()


def test_joined_several_times_at_once(store: Store, alice: Drive) -> None:
    """Answers got lost and the browser asks again, while the first still works: the newest makes the file.

    The others stop at their next part, so that one upload never fills the disk with many copies of itself.
    """
    content = bytes(range(251)) * 12_000
    staging = store.folder / "blobs" / "staging"
    arriving = begin(alice, "/f", content).send_all()
    running: list[Iterator[int]] = []
    for _ in range(4):
        running.append(iter(alice.vault.parts.join(arriving.id)))
        for done in running[-1]:
            if done > 2 * 1024 * 1024:
                break
        for older in running[-2:-1]:
            with pytest.raises(VersionConflict):
                next(older)
        assert len(list(staging.iterdir())) == 1
    assert alice.tree() == {}
    list(running[-1])
    assert (alice.tree(), alice.used) == ({"/f": content}, len(content))
    store.assert_tidy()


@pytest.mark.parametrize("by", ["another join", "a cancel", "nobody"])
def test_the_last_step_looks_whether_the_upload_is_there(store: Store, alice: Drive, by: str) -> None:
    """Finished or given up by another request after all parts were read: there is one file, or none."""
    arriving = begin(alice, "/f").send_all()
    joining = iter(alice.vault.parts.join(arriving.id))
    for _ in range(0, len(CONTENT), PART):
        next(joining)
    if by == "another join":
        arriving.join()
    elif by == "a cancel":
        arriving.cancel()
    outcome = pytest.raises(NotFound) if by != "nobody" else nullcontext()
    with outcome:
        assert list(joining) == []
    assert alice.tree() == ({} if by == "a cancel" else {"/f": CONTENT})
    assert alice.used == (0 if by == "a cancel" else len(CONTENT))
    store.assert_tidy()


def test_the_last_step_looks_whether_it_is_the_newest(store: Store, alice: Drive) -> None:
    """Another one has begun after all parts were read: that one makes the file, by its own decision."""
    alice.put("/f", b"old")
    arriving = begin(alice, "/f", if_taken=IfTaken.REPLACE).send_all()
    older = iter(alice.vault.parts.join(arriving.id))
    for _ in range(0, len(CONTENT), PART):
        next(older)
    newest = alice.vault.parts.join(arriving.id, if_taken=IfTaken.BOTH)
    with pytest.raises(VersionConflict):
        next(older)
    assert alice.tree() == {"/f": b"old"}
    list(newest)
    assert alice.tree() == {"/f": b"old", "/f (2)": CONTENT}
    store.assert_tidy()


def test_joining_that_is_left_can_be_begun_again(store: Store, alice: Drive) -> None:
    """The browser has gone away: nothing is there of the file, everything of its parts."""
    arriving = begin(alice, "/f").send_all()
    joining = iter(alice.vault.parts.join(arriving.id))
    next(joining)
    joining.close()  # type: ignore[attr-defined]  # it is a generator
    assert (alice.tree(), alice.used) == ({}, len(CONTENT))
    store.assert_tidy()
    arriving.join()
    assert alice.get("/f") == CONTENT


@pytest.mark.parametrize("days", [1, IDLE_DAYS])
def test_idle_for_too_long(folder: Path, days: int) -> None:
    """To the second, counted from whatever was last done; each upload for itself."""
    store = make_store(folder, Limits(upload_days=days))
    alice, bob = store.drive("alice"), store.drive("bob")
    idle, busy, joined = begin(alice, "/idle"), begin(bob, "/busy"), begin(alice, "/joined").send_all()
    idle.send()
    store.clock.advance(days=days / 2)
    busy.send()
    token = alice.lock("/", infinite=True)
    with pytest.raises(Locked):
        joined.join()
    alice.unlock("/", token)
    store.clock.advance(days=days / 2, seconds=-1)
    assert store.collect().uploads == 0
    store.clock.advance(seconds=1)
    joined.join()
    report = store.collect()
    assert (report.uploads, open_uploads(alice), open_uploads(bob)) == (1, [], [("/busy", PART)])
    assert alice.used == len(CONTENT)
    store.clock.advance(days=days / 2)
    assert store.collect().uploads == 1
    assert bob.used == 0
    store.assert_tidy()
    store.close()


def test_one_that_is_gone_on_with_in_the_last_moment(store: Store, alice: Drive) -> None:
    """In whatever moment of a collection that is: it is given up, or gone on with, never both."""
    outcomes = set()
    for reads in count(1):
        arriving = begin(alice, f"/{reads}")
        store.clock.advance(days=IDLE_DAYS)
        gone_on: list[bool] = []
        store.database.after_read = _after(store, reads, partial(_go_on, arriving, gone_on))
        uploads = store.collect().uploads
        if not gone_on:
            break
        assert uploads == (not gone_on[0])
        assert open_uploads(alice) == ([(f"/{reads}", PART)] if gone_on[0] else [])
        outcomes.add(gone_on[0])
        if gone_on[0]:
            arriving.cancel()
    assert outcomes == {True, False}
    store.database.after_read = None


def _after(store: Store, reads: int, action: Callable[[], object]) -> Callable[[], None]:
    """What runs `action` after so many transactions that read."""

    def step() -> None:
        if reads == 1:
            action()
        else:
            store.database.after_read = _after(store, reads - 1, action)

    return step


def _go_on(arriving: Arriving, gone_on: list[bool]) -> None:
    """Send the next part, if that is still possible."""
    with suppress(NotFound):
        arriving.send()
        gone_on.append(True)
    if not gone_on:
        gone_on.append(False)


def test_a_suspended_account_and_one_that_is_being_deleted(store: Store, alice: Drive, bob: Drive) -> None:
    """Of the former what is idle goes; the latter is left to its deletion."""
    begin(alice, "/f").send()
    begin(bob, "/f").send()
    store.accounts.suspend("alice")
    store.sql("UPDATE account SET state = 'deleted' WHERE username = 'bob'")
    store.clock.advance(days=IDLE_DAYS)
    assert store.collect().uploads == 1
    assert store.sql("SELECT count(*) FROM node WHERE account_id = ?", bob.principal.account.id) == [(3,)]


# ── altered ─────────────────────────────────────────────────────────────────────────────────────────────────
def findings(store: Store) -> set[Finding]:
    """What `verify` says."""
    return {problem.finding for problem in store.problems()}


def test_verify_reads_parts_back(store: Store, alice: Drive) -> None:
    """Sound ones are no finding; an altered byte of a part is one, and it is never joined."""
    arriving = begin(alice, "/f").send_all()
    assert findings(store) == set()
    stored = "SELECT blob_id FROM node JOIN blob USING (blob_id) WHERE parent_id = ? AND NOT inline"
    blob_id = store.sql(stored, arriving.id)[0][0]
    path = store.blob_path(blob_id)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert findings(store) == {Finding.CONTENT_ALTERED}
    with pytest.raises(Exception, match="chunk"):
        arriving.join()
    assert alice.tree() == {}


def test_parts_that_are_gone_or_come_from_elsewhere(store: Store, alice: Drive) -> None:
    """Neither joins into a file: a row that was taken away, moved between uploads, or planted beside."""
    first, second = begin(alice, "/1").send_all(), begin(alice, "/2", CONTENT[::-1]).send_all()
    gone = store.sql("SELECT node_id FROM node WHERE parent_id = ?", first.id)[0][0]
    store.sql("DELETE FROM node WHERE node_id = ?", gone)
    assert findings(store) == {Finding.UPLOAD_ALTERED, Finding.COUNTER_WRONG}
    with pytest.raises(CorruptRow):
        first.join()
    moved = store.sql("SELECT node_id FROM node WHERE parent_id = ?", second.id)[0][0]
    store.sql("UPDATE node SET parent_id = ? WHERE node_id = ?", first.id, moved)
    assert findings(store) >= {Finding.UPLOAD_ALTERED, Finding.NODE_ALTERED}
    for one in (first, second):
        with pytest.raises(CorruptRow):
            one.join()
    assert alice.tree() == {}


def test_a_part_of_another_length(store: Store, alice: Drive) -> None:
    """However it came there, under our own seal even: no file is made that is not what was announced."""
    arriving = begin(alice, "/f").send_all()
    other = alice.put("/other", b"1").node
    access = store.vaults.access(alice.principal)
    with store.database.write() as tx:
        part = unfinished.part(access, tx, unfinished.find(access, tx, arriving.id), PART)
        access.tree.change(tx, part, content=other.content, size=1)
        tx.commit()
    assert Finding.UPLOAD_ALTERED in findings(store)
    with pytest.raises(CorruptRow):
        arriving.join()
    assert alice.tree() == {"/other": b"1"}


@pytest.mark.parametrize("column", ["metadata_sealed", "version", "name_sealed"])
def test_an_altered_row_gives_nothing_up(store: Store, alice: Drive, bob: Drive, column: str) -> None:
    """It is told by whatever opens it, garbage collection among them, after the others were gone through."""
    arriving = begin(alice, "/f")
    begin(bob, "/f")
    arriving.send()
    value = store.sql(f"SELECT {column} FROM node WHERE node_id = ?", arriving.id)[0][0]  # noqa: S608
    altered = value + 1 if isinstance(value, int) else bytes([value[0] ^ 1]) + value[1:]
    store.sql(f"UPDATE node SET {column} = ? WHERE node_id = ?", altered, arriving.id)  # noqa: S608
    store.clock.advance(days=IDLE_DAYS)
    with pytest.raises(CorruptRow):
        store.collect()
    assert open_uploads(bob) == []
    assert alice.used == PART
    for ask in (alice.vault.parts.all, lambda: arriving.received, arriving.cancel):
        with pytest.raises(CorruptRow):
            ask()
    assert Finding.NODE_ALTERED in findings(store)


def test_an_altered_upload_is_in_nobody_elses_way(store: Store, alice: Drive) -> None:
    """Beside it others are listed, begun, found by their word, and given up; it is told of once each time."""
    altered = begin(alice, "/altered")
    store.sql("UPDATE node SET version = 9 WHERE node_id = ?", altered.id)
    others = [begin(alice, f"/{number}", word=WORD) for number in (1, 1)]
    others += [begin(alice, f"/{number}") for number in range(2, MAX_OPEN)]
    told: list[CorruptRow] = []
    assert len(alice.vault.parts.all(told.append)) == len(told) * (MAX_OPEN - 1) == MAX_OPEN - 1
    with pytest.raises(LimitExceeded):
        begin(alice, "/one more")
    store.clock.advance(days=IDLE_DAYS)
    begin(alice, "/one more")
    assert [one.path for one in alice.vault.parts.all(told.append)] == [("one more",)]
    store.clock.advance(days=IDLE_DAYS)
    with pytest.raises(CorruptRow):
        store.collect()
    assert alice.vault.parts.all(told.append) == []


def test_a_collection_that_was_put_there_without_a_key(store: Store, alice: Drive) -> None:
    """Whoever can write to the database cannot have a folder given up as if it were an upload."""
    folder = alice.mkdir("/d")
    alice.put("/d/f", CONTENT)
    store.sql("UPDATE node SET parent_id = ? WHERE node_id = ?", b"\xfe" * 16, folder.id)
    store.clock.advance(days=IDLE_DAYS)
    with pytest.raises(CorruptRow):
        store.collect()
    assert len(store.stored()) == 1


def test_only_what_says_so_is_an_upload(store: Store, alice: Drive) -> None:
    """A row below `UPLOADS_ID` that has our seal and does not say what it is."""
    codec = store.vaults.access(alice.principal).tree.codec
    node = codec.new_node(UPLOADS_ID, "x", None)
    with store.database.write() as tx:
        tx.nodes.insert([codec.seal_node(node)])
        tx.commit()
    with pytest.raises(CorruptRow):
        alice.vault.parts.all()
    assert findings(store) == {Finding.UPLOAD_ALTERED}
