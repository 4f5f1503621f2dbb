"""Files on their way to a browser: whole, in part, as an archive, or shown so that nothing runs (T36)."""

from __future__ import annotations

import io
import subprocess
import zipfile
from pathlib import Path

import pytest

from davserver.audit import AuditEvent
from davserver.errors import AuthenticationError, CorruptBlob, PathError
from davserver.vault.paths import VaultPath
from enroll_web.previews import FILMS, PICTURES, SOUNDS
from tests.services import clients
from tests.services.hostile import PDF, pdf
from tests.unit.enroll_web.conftest import Browser, Site
from tests.unit.enroll_web.filed import Files, address

CONTENT = bytes(range(256)) * 8000
"""2 MB: several blocks."""

EVIL = b"<html><script>document.title = document.cookie</script><svg onload=alert(1)>"


@pytest.fixture
def files(site: Site, alice: Browser) -> Files:
    """Alice's, with one file of two blocks."""
    files = Files(site, alice)
    files.put("film.mp4", CONTENT)
    return files


# ── one file
@pytest.mark.parametrize("word", ["download", "preview"])
@pytest.mark.parametrize(
    ("value", "status", "start", "stop"),
    [
        (None, 200, 0, len(CONTENT)),
        ("bytes=0-9", 206, 0, 10),
        ("bytes=1048570-1048585", 206, 1048570, 1048586),
        ("bytes=2000000-", 206, 2000000, len(CONTENT)),
        ("bytes=-5", 206, len(CONTENT) - 5, len(CONTENT)),
        ("bytes=5-99999999", 206, 5, len(CONTENT)),
        ("bytes=0-1,5-6", 200, 0, len(CONTENT)),
        ("lines=0-1", 200, 0, len(CONTENT)),
    ],
)
def test_ranges(  # noqa: PLR0917 - a table
    files: Files, word: str, value: str | None, status: int, start: int, stop: int
) -> None:
    """Players seek, downloads are resumed: the bytes that were asked for, and which ones they are."""
    headers = {} if value is None else {"Range": value}
    response = files.get(f"/{word}/film.mp4", headers=headers)
    assert (response.status_code, response.data == CONTENT[start:stop]) == (status, True)
    assert response.headers["Content-Length"] == str(stop - start)
    assert response.headers["Accept-Ranges"] == "bytes"
    if status == 206:
        assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(CONTENT)}"


