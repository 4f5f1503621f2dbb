"""The dispatcher: every error is an answer, nothing leaks, no connection outlives an unread body."""

from __future__ import annotations

import io

import pytest
from structlog.testing import capture_logs

from davserver.audit import AuditEvent
from davserver.dav.app import DavApp
from davserver.dav.errors import METHODS
from davserver.errors import CorruptBlob, IntegrityError
from davserver.model import Principal
from davserver.vault.service import RequestReads
from tests.unit.dav.door import SHA1_ONLY, Door, Doorkeeper

LARGE = 3 * 1024 * 1024
SECRET_NAME = "a-name-that-nobody-may-log"


class Failing(io.RawIOBase):
    """A body that cannot be read, for a reason that nobody thought of."""

    def readinto(self, _buffer: object) -> int:
        """Fail."""
        raise RuntimeError(SECRET_NAME)


def damage(door: Door, offset: int) -> None:
    """Flip one bit of every stored blob."""
    for blob_id in door.world.blobs.ids():
        reader = door.world.blobs.open(blob_id)
        content = bytearray(reader.read_at(0, reader.size))
        content[offset] ^= 1
        door.world.blobs.delete(blob_id)
        door.world.blobs.insert(blob_id, bytes(content))


def test_options_says_what_this_server_can_do(door: Door) -> None:
    """RFC 4918, 18: all classes; on any path, existing or not, and for `*`."""
    for answer in (door.ask("OPTIONS"), door.ask("OPTIONS", "a/b/c"), door.call("OPTIONS", "*")):
        assert answer.status == 200
        assert answer.headers["dav"] == "1, 2, 3"
        assert answer.headers["ms-author-via"] == "DAV"
        assert answer.headers["allow"].split(", ") == list(METHODS)
        assert answer.headers["content-length"] == "0"


@pytest.mark.parametrize("method", ["POST", "PATCH", "TRACE", "__init__", "get", ""])
def test_other_methods_are_405(door: Door, method: str) -> None:
    """RFC 9110, 15.5.6: with Allow; no attribute of ours can be called by its name."""
    answer = door.ask(method, "x")
    assert answer.status == 405
    assert "PROPFIND" in answer.headers["allow"]


def test_only_options_knows_the_asterisk(door: Door) -> None:
    """RFC 9112, 3.2.4: for anything else `*` is no target."""
    assert door.call("GET", "*").status == 400


@pytest.mark.parametrize("root", ["/dav/", "/remote.php/webdav/", "/remote.php/dav/files/alice/"])
def test_aliases_show_the_same_tree(door: Door, root: str) -> None:
    """What is put at one address is there at the others; hrefs keep to the one that was used."""
    assert door.call("PUT", f"{root}file", body=b"1").status == 201
    assert door.get("file").body == b"1"
    listing = door.call("PROPFIND", root, {"Depth": "1"}).text
    assert f"<D:href>{root}file</D:href>" in listing
    assert door.call("MOVE", f"{root}file", {"Destination": f"http://drive.test{root}moved"}).status == 201
    assert door.get("moved").body == b"1"


def test_two_accounts_share_nothing(door: Door) -> None:
    """Same address, two vaults; an alias with the other's name is a 404."""
    bob = door.as_("bob")
    door.put("file", b"alice's")
    assert bob.get("file").status == 404
    assert bob.put("file", b"bob's").status == 201
    assert door.get("file").body == b"alice's"
    for method in ("GET", "PUT", "PROPFIND", "DELETE"):
        assert bob.call(method, "/remote.php/dav/files/alice/file").status == 404
    assert bob.ask("MOVE", "file", {"Destination": "/remote.php/dav/files/alice/x"}).status == 409


@pytest.mark.parametrize(
    ("method", "name", "headers"),
    [
        ("PUT", "missing/file", {}),
        ("PUT", "file", {"If-Match": '"x"'}),
        ("PUT", "file", {"Content-Range": "bytes 0-1/2"}),
        ("MKCOL", "new", {}),
        ("UNLOCK", "file", {}),
        ("GET", "file", {}),
        ("DELETE", "missing", {}),
    ],
)
@pytest.mark.parametrize("chunked", [True, False])
def test_unread_body_closes_the_connection(
    door: Door, method: str, name: str, headers: dict[str, str], *, chunked: bool
) -> None:
    """T08: an answer that leaves some of the body unread says `Connection: close`."""
    environ = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""} if chunked else {}
    assert door.call(method, f"/dav/{name}", headers, b"1234", environ).headers["connection"] == "close"
    assert "connection" not in door.call(method, f"/dav/{name}", headers).headers
    door.authorization = None
    assert door.call(method, f"/dav/{name}", headers, b"1234", environ).headers["connection"] == "close"


