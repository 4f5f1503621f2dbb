"""What the script of uploads is answered: files whole and in parts, questions, refusals, and who may ask."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from werkzeug.test import TestResponse

from davserver.audit import AuditEvent
from davserver.errors import LengthMismatch, StorageFull, StorageUnavailable
from davserver.serving.exchange import TURN_KEY
from davserver.vault.paths import VaultPath
from davserver.vault.upload import Upload
from enroll_web.arriving import FILE_FIELD
from enroll_web.pages import uploads
from enroll_web.told_scripts import TOKEN_FIELD
from tests.unit.enroll_web.conftest import Browser, Site, made_site
from tests.unit.enroll_web.filed import OWN, Files
from tests.unit.vault.arriving import CONTENT, IDLE_DAYS, PART, shorten_parts

WHOLE = 50_000
MODIFIED = 1_600_000_000_123
"""As browsers tell it: milliseconds."""

WORD, ANOTHER = "0f" * 16, "f0" * 16
"""By these the script calls its files."""

MINE = {**OWN, "Origin": "https://drive.example"}


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many parts of a small file."""
    shorten_parts(monkeypatch)
    monkeypatch.setattr(uploads, "PART_BYTES", PART)
    monkeypatch.setattr(uploads, "WHOLE_BYTES", WHOLE)


