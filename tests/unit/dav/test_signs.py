"""What requests tell of the device that sends them: noted, and nothing is answered otherwise for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from davserver.accounts.health import TOKENS, Health, HealthRecords, Sign, Trouble
from davserver.accounts.health_notes import BackgroundHealth, NoteWriter
from davserver.crypto import tokens
from davserver.dav.app import DavApp
from davserver.dav.put import Digests
from davserver.model import ROOT_ID, AuthMethod, NodeId, Principal, Scope
from davserver.vault.paths import VaultPath
from davserver.vault.service import RequestReads
from tests.factories import make_app_password, make_authenticator, make_principal, make_vaults, make_world
from tests.unit.accounts.test_health_of_refusals import Remembered
from tests.unit.dav.door import ALICE, Door, basic

Request = tuple[str, str, dict[str, str], bytes]
"""Method, path, fields, body."""

NAMED = b'<propfind xmlns="DAV:"><prop><getetag/></prop></propfind>'
LOCKINFO = (
    b'<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'
)


class Once(Remembered):
    """Says of what was noted once that it is not due again, as it is within a minute."""

    def note(self, *note: object) -> bool:
        """See `HealthNotes.note`."""
        if note[:3] in self.notes:
            return False
        return super().note(*note)  # type: ignore[arg-type]  # as they come


class Stand:
    """Alice's drive with a folder and a file, and what is noted of her devices."""

    def __init__(self, folder: Path) -> None:
        self.world = make_world(folder)
        self.account = self.world.accounts.create(ALICE, quota=100_000)
        self.vaults = make_vaults(self.world)
        self.noted = Once()
        app = DavApp(
            make_authenticator(self.world), self.vaults, self.world.audit, Digests(), health=self.noted
        )
        self.door = Door(app, self.world, self.vaults)
        self.vault = self.vaults.open(make_principal(self.account, self.world.clock))
        self.folder = self.vault.make_collection(VaultPath.parse("folder"))
        with self.vault.write(VaultPath.parse("file")) as upload:
            upload.write(b"content")
            upload.commit()
        self.now = int(self.world.clock().timestamp())
        self.device = ""
        self.use()

    def use(self, scopes: Scope = Scope.FULL, root_id: NodeId = ROOT_ID) -> None:
        """Another device."""
        token = make_app_password(self.world, self.account, scopes=scopes, root_id=root_id).token
        self.device = tokens.parse(token).id
        self.door.authorization = basic(ALICE, token)

    def told(
        self, method: str, path: str, fields: Mapping[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, set[str]]:
        """The status of one request, and what is noted of it beside that the device connected."""
        self.noted.notes.clear()
        status = self.door.call(method, f"/dav{path}", fields, body).status
        assert {one[:2] for one in self.noted.notes} == {(self.account.id, self.device)}
        noted = {what.value for _, _, what in self.noted.notes}
        assert "connected" in noted
        return status, noted - {"connected"}


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    """A drive."""
    made = Stand(tmp_path)
    yield made
    made.door.close()


# ── what was done
@pytest.mark.parametrize(
    ("request_", "noted"),
    [
        (("OPTIONS", "/", {}, b""), set()),
        (("HEAD", "/file", {}, b""), set()),
        (("GET", "/file", {}, b""), {"read"}),
        (("GET", "/file", {"Range": "bytes=1-2"}, b""), {"read"}),
        (("GET", "/", {}, b""), set()),
        (("PROPFIND", "/", {"Depth": "0"}, NAMED), set()),
        (("PROPFIND", "/", {"Depth": "1"}, NAMED), {"listed"}),
        (("PROPFIND", "/", {"Depth": "1"}, b""), {"listed"}),
        (("PUT", "/new", {}, b"1"), {"wrote"}),
        (("MKCOL", "/made", {}, b""), set()),
        (("MOVE", "/file", {"Destination": "/dav/moved"}, b""), set()),
        (("DELETE", "/file", {}, b""), set()),
        (("LOCK", "/file", {"Depth": "0"}, LOCKINFO), set()),
    ],
)
def test_what_a_device_has_done(stand: Stand, request_: Request, noted: set[str]) -> None:
    """Listed, read, wrote; everything else says that it is connected, and no more."""
    status, told = stand.told(*request_)
    assert status < 300
    assert told == noted


def test_nothing_was_read_where_no_byte_of_a_file_was_given(stand: Stand) -> None:
    """The client has it already, or asked for what is behind its end; an empty file was read."""
    etag = stand.door.call("GET", "/dav/file").headers["etag"]
    assert stand.told("GET", "/file", {"If-None-Match": etag}) == (304, set())
    assert stand.told("GET", "/file", {"Range": "bytes=100-200"}) == (416, set())
    stand.door.call("PUT", "/dav/empty", None, b"")
    assert stand.told("GET", "/empty") == (200, {"read"})


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (("GET", "/missing", {}, b""), 404),
        (("PUT", "/missing/file", {}, b"1"), 409),
        (("PUT", "/file", {"If-Match": '"x"'}, b"1"), 412),
        (("PUT", "/file", {"X-OC-Mtime": "yesterday"}, b"1"), 400),
        (("PUT", "/new", {"OC-Checksum": "SHA1:" + "0" * 40}, b"1"), 400),
        (("PROPFIND", "/missing", {"Depth": "1"}, NAMED), 404),
        (("PROPFIND", "/", {"Depth": "infinity"}, NAMED), 403),
        (("DELETE", "/", {}, b""), 403),
        (("GET", "/a%2Fb", {}, b""), 400),
    ],
)
def test_what_failed_was_not_done_and_is_no_trouble(stand: Stand, request_: Request, status: int) -> None:
    """Programs look for what is not there all the time; a device with all rights lacks none."""
    assert stand.told(*request_) == (status, set())


