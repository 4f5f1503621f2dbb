"""What answers tell besides content: nothing that a browser runs, nothing about the inside. T35, T36."""

from __future__ import annotations

import re

import pytest

from tests.conformance.client import Client
from tests.conformance.faults import fault
from tests.conformance.http import Response
from tests.conformance.multistatus import DAV

BARE = fault("sends the file as it is, for a browser to run")

ACTIVE = [
    "x.html",
    "x.htm",
    "x.xhtml",
    "x.svg",
    "x.SVG",
    "x.svgz",
    "x.xml",
    "x.js",
    "x.mjs",
    "x.css",
    "x.xsl",
    "x.swf",
    "x.pdf",
    "x.PDF",
]
OTHER = ["x", "x.", ".html", "x.unknown", "x.zip", "x.json", "x.mht", "x.eml"]
SHOWN = ["x.txt", "x.png", "x.jpg"]


@BARE
@pytest.mark.parametrize("name", [*ACTIVE, *OTHER, *SHOWN])
def test_user_files_never_run(dav: Client, name: str) -> None:
    """T36: no guessing of types, no origin, no script, not embedded elsewhere; in GET, HEAD and ranges."""
    dav.made(name, b"<script>alert(1)</script>")
    for answer in (dav.get(name), dav.head(name), dav.get(name, {"Range": "bytes=0-3"})):
        assert answer["X-Content-Type-Options"] == "nosniff"
        policy = [directive.strip() for directive in answer["Content-Security-Policy"].split(";")]
        assert {"sandbox", "default-src 'none'"} <= set(policy)
        assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
        if name not in SHOWN:
            assert answer["Content-Disposition"].startswith("attachment")


@BARE
@pytest.mark.parametrize(
    "name",
    [
        'a"b.html',
        "a;b=c.html",
        "a\\b.html",
        "a'b.html",
        "a b%20c.html",
        "\N{LATIN SMALL LETTER U WITH DIAERESIS}\N{PILE OF POO}.html",
        "\N{RIGHT-TO-LEFT OVERRIDE}lmth.html",
    ],
)
def test_name_cannot_break_out_of_its_field(dav: Client, name: str) -> None:
    """T36, RFC 6266 and 8187: whatever the name, the field is one attachment of ASCII."""
    dav.made(name)
    disposition = dav.get(name)["Content-Disposition"]
    assert re.fullmatch(
        r"attachment(; filename(=\"[\x20!#-\[\]-~]*\"|\*=UTF-8''[A-Za-z0-9!#$&+.^_`|~%-]+))*", disposition
    )


def _errors(dav: Client) -> list[Response]:
    """Refusals of as many kinds as there are."""
    dav.made("secret-name")
    dav.made_collection("secret-collection")
    return [
        dav.as_(None).get("secret-name"),
        dav.get("secret-missing"),
        dav.send("GET", "/dav/%ff"),
        dav.send("GET", "/dav/a%00b"),
        dav.send("GET", "/no/such/page/secret-name"),
        dav.put("secret-collection", b"x"),
        dav.put("secret-missing/below", b"x"),
        dav.put("secret-name", b"x", {"If-Match": '"x"'}),
        dav.put("secret-name", b"x", {"Content-Range": "bytes 0-0/5"}),
        dav.put("secret-name", b"x", {"Content-Encoding": "gzip"}),
        dav.get("secret-name", {"Range": "bytes=99-"}),
        dav.mkcol("secret-collection"),
        dav.ask("MKCOL", "secret-new", None, b"x"),
        dav.ask("BREW", "secret-name"),
        dav.ask("PROPFIND", "secret-name", {"Depth": "0"}, b"<"),
        dav.ask("PROPFIND", "", {"Depth": "infinity"}),
        dav.ask("COPY", "secret-name"),
        dav.copy("secret-name", "secret-missing/below"),
        dav.ask("MOVE", "secret-name", {"Destination": "http://example.org/dav/x"}),
        dav.ask("MOVE", "secret-name", {"Destination": "http://[/"}),
        dav.send("DELETE", "/dav/"),
    ]


@fault("shows the path, its version and the exception")
def test_errors_tell_nothing_about_the_inside(dav: Client) -> None:
    """A refusal names neither a path nor a product with its version, nor anything of the program."""
    for answer in _errors(dav):
        assert answer.status >= 400
        told = answer.body + repr(answer.fields).encode()
        for secret in (
            b"secret-",
            dav.root.encode(),
            b"Traceback",
            b"Exception",
            b"wsgidav",
            b"cheroot",
            b"davserver.",
        ):
            assert secret.lower() not in told.lower()
        assert not re.search(rb'File "|line \d+|/usr/|/home/|/tmp/|\.py\b', told)
        assert len(answer.body) < 2000


@fault("names itself with its version")
def test_no_version_is_told(dav: Client) -> None:
    """Which faults a server has is not to be read off its answers."""
    dav.made("file")
    for answer in (dav.get("file"), dav.propfind(), dav.ask("OPTIONS"), dav.get("missing")):
        assert not re.search(r"\d", answer.get("Server") or "")
        assert answer.get("X-Powered-By") is None


@fault("redirects a collection without its slash")
def test_no_cookies_redirects_or_foreign_origins(dav: Client) -> None:
    """T33, T35: no cookie is set on /dav, nobody is sent to another page, no foreign site is let in."""
    dav.made_collection("collection").made("file")
    foreign = {"Origin": "https://example.org", "Access-Control-Request-Method": "PUT"}
    answers = [
        dav.as_(None).get("collection", foreign),
        dav.ask("GET", "collection", foreign),
        dav.ask("OPTIONS", "collection", foreign),
        dav.propfind("collection", f"{DAV}getetag", headers=foreign),
        dav.get("collection/file", foreign),
        dav.get("missing", foreign),
    ]
    for answer in answers:
        assert answer.status // 100 != 3
        assert answer.get("Set-Cookie") is None
        assert not [name for name, _ in answer.fields if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("x.txt", "text/plain"),
        ("x.html", "text/html"),
        ("x.png", "image/png"),
        ("x.JPG", "image/jpeg"),
        ("x.pdf", "application/pdf"),
        ("x", "application/octet-stream"),
    ],
)
def test_type_by_the_ending(dav: Client, name: str, media_type: str) -> None:
    """RFC 9110, 8.3: the same type in GET, HEAD and PROPFIND."""
    dav.made(name)
    assert dav.get(name)["Content-Type"].partition(";")[0] == media_type
    assert dav.head(name)["Content-Type"].partition(";")[0] == media_type
    assert dav.property(name, f"{DAV}getcontenttype").partition(";")[0] == media_type