def test_read_body_keeps_the_connection(door: Door) -> None:
    """The counterpart, for a refusal that comes after the body was read."""
    assert "connection" not in door.put("file", b"1234").headers
    answer = door.put("file", b"1234", {"OC-Checksum": "MD5:" + "00" * 16})
    assert answer.status == 400
    assert "connection" not in answer.headers


def test_body_that_ends_early_is_refused(door: Door) -> None:
    """T11: fewer bytes than announced: 400, nothing stored, connection closed."""
    answer = door.call("PUT", "/dav/file", body=b"123", environ={"CONTENT_LENGTH": "10"})
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert door.get("file").status == 404


def test_length_that_is_no_number_closes_the_connection(door: Door) -> None:
    """T01: nobody knows where the next request begins."""
    answer = door.call("PUT", "/dav/file", environ={"CONTENT_LENGTH": "-1"})
    assert (answer.status, answer.headers["connection"]) == (400, "close")


def test_unexpected_error_says_nothing(door: Door) -> None:
    """An error that nobody thought of: a constant 500, the connection closed, a log line without text."""
    with capture_logs() as lines:
        environ = {"CONTENT_LENGTH": "5", "wsgi.input": Failing()}
        answer = door.call("PUT", f"/dav/{SECRET_NAME}", environ=environ)
    assert (answer.status, answer.body) == (500, b"Internal Server Error\n")
    assert answer.headers["connection"] == "close"
    # Of the exception, davserver.audit keeps its type and where it arose.
    assert lines == [{"event": "unexpected error in a request", "exc_info": True, "log_level": "error"}]
    assert door.get(SECRET_NAME).status == 404


def test_unexpected_error_closes_the_connection_in_any_case(door: Door) -> None:
    """Whatever went wrong may have gone wrong with the framing too; also where no body was announced."""

    class Broken(Doorkeeper):
        def authenticate(
            self, _username: str, _secret: str, _client: str, _agent: str, _reads: RequestReads | None
        ) -> Principal:
            raise RuntimeError(SECRET_NAME)

    door.app = DavApp(Broken(door.world, {}), door.vaults, door.world.audit, SHA1_ONLY)
    with capture_logs():
        answer = door.get("file")
    assert (answer.status, answer.headers["connection"]) == (500, "close")


def test_damage_at_the_beginning_is_a_clean_500(door: Door) -> None:
    """T14: the first block is opened before the status line; somebody is told."""
    door.put("file", bytes(LARGE))
    damage(door, 100)
    assert door.get("file").status == 500
    assert [event.account for event in door.world.audit.of(AuditEvent.INTEGRITY_FAILED)] == ["alice"]


def test_damage_further_on_breaks_the_answer_off(door: Door) -> None:
    """T14: an error out of the iterator, after right bytes only; the server cuts the connection on it."""
    door.put("file", bytes(LARGE))
    damage(door, -1)
    with pytest.raises(CorruptBlob):
        door.get("file")
    assert len(door.world.audit.of(AuditEvent.INTEGRITY_FAILED)) == 1
    # A range that does not touch the damage is served, and its length is announced and kept.
    answer = door.get("file", {"Range": "bytes=0-99"})
    assert (answer.status, answer.body) == (206, bytes(100))


def test_account_is_named_for_the_access_log(door: Door) -> None:
    """The server's log says whose request it was; nobody else is named."""
    environ: dict[str, object] = {
        "REQUEST_METHOD": "OPTIONS",
        "REQUEST_URI": "/dav/",
        "wsgi.input": io.BytesIO(),
        "HTTP_AUTHORIZATION": door.authorization,
    }
    list(door.app(environ, lambda _status, _headers: None))
    assert environ["sealdav.account"] == "alice"


def test_integrity_errors_are_all_noted() -> None:
    """Every error that means altered storage is below the class that is noted."""
    assert issubclass(CorruptBlob, IntegrityError)
