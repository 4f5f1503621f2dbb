"""Every page in every language, and in one that was made up, where each text stands in brackets.

Whatever stands outside of the brackets there has escaped translation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po
from werkzeug.test import TestResponse

from davserver.accounts.audit_trail import Search
from davserver.accounts.programs import PROGRAMS
from davserver.vault.paths import VaultPath
from enroll_web.catalogues import FOLDER, Catalogue, read_catalogues
from enroll_web.languages import COOKIE
from tests.mail import mailbox
from tests.services.catalogue import extracted
from tests.unit.enroll_web.conftest import ORIGIN, Browser, Site, link_token, made_site
from tests.unit.enroll_web.filed import Files

MADE_UP = "eo"
"""Its texts are the English ones, in brackets."""

LANGUAGES = (MADE_UP, *(path.stem for path in sorted(FOLDER.glob("*.po"))))

NOT_WALKED = {
    "static": "no page",
    "oidc.callback": "only with a Keycloak",
    "oidc.confirm": "only with a Keycloak",
    "uploads.state": "no page, and nothing that is read",
}
"""Endpoints of GET that are left out, and why."""

_WORD = re.compile(r"[^\W\d_]{2,}")

DATA = frozenset(
    {"alice", "bob", "carol", "Laptop", "Sealdav", "UTC", "because", "drive", "example", "Documents"}
    | {"letter", "txt", "empty", "picture", "png", "music", "mp", "data", "bin", "none", "restored"}
    | {"Keycloak", "GiB", "MiB", "KiB", "Deutsch", "English", "Esperanto"}
    | {word for one in PROGRAMS for word in _WORD.findall(one.name)}
)
"""Words that are not texts: what was typed, names, units."""

READ_ALOUD = frozenset(
    {"alt", "aria-label", "data-copied", "data-head", "data-marked", "placeholder", "title"}
)

_SAID = re.compile(r"⟦[^⟦⟧]*⟧")


@pytest.fixture(scope="module")
def catalogues(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Catalogue]:
    """Those that come with the site, and the made-up one."""
    folder = tmp_path_factory.mktemp("translations")
    bracketed(extracted(), folder / f"{MADE_UP}.po")
    return {**read_catalogues(), **read_catalogues(folder)}


def bracketed(texts: Catalog, path: Path) -> None:
    """Write the made-up language down."""
    made = Catalog(locale=path.stem)
    for message in (one for one in texts if one.id):
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        forms = tuple(f"⟦{text}⟧" for text in ids)
        made.add(message.id, forms if len(forms) > 1 else forms[0])
    body = BytesIO()
    write_po(body, made)
    path.write_bytes(body.getvalue())


@pytest.fixture
def site(tmp_path: Path, catalogues: Mapping[str, Catalogue]) -> Iterator[Site]:
    """A site that speaks all of them, and sends mails."""
    with mailbox() as post_office:
        mail = {"host": "127.0.0.1", "port": post_office.port, "starttls": False, "sender": "a@b.example"}
        server = {"public_url": ORIGIN}
        yield from made_site(tmp_path, catalogues=catalogues, mail=mail, server=server)


@dataclass
class Walk:
    """What was seen on the way.

    Attributes:
        seen: pages, with how each was come to.
        endpoints: those that were loaded.
    """

    site: Site
    language: str
    seen: list[tuple[str, TestResponse]] = field(default_factory=list)
    endpoints: set[str] = field(default_factory=set)

    def browser(self) -> Browser:
        """One that has chosen the language."""
        made = self.site.browser()
        made.client.set_cookie(COOKIE, self.language, domain="drive.example")
        return made

    def see(self, *responses: TestResponse) -> None:
        """Keep pages."""
        adapter = self.site.app.url_map.bind("")
        for response in responses:
            method, path = response.request.method, response.request.path
            self.seen.append((f"{method} {path}", response))
            if method == "GET" and response.status_code < 400:
                self.endpoints.add(adapter.match(path, method="GET")[0])


def strangers_way(walk: Walk) -> None:
    """What can be seen, and go wrong, before anybody is signed in."""
    stranger = walk.browser()
    walk.see(*map(stranger.get, ("/", "/privacy", "/sign-in", "/signed-out", "/deleted", "/no-such-page")))
    walk.see(stranger.sign_in(), stranger.get("/set-up/none"), stranger.send("/sign-in", {}))
    walk.see(stranger.client.get("/sign-in", base_url="http://drive.example"))
    for _ in range(8):
        walk.see(stranger.sign_in("carol", "x" * 9))


def first_way(walk: Walk) -> Browser:
    """The first administrator, as far as the welcome page."""
    alice = walk.browser()
    token = walk.site.services.invitations.first()
    assert token is not None
    path = f"/set-up/{token}"
    walk.see(alice.get(path), alice.post(path, {"name": "alice", "new": "x", "again": "y"}))
    walk.see(alice.post(path, {"name": "..", "new": "x" * 9, "again": "x" * 9}), alice.accept(token, "alice"))
    walk.see(alice.post("/second-factor/set-up", {"code": "1"}), alice.set_up())
    return alice


def way_of_every_day(walk: Walk, alice: Browser) -> None:
    """Codes, right and wrong; a lost device."""
    other = walk.browser()
    other.secret = alice.secret
    other.sign_in()
    walk.see(other.get("/second-factor"), other.post("/second-factor", {"code": "000000"}))
    walk.see(other.post("/second-factor/lost", {"recovery_code": "x"}))
    stale = other.code(steps=-20)
    walk.see(other.post("/second-factor", {"code": stale}), other.prove())


def way_of_devices(walk: Walk, alice: Browser) -> None:
    """App passwords of every kind, what is refused on their form, and what was made."""
    alice.confirm()
    new, usual = "/app-passwords/new", {"label": "Laptop", "scope": "full", "days": "9"}
    for wrong in (
        {"label": ""},
        {"scope": ""},
        {"days": "x"},
        {"days": "0"},
        {"networks": "x"},
        {"folder": "none"},
    ):
        walk.see(alice.post(new, {**usual, **wrong}))
    for scope in ("full", "no_delete", "read_only"):
        walk.see(alice.post(new, {**usual, "scope": scope, "networks": "192.0.2.0/24"}))
    walk.see(alice.get("/app-passwords/shown"), alice.post("/second-factor/new-recovery-codes"))


def way_of_connecting(walk: Walk, alice: Browser) -> None:
    """Every program, as far as the page that watches; and the device's own page afterwards."""
    for one in PROGRAMS:
        path = f"/connect/{one.key}"
        page = alice.get(path)
        walk.see(page, alice.post(path, {"label": "", "scope": "full", "days": "9"}))
        walk.see(alice.post(path, {"label": "Laptop", "scope": "full", "days": "9"}))


