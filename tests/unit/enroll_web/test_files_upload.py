"""Files from a form: into the vault as they arrive, each by itself, and nothing of them anywhere else."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from davserver.errors import AuthenticationError, UploadRefused
from davserver.serving.exchange import TURN_KEY
from davserver.vault.paths import VaultPath
from enroll_web.multipart import BUFFER_BYTES
from enroll_web.pages import files_upload
from tests.unit.enroll_web.conftest import Browser, Site, form_token, made_site
from tests.unit.enroll_web.filed import BOUNDARY, OWN, Files, form_of

LARGE = bytes(range(256)) * 4096 * 3
"""3 MiB: many buffers, several runs of chunks."""

TOO_LARGE = "This file is too large: the server takes files of up to 1000 B."


@pytest.fixture
def files(site: Site, alice: Browser) -> Files:
    """Alice's, empty."""
    return Files(site, alice)


def test_several_files_at_once(files: Files) -> None:
    """Each byte for byte, whatever its size; the page says how many."""
    sent = [
        ("empty", b""),
        ("one", b"1"),
        ("large.bin", LARGE),
        ("edge", bytes(BUFFER_BYTES)),
        ("Ü &.txt", b"\r\n--"),
    ]
    page = files.upload("/upload/", sent)
    assert "5 files are stored." in page.text
    for name, content in sent:
        stored = files.content(name)
        assert stored is not None
        assert hashlib.sha256(stored).digest() == hashlib.sha256(content).digest(), name


@pytest.mark.parametrize(
    ("taken", "there", "beside"),
    [("both", b"old", b"new"), ("replace", b"new", None), ("skip", b"old", None)],
)
def test_a_name_that_is_taken(files: Files, taken: str, there: bytes, beside: bytes | None) -> None:
    """As the form says; without a word both are kept, so that nothing is lost."""
    files.put("d/a.txt", b"old")
    page = files.upload("/upload/d", [("a.txt", b"new"), ("b", b"b")], taken=taken)
    assert files.content("d/a.txt") == there
    assert files.content("d/a (2).txt") == beside
    assert files.content("d/b") == b"b"
    assert ("Left out, because" in page.text) == (taken == "skip")
    files.upload("/upload/d", [("b", b"c")], taken="whatever")
    assert files.content("d/b (2)") == b"c"


def test_what_is_wrong_with_one_keeps_no_other_out(files: Files) -> None:
    """A name, a lock, a folder in the way, a size: each has its reason, by name, and the rest is stored."""
    for settled in ("first", "last"):
        assert files.content(settled) is None
    files.put("locked")
    files.lock("locked")
    files.folder("folder")
    refused = ["../x", "a/b", "x" * 256, "a\x07b", "locked", "folder"]
    page = files.upload(
        "/upload/", [("first", b"1"), *((name, LARGE) for name in refused), ("last", b"2")], taken="replace"
    )
    assert page.status_code == 422
    assert "2 files are stored." in page.text
    assert page.text.count("<dt>") == len(refused)
    for reason in ("must not hold", "longer than 255 bytes", "locked by a program", "A folder has this name"):
        assert reason in page.text
    assert (files.content("first"), files.content("last")) == (b"1", b"2")
    assert files.names() == {"first", "last", "locked", "folder"}


def test_a_whole_folder(files: Files) -> None:
    """Each file in its place below the folder of the page; folders are made, or used if they are there."""
    files.put("d/Photos/old", b"old")
    sent = [("Photos/a", b"1"), ("Photos/x/y/Ü &.bin", LARGE), ("Photos/x/b", b"2"), ("plain", b"3")]
    page = files.upload("/upload/d", sent, field="folder")
    assert "4 files are stored." in page.text
    for name, content in (*sent, ("Photos/old", b"old")):
        assert files.content(f"d/{name}") == content, name
    assert "Left out, because" in files.upload("/upload/d", sent[2:3], taken="skip", field="folder").text
    files.upload("/upload/d", sent[2:3], field="folder")
    assert files.names("d/Photos/x") == {"y", "b", "b (2)"}


