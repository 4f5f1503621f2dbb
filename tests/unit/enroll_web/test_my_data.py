"""What belongs to somebody: all of it in one archive, and the end of the account."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Generator
from pathlib import PureWindowsPath

import pytest

from davserver.audit import AuditEvent
from davserver.errors import AuthenticationError, NotFound, StorageFull
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from tests.factories import make_principal
from tests.unit.enroll_web.conftest import Browser, Site, form_token

OWN = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}

FILES = {"letter.txt": b"dear", "empty": b"", "Fotos/Zürich/bild.jpg": bytes(range(256)) * 9000}


def put(vault: Vault, path: str, content: bytes) -> None:
    """Store a file, its folders before it."""
    at = VaultPath.parse(path)
    for depth in range(1, len(at.parts)):
        folder = VaultPath(at.parts[:depth])
        if vault.find(folder) is None:
            vault.make_collection(folder)
    with vault.write(at) as upload:
        upload.write(content)
        upload.commit()


@pytest.fixture
def filled(site: Site, alice: Browser) -> Browser:
    """Alice with files."""
    account = site.services.accounts.find("alice")
    vault = site.services.vaults.open(make_principal(account, site.clock))
    for path, content in FILES.items():
        put(vault, path, content)
    return alice


def test_everything_is_in_the_archive(site: Site, filled: Browser) -> None:
    """Every file byte for byte, every folder, the account; nothing of somebody else, no secret."""
    bob = site.invited("bob")
    response = filled.post("/my-data/download", page="/my-data")
    assert response.mimetype == "application/zip"
    assert response.headers["Content-Disposition"] == 'attachment; filename="sealdav-alice.zip"'
    assert response.headers["Cache-Control"] == "no-store"
    archive = zipfile.ZipFile(io.BytesIO(response.data))
    assert archive.testzip() is None
    names = archive.namelist()
    assert {name for name in names if not name.endswith("/")} == {
        "account.json",
        "audit.json",
        *(f"files/{name}" for name in FILES),
    }
    assert {"files/Fotos/", "files/Fotos/Zürich/"} <= set(names)
    for name, content in FILES.items():
        assert archive.read(f"files/{name}") == content
    known = json.loads(archive.read("account.json"))
    assert (known["account"], known["files"]) == ("alice", len(FILES))
    assert [one["label"] for one in known["app_passwords"]] == ["first device"]
    for secret in (filled.app_password, bob.app_password, filled.secret, "bob"):
        assert secret.encode() not in archive.read("account.json")


def test_no_name_leads_out_of_the_archive(site: Site, alice: Browser) -> None:
    """Whatever files are called, Windows unpacks them below files/; what they were called is told."""
    odd = ["..\\evil.txt", "C:evil.txt", "folder:x/nul", "folder_x/a", "Readme", "README"]
    vault = site.services.vaults.open(make_principal(site.services.accounts.find("alice"), site.clock))
    for path in odd:
        put(vault, path, path.encode())
    archive = zipfile.ZipFile(io.BytesIO(alice.post("/my-data/download", page="/my-data").data))
    files = [name for name in archive.namelist() if name.startswith("files/") and not name.endswith("/")]
    assert len({name.casefold() for name in files}) == len(odd)
    renamed = json.loads(archive.read("renamed.json"))
    for name in files:
        there = PureWindowsPath(name)
        assert there.parts[0] == "files"
        assert ".." not in there.parts
        assert ":" not in name
        assert there.as_posix() == name
        above, _, last = name.rpartition("/")
        folder = renamed.get(above, above.removeprefix("files").lstrip("/"))
        own = renamed.get(name) or (f"{folder}/{last}" if folder else last)
        assert archive.read(name) == own.encode()
    assert "renamed.json" in json.loads(archive.read("account.json"))["names"]
    assert archive.namelist()[-1] == "renamed.json"


BIG = {f"big {number}": bytes(3_000_000) for number in range(2)}


def begun(site: Site, browser: Browser) -> Generator[bytes]:
    """A download that is under way; the credential is asked for again with every block."""
    vault = site.services.vaults.open(make_principal(site.services.accounts.find("alice"), site.clock))
    for path, content in BIG.items():
        if vault.find(VaultPath.parse(path)) is None:
            put(vault, path, content)
    token = form_token(browser.get("/my-data").text)
    response = browser.client.post(
        "/my-data/download", data={"csrf": token}, base_url=browser.origin, headers=OWN, buffered=False
    )
    assert response.status_code == 200
    blocks = response.iter_encoded()
    assert len(next(blocks)) > 0
    try:
        yield b""
        yield from blocks
    finally:
        response.close()


@pytest.mark.parametrize("how", ["suspended", "signed out", "deleted", "stolen", "hours"])
def test_a_download_ends_with_its_session(
    site: Site, alice: Browser, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """As soon as a download from the drive: the archive breaks off in the middle."""
    monkeypatch.setattr("davserver.accounts.watch.RECHECK_SECONDS", 0)
    account = site.services.accounts.find("alice")
    download = begun(site, alice)
    next(download)
    if how == "suspended":
        site.services.accounts.suspend("alice")
    elif how == "signed out":
        alice.post("/sign-out")
    elif how == "deleted":
        site.services.profiles.set_admin(account, admin=False)
        site.services.deletion.shred("alice")
    elif how == "stolen":
        site.services.sessions.end_others(account)
    else:
        site.clock.advance(minutes=16)
    with pytest.raises(AuthenticationError):
        b"".join(download)


def test_a_download_outlives_steps_of_its_own_session(
    site: Site, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A one-time code meanwhile changes the session's secret and ends nothing; sending is use."""
    monkeypatch.setattr("davserver.accounts.watch.RECHECK_SECONDS", 0)
    download = begun(site, alice)
    next(download)
    alice.confirm()
    for _ in range(4):
        site.clock.advance(minutes=6)
        while len(next(download)) < 1_000_000:
            pass
    assert alice.get("/start").request.path == "/start"
    assert sum(map(len, download)) > 0