def way_of_files(walk: Walk, alice: Browser) -> None:
    """A folder and files of every kind; what is done with them, and what is in the way."""
    files = Files(walk.site, alice)
    walk.see(files.get("/files/"))
    for name in ("letter.txt", "empty.txt", "picture.png", "music.mp3", "data.bin"):
        files.put(f"Documents/{name}", b"" if name == "empty.txt" else b"data")
        walk.see(files.get(f"/files/Documents/{name}"))
    walk.see(files.get("/preview/Documents/letter.txt"))
    files.put("letter.txt")
    files.lock("Documents/letter.txt", "<owner xmlns='DAV:'>alice</owner>")
    walk.see(*map(files.get, ("/files/Documents", "/files/Documents/letter.txt", "/files/none")))
    walk.see(files.upload("/upload/", [("data.bin", b"data"), ("..", b"data")]), files.upload("/upload/", []))
    walk.see(files.upload("/upload/", [("data.bin", b"data")], taken="skip"))
    for act in ("/move/", "/copy/"):
        walk.see(files.press(act), files.press(act, "letter.txt"), files.press(act, "letter.txt", to="/none"))
        walk.see(files.press(act, "letter.txt", to="/Documents"))
    walk.see(files.press("/rename-ticked/"), files.press("/rename-ticked/", "letter.txt"))
    for name in ("..", "data.bin", "drive"):
        walk.see(files.press("/new-folder/", name=name), files.press("/rename/letter.txt", name=name))
    walk.see(
        files.press("/delete/"), files.press("/delete/", "data.bin"), files.press("/undelete/", "Documents")
    )