PATCH = '<propertyupdate xmlns="DAV:"><set><prop><{0} xmlns="{2}">{1}</{0}></prop></set>{3}</propertyupdate>'
PROTECTED = "<set><prop><getetag>x</getetag></prop></set>"
WINDOWS = "urn:schemas-microsoft-com:"
OLD = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("request_", "noted"),
    [
        (("PUT", "/new", {"X-OC-Mtime": "1700000000"}, "1"), {"wrote", "kept-times"}),
        (("PUT", "/new", {"X-OC-CTime": "1700000000"}, "1"), {"wrote"}),
        (("MKCOL", "/made", {"X-OC-Mtime": "1700000000"}, ""), {"kept-times"}),
        (("COPY", "/file", {"X-OC-Mtime": "5", "Destination": "/dav/copy"}, ""), {"kept-times"}),
        (("MOVE", "/file", {"X-OC-Mtime": "5", "Destination": "/dav/moved"}, ""), {"kept-times"}),
        (("GET", "/file", {"X-OC-Mtime": "5"}, ""), {"read"}),
        (("PROPPATCH", "/file", {}, PATCH.format("lastmodified", "5", "DAV:", "")), {"kept-times"}),
        (("PROPPATCH", "/file", {}, PATCH.format("Win32LastModifiedTime", OLD, WINDOWS, "")), {"kept-times"}),
        (("PROPPATCH", "/file", {}, PATCH.format("colour", "green", "urn:x", "")), set()),
        (("PROPPATCH", "/file", {}, PATCH.format("lastmodified", "5", "DAV:", PROTECTED)), set()),
    ],
)
def test_times_that_were_kept(
    stand: Stand, request_: tuple[str, str, dict[str, str], str], noted: set[str]
) -> None:
    """By the field that rclone sends or by PROPPATCH; not where it was not taken."""
    method, path, fields, body = request_
    status, told = stand.told(method, path, fields, body.encode())
    assert status < 300
    assert told == noted


# ── what was refused
@pytest.mark.parametrize(
    ("scopes", "request_", "trouble"),
    [
        (Scope.READ_ONLY, ("PUT", "/new", {}, b""), "read-only"),
        (Scope.READ_ONLY, ("DELETE", "/file", {}, b""), "read-only"),
        (Scope.READ_ONLY, ("MKCOL", "/made", {}, b""), "read-only"),
        (Scope.READ_ONLY, ("LOCK", "/file", {"Depth": "0"}, LOCKINFO), "read-only"),
        (Scope.NO_DELETE, ("DELETE", "/file", {}, b""), "no-delete"),
    ],
)
def test_what_a_device_may_not(stand: Stand, scopes: Scope, request_: Request, trouble: str) -> None:
    """Whatever a read-only device tries, that is what it is told."""
    stand.use(scopes)
    assert stand.told(*request_) == (403, {trouble})


