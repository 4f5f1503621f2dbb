"""What belongs to somebody: all of it in one archive, and the end of the account."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from davserver.errors import AuthenticationError, NotFound
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from tests.factories import make_principal
from tests.unit.enroll_web.conftest import Browser, Site

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


def test_an_altered_file_breaks_the_archive_off(site: Site, filled: Browser) -> None:
    """What was altered in storage is not handed out, and the archive is not complete."""
    with site.services.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE inline_blob SET data = zeroblob(length(data))")
    with pytest.raises(Exception, match="blob"):
        assert filled.post("/my-data/download", page="/my-data").data


def test_deleting_needs_the_name(site: Site, filled: Browser) -> None:
    """Another one deletes nothing; the right one everything, at once."""
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
