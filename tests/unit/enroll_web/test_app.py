"""The site's pages as a browser gets them: what they say, and the headers that keep them harmless."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from enroll_web.app import create_app

PAGES = {"/": 200, "/no-such-page": 404, "/broken": 500, "/static/site.css": 200}


@pytest.fixture
def app() -> Flask:
    """The site with one more page that always breaks."""
    app = create_app()
    app.logger.disabled = True

    def broken() -> str:
        raise RuntimeError("the secret is hunter2")

    app.add_url_rule("/broken", view_func=broken)
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without a window."""
    return app.test_client()


def test_the_home_page_says_where_the_drive_is_and_how_to_enrol(client: FlaskClient) -> None:
    """The first page names the drive under the address the visitor used, and the command to enrol."""
    page = client.get("/", base_url="https://drive.example:8443").text
    assert "https://drive.example:8443/dav/" in page
    assert "sealdav enrol NAME" in page


def test_a_host_header_that_is_no_host_is_not_repeated(client: FlaskClient) -> None:
    """Markup in Host appears nowhere on the page, and does not break it."""
    response = client.get("/", headers={"Host": 'a"><script>alert(1)</script>'})
    assert response.status_code < 500
    assert "alert" not in response.text


@pytest.mark.parametrize("path", PAGES)
def test_every_response_carries_the_security_headers(client: FlaskClient, path: str) -> None:
    """Pages, error pages and files alike forbid scripts, frames, sniffing, referrers and cookies."""
    response = client.get(path, buffered=True)
    assert response.status_code == PAGES[path]
    policy = response.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy)
    assert not any(rule.startswith("script-src") or "unsafe" in rule for rule in policy)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("path", [path for path in PAGES if not path.startswith("/static/")])
def test_pages_are_never_cached_and_need_nothing_inline(client: FlaskClient, path: str) -> None:
    """A page is stored nowhere on its way and works under its own policy: nothing inline."""
    response = client.get(path)
    assert response.headers["Cache-Control"] == "no-store"
    assert response.mimetype == "text/html"
    assert "style=" not in response.text
    assert "<style" not in response.text
    assert "<script" not in response.text


def test_an_unexpected_error_tells_the_visitor_nothing_about_its_cause(client: FlaskClient) -> None:
    """A 500 page is a page of ours, without the exception's text or a traceback."""
    page = client.get("/broken").text
    assert "Something went wrong here" in page
    assert "hunter2" not in page
    assert "Traceback" not in page


def test_a_refused_method_is_named_and_explained(client: FlaskClient) -> None:
    """405 keeps the Allow header that RFC 9110, 15.5.6 demands."""
    response = client.post("/")
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]
    assert "This page cannot do that" in response.text