def test_ways_that_lead_nowhere(files: Files) -> None:
    """Out of the folder, nameless, too deep, through a file or a lock: refused before a folder is made."""
    files.put("file")
    files.folder("locked")
    files.lock("locked")
    names = ["../x", "a/../../x", "./a", "/a/b", "a//b", "a/", "/", "a/b\x07", "a/" * 256 + "b"]
    refused = [*names, "file/x", "file/x/y", "locked/x"]
    page = files.upload("/upload/", [(name, b"x") for name in refused], field="folder", taken="replace")
    assert page.text.count("<dt>") == len(refused)
    for reason in ("must not be empty", "deeper than 256", "A file has this name", "locked by a program"):
        assert reason in page.text
    assert (files.names(), files.names("locked")) == ({"file", "locked"}, set())


def test_no_room(files: Files) -> None:
    """The quota holds for each file; what fits is stored, what does not leaves nothing behind."""
    files.site.services.accounts.set_quota("alice", 2**20)
    page = files.upload("/upload/", [("large", LARGE), ("small", b"x")])
    assert page.status_code == 507
    assert "no room" in page.text
    assert files.names() == {"small"}
    assert files.vault.usage().used == 1


def test_too_large(alice: Browser, site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The largest file of the settings, which the page names."""
    del alice, site
    for other in made_site(
        tmp_path_factory.mktemp("small"), storage={"max_file_size": 1000, **_places(tmp_path_factory)}
    ):
        files = Files(other, other.first())
        assert TOO_LARGE in files.upload("/upload/", [("a", bytes(1001))]).text
        assert files.names() == set()


def _places(factory: pytest.TempPathFactory) -> dict[str, object]:
    return {"data_dir": str(factory.mktemp("data")), "durability": "relaxed"}


@pytest.mark.parametrize("sent", [[], [("", b"")]])
def test_nothing_was_chosen(files: Files, sent: list[tuple[str, bytes]]) -> None:
    """What a browser sends of an empty field is told; nothing is stored."""
    assert "No file was chosen." in files.upload("/upload/", sent).text
    assert files.names() == set()


def test_more_files_than_a_form_may_hold(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as may be are stored, and the page says so, and which rule kept the rest out."""
    monkeypatch.setattr(files_upload, "MAX_FILES", 2)
    assert "2 files are stored." in files.upload("/upload/", [("a", b"1"), ("b", b"2")]).text
    page = files.upload("/upload/", [("c", b"3"), ("d", b"4"), ("e", LARGE), ("f", b"6")])
    assert page.status_code == 409
    assert "2 files are stored." in page.text
    assert "must not hold more than 2 files" in page.text
    assert files.names() == {"a", "b", "c", "d"}


# ── whose form it is
def test_the_token_comes_first_or_nothing_is_read(files: Files) -> None:
    """T35: not at the end, not in another field, not of another browser; and then nothing was stored."""
    token = form_token(files.get("/files/").text).encode()
    other = form_token(files.site.browser().get("/sign-in").text).encode()
    content = ("files", "stolen", b"x")
    for fields in (
        [content],
        [content, ("csrf", None, token)],
        [("taken", None, b"both"), ("csrf", None, token), content],
        [("other", None, token), content],
        [("csrf", None, other), content],
        [("csrf", None, b""), content],
        [("csrf", None, token[:-1]), content],
        [("csrf", None, token * 200), content],
    ):
        assert files.send("/upload/", form_of(fields)).status_code in {400, 403}
    query = form_of([content])
    assert files.send(f"/upload/?csrf={token.decode()}", query).status_code == 403
    assert files.names() == set()


def test_a_form_of_another_site(files: Files) -> None:
    """T35: not even with the right token."""
    body = form_of([("csrf", None, form_token(files.get("/files/").text).encode()), ("files", "a", b"x")])
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        response = files.browser.client.post(
            "/upload/",
            data=body,
            content_type=f"multipart/form-data; boundary={BOUNDARY}",
            base_url=files.browser.origin,
            headers=headers,
        )
        assert response.status_code == 403
    assert files.names() == set()


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/mixed; boundary=x", ""]
)
def test_what_is_no_such_form(files: Files, kind: str) -> None:
    """Another type of body is not read at all."""
    response = files.browser.client.post(
        "/upload/", data=b"x", content_type=kind, base_url=files.browser.origin, headers=OWN
    )
    assert response.status_code == 400


