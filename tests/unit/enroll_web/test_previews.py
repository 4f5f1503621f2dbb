"""What is on the pages about a file: a look that is not taken twice, and what was altered."""

from __future__ import annotations

from pathlib import Path

import pytest

from davserver.audit import AuditEvent
from davserver.errors import TooBusy
from davserver.serving.exchange import TURN_KEY
from davserver.vault.paths import VaultPath
from enroll_web import previews, still_pdf
from enroll_web.still_pdf import Found
from tests.services.hostile import PDF, pdf
from tests.unit.enroll_web.conftest import Browser, Site
from tests.unit.enroll_web.filed import Files

ALTERED = "This was altered where it is stored, and is not shown."
LARGE = pdf(further=(b"(" + b"x" * 100_000 + b")",))
"""A PDF that has a file of its own in the store."""


@pytest.fixture
def files(site: Site, alice: Browser) -> Files:
    """Alice's, empty."""
    return Files(site, alice)


def alter(files: Files) -> None:
    """Change a byte of every file in the store that is large enough to be one."""
    blobs = Path(files.site.services.settings.storage.data_dir) / "blobs"
    for path in [path for path in blobs.rglob("*") if path.is_file()]:
        raw = bytearray(path.read_bytes())
        raw[200] ^= 1
        path.chmod(0o600)
        path.write_bytes(raw)


@pytest.mark.parametrize(
    ("name", "content"), [("notes.txt", b"n" * 100_000), ("paper.pdf", LARGE)], ids=["text", "pdf"]
)
def test_what_was_altered_keeps_its_page(
    files: Files, capsys: pytest.CaptureFixture[str], name: str, content: bytes
) -> None:
    """Nothing of it is shown, and it is noted; what can be done about it is there, as for any other file."""
    files.put(name, b"good")
    files.put(name, content)
    alter(files)
    capsys.readouterr()
    page = files.get(f"/files/{name}")
    assert (page.status_code, ALTERED in page.text) == (200, True)
    assert "nnn" not in page.text
    assert "/preview/" not in page.text
    assert f'href="/versions/{name}"' in page.text
    assert 'formaction="/delete/"' in page.text
    assert capsys.readouterr().out.count(AuditEvent.INTEGRITY_FAILED.value) == 1
    assert files.get(f"/preview/{name}").status_code == 500


def test_what_was_altered_and_is_kept(files: Files) -> None:
    """The same of a version, and of what is in the trash."""
    files.put("notes.txt", b"n" * 100_000)
    files.put("notes.txt", b"good")
    place = VaultPath.parse("notes.txt")
    (version,) = files.vault.versions(place)
    files.put("gone.txt", b"g" * 100_000)
    gone = files.id_of("gone.txt")
    files.vault.delete(VaultPath.parse("gone.txt"))
    alter(files)
    for address in (f"/version/{version.id.hex()}/notes.txt", f"/trash/entry/{gone.hex()}"):
        page = files.get(address)
        assert (page.status_code, ALTERED in page.text) == (200, True)
        assert "Restore" in page.text
        assert "Delete for good" in page.text
    assert "good</pre>" in files.get("/files/notes.txt").text


def test_a_pdf_is_looked_through_once(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Viewers ask for one part after the other; another content is looked through anew."""
    looks: list[int] = []
    look = still_pdf.look_through

    def counted(data: bytes) -> Found:
        looks.append(len(data))
        return look(data)

    monkeypatch.setattr(still_pdf, "look_through", counted)
    files.put("paper.pdf", pdf())
    files.get("/files/paper.pdf")
    for start in range(3):
        part = files.get("/preview/paper.pdf", headers={"Range": f"bytes={start}-"})
        assert part.data == pdf()[start:]
    assert looks == [len(pdf())]
    files.put("paper.pdf", pdf() + b"\n/JS")
    assert files.get("/preview/paper.pdf").status_code == 404
    assert len(looks) == 2
    monkeypatch.setattr(previews, "REMEMBERED", 1)
    files.put("other.pdf", pdf())
    for _ in range(2):
        files.get("/preview/paper.pdf")
        files.get("/preview/other.pdf")
    assert len(looks) > 3


def test_why_a_pdf_is_not_shown(files: Files) -> None:
    """Its page says which of the reasons it is, and that it can be downloaded."""
    encrypted = pdf().replace(b"/Root 1 0 R", b"/Root 1 0 R/Encrypt 6 0 R")
    for content, reason in (
        (bytes(still_pdf.MAX_BYTES + 1), "is too long to be looked through"),
        (encrypted, "is encrypted"),
        (PDF, "could do more than be read"),
        (b"not one", "is written in an unusual way"),
    ):
        files.put("paper.pdf", content)
        page = files.get("/files/paper.pdf").text
        assert f"This PDF {reason}" in page
        assert page.count("This PDF") == 1
        assert "download it if you trust it" in page


def test_a_look_takes_a_turn(files: Files) -> None:
    """The page of a PDF waits for the account's turn, as what sends it does; the next time it need not."""
    files.put("paper.pdf", pdf())
    client, origin = files.browser.client, files.browser.origin
    page = client.get("/files/paper.pdf", base_url=origin, environ_overrides={TURN_KEY: not_now})
    assert (page.status_code, "Too much at once" in page.text) == (503, True)
    whose: list[str] = []
    for _ in range(2):
        page = client.get("/files/paper.pdf", base_url=origin, environ_overrides={TURN_KEY: whose.append})
        assert page.status_code == 200
    assert whose == ["alice"]


def not_now(_account: str) -> None:
    """Somebody else's turn."""
    raise TooBusy("too many requests of this account are running")