def test_one_download_at_a_time(site: Site, alice: Browser) -> None:
    """A second one is refused while the first is sent, not once it was cancelled; another person's is not."""
    bob = site.invited("bob")
    download = begun(site, alice)
    next(download)
    refused = alice.post("/my-data/download", page="/my-data")
    assert refused.status_code == 409
    assert "being downloaded already" in refused.text
    assert bob.post("/my-data/download", page="/my-data").status_code == 200
    download.close()
    assert alice.post("/my-data/download", page="/my-data").status_code == 200


def test_a_download_that_cannot_be_recorded_is_none(
    site: Site, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it in the way of the next one."""

    def refuse(*_args: object, **_values: object) -> None:
        raise StorageFull("no space left for the database")

    with monkeypatch.context() as patch:
        patch.setattr(type(site.services.audit), "record", refuse)
        assert alice.post("/my-data/download", page="/my-data").status_code == 507
    assert alice.post("/my-data/download", page="/my-data").status_code == 200


def test_an_altered_file_breaks_the_archive_off(
    site: Site, filled: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was altered in storage is not handed out, the archive is not complete, and it is noted."""
    with site.services.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE inline_blob SET data = zeroblob(length(data))")
    with pytest.raises(Exception, match="blob"):
        assert filled.post("/my-data/download", page="/my-data").data
    said = capsys.readouterr().out
    assert AuditEvent.INTEGRITY_FAILED.value in said


def test_the_only_administrator_is_told_what_to_do_first(site: Site, filled: Browser) -> None:
    """The account is as before, and so is the session."""
    refused = filled.post("/my-data/delete", {"name": "alice"})
    assert refused.status_code == 409
    assert "make somebody else one first" in refused.text
    assert filled.get("/start").request.path == "/start"
    assert site.opens("alice", filled.app_password)


def test_deleting_needs_the_name(site: Site, filled: Browser) -> None:
    """Another one deletes nothing; the right one everything, at once."""
    site.services.profiles.set_admin(site.services.accounts.create("bob"), admin=True)
    refused = filled.post("/my-data/delete", {"name": "bob"})
    assert refused.status_code == 422
    assert "nothing was deleted" in refused.text
    assert filled.get("/start").status_code == 200
    done = filled.post("/my-data/delete", {"name": "Alice"})
    assert done.request.path == "/deleted"
    assert filled.cookie == ""
    with pytest.raises(NotFound):
        site.services.accounts.find("alice")
    with pytest.raises(AuthenticationError):
        site.services.authenticator.authenticate("alice", filled.app_password, "192.0.2.1")
    with site.services.database.read() as tx:
        assert tx.sessions.all() == []
    assert filled.sign_in().status_code == 403


def test_an_address_for_mails_is_kept_or_refused(site: Site, alice: Browser) -> None:
    """It can be taken back; what could smuggle another line into a mail is none."""
    account = site.services.accounts.find("alice")
    assert alice.post("/my-data/notices", {"email": " a@example.org "}).request.path == "/my-data"
    assert site.services.profiles.of(account.id).email == "a@example.org"
    for wrong in (
        "a",
        "a@b",
        "a@example.org\r\nBcc: b@example.org",
        "a b@example.org",
        "x" * 250 + "@example.org",
    ):
        assert alice.post("/my-data/notices", {"email": wrong}).status_code == 422
    assert site.services.profiles.of(account.id).email == "a@example.org"
    alice.post("/my-data/notices", {"email": ""})
    assert site.services.profiles.of(account.id).email == ""


def test_the_privacy_page_says_for_how_long(site: Site) -> None:
    """With the numbers that are set."""
    page = site.browser().get("/privacy").text
    assert "90 days" in page
    assert "24 hours" in page