# ── what goes wrong
class Cut(io.RawIOBase):
    """A body that ends early, as that of a browser that goes away."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = io.BytesIO(body)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Some of it, then an error as the server's own."""
        count = self._body.readinto(memoryview(buffer)[:65536])
        if not count:
            raise UploadRefused("the body ended early")
        return int(count)


def test_a_browser_that_goes_away(files: Files) -> None:
    """Files that arrived whole are stored; of the one in the middle nothing is, old content included."""
    files.put("second", b"old")
    token = form_token(files.get("/files/").text).encode()
    body = form_of(
        [
            ("csrf", None, token),
            ("taken", None, b"replace"),
            ("files", "first", b"1"),
            ("files", "second", LARGE),
        ]
    )
    response = files.stream(Cut(body[:-1_000_000]), len(body))
    assert response.status_code == 400
    assert "1 file is stored." in response.text
    assert "got lost on the way" in response.text
    assert files.content("first") == b"1"
    assert files.content("second") == b"old"
    assert files.vault.usage().used == len(b"1") + len(b"old")


def test_an_upload_ends_with_its_session(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """T43: signed out elsewhere, suspended: nothing more is read or stored."""
    monkeypatch.setattr("davserver.accounts.watch.RECHECK_SECONDS", 0)
    token = form_token(files.get("/files/").text).encode()
    body = form_of([("csrf", None, token), ("files", "first", b"1"), ("files", "large", LARGE)])

    class Ending(Cut):
        """The account is suspended while the body arrives."""

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            """The same, and meanwhile..."""
            count = super().readinto(buffer)
            if self._body.tell() > 10**6:
                files.site.services.accounts.suspend("alice")
            return count

    response = files.stream(Ending(body), len(body))
    assert response.status_code == 403
    files.site.services.accounts.resume("alice")
    assert files.names() == {"first"}


def test_it_waits_for_its_turn(files: Files) -> None:
    """No account takes all threads: the turn is asked for before the body is read."""
    asked: list[str] = []

    def turn(account: str) -> None:
        asked.append(account)
        raise AuthenticationError("not now")

    response = files.stream(Cut(b""), 10**9, {TURN_KEY: turn})
    assert (asked, response.status_code) == (["alice"], 403)
    for address in ("/download/", "/preview/x"):
        files.browser.client.get(address, base_url=files.browser.origin, environ_overrides={TURN_KEY: turn})
    assert asked == ["alice"] * 3


# ── where it goes
def test_nothing_is_spooled(files: Files, temporary: Path, tmp_path: Path) -> None:
    """Decision 28: no byte of a name or content on the disk, in no folder, while it arrives or afterwards."""
    canary, name = b"canary-content-of-a-form-5d8e21", "canary-name-7f3a9c"
    seen: list[bytes] = []

    def look() -> None:
        paths = (*tmp_path.rglob("*"), *temporary.rglob("*"))
        seen.extend(path.read_bytes() for path in paths if path.is_file())

    class Looking(Cut):
        """The disk is looked at in the middle of the body."""

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            """The same, and meanwhile..."""
            look()
            return super().readinto(buffer)

    token = form_token(files.get("/files/").text).encode()
    body = form_of([("csrf", None, token), ("files", name, canary * 100_000)])
    response = files.stream(Looking(body), len(body))
    assert response.status_code == 303
    look()
    assert len(seen) > 50
    assert not any(canary in content or name.encode() in content for content in seen)
    assert files.content(name) == canary * 100_000
    assert files.vault.stat(VaultPath.parse(name)).size == len(canary) * 100_000