def way_of_what_is_kept(walk: Walk, alice: Browser) -> dict[str, str]:
    """Versions of a file, and the trash; returns what the addresses of both need."""
    files = Files(walk.site, alice)
    walk.see(files.get("/versions/letter.txt"), files.get("/trash"))
    for number in range(4):
        files.put("letter.txt", bytes([number]))
        files.put(f"Documents/data{number}.txt", b"data")
        files.press("/delete/Documents", f"Documents/data{number}.txt")
        walk.site.clock.advance(minutes=1)
    files.lock("letter.txt")
    version, *_ = files.vault.versions(VaultPath.parse("letter.txt"))
    for act in ("version-restore", "version-purge"):
        walk.see(files.press(f"/{act}/{version.id.hex()}/letter.txt"))
    walk.see(
        files.press("/versions-purge/letter.txt"), files.get("/trash"), files.get("/versions/letter.txt")
    )
    first, second, *_ = (one.id.hex() for one in files.vault.trash(limit=4))
    for act in ("restore", "purge"):
        walk.see(files.press(f"/trash/{act}"), files.press(f"/trash/{act}", id=first), files.get("/trash"))
    walk.see(files.press("/trash/purge", id=second, sure="1"))
    _see_what_is_elsewhere(walk, files)
    return {"version_id": version.id.hex(), "entry_id": files.vault.trash(limit=1)[0].id.hex()}


def _see_what_is_elsewhere(walk: Walk, files: Files) -> None:
    """What comes back under another name or in another folder, and what is gone for good then."""
    names = ("letter", "alice/letter", "bob/letter", "data")
    for name in names:
        files.put(f"Documents/{name}")
    ids = [files.vault.delete(VaultPath.parse(f"Documents/{name}")) for name in names]
    files.put("Documents/letter")
    files.vault.delete(VaultPath.parse("Documents/alice"))
    files.vault.move(VaultPath.parse("Documents/bob"), VaultPath.parse("Documents/carol"), overwrite=False)
    walk.see(*(files.press("/trash/restore", id=one.hex()) for one in ids if one))
    walk.see(files.press("/delete/Documents", "Documents/data"), files.get("/trash/empty"))
    files.put("empty.txt", b"1")
    files.put("empty.txt", b"2")
    (version,) = files.vault.versions(VaultPath.parse("empty.txt"))
    walk.see(files.press(f"/version-restore/{version.id.hex()}/empty.txt"), files.press("/trash/empty"))
    walk.see(files.press("/versions-purge/empty.txt", sure="1"))
    files.vault.delete(VaultPath.parse("empty.txt"))


def way_of_administrators(walk: Walk, alice: Browser) -> None:
    """Invitations, everything that is done with an account, and every refusal of it."""
    walk.see(alice.post("/people/invite", {"name": ".."}), alice.post("/people/invite", {"name": "alice"}))
    link = alice.post("/people/invite", {"name": "bob", "admin": "yes"})
    bob = walk.browser()
    walk.see(
        link, bob.get(f"/set-up/{link_token(link.text)}"), bob.accept(link_token(link.text)), bob.set_up()
    )
    bob.post("/app-passwords/new", {"label": "Laptop", "scope": "full", "days": "9"})
    (first, *_) = walk.site.services.app_passwords.list(walk.site.services.accounts.find("bob"))
    device = f"/people/account/bob/devices/{first.id}"
    walk.see(alice.get(device), alice.post(device, {"reason": ""}), alice.post(device, {"reason": "because"}))
    for quota in ("x", "10 MiB", ""):
        walk.see(alice.post("/people/account/bob/quota", {"quota": quota}), alice.get("/people/account/bob"))
    for act in (
        "sign-out",
        "take-administrator",
        "make-administrator",
        "revoke-all",
        "reset",
        "suspend",
        "resume",
    ):
        path = f"/people/account/bob/{act}"
        reason = "stolen" if act == "reset" else "because"
        walk.see(alice.get(path), alice.post(path, {"reason": "x"}), alice.post(path, {"reason": reason}))
        walk.see(*map(alice.get, ("/people", "/people/account/bob")))
    walk.see(alice.post("/people/account/alice/suspend", {"reason": "because"}))
    walk.see(
        *map(alice.get, ("/people?name=nobody", "/people?page=9", "/people?name=a", "/people/audit?day=x"))
    )
    walk.see(alice.get("/people/audit?event=signed-in"), alice.get("/people/account/nobody"))