@dataclass
class Script:
    """The script on a page of alice's."""

    files: Files
    token: str = ""

    def __post_init__(self) -> None:
        self.token = self.token or str(self.ask("GET", "/uploads")["token"])

    # ── requests
    def call(
        self,
        method: str,
        address: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        environ: Mapping[str, object] | None = None,
    ) -> TestResponse:
        """One request; a body that is not bytes is sent as JSON."""
        fields = {**MINE, TOKEN_FIELD: self.token, **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            fields["Content-Type"] = "application/json"
        given = {"CONTENT_LENGTH": "0"} if body == b"" else {}  # as browsers send it
        return self.files.browser.client.open(
            address,
            method=method,
            data=body,
            base_url=self.files.browser.origin,
            headers=fields,
            environ_overrides={**given, **(environ or {})},
        )

    def ask(self, method: str, address: str, body: object = None) -> dict[str, Any]:
        """The answer to one that is not refused."""
        response = self.call(method, address, body)
        assert response.status_code == 200, response.text
        assert isinstance(response.json, dict)
        return response.json

    # ── what the script does
    def whole(self, path: str, content: bytes, **options: object) -> TestResponse:
        """Send a small file."""
        beside = quote(json.dumps(announcement(path, len(content), **options)))
        return self.call("PUT", "/uploads", content, {FILE_FIELD: beside})

    def begin(self, path: str, content: bytes = CONTENT, **options: object) -> str:
        """Announce a larger one; its id."""
        return str(self.ask("POST", "/uploads", announcement(path, len(content), **options))["id"])

    def part(self, upload_id: str, offset: int, content: bytes = CONTENT) -> TestResponse:
        """Send a part."""
        return self.call("PUT", f"/uploads/{upload_id}/{offset}", content[offset : offset + PART])

    def send_all(self, upload_id: str, content: bytes = CONTENT) -> None:
        """Send every part."""
        for offset in range(0, len(content), PART):
            assert self.part(upload_id, offset, content).json == {
                "received": min(offset + PART, len(content))
            }

    def finish(self, upload_id: str, **given: object) -> list[dict[str, object]]:
        """Make the file; what is told on the way."""
        response = self.call("POST", f"/uploads/{upload_id}/finish", given)
        assert response.status_code == 200, response.text
        return [json.loads(line) for line in response.text.splitlines()]

    def put(self, path: str, content: bytes = CONTENT, **options: object) -> dict[str, object]:
        """All of that; the last word."""
        upload_id = self.begin(path, content, **options)
        self.send_all(upload_id, content)
        return self.finish(upload_id)[-1]


def announcement(path: str, size: int, **options: object) -> dict[str, object]:
    """What the script says of a file before it sends it; chosen on the page of the root."""
    return {
        "folder": [],
        "path": path.split("/"),
        "size": size,
        "modified": MODIFIED,
        "taken": "ask",
        "again": False,
        **options,
    }


@pytest.fixture
def files(site: Site, alice: Browser) -> Files:
    """Alice's, empty."""
    return Files(site, alice)


@pytest.fixture
def script(files: Files) -> Script:
    """A page that alice has open."""
    return Script(files)


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("size", [0, 1, WHOLE])
def test_a_small_file_comes_whole(files: Files, script: Script, size: int) -> None:
    """In one request, with its time; folders on the way are made, below the one of the page."""
    files.folder("x")
    files.folder("x/y")
    for number in range(2):
        answer = script.whole(f"a/b {number}/ü & <b>.txt", CONTENT[:size], folder=["x", "y"])
        assert (answer.status_code, answer.json) == (200, {"name": "ü & <b>.txt"})
    path = "x/y/a/b 1/ü & <b>.txt"
    assert files.content(path) == CONTENT[:size]
    assert files.vault.stat(VaultPath.parse(path)).modified_ns == MODIFIED * 10**6
    assert files.names("x/y/a") == {"b 0", "b 1"}


def test_a_larger_file_comes_in_parts(files: Files, script: Script) -> None:
    """Each part is told how much is there; the end is told step by step."""
    upload_id = script.begin("sub/f")
    assert script.ask("GET", f"/uploads/{upload_id}") == {"received": 0, "digests": []}
    script.send_all(upload_id)
    assert files.names("sub") == set()
    told = script.finish(upload_id)
    assert told == [
        *({"stored": min(at + PART, len(CONTENT))} for at in range(0, len(CONTENT), PART)),
        {"name": "f"},
    ]
    assert files.content("sub/f") == CONTENT
    assert files.vault.stat(VaultPath.parse("sub/f")).modified_ns == MODIFIED * 10**6


def test_a_part_is_told_where_to_go_on(files: Files, script: Script) -> None:
    """Sent again, or too early: the right place, and nothing is stored."""
    upload_id = script.begin("f")
    script.part(upload_id, 0)
    for offset in (0, 3 * PART, 10**19):
        answer = script.part(upload_id, offset, bytes(4 * PART))
        assert (answer.status_code, answer.json) == (200, {"received": PART})
    assert script.finish(upload_id) == [{"received": PART}]
    assert files.vault.usage().used == PART


def test_whose_parts_they_are_can_be_seen(script: Script) -> None:
    """A script that goes on with what an earlier page began compares them: nothing comes of two files."""
    upload_id = script.begin("f")
    sha1s = [hashlib.sha1(CONTENT[at : at + PART]).hexdigest() for at in range(0, len(CONTENT), PART)]
    script.part(upload_id, 0)
    script.part(upload_id, PART)
    assert script.ask("GET", f"/uploads/{upload_id}") == {"received": 2 * PART, "digests": sha1s[:2]}
    script.part(upload_id, 2 * PART)
    script.part(upload_id, 3 * PART)
    assert script.ask("GET", f"/uploads/{upload_id}") == {"received": len(CONTENT), "digests": sha1s}


def test_digests_are_kept_as_the_settings_say(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Of files that come whole, and of those that come in parts."""
    folder = tmp_path_factory.mktemp("hashed")
    storage = {"data_dir": str(folder / "data"), "durability": "relaxed", "hashes": "always"}
    for other in made_site(folder, storage=storage):
        files = Files(other, other.first())
        script = Script(files)
        script.whole("small", b"x")
        script.put("large")
        for name in ("small", "large"):
            assert files.vault.stat(VaultPath.parse(name)).sha1 is not None


def test_a_folder_without_files(files: Files, script: Script) -> None:
    """It is made with those on the way; one that is there is left as it is."""
    for _ in range(2):
        script.ask("POST", "/uploads-folder", announcement("a/b", 0))
    assert files.names("a") == {"b"}


# ── what there is ───────────────────────────────────────────────────────────────────────────────────────────
def test_what_is_unfinished_is_listed(files: Files, script: Script) -> None:
    """By the page itself, for its script, and by an address of its own."""
    upload_id = script.begin("Größe/<f>")
    script.part(upload_id, 0)
    listed = {
        "id": upload_id,
        "name": "<f>",
        "folder": "Größe",
        "size": len(CONTENT),
        "modified": MODIFIED,
        "received": PART,
    }
    told = script.ask("GET", "/uploads")
    assert (told["who"], told["uploads"], told["token"]) == ("alice", [listed], script.token)
    page = files.get("/files/")
    assert upload_id in page.text
    assert "<f>" not in page.text
    assert script.ask("DELETE", f"/uploads/{upload_id}") == {}
    assert script.ask("DELETE", f"/uploads/{upload_id}") == {}
    assert script.ask("GET", "/uploads")["uploads"] == []
    assert files.vault.usage().used == 0


def test_an_altered_upload_keeps_no_folder_from_being_shown(
    files: Files, script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not listed, the others are, and whoever looks after the server hears of it."""
    script.begin("f")
    with files.site.services.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE node SET version = 9 WHERE parent_id = ?", (b"\xfe" * 16,))
    assert files.get("/files/").status_code == 200
    assert script.ask("GET", "/uploads")["uploads"] == []
    assert AuditEvent.INTEGRITY_FAILED.value in capsys.readouterr().out
    other = script.begin("g")
    assert other in files.get("/files/").text
    assert [one["id"] for one in script.ask("GET", "/uploads")["uploads"]] == [other]


def test_an_upload_whose_folder_lies_too_deep_keeps_no_page_from_being_shown(
    files: Files, script: Script
) -> None:
    """It was moved to where no path leads: it is listed as it was begun."""
    deep = "/".join(["d"] * 200)
    files.put(f"{deep}/x")
    upload_id = script.begin(f"{deep}/f")
    files.put("/".join(["e"] * 100) + "/x")
    files.vault.move(VaultPath(("d",)), VaultPath((*["e"] * 100, "d")), overwrite=False)
    assert upload_id in files.get("/files/").text
    assert [one["folder"] for one in script.ask("GET", "/uploads")["uploads"]] == [deep]


def test_what_was_given_up(script: Script) -> None:
    """Finished, cancelled, idle for too long, or never there: the script is told to begin anew."""
    upload_id = script.begin("f")
    script.ask("DELETE", f"/uploads/{upload_id}")
    for unknown in (upload_id, "00" * 16, "ff" * 16, "x", "%2e%2e"):
        for method, address in (
            ("GET", f"/uploads/{unknown}"),
            ("PUT", f"/uploads/{unknown}/0"),
            ("POST", f"/uploads/{unknown}/finish"),
        ):
            response = script.call(method, address, b"x" if method == "PUT" else {})
            assert response.status_code == 404, address
            assert (response.json or {})["again"] == "gone"
    upload_id = script.begin("g")
    script.files.site.clock.advance(days=IDLE_DAYS)
    script.files.site.services.maintenance.collect(grace=timedelta(hours=1))
    script.files.browser.sign_in()
    script.files.browser.prove()
    assert Script(script.files).call("GET", f"/uploads/{upload_id}").status_code == 404


@pytest.mark.parametrize(("days", "words"), [(1, "for 1 day is"), (3, "for 3 days is")])
def test_it_waits_as_long_as_the_settings_say(
    tmp_path_factory: pytest.TempPathFactory, days: int, words: str
) -> None:
    """The page names the days; until they are over somebody may come back."""
    folder = tmp_path_factory.mktemp("site")
    storage = {"data_dir": str(folder / "data"), "durability": "relaxed"}
    for other in made_site(folder, storage=storage, uploads={"keep_days": days}):
        files = Files(other, other.first())
        Script(files).begin("f")
        assert f"What nobody goes on with {words} given up." in files.get("/files/").text
        for seconds, left in ((-1, 1), (1, 0)):
            other.clock.advance(days=days if left else 0, seconds=seconds)
            other.services.maintenance.collect(grace=timedelta(hours=1))
            assert len(files.vault.parts.all()) == left


# ── names that are taken ────────────────────────────────────────────────────────────────────────────────────
def test_a_taken_name_is_a_question(files: Files, script: Script) -> None:
    """With what is there, in words; it is no error, and nothing was stored. Each answer does what it says."""
    files.put("f", b"old", modified_ns=0)
    files.folder("d")
    there = files.vault.stat(VaultPath(("f",))).etag
    question = {"taken": {"folder": False, "size": "3 B", "changed": "1970-01-01 00:00 UTC", "there": there}}
    assert script.whole("f", b"new").json == question
    assert script.ask("POST", "/uploads", announcement("f", len(CONTENT))) == question
    for if_taken in ("ask", "replace"):
        folder = script.whole("d", b"new", taken=if_taken).json or {}
        assert (folder["taken"]["folder"], folder["taken"]["there"]) == (True, "")
        begun = script.ask("POST", "/uploads", announcement("d", len(CONTENT), taken=if_taken))
        assert begun["taken"] == folder["taken"]
    assert (files.content("f"), files.vault.usage().used) == (b"old", 3)
    assert script.whole("f", b"both", taken="both").json == {"name": "f (2)"}
    assert script.whole("f", b"replaced", taken="replace").json == {"name": "f"}
    assert script.put("f", taken="both") == {"name": "f (3)"}
    assert script.put("f", CONTENT[::-1], taken="replace") == {"name": "f"}
    assert script.whole("d", b"both", taken="both").json == {"name": "d (2)"}
    assert files.content("f") == CONTENT[::-1]
    assert files.names() == {"f", "f (2)", "f (3)", "d", "d (2)"}


def test_what_is_replaced_is_what_was_shown(files: Files, script: Script) -> None:
    """A colleague saves while the question stands: it is asked anew, with what is there by then."""
    for name in ("small", "large", "end"):
        files.put(name, b"1")
    large = announcement("large", len(CONTENT))
    upload_id = script.begin("end", taken="both")
    script.send_all(upload_id)
    small = script.whole("small", b"mine").json or {}
    shown: dict[str, Any] = {"small": small, "large": script.ask("POST", "/uploads", large)}
    shown["end"] = script.finish(upload_id, taken="ask")[-1]
    for name in shown:
        files.put(name, b"22")

    def answered(name: str) -> dict[str, Any]:
        answer = {"taken": "replace", "there": shown[name]["taken"]["there"]}
        match name:
            case "small":
                return script.whole("small", b"mine", **answer).json or {}
            case "large":
                return script.ask("POST", "/uploads", {**large, **answer})
        return script.finish(upload_id, **answer)[-1]

    for name, question in shown.items():
        again = answered(name)
        assert (again["taken"]["size"], question["taken"]["size"]) == ("2 B", "1 B")
        assert files.content(name) == b"22"
        shown[name] = again
    for name in shown:
        assert "taken" not in answered(name)
    assert (files.content("small"), files.content("end")) == (b"mine", CONTENT)


def test_what_was_shown_has_gone(files: Files, script: Script) -> None:
    """Then nobody is asked; and what comes in its place while the body arrives is asked about."""
    files.put("f", b"1")
    there = (script.whole("f", b"2").json or {})["taken"]["there"]
    files.vault.delete(VaultPath(("f",)))
    assert script.whole("f", b"2", taken="replace", there=there).json == {"name": "f"}
    there = files.vault.stat(VaultPath(("f",))).etag
    body = Meanwhile(b"3", lambda: files.put("f", b"theirs"))
    beside = {FILE_FIELD: quote(json.dumps(announcement("f", 1, taken="replace", there=there)))}
    given = {"wsgi.input": body, "CONTENT_LENGTH": "1"}
    answer = script.call("PUT", "/uploads", headers=beside, environ=given).json or {}
    assert answer["taken"]["size"] == "6 B"
    assert files.content("f") == b"theirs"


def test_without_what_was_shown_any_file_is_replaced(files: Files, script: Script) -> None:
    """Chosen beforehand, or for all: also what comes while the body arrives."""
    body = Meanwhile(b"3", lambda: files.put("f", b"theirs"))
    beside = {FILE_FIELD: quote(json.dumps(announcement("f", 1, taken="replace")))}
    given = {"wsgi.input": body, "CONTENT_LENGTH": "1"}
    assert script.call("PUT", "/uploads", headers=beside, environ=given).json == {"name": "f"}
    assert files.content("f") == b"3"


def test_a_name_that_is_taken_at_the_end(files: Files, script: Script) -> None:
    """While it arrived: asked again, nothing is lost; then the answer is done."""
    first, second = script.begin("f"), script.begin("g", taken="replace")
    for upload_id, name in ((first, "f"), (second, "g")):
        script.send_all(upload_id)
        files.put(name, b"theirs")
    assert list(script.finish(first)[-1]) == ["taken"]
    assert list(script.finish(second)[-1]) == ["taken"]
    assert script.finish(first, taken="both")[-1] == {"name": "f (2)"}
    assert script.finish(second, taken="replace")[-1] == {"name": "g"}
    assert files.content("f") == b"theirs"
    assert files.content("g") == files.content("f (2)") == CONTENT


def test_a_name_that_is_taken_in_the_last_moment(
    files: Files, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first line of the answer has gone out it is a line as well."""
    upload_id = script.begin("f")
    script.send_all(upload_id)
    commit = Upload.commit

    def late(upload: Upload) -> object:
        monkeypatch.setattr(Upload, "commit", commit)
        files.put("f", b"theirs")
        return commit(upload)

    monkeypatch.setattr(Upload, "commit", late)
    told = script.finish(upload_id)
    assert [list(line) for line in told] == [["stored"]] * 4 + [["taken"]]
    assert files.content("f") == b"theirs"


def test_an_answer_that_was_lost(files: Files, script: Script) -> None:
    """Asked again, what has come is found by its word, also beside what has its name; only if so asked."""
    script.whole("small", b"1", word=WORD)
    script.put("large", word=WORD)
    for name, size in (("small", 1), ("large", len(CONTENT))):
        known = announcement(name, size, word=WORD, again=True)
        assert script.ask("POST", "/uploads", known) == {"name": name}
        for foreign in ({"word": ANOTHER}, {"word": ""}, {"again": False}):
            assert "taken" in script.ask("POST", "/uploads", {**known, **foreign})
    assert script.whole("small", b"1", word=WORD, again=True).json == {"name": "small"}
    script.whole("small", b"1", taken="both", word=ANOTHER)
    beside = script.whole("small", b"1", taken="both", word=ANOTHER, again=True)
    assert beside.json == {"name": "small (2)"}
    assert script.whole("small", b"1", taken="both", word=ANOTHER).json == {"name": "small (3)"}
    files.folder("folder")
    assert "taken" in (script.whole("folder", b"", word=WORD, again=True).json or {})
    assert script.whole("new", b"1", word=WORD, again=True).json == {"name": "new"}
    assert files.names() == {"small", "small (2)", "small (3)", "large", "folder", "new"}


def test_another_file_of_the_same_length_and_time(files: Files, script: Script) -> None:
    """A container is written to in its place: refused by a lock, then asked again, the new one is stored."""
    script.whole("f", b"old!", word=WORD)
    files.lock("f")
    assert script.whole("f", b"new!", taken="replace", word=ANOTHER).status_code == 423
    files.vault.unlock(VaultPath(("f",)), files.vault.locks(VaultPath(("f",))).covering[0].lock.token)
    answer = script.whole("f", b"new!", taken="replace", word=ANOTHER, again=True)
    assert (answer.json, files.content("f")) == ({"name": "f"}, b"new!")


def test_a_lost_request_that_is_still_at_work(files: Files, script: Script) -> None:
    """It comes to its end while the second one arrives: no question about one's own file."""
    options = {"word": WORD, "taken": "ask"}
    body = Meanwhile(b"x", lambda: script.whole("f", b"x", **options))
    beside = {FILE_FIELD: quote(json.dumps(announcement("f", 1, again=True, **options)))}
    given = {"wsgi.input": body, "CONTENT_LENGTH": "1"}
    assert script.call("PUT", "/uploads", headers=beside, environ=given).json == {"name": "f"}
    assert files.vault.versions(VaultPath(("f",))) == []


def test_a_lost_answer_to_the_beginning(files: Files, script: Script) -> None:
    """However often: one upload, of which as much is there as has come."""
    upload_id = script.begin("f", word=WORD)
    script.part(upload_id, 0)
    for _ in range(25):
        again = script.ask("POST", "/uploads", announcement("f", len(CONTENT), word=WORD, again=True))
        assert again == {"id": upload_id, "received": PART}
    assert len(files.vault.parts.all()) == 1


def test_a_lost_answer_to_the_end(files: Files, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked again while the first still works: that one stops, and is told that the same request may help."""
    upload_id = script.begin("f", word=WORD)
    script.send_all(upload_id)
    write = Upload.write

    def overtaken(upload: Upload, data: memoryview) -> None:
        monkeypatch.setattr(Upload, "write", write)
        files.vault.parts.join(files.vault.parts.all()[0].id)
        write(upload, data)

    monkeypatch.setattr(Upload, "write", overtaken)
    told = script.finish(upload_id)
    assert told[0] == {"stored": PART}
    assert told[1:] == [{"text": str(told[-1]["text"]), "again": "later"}]
    assert "was faster" in str(told[-1]["text"])
    assert script.finish(upload_id)[-1] == {"name": "f"}
    assert script.call("POST", f"/uploads/{upload_id}/finish", {}).status_code == 404
    again = announcement("f", len(CONTENT), word=WORD, again=True)
    assert script.ask("POST", "/uploads", again) == {"name": "f"}


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────
def refused(response: TestResponse) -> tuple[int, str, str]:
    """Status, sentence and what may help."""
    told = response.json or {}
    return response.status_code, told["text"], told["again"]


def test_each_refusal_has_a_sentence(files: Files, script: Script) -> None:
    """A name, a lock, a file where a folder is meant, the quota: the same for small and for large files."""
    files.put("file")
    files.folder("locked")
    files.lock("locked")
    cases = {
        "..": (422, "A name must not be empty, '.' or '..'."),
        "a\x07b": (422, "A name must not hold '/' or a control character."),
        "x" * 256: (422, "A name must not be longer than 255 bytes."),
        "file/f": (409, "A file has this name where a folder is meant."),
        "locked/f": (423, "It is locked by a program that has it open."),
    }
    for path, (status, text) in cases.items():
        for response in (
            script.whole(path, b"x"),
            script.call("POST", "/uploads", announcement(path, len(CONTENT))),
        ):
            assert response.status_code == status, path
            assert text in (response.json or {})["text"]
            assert (response.json or {})["again"] == ""
    files.site.services.accounts.set_quota("alice", 1000)
    for response in (
        script.whole("f", bytes(2000)),
        script.call("POST", "/uploads", announcement("f", len(CONTENT))),
    ):
        assert refused(response) == (507, "The account's quota has no room for this.", "")
    assert files.names() == {"file", "locked"}


def test_too_large(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whole or in parts, the sentence says how large a file may be; of that size it may be."""
    folder = tmp_path_factory.mktemp("small")
    storage = {"data_dir": str(folder / "data"), "durability": "relaxed", "max_file_size": 1000}
    for other in made_site(folder, storage=storage):
        files = Files(other, other.first())
        script = Script(files)
        for response in (
            script.whole("f", bytes(1001)),
            script.call("POST", "/uploads", announcement("f", 1001)),
        ):
            sentence = "This file is too large: the server takes files of up to 1000 B."
            assert refused(response) == (409, sentence, "")
        assert script.put("f", bytes(1000)) == script.whole("f", bytes(1000), taken="replace").json


def test_refusals_at_the_end(files: Files, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that came meanwhile, a folder that went, a disk that is full: said, and the parts wait."""
    upload_id = script.begin("d/f")
    script.send_all(upload_id)
    address = f"/uploads/{upload_id}/finish"
    files.lock("d")
    assert refused(script.call("POST", address, {}))[0] == 423
    locks = files.vault.locks(VaultPath.parse("d")).covering
    files.vault.unlock(VaultPath.parse("d"), locks[0].lock.token)
    files.vault.delete(VaultPath.parse("d"))
    assert refused(script.call("POST", address, {}))[:2] == (
        409,
        "The folder that this is for is not there (any more).",
    )
    files.folder("d")

    def fail(_upload: Upload) -> None:
        raise StorageFull("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Upload, "commit", fail)
        told = script.finish(upload_id)
    assert told[-1] == {"text": "The disk of the server is full. Tell whoever runs it.", "again": ""}
    assert script.finish(upload_id)[-1] == {"name": "f"}
    assert files.content("d/f") == CONTENT


def test_so_many_at_once(script: Script) -> None:
    """The limit is told with its number."""
    for number in range(20):
        script.begin(str(number))
    status, text, _ = refused(script.call("POST", "/uploads", announcement("f", len(CONTENT))))
    assert (status, text) == (409, "20 uploads are unfinished: finish or cancel one of them.")


@pytest.mark.parametrize(
    "given",
    [
        None,
        [],
        "x",
        {},
        {"path": []},
        {"path": "f"},
        {"path": [1]},
        {"folder": "f"},
        {"folder": [None]},
        {"size": -1},
        {"size": "1"},
        {"size": 1.5},
        {"modified": "x"},
        {"taken": 1},
        {"again": "yes"},
        {"word": 1},
        {"word": "0f" * 15},
        {"word": "0F" * 16},
        {"there": 1},
        {"there": []},
    ],
)
def test_what_no_script_of_ours_sends(script: Script, given: object) -> None:
    """Nothing is guessed."""
    told = {**announcement("f", 1), **given} if isinstance(given, dict) and given else given
    assert script.call("POST", "/uploads", told).status_code == 400
    assert script.call("POST", "/uploads-folder", told).status_code == 400
    beside = {FILE_FIELD: quote(json.dumps(told))}
    assert script.call("PUT", "/uploads", b"x", beside).status_code == 400


def test_lists_within_lists(files: Files, script: Script) -> None:
    """More than can be read: that is no JSON of ours, and no fault of the server's."""
    upload_id = script.begin("f")
    deep, fields = b"[" * 30_000, {"Content-Type": "application/json"}
    for address in ("/uploads", "/uploads-folder"):
        assert script.call("POST", address, deep, fields).status_code == 400
    beside = {FILE_FIELD: "[" * 50_000}
    assert script.call("PUT", "/uploads", b"x", beside).status_code == 400
    assert script.call("POST", f"/uploads/{upload_id}/finish", deep, fields).json == {"received": 0}
    assert script.call("POST", f"/uploads/{upload_id}/finish", {"there": 1}).status_code == 400
    assert script.call("POST", "/uploads-told", deep, fields).json == {}
    assert files.names() == set()


@pytest.mark.parametrize("modified", [2**63, -(2**63), 10**30])
def test_times_that_cannot_be(files: Files, script: Script, modified: int) -> None:
    """A file of the year 300000: refused at the beginning."""
    for response in (
        script.whole("f", b"x", modified=modified),
        script.call("POST", "/uploads", announcement("f", len(CONTENT), modified=modified)),
    ):
        assert response.status_code == 409
    assert files.names() == set()


@pytest.mark.parametrize(("size", "sent"), [(1, 2), (2, 1), (WHOLE + 1, WHOLE + 1)])
def test_a_small_file_has_its_length(files: Files, script: Script, size: int, sent: int) -> None:
    """Neither another one than was announced, nor more than a small one may have."""
    beside = quote(json.dumps(announcement("f", size)))
    assert script.call("PUT", "/uploads", bytes(sent), {FILE_FIELD: beside}).status_code == 400
    assert files.names() == set()


@pytest.mark.parametrize("length", [PART - 1, PART + 1])
def test_a_part_has_its_length(files: Files, script: Script, length: int) -> None:
    """And without one nothing is read."""
    upload_id = script.begin("f")
    address = f"/uploads/{upload_id}/0"
    assert script.call("PUT", address, bytes(length)).status_code == 400
    assert script.call("PUT", address, bytes(10), environ={"CONTENT_LENGTH": ""}).status_code == 400
    for offset in ("-1", "1e3", "٣", "9" * 21):
        assert script.call("PUT", f"/uploads/{upload_id}/{offset}", bytes(10)).status_code == 404
    assert files.vault.usage().used == 0


def test_a_server_that_cannot_now(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script is told to try again after a while."""

    def away(*_: object, **__: object) -> None:
        raise StorageUnavailable("the database is busy")

    monkeypatch.setattr("davserver.vault.parts.Parts.begin", away)
    response = script.call("POST", "/uploads", announcement("f", len(CONTENT)))
    assert refused(response) == (503, "Please try again in a minute.", "later")


def test_an_unexpected_error_tells_nothing_about_its_cause(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 500 is JSON as well, in the words of the site."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the secret is hunter2")

    monkeypatch.setattr("davserver.vault.parts.Parts.begin", broken)
    response = script.call("POST", "/uploads", announcement("f", len(CONTENT)))
    assert response.status_code == 500
    assert "It is the server's fault" in response.text
    assert "hunter2" not in response.text


# ── who may ask ─────────────────────────────────────────────────────────────────────────────────────────────
def every_request(upload_id: str) -> list[tuple[str, str, object, dict[str, str]]]:
    """One of each kind that changes something."""
    beside = {FILE_FIELD: quote(json.dumps(announcement("stolen", 1)))}
    return [
        ("PUT", "/uploads", b"x", beside),
        ("POST", "/uploads", announcement("stolen", 1), {}),
        ("POST", "/uploads-folder", announcement("stolen", 0), {}),
        ("PUT", f"/uploads/{upload_id}/0", bytes(PART), {}),
        ("POST", f"/uploads/{upload_id}/finish", {}, {}),
        ("POST", "/uploads-told", {"stored": 1}, {}),
        ("DELETE", f"/uploads/{upload_id}", None, {}),
    ]


def test_t35_nothing_is_done_without_the_token(files: Files, script: Script) -> None:
    """T35: in the head and nowhere else, made for this browser; then the script is told to get a new one."""
    upload_id = script.begin("f")
    other = Script(Files(files.site, files.site.invited("bob"))).token
    for method, address, body, fields in every_request(upload_id):
        for token in ("", "x", other, script.token[:-1]):
            response = script.call(method, address, body, {**fields, TOKEN_FIELD: token})
            assert refused(response)[::2] == (403, "token"), (method, address)
        response = script.call(method, f"{address}?csrf={script.token}", body, {**fields, TOKEN_FIELD: ""})
        assert response.status_code == 403
    form = f"csrf={script.token}".encode()
    as_form = {TOKEN_FIELD: "", "Content-Type": "application/x-www-form-urlencoded"}
    assert script.call("POST", "/uploads", form, as_form).status_code == 403
    assert (files.names(), script.ask("GET", f"/uploads/{upload_id}")) == (
        set(),
        {"received": 0, "digests": []},
    )


def test_t35_nothing_is_done_by_another_site(files: Files, script: Script) -> None:
    """T35: not even with the right token; and nobody else may read the answer that holds it."""
    upload_id = script.begin("f")
    for foreign in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        for method, address, body, fields in every_request(upload_id):
            assert script.call(method, address, body, {**fields, **foreign}).status_code == 403
    response = script.call("GET", "/uploads", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in response.headers
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert response.headers["Cache-Control"] == "no-store"
    assert files.names() == set()


def test_a_session_that_has_ended(files: Files, script: Script) -> None:
    """Every request says so in a word; the upload goes on after the sign-in, with the token of that."""
    upload_id = script.begin("f")
    script.part(upload_id, 0)
    files.site.clock.advance(minutes=16)
    for method, address, body, fields in (
        *every_request(upload_id),
        ("GET", "/uploads", None, {}),
        ("GET", f"/uploads/{upload_id}", None, {}),
    ):
        status, text, again = refused(script.call(method, address, body, fields))
        assert (status, again) == (403, "sign-in"), (method, address)
        assert text == "This browser is not signed in any more."
    files.browser.sign_in()
    assert refused(script.call("GET", "/uploads"))[2] == "sign-in", "one factor is not enough"
    files.browser.prove()
    assert refused(script.part(upload_id, PART))[2] == "token"
    script = Script(files)
    for offset in range(PART, len(CONTENT), PART):
        script.part(upload_id, offset)
    assert script.finish(upload_id)[-1] == {"name": "f"}
    assert files.content("f") == CONTENT


def test_no_page_with_the_script_where_others_can_listen(files: Files) -> None:
    """It relies on what browsers have for safe lines only."""
    for address in ("/files/", "/uploads"):
        response = files.browser.client.get(address, base_url="http://192.0.2.7:8080")
        assert response.status_code == 403
        assert "begins with https" in response.text


def test_somebody_else_signs_in(files: Files, script: Script) -> None:
    """The script learns who it is; another account's upload is not there for them."""
    upload_id = script.begin("f")
    bob = Files(files.site, files.site.invited("bob"))
    other = Script(bob)
    assert other.ask("GET", "/uploads")["who"] == "bob"
    assert other.ask("GET", "/uploads")["uploads"] == []
    assert other.call("GET", f"/uploads/{upload_id}").status_code == 404
    assert other.ask("DELETE", f"/uploads/{upload_id}") == {}
    assert script.ask("GET", f"/uploads/{upload_id}")["received"] == 0


def test_parts_keep_a_session_alive(files: Files, script: Script) -> None:
    """Somebody who only watches an upload is not signed out, up to the hours that a session may have."""
    content = bytes(PART * 10)
    upload_id = script.begin("f", content)
    for offset in range(0, len(content), PART):
        files.site.clock.advance(minutes=10)
        assert script.part(upload_id, offset, content).status_code == 200
    assert script.finish(upload_id)[-1] == {"name": "f"}


def test_a_part_ends_with_its_session(files: Files, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """T43: suspended, signed out elsewhere: nothing more is read or stored."""
    monkeypatch.setattr("davserver.accounts.watch.RECHECK_SECONDS", 0)
    upload_id = script.begin("f")

    class Ending(Slow):
        """The account is suspended while the body arrives."""

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            """The same, and meanwhile..."""
            count = super().readinto(buffer)
            files.site.services.accounts.suspend("alice")
            return count

    body = Ending(CONTENT[:PART])
    given = {"wsgi.input": body, "CONTENT_LENGTH": str(PART)}
    response = script.call("PUT", f"/uploads/{upload_id}/0", environ=given)
    assert refused(response)[::2] == (403, "sign-in")
    assert body.left > 0, "the rest was read"
    files.site.services.accounts.resume("alice")
    assert files.vault.parts.state(files.vault.parts.all()[0].id).received == 0


def test_finishing_ends_with_its_session(
    files: Files, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T43: the answer breaks off, and there is no file."""
    monkeypatch.setattr("davserver.accounts.watch.RECHECK_SECONDS", 0)
    upload_id = script.begin("f")
    script.send_all(upload_id)
    write = Upload.write

    def ending(upload: Upload, data: memoryview) -> None:
        files.site.services.accounts.suspend("alice")
        write(upload, data)

    monkeypatch.setattr(Upload, "write", ending)
    with pytest.raises(Exception, match="shut while it was in use"):
        _ = script.call("POST", f"/uploads/{upload_id}/finish", {}).text
    monkeypatch.undo()
    files.site.services.accounts.resume("alice")
    assert files.names() == set()
    assert files.vault.parts.all()[0].received == len(CONTENT)


class Slow(io.RawIOBase):
    """A body that comes in small pieces, and ends with an error if it is cut."""

    def __init__(self, body: bytes, *, cut: bool = False) -> None:
        super().__init__()
        self._body = io.BytesIO(body)
        self._cut = cut
        self.left = len(body)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Some of it."""
        count = self._body.readinto(buffer[:8192])
        if not count and self._cut:
            raise LengthMismatch("the body ended early")
        self.left -= count
        return int(count)


class Meanwhile(Slow):
    """Before the first of it is read, something else happens."""

    def __init__(self, body: bytes, happens: Callable[[], object]) -> None:
        super().__init__(body)
        self._happens = [happens]

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """The same, and meanwhile..."""
        while self._happens:
            self._happens.pop()()
        return super().readinto(buffer)


def test_a_part_that_is_cut_off(files: Files, script: Script) -> None:
    """Nothing of it is there, what came before is; so with a small file."""
    upload_id = script.begin("f")
    script.part(upload_id, 0)
    given = {"wsgi.input": Slow(CONTENT[:1000], cut=True), "CONTENT_LENGTH": str(PART)}
    assert script.call("PUT", f"/uploads/{upload_id}/{PART}", environ=given).status_code == 400
    beside = {FILE_FIELD: quote(json.dumps(announcement("small", 5000)))}
    given = {"wsgi.input": Slow(CONTENT[:1000], cut=True), "CONTENT_LENGTH": "5000"}
    assert script.call("PUT", "/uploads", headers=beside, environ=given).status_code == 400
    assert script.ask("GET", f"/uploads/{upload_id}")["received"] == PART
    assert (files.names(), files.vault.usage().used) == (set(), PART)


def test_what_is_refused_is_read_to_its_end(files: Files, script: Script) -> None:
    """So that the browser gets the answer and not a broken connection."""
    files.put("taken")
    body = Slow(CONTENT[:WHOLE])
    beside = {FILE_FIELD: quote(json.dumps(announcement("taken", WHOLE)))}
    given = {"wsgi.input": body, "CONTENT_LENGTH": str(WHOLE)}
    assert "taken" in (script.call("PUT", "/uploads", headers=beside, environ=given).json or {})
    assert body.left == 0
    upload_id = script.begin("f")
    body = Slow(CONTENT[:PART])
    given = {"wsgi.input": body, "CONTENT_LENGTH": str(PART)}
    assert script.call("PUT", f"/uploads/{upload_id}/{PART}", environ=given).json == {"received": 0}
    assert body.left == 0
    body = Slow(CONTENT[:PART])
    given = {"wsgi.input": body, "CONTENT_LENGTH": str(PART)}
    assert script.call("PUT", f"/uploads/{'00' * 16}/0", environ=given).status_code == 404
    assert body.left == 0


def test_it_waits_for_its_turn(files: Files, script: Script) -> None:
    """No account takes all threads: not with bodies, and not with parts that are joined."""
    upload_id = script.begin("f")
    asked: list[str] = []

    def turn(account: str) -> None:
        asked.append(account)

    for method, address in (
        ("PUT", "/uploads"),
        ("PUT", f"/uploads/{upload_id}/0"),
        ("POST", f"/uploads/{upload_id}/finish"),
    ):
        script.call(method, address, b"", environ={TURN_KEY: turn})
    assert asked == ["alice"] * 3
    assert files.names() == set()


# ── where it goes ───────────────────────────────────────────────────────────────────────────────────────────
def test_nothing_is_spooled(files: Files, script: Script, temporary: Path, tmp_path: Path) -> None:
    """Decision 28: no byte of a name or content on the disk, while it arrives or afterwards."""
    canary, name = b"canary-content-of-a-part-5d8e21", "canary-name-7f3a9c"
    content = (canary * 10_000)[: 4 * PART]
    seen: list[bytes] = []

    def look() -> None:
        paths = (*tmp_path.rglob("*"), *temporary.rglob("*"))
        seen.extend(path.read_bytes() for path in paths if path.is_file())

    class Looking(Slow):
        """The disk is looked at in the middle of the body."""

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            """The same, and meanwhile..."""
            look()
            return super().readinto(buffer)

    upload_id = script.begin(name, content)
    for offset in range(0, len(content), PART):
        body = Looking(content[offset : offset + PART])
        given = {"wsgi.input": body, "CONTENT_LENGTH": str(body.left)}
        assert script.call("PUT", f"/uploads/{upload_id}/{offset}", environ=given).status_code == 200
    look()
    script.finish(upload_id)
    look()
    assert len(seen) > 50
    assert not any(canary in content or name.encode() in content for content in seen)
    assert files.content(name) == content


def test_the_page_says_how_many(files: Files, script: Script) -> None:
    """After everything is done the page is loaded again; what is no number is told as nothing."""
    for given, text in (
        ({"stored": 1}, "1 file is stored."),
        ({"stored": 1000}, "1000 files are stored."),
        ({"stored": "<b>"}, "No file was chosen."),
        ({"stored": -1}, "No file was chosen."),
        ({"stored": 10**12}, "No file was chosen."),
        ([], "No file was chosen."),
    ):
        script.ask("POST", "/uploads-told", given)
        assert text in files.get("/files/").text


def test_in_german(files: Files, script: Script) -> None:
    """Sentences are in the language of the page."""
    response = script.call("POST", "/uploads", announcement("..", 1), {"Accept-Language": "de"})
    assert "Name" in refused(response)[1]
    assert "must not" not in refused(response)[1]
    assert files.names() == set()
