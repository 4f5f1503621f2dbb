"""The part of the tour that leads through somebody's files: folders, a file of each kind, what can go wrong.

Called by tour.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from davserver.clock import to_nanoseconds
from davserver.vault.locks import Wanted
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from tests.factories import make_principal
from tests.services.guest import Guest, Stop
from tests.services.hostile import PDF, pdf
from tests.services.media import film, picture, sound

QUOTA = 10 * 2**30

NOTES = """# Garden

- prune the **apple tree** before March
- order seeds: beans, chard, Jerusalem artichokes
- <script>alert("nothing of this runs")</script>
"""

LONG_NAME = (
    "Minutes of the annual general meeting of the allotment gardeners, second and corrected version, "
    "signed.pdf"
)
RIGHT_TO_LEFT = "تقرير 2026.txt"


def walk(alice: Guest) -> Iterator[Stop]:
    """Alice looks at her files, and does with them what can be done."""
    _furnish(alice)
    yield alice.open("/files/Taxes 2026").at("files-empty")
    yield alice.open("/files/").at("files")
    yield alice.open("/files/Photos").at("files-folder")
    yield alice.open("/files/Photos/lake.png").at("file-picture")
    yield alice.open("/files/birdsong.wav").at("file-sound")
    yield _film(alice).at("file-film")
    yield alice.open("/files/Notes.md").at("file-text")
    yield alice.open("/files/Letters/Form.pdf").at("file-not-shown")
    yield alice.open(f"/files/{LONG_NAME}").at("file-paper")
    yield alice.open("/search/?name=2026").at("files-found")
    yield alice.fill({"Part of a name": "zebra"}).press("Find").at("files-nothing-found")
    yield from _acts(alice)
    alice.site.services.accounts.set_quota("alice", None)


def _acts(alice: Guest) -> Iterator[Stop]:
    """Forms, one after the other, with what is refused."""
    yield alice.open("/new-folder/").at("new-folder")
    yield alice.fill({"Name": "Photos"}).press("Make folder").at("new-folder-refused", 409)
    yield alice.open("/rename/Notes.md").at("rename")
    yield alice.fill({"New name": "birdsong.wav"}).press("Rename").at("rename-refused", 409)
    tick(alice, "Notes.md").press("Copy")
    yield alice.at("files-choose")
    alice.press("Photos")
    yield alice.press("Copy here").at("files-taken", 409)
    yield alice.press("Keep both").at("files-copied")
    yield _delete(alice, "Budget 2026.ods").at("files-locked", 423)
    yield _delete(alice, "Notes.md").at("files-deleted")
    yield alice.press("Undo").at("files-undone")
    store(vault_of(alice), "Notes.md", NOTES.encode())


def _film(alice: Guest) -> Guest:
    """Its first picture is there a moment after the page is."""
    alice.open("/files/Photos/By the lake.webm")
    alice.page.wait_for_function("document.querySelector('video').readyState >= 2")
    return alice


def tick(alice: Guest, *names: str) -> Guest:
    """Tick entries of the first folder."""
    alice.open("/files/")
    for name in names:
        alice.page.get_by_label(name, exact=True).check()
    return alice


def _delete(alice: Guest, name: str) -> Guest:
    """Delete one of them; the question that a script asks is answered with yes."""
    alice.page.once("dialog", lambda dialog: dialog.accept())
    return tick(alice, name).press("Delete")


def _furnish(alice: Guest) -> None:
    """What somebody has: folders, texts, a picture, a sound, long names, a file that a program holds."""
    vault = vault_of(alice)
    now = alice.site.services.clock()
    alice.site.services.accounts.set_quota("alice", QUOTA)
    for name in ("Letters", "Photos", "Taxes 2025", "Taxes 2026"):
        if vault.find(VaultPath.parse(name)) is None:
            vault.make_collection(VaultPath.parse(name), modified_ns=to_nanoseconds(now - timedelta(days=3)))
    for number in (1, 2, 10):
        store(vault, f"Photos/walk {number}.jpg", bytes(100_000 * number), now - timedelta(days=number))
    store(vault, "Photos/lake.png", picture(), now - timedelta(days=20))
    store(vault, "Photos/Notes.md", b"older", now - timedelta(days=21))
    store(vault, "birdsong.wav", sound(), now - timedelta(days=100))
    store(vault, "Notes.md", NOTES.encode(), now - timedelta(hours=2))
    store(vault, "Budget 2026.ods", bytes(48_000), now - timedelta(minutes=20))
    store(vault, "Letters/Form.pdf", PDF, now - timedelta(days=2))
    store(vault, "Photos/By the lake.webm", film(), now - timedelta(days=20))
    store(vault, LONG_NAME, _paper(2_400_000), now - timedelta(days=40))
    store(vault, RIGHT_TO_LEFT, b"2026", now - timedelta(days=1))
    owner = '<D:owner xmlns:D="DAV:">LibreOffice of Bob</D:owner>'
    wanted = Wanted(exclusive=True, infinite=False, owner=owner, seconds=3600)
    vault.lock(VaultPath.parse("Budget 2026.ods"), wanted)


def _paper(size: int) -> bytes:
    """A PDF of one page, with a stream of so many bytes that nothing on it needs."""
    return pdf(further=(b"<</Length %d>>stream\n%b\nendstream" % (size, bytes(size)),))


def vault_of(alice: Guest) -> Vault:
    """What is behind the pages, now."""
    services = alice.site.services
    return services.vaults.open(make_principal(services.accounts.find("alice"), services.clock))


def store(vault: Vault, path: str, content: bytes, changed: datetime | None = None) -> None:
    """Store a file whose folder is there."""
    modified_ns = None if changed is None else to_nanoseconds(changed)
    with vault.write(VaultPath.parse(path), modified_ns=modified_ns) as upload:
        upload.write(content)
        upload.commit()