def way_of_ones_own(walk: Walk, alice: Browser) -> None:
    """Password, mails, the end of an account, as far as refusals go."""
    walk.see(alice.post("/password", {"old": "x", "new": "y", "again": "z"}))
    walk.see(alice.post("/password", {"old": "x" * 9, "new": "y" * 9, "again": "y" * 9}))
    walk.see(
        alice.post("/my-data/notices", {"email": "x"}),
        alice.post("/my-data/notices", {"email": "a@b.example"}),
    )
    walk.see(alice.post("/my-data/notices", {"email": ""}), alice.post("/my-data/delete", {"name": "x"}))
    walk.see(alice.post("/app-passwords/revoke", {"id": "x"}, page="/app-passwords/stolen"))


def everywhere(walk: Walk, alice: Browser, example: Mapping[str, str]) -> None:
    """Every page there is: those whose address is the same for all, and one of each other kind."""
    for rule in walk.site.app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.endpoint in NOT_WALKED:
            continue
        path = rule.rule
        for name in rule.arguments:
            path = re.sub(rf"<(?:\w+:)?{name}>", example.get(name, "?"), path)
        walk.see(alice.get(path))


def walked(site: Site, language: str) -> Walk:
    """The whole way."""
    walk = Walk(site, language)
    strangers_way(walk)
    alice = first_way(walk)
    way_of_every_day(walk, alice)
    way_of_devices(walk, alice)
    way_of_connecting(walk, alice)
    way_of_files(walk, alice)
    kept = way_of_what_is_kept(walk, alice)
    way_of_administrators(walk, alice)
    way_of_ones_own(walk, alice)
    device = walk.site.services.app_passwords.list(walk.site.services.accounts.find("alice"))[0].id
    example = {"name": "bob", "act": "suspend", "key": "rclone", "app_id": device}
    everywhere(walk, alice, {**example, **kept, "path": "letter.txt"})
    return walk


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_in_every_language(site: Site, language: str) -> None:
    """None breaks, each says which language it is in, and none was forgotten on the walk.

    In the made-up language nothing that people read stands outside of the brackets, but for what was typed.
    """
    walk = walked(site, language)
    entries = site.services.audit_trail.latest(Search(), limit=1000)
    typed = {word for one in entries for word in _WORD.findall(one.credential)}
    for name, response in walk.seen:
        assert response.status_code < 500, name
        if response.mimetype == "text/html":
            assert f'<html lang="{language}">' in response.text, name
            assert language != MADE_UP or not left_over(response.text) - typed, (
                name,
                left_over(response.text),
            )
    pages = {rule.endpoint for rule in site.app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    assert pages - walk.endpoints == set(NOT_WALKED)


def left_over(page: str) -> set[str]:
    """Words of a page that are in no brackets, and were not typed."""
    return {word for text in read(page) for word in _WORD.findall(_outside(text))} - DATA


def _outside(text: str) -> str:
    """What is not in brackets, from the inner ones outwards."""
    while (shorter := _SAID.sub("", text)) != text:
        text = shorter
    return text


def read(page: str) -> list[str]:
    """What people read of a page: its text as a whole, and the values of some attributes."""
    reader = _Reader()
    reader.feed(page)
    return ["".join(reader.text), *reader.attributes]


class _Reader(HTMLParser):
    """Collects text, but for what is to be typed as it stands, and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.attributes: list[str] = []
        self._as_it_stands = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Attributes; `code` begins what is to be typed."""
        self._as_it_stands += tag == "code"
        self.attributes += [value for name, value in attrs if name in READ_ALOUD and value]

    def handle_endtag(self, tag: str) -> None:
        """`code` ends."""
        self._as_it_stands -= tag == "code"

    def handle_data(self, data: str) -> None:
        """Text; letters that are no word stand between two pieces of it."""
        if not self._as_it_stands:
            self.text.append(data)