def test_a_drive_that_is_full(stand: Stand) -> None:
    """Told before the body is read, or at its end."""
    assert stand.told("PUT", "/large", None, bytes(100_001)) == (507, {"no-room"})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("PROPFIND", "/", 404), ("PROPFIND", "/file", 404), ("GET", "/file", 404), ("PUT", "/file", 404)],
)
def test_the_folder_of_a_device_is_gone(stand: Stand, method: str, path: str, status: int) -> None:
    """Whatever it asks for."""
    stand.use(root_id=stand.folder.id)
    assert stand.told("PROPFIND", "/", {"Depth": "1"}, NAMED) == (207, {"listed"})
    stand.vault.delete(VaultPath.parse("folder"))
    answered, noted = stand.told(method, path, {"Depth": "1"}, NAMED if method == "PROPFIND" else b"1")
    assert (answered, noted) == (status, {"folder-gone"})


def test_a_device_that_looks_outside_of_its_folder(stand: Stand) -> None:
    """It writes as if the whole drive were there. Without a limit the same is the program's own affair."""
    stand.use(root_id=stand.folder.id)
    assert stand.told("PUT", "/folder/new", None, b"1") == (409, {"outside-folder"})
    assert stand.told("LOCK", "/folder/new", {"Depth": "0"}, LOCKINFO) == (409, {"outside-folder"})
    assert stand.told("GET", "/folder/new") == (404, set())
    stand.use()
    assert stand.told("PUT", "/missing/new", None, b"1") == (409, set())


# ── clocks
@pytest.mark.parametrize(
    ("ahead", "noted"),
    [
        (timedelta(days=1), {"wrote", "kept-times"}),
        (timedelta(days=1, seconds=1), {"wrote", "file-time"}),
        (timedelta(days=-20_000), {"wrote", "kept-times"}),
    ],
)
def test_a_file_of_the_future(stand: Stand, ahead: timedelta, noted: set[str]) -> None:
    """More than a day ahead of us; old files are as old as they are. Its time is kept all the same."""
    given = stand.now + round(ahead.total_seconds())
    assert stand.told("PUT", "/new", {"X-OC-Mtime": str(given)}, b"1") == (201, noted)
    assert stand.vault.stat(VaultPath.parse("new")).modified_ns == given * 10**9


@pytest.mark.parametrize(
    ("ahead", "noted"),
    [
        (300, {"clock-right"}),
        (-300, {"clock-right"}),
        (301, {"clock"}),
        (-301, {"clock"}),
        (None, set()),
    ],
)
def test_a_client_that_tells_its_own_time(stand: Stand, ahead: int | None, noted: set[str]) -> None:
    """Five minutes are within the leeway; what is no date is no clock."""
    moment = stand.world.clock() + timedelta(seconds=ahead or 0)
    date = "yesterday" if ahead is None else format_datetime(moment, usegmt=True)
    assert stand.told("HEAD", "/file", {"Date": date}) == (200, noted)


def test_a_clock_is_looked_at_as_often_as_a_connection_is_noted(stand: Stand) -> None:
    """Not with every request."""
    stand.door.call("HEAD", "/dav/file")
    stand.door.call("HEAD", "/dav/file", {"Date": OLD})
    assert [what for _, _, what in stand.noted.notes] == [Sign.CONNECTED]


# ── as its owner sees it
def health(stand: Stand, *requests: tuple[int, Request]) -> Health:
    """What is known of a device after some requests, each so many seconds after the one before."""
    with closing(BackgroundHealth(NoteWriter(stand.world.database))) as notes:
        authenticator = make_authenticator(stand.world)
        stand.door.app = DavApp(authenticator, stand.vaults, stand.world.audit, Digests(), health=notes)
        for pause, (method, path, fields, body) in requests:
            stand.world.clock.advance(seconds=pause)
            stand.door.call(method, f"/dav{path}", fields, body)
    return HealthRecords(stand.world.database).of(stand.account, stand.device)


LARGE: Request = ("PUT", "/large", {}, bytes(100_001))