def test_a_range_behind_the_end(files: Files) -> None:
    """416, with the length."""
    response = files.get("/preview/film.mp4", headers={"Range": "bytes=99999999-"})
    assert (response.status_code, response.headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")


def test_conditions(files: Files) -> None:
    """304 for what is known, 412 for what is another one, a range only of the same content."""
    etag = files.get("/download/film.mp4").headers["ETag"]
    known = files.get("/download/film.mp4", headers={"If-None-Match": etag})
    assert (known.status_code, known.data, known.headers["ETag"]) == (304, b"", etag)
    assert files.get("/download/film.mp4", headers={"If-Match": '"other"'}).status_code == 412
    for condition, status in ((etag, 206), ('"other"', 200), ("Thu, 01 Jan 2037 00:00:00 GMT", 200)):
        headers = {"Range": "bytes=0-1", "If-Range": condition}
        assert files.get("/preview/film.mp4", headers=headers).status_code == status


@pytest.mark.parametrize("word", ["download", "preview"])
def test_head(files: Files, word: str) -> None:
    """The same head, and no content is opened."""
    response = files.browser.client.head(f"/{word}/film.mp4", base_url=files.browser.origin)
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["Content-Length"] == str(len(CONTENT))
    assert response.headers["ETag"] == files.get(f"/{word}/film.mp4").headers["ETag"]


@pytest.mark.parametrize("name", ["a.txt", "a.pdf", 'ü"; x=1.html', "\u202egnp.exe", "x" * 255])
def test_a_download_is_stored(files: Files, name: str) -> None:
    """Whatever it is: under its own name, encoded so that it ends nothing, and run by nobody."""
    files.put(name, EVIL)
    response = files.get(address("download", name))
    assert response.data == EVIL
    disposition = response.headers["Content-Disposition"]
    assert disposition.startswith("attachment; filename*=UTF-8''")
    assert disposition.isascii()
    assert '"' not in disposition
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"].startswith("sandbox;")
    assert response.headers["Cache-Control"] == "no-store"


def test_an_empty_file(files: Files) -> None:
    """It has no block to send, and a length."""
    files.put("empty.png", b"")
    for word in ("download", "preview"):
        response = files.get(f"/{word}/empty.png")
        assert (response.status_code, response.data, response.headers["Content-Length"]) == (200, b"", "0")


# ── shown
@pytest.mark.parametrize(
    "name", ["a.html", "a.htm", "a.svg", "a.xml", "a.xhtml", "a.js", "a.css", "a.txt", "a.vtt", "a.ics"]
)
def test_what_could_run_is_plain_text(files: Files, name: str) -> None:
    """T36: never as what it says it is; a browser must not guess, and gives it no origin."""
    files.put(name, EVIL)
    response = files.get(f"/preview/{name}")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.data == EVIL


@pytest.mark.parametrize("name", [f"a.{ending}" for ending in (*PICTURES, *SOUNDS, *FILMS, "TXT")])
def test_how_it_is_sent(files: Files, name: str) -> None:
    """T36: a type of a short list, by the ending; no script, no network, no origin, no frame, no others."""
    files.put(name, EVIL)
    response = files.get(f"/preview/{name}")
    kind = response.headers["Content-Type"]
    assert kind.partition("/")[0] in {"image", "audio", "video", "text"}
    assert kind not in {"image/svg+xml", "text/html"}
    policy = response.headers["Content-Security-Policy"].split("; ")
    assert policy[:2] == ["sandbox", "default-src 'none'"]
    assert "frame-ancestors 'none'" in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert response.headers["Cross-Origin-Opener-Policy"] == "unsafe-none"
    assert response.headers["Cache-Control"] == "no-store"
    assert "Content-Disposition" not in response.headers


@pytest.mark.parametrize(
    "name", ["a.exe", "a.swf", "a", "a.zip", "a.docx", "a.htmlx", "a.svgz", "svg", ".html/x"]
)
def test_other_files_are_not_shown(files: Files, name: str) -> None:
    """T36: what is not on the list is only stored."""
    files.put(name, EVIL)
    assert files.get(f"/preview/{name}").status_code == 404
    assert "/preview/" not in files.get(f"/files/{name}").text


def test_a_pdf_is_shown_if_nothing_in_it_could_run(files: Files) -> None:
    """T36: viewers of browsers run what is in a PDF, whatever they are told; so it is looked through."""
    files.put("paper.pdf", pdf())
    files.put("Script.PDF", PDF)
    files.put("empty.pdf", b"")
    response = files.get("/preview/paper.pdf")
    assert (response.data, response.headers["Content-Type"]) == (pdf(), "application/pdf")
    assert response.headers["Content-Security-Policy"].startswith("sandbox;")
    assert files.get("/preview/paper.pdf", headers={"Range": "bytes=0-3"}).data == b"%PDF"
    assert 'href="/preview/paper.pdf"' in files.get("/files/paper.pdf").text
    for name in ("Script.PDF", "empty.pdf"):
        for headers in ({}, {"Range": "bytes=0-3"}):
            assert files.get(f"/preview/{name}", headers=headers).status_code == 404
        assert "/preview/" not in files.get(f"/files/{name}").text
    assert files.get("/download/Script.PDF").data == PDF


def test_a_folder_is_not_shown(files: Files) -> None:
    """It has no content."""
    files.folder("a.png")
    assert files.get("/preview/a.png").status_code == 409


# ── several
def zipped(response: object) -> zipfile.ZipFile:
    """An archive, whole."""
    archive = zipfile.ZipFile(io.BytesIO(response.data))  # type: ignore[attr-defined]
    assert archive.testzip() is None
    return archive


def test_a_folder_as_an_archive(files: Files) -> None:
    """Everything below it, under its name, and nothing else."""
    for path in ("docs/ü.txt", "docs/old/x", "other"):
        files.put(path, path.encode())
    files.folder("docs/empty")
    response = files.get("/download/docs")
    assert response.headers["Content-Disposition"] == "attachment; filename*=UTF-8''docs.zip"
    archive = zipped(response)
    assert set(archive.namelist()) == {"docs/", "docs/ü.txt", "docs/old/", "docs/old/x", "docs/empty/"}
    assert archive.read("docs/ü.txt") == "docs/ü.txt".encode()
    everything = zipped(files.get("/download/"))
    assert {"docs/ü.txt", "other", "film.mp4"} <= set(everything.namelist())
    assert everything.read("film.mp4") == CONTENT


def test_what_is_ticked_as_an_archive(files: Files) -> None:
    """Those and no others; one file alone comes as it is."""
    for path in ("a", "b", "docs/x"):
        files.put(path, path.encode())
    assert set(zipped(files.press("/zip/", "a", "docs")).namelist()) == {"a", "docs/", "docs/x"}
    single = files.press("/zip/", "b")
    assert (single.data, single.headers["Content-Disposition"]) == (b"b", "attachment; filename*=UTF-8''b")
    assert zipped(files.press("/zip/", "docs")).namelist() == ["docs/", "docs/x"]


@pytest.mark.parametrize("left", [0, 1, 2])
def test_an_archive_is_whole_or_none(files: Files, left: int) -> None:
    """If something that was ticked is gone, nothing is sent that looks as if that were all."""
    names = ("a", "b", "c")
    for name in names:
        files.put(name)
    ids = [files.id_of(name) for name in names]
    for name in names[left:]:
        files.vault.delete(VaultPath.parse(name))
    response = files.press_ids("/zip/", ids)
    assert (response.status_code, response.mimetype) == (409, "text/html")
    assert "Something changed meanwhile" in response.text


def test_a_path_too_long_for_an_archive(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    """MOVE makes folders deeper than a path may be: the archive breaks off; that is noted, without names."""
    name = "n" * 255
    tops = [VaultPath((f"{top}{name[1:]}",)) for top in "ab"]
    for top, depth in zip(tops, (200, 60), strict=True):
        for below in range(depth):
            files.vault.make_collection(VaultPath((*top.parts, *[name] * below)))
    files.vault.move(tops[1], VaultPath((*tops[0].parts, *[name] * 200)), overwrite=False)
    capsys.readouterr()
    with pytest.raises(PathError):
        _ = files.get("/download/").data
    said = capsys.readouterr().out
    assert "longer than an archive can hold" in said
    assert name not in said


def test_names_in_an_archive(files: Files) -> None:
    """Those that some system cannot store are changed, and a note says so, under a name that is free."""
    for name in ("a:b", "A_B", "con", "renamed.json"):
        files.put(f"odd/{name}", name.encode())
    folder = "odd"
    archive = zipped(
        files.press("/zip/odd", *(f"{folder}/{name}" for name in ("a:b", "A_B", "con", "renamed.json")))
    )
    assert set(archive.namelist()) == {"a_b", "A_B (2)", "_con", "renamed.json", "renamed (2).json"} or set(
        archive.namelist()
    ) == {"a_b (2)", "A_B", "_con", "renamed.json", "renamed (2).json"}
    assert archive.read("renamed.json") == b"renamed.json"


def test_other_programs_read_the_archive(files: Files, tmp_path: Path) -> None:
    """`unzip -t`, with sizes and names of every kind."""
    for path in ("docs/ü 🙂.txt", "docs/empty", "docs/big"):
        files.put(path, b"" if path.endswith("empty") else CONTENT)
    (tmp_path / "files.zip").write_bytes(files.get("/download/").data)
    command = [str(clients.require("unzip")), "-t", str(tmp_path / "files.zip")]
    tested = subprocess.run(command, capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "No errors detected" in tested.stdout


# ── what goes wrong
@pytest.mark.parametrize("where", ["/download/film.mp4", "/preview/film.mp4"])
def test_altered_contents_are_never_sent(
    files: Files, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    """Damage at the beginning is a page that says so; further on the answer breaks off, and it is noted."""
    blobs = Path(files.site.services.settings.storage.data_dir) / "blobs"
    (blob,) = (path for path in blobs.rglob("*") if path.is_file() and path.stat().st_size > 10**6)
    raw = bytearray(blob.read_bytes())
    raw[1_500_000] ^= 1
    blob.chmod(0o600)
    blob.write_bytes(raw)
    with pytest.raises(CorruptBlob):
        _ = files.get(where).data
    assert files.get(where, headers={"Range": "bytes=0-9"}).data == CONTENT[:10]
    raw[200] ^= 1
    blob.write_bytes(raw)
    assert files.get(where).status_code == 500
    assert capsys.readouterr().out.count(AuditEvent.INTEGRITY_FAILED.value) == 2


@pytest.mark.parametrize("where", ["/download/", "/download/film.mp4", "/preview/film.mp4"])
def test_a_download_ends_with_its_session(files: Files, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """T43: suspended in the middle, it breaks off."""
    monkeypatch.setattr("davserver.accounts.watch.RECHECK_SECONDS", 0)
    response = files.browser.client.get(where, base_url=files.browser.origin, buffered=False)
    blocks = response.iter_encoded()
    assert next(blocks)
    files.site.services.accounts.suspend("alice")
    with pytest.raises(AuthenticationError):
        b"".join(blocks)
    response.close()