def test_no_room_stands_although_an_empty_file_went_before(stand: Stand) -> None:
    """Finder and Windows write one first, in the same second: it fits on a full drive."""
    empty: Request = ("PUT", "/large", {}, b"")
    assert health(stand, (0, empty), (0, LARGE)).standing == [Trouble.NO_ROOM]
    assert health(stand, (5, empty), (0, LARGE)).standing == [Trouble.NO_ROOM]


def test_no_room_stands_until_something_was_written_since(stand: Stand) -> None:
    """A small file between two large ones ends it, and the second of those begins it anew, seconds later."""
    small: Request = ("PUT", "/small", {}, b"1")
    assert health(stand, (0, LARGE), (5, small)).standing == []
    assert health(stand, (60, LARGE), (5, small), (5, LARGE)).standing == [Trouble.NO_ROOM]


def test_folders_that_rclone_makes_from_the_deepest_one_on_are_no_trouble(stand: Stand) -> None:
    """It is refused, makes the one above, and then what it wanted."""
    stand.use(root_id=stand.folder.id)
    made: list[Request] = [("MKCOL", path, {}, b"") for path in ("/a/b", "/a", "/a/b")]
    assert health(stand, *((0, one) for one in made)).troubles == {}


def date(stand: Stand, ahead: timedelta) -> dict[str, str]:
    """The Date of a client whose clock is so far ahead."""
    return {"Date": format_datetime(stand.world.clock() + ahead, usegmt=True)}


def test_a_clock_that_was_put_right(stand: Stand) -> None:
    """By the next Date that is looked at; not by a request without one."""
    off = date(stand, timedelta(hours=1))
    assert health(stand, (0, ("GET", "/file", off, b""))).standing == [Trouble.CLOCK]
    assert health(stand, (3600, ("GET", "/file", {}, b""))).standing == [Trouble.CLOCK]
    assert health(stand, (3600, ("GET", "/file", date(stand, timedelta(hours=1)), b""))).standing == []


def test_a_clock_that_is_wrong_is_not_hidden_by_the_time_of_a_file(stand: Stand) -> None:
    """Which may be as old as it likes."""
    fields = {**date(stand, timedelta(hours=20)), "X-OC-Mtime": str(stand.now)}
    assert health(stand, (0, ("PUT", "/new", fields, b"1"))).standing == [Trouble.CLOCK]


def test_a_file_of_the_future_is_not_hidden_by_another_file(stand: Stand) -> None:
    """Not by one of the same second; a later one says that files have times again."""
    future = ("PUT", "/future", {"X-OC-Mtime": str(stand.now + 10**6)}, b"1")
    other = ("PUT", "/other", {"X-OC-Mtime": str(stand.now)}, b"1")
    assert health(stand, (0, future), (0, other)).standing == [Trouble.FILE_TIME]
    assert health(stand, (1, other)).standing == []


# ── tokens
class Tokens:
    """A doorkeeper that takes anything for a token of alice's."""

    def __init__(self, principal: Principal) -> None:
        self._principal = principal

    def authenticate(self, *_asked: object, reads: RequestReads | None = None) -> Principal:  # noqa: ARG002
        """Who it is."""
        return self._principal

    def still_open(self, _principal: Principal) -> bool:
        """Always."""
        return True


def test_tokens_count_as_one_device(stand: Stand) -> None:
    """They have no id of their own that lasts."""
    principal = make_principal(stand.account, stand.world.clock)
    doorkeeper = Tokens(replace(principal, method=AuthMethod.BEARER, credential_id=None))
    stand.door.app = DavApp(doorkeeper, stand.vaults, stand.world.audit, Digests(), health=stand.noted)
    stand.door.call("GET", "/dav/file")
    assert stand.noted.notes == [
        (stand.account.id, TOKENS, Sign.CONNECTED),
        (stand.account.id, TOKENS, Sign.READ),
    ]


def test_nothing_is_noted_of_who_is_not_let_in(stand: Stand) -> None:
    """Nor of a request without a credential."""
    for authorization in (None, "Basic eDp5", "Bearer x"):
        stand.door.authorization = authorization
        assert stand.door.call("GET", "/dav/file").status == 401
    assert stand.noted.notes == []
    assert Trouble.WRONG_SECRET not in {what for _, _, what in stand.noted.notes}
