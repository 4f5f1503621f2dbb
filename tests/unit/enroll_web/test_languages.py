"""Which language a page is in, how one is chosen, and which files of texts are refused."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import render_template_string

from davserver.errors import ConfigError, InvalidValue, Throttled
from enroll_web import errors, words
from enroll_web.catalogues import FOLDER, read_catalogues
from enroll_web.languages import COOKIE
from tests.mail import mailbox
from tests.unit.enroll_web.conftest import Browser, Site, made_site

HEADER = 'msgid ""\nmsgstr ""\n"Language: {}\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n'

GERMAN = "Anmelden"


def heading(page: str) -> str:
    """What is above a page."""
    found = re.search(r"<h1>(.*?)</h1>", page, re.DOTALL)
    assert found is not None, page
    return found[1]


def language_of(browser: Browser, path: str = "/sign-in", **headers: str) -> str:
    """What a page says its language is."""
    found = re.search(r'<html lang="([^"]+)">', browser.get(path, headers=headers).text)
    assert found is not None
    return found[1]


def german(site: Site) -> Browser:
    """Somebody who has chosen German."""
    browser = site.browser()
    browser.send("/language", {"language": "de", "back": "/"})
    return browser


# ── the language of a page
@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("DE-ch-1996", "de"),
        ("de-CH, en;q=0.8", "de"),
        ("en;q=0.5, de", "de"),
        ("fr, de;q=0.3", "de"),
        ("en-GB, de;q=0.9", "en"),
        ("de;q=0", "en"),
        ("fr, it;q=0.5", "en"),
        ("deu", "en"),
        ("d", "en"),
        ("*", "en"),
        ("", "en"),
        (";;,,q=1", "en"),
        ("de" + "-a" * 16, "de"),
        ("de" + "-a" * 17, "en"),
        ("de" + "-a" * 30_000, "en"),
        ("a," * 31 + "de", "de"),
        ("a," * 32 + "de", "en"),
    ],
)
def test_a_browser_gets_the_first_language_of_its_own_that_there_is(
    site: Site, asked: str, language: str
) -> None:
    """As RFC 4647, 3.4 looks them up: by weight, a region falls back to its language; else the site's."""
    assert language_of(site.browser(), **{"Accept-Language": asked}) == language


def test_without_an_accept_language_it_is_the_sites(tmp_path: Path) -> None:
    """`site.language`, which English is only as long as nothing else is set."""
    for made in made_site(tmp_path, site={"language": "de"}):
        browser = made.browser()
        assert language_of(browser) == language_of(browser, **{"Accept-Language": "fr"}) == "de"
        assert language_of(browser, **{"Accept-Language": "en-US"}) == "en"
        assert heading(browser.get("/sign-in").text) == GERMAN


def test_an_unknown_language_of_the_site_is_refused_at_the_start(tmp_path: Path) -> None:
    """With the name of the setting, and what there is."""
    with pytest.raises(ConfigError, match=r"site\.language: there is no 'tlh'; there are en, de"):
        next(made_site(tmp_path, site={"language": "tlh"}))


def test_what_was_chosen_outweighs_what_the_browser_asks_for(site: Site) -> None:
    """On the page where it was chosen, and on every other one; back again too."""
    browser = site.browser()
    english = {"Accept-Language": "en"}
    page = browser.get("/sign-in?next=/start", headers=english).text
    back = re.search(r'name="back" value="([^"]+)"', page)
    assert back is not None
    assert 'name="language" value="de" lang="de">Deutsch<' in page
    chosen = browser.send("/language", {"language": "de", "back": back[1]})
    assert (chosen.request.full_path, heading(chosen.text)) == ("/sign-in?next=/start", GERMAN)
    assert 'name="language" value="en" lang="en">English<' in chosen.text
    assert language_of(browser, "/privacy", **english) == "de"
    browser.send("/language", {"language": "en", "back": "/"})
    assert language_of(browser, "/privacy", **{"Accept-Language": "de"}) == "en"


def test_the_cookie_names_the_language_and_nothing_else(site: Site) -> None:
    """Kept for a year, for this host, over https, out of reach of scripts; nothing else comes with it."""
    browser = site.browser()
    response = browser.send("/language", {"language": "de", "back": "/"}, follow=False)
    (cookie,) = response.headers.getlist("Set-Cookie")
    value, *attributes = cookie.split("; ")
    assert value == f"{COOKIE}=de"
    kept = {one for one in attributes if not one.startswith("Expires=")}
    assert kept == {"Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=31536000"}


def test_a_cookie_that_names_no_language_counts_for_nothing(site: Site) -> None:
    """Whatever somebody has put there is neither repeated nor an error."""
    for value in ("tlh", "", "DE", '"><script>', "x" * 4000):
        browser = site.browser()
        browser.client.set_cookie(COOKIE, value, domain="drive.example")
        page = browser.get("/sign-in", headers={"Accept-Language": "de"})
        assert (page.status_code, heading(page.text)) == (200, GERMAN)
        assert "<script>" not in page.text


def test_a_language_that_is_not_there_cannot_be_chosen(site: Site) -> None:
    """An error page, and no cookie."""
    response = site.browser().send("/language", {"language": "tlh", "back": "/"}, follow=False)
    assert response.status_code == 400
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(
    ("back", "where"),
    [
        ("/privacy", "/privacy"),
        ("/people?name=x%2B&page=2", "/people?name=x%2B&page=2"),
        ("/people/account/a@b", "/people/account/a@b"),
        ("/files/.config/a%20b%28%C3%A4%29", "/files/.config/a%20b%28%C3%A4%29"),
        ("/files/../welcome", "/"),
        ("/files/..", "/"),
        ("/files/%2E%2E/privacy", "/"),
        ("/%2F%2Fevil.example", "/"),
        ("/files/%5Cevil.example", "/"),
        ("/no-such-page", "/"),
        ("/app-passwords/revoke", "/"),
        ("/static/site.css", "/"),
        ("/oidc/callback?code=1", "/"),
        ("/welcome", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/privacy", "/"),
        ("/privacy#//evil", "/"),
        ("/%0d%0aSet-Cookie:x", "/"),
        ("/privacy?x\r\nSet-Cookie: x=1", "/"),
        ("javascript:alert(1)", "/"),
        ("/privacy" * 2000, "/"),
        ("", "/"),
    ],
)
def test_t37_choosing_leads_back_to_a_page_of_ours_only(site: Site, back: str, where: str) -> None:
    """T37: to the page where it was chosen, with what it asks for; never to another host."""
    response = site.browser().send("/language", {"language": "de", "back": back}, follow=False)
    assert (response.status_code, response.headers["Location"]) == (303, where)


def test_a_page_that_is_shown_once_has_no_such_form(alice: Browser) -> None:
    """Whoever chose a language there would never see the app password again."""
    codes = alice.post("/second-factor/new-recovery-codes")
    issued = alice.post("/app-passwords/new", {"label": "x", "scope": "full", "days": "9"})
    for page in (codes, issued):
        assert page.status_code == 200
        assert 'id="app-password"' in page.text or 'id="recovery-codes"' in page.text
        assert 'name="language"' not in page.text
    assert 'name="language"' in alice.get("/app-passwords").text


def test_an_error_page_leads_back_to_the_first_one(alice: Browser) -> None:
    """What was asked for in vain, a name of a file for one, is not repeated on the page that says so."""
    for path in ("/no/such/secret-page", "/files/secret-name", "/files/secret-folder/?sort=size"):
        page = alice.get(path)
        assert page.status_code == 404
        assert "secret-" not in page.text
        assert 'name="back" value="/"' in page.text


def test_other_answers_for_others_are_not_kept_for_them(site: Site, alice: Browser) -> None:
    """`Vary` names what decides; what is the same for all does not have it."""
    for response in (site.browser().get("/"), alice.get("/start"), alice.get("/no-such-page")):
        assert {"Accept-Language", "Cookie"} <= set(response.vary)
    assert set(site.browser().get("/static/site.css").vary) == {"Accept-Encoding"}


# ── what is said
def test_a_refused_form_says_why_in_the_language_of_the_page(site: Site, alice: Browser) -> None:
    """What the page says itself, what the rules say, and both with the numbers in them."""
    alice.send("/language", {"language": "de", "back": "/"})
    form = {"label": "x", "scope": "full", "days": "0"}
    assert (
        "Ein App-Passwort läuft in der Zukunft ab, spätestens in 3650 Tagen."
        in alice.post("/app-passwords/new", form).text
    )
    assert "Wählen Sie, was das Gerät darf." in alice.post("/app-passwords/new", {**form, "scope": ""}).text
    page = alice.post("/second-factor/lost", {"recovery_code": "x"})
    assert "Ein Wiederherstellungscode hat 24 Buchstaben und Ziffern." in page.text
    stranger = german(site)
    assert "Der Name oder das Passwort stimmt nicht." in stranger.sign_in(password="x" * 9).text


def test_an_error_page_is_in_the_language_of_the_page(site: Site, alice: Browser) -> None:
    """Of HTTP, of ours, and with a time to wait."""
    alice.send("/language", {"language": "de", "back": "/"})
    assert heading(alice.get("/no-such-page").text) == "Diese Seite gibt es nicht"
    assert heading(alice.get("/people/account/nobody").text) == "Das gibt es hier nicht (mehr)"
    assert "Es gibt kein Konto mit diesem Namen." in alice.get("/people/account/nobody").text
    stranger = german(site)
    for _ in range(12):
        page = stranger.sign_in(password="x" * 9)
        if heading(page.text) == "Zu viele Versuche":
            break
    assert "Versuchen Sie es in 60 Sekunden noch einmal." in page.text


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        *((1, "in 1 Sekunde"), (2, "in 2 Sekunden"), (119, "in 119 Sekunden")),
        *((120, "in 2 Minuten"), (121, "in 3 Minuten"), (3600, "in 60 Minuten")),
    ],
)
def test_a_time_to_wait_is_told_in_the_right_form(site: Site, seconds: int, told: str) -> None:
    """One of something is not two; never less than it is."""
    with site.app.test_request_context("/", headers={"Accept-Language": "de"}):
        assert f"es {told} noch" in errors.told(Throttled(seconds))


def test_an_error_is_never_told_in_its_own_words_unless_they_are_a_rule(
    site: Site, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server says of itself goes into the log; the page has its own words for it."""

    def broken(*_: object) -> None:
        raise ConfigError("the file /etc/secret is wrong")

    with monkeypatch.context() as patch:
        patch.setattr(type(site.services.roster), "page", broken)
        page = alice.get("/people").text
    assert "/etc/secret" not in page
    assert "Something is set up wrongly here" in page
    with site.app.test_request_context("/"):
        assert "/etc/secret" not in errors.told(ConfigError("the file /etc/secret is wrong"))
        assert errors.told(InvalidValue("%(a)s and %(b)s", a=1, b="%(c)s")) == "1 and %(c)s."


def test_what_a_person_has_typed_is_escaped_in_every_translation(alice: Browser) -> None:
    """Texts may hold markup; what is put into them may not."""
    alice.send("/language", {"language": "de", "back": "/"})
    alice.post("/app-passwords/new", {"label": '<b>"x"</b>', "scope": "full", "days": "9"})
    for path in ("/app-passwords", "/people/account/alice"):
        page = alice.get(path).text
        assert "&lt;b&gt;&#34;x&#34;&lt;/b&gt; widerrufen" in page
        assert "<b>" not in page
    assert "<b>" not in alice.get("/people?name=<b>").text


def test_what_is_put_into_a_text_may_have_any_name(site: Site) -> None:
    """Also those of our own parameters: a template's variable is called as suits the template."""
    once = "{% trans text='<a>', one='b', several='c' %}{{ text }} {{ one }} {{ several }}{% endtrans %}"
    of_many = "{{ num }}{{ text }}{{ one }}{{ several }}"
    many = f"{{% trans num=2, text='a', one='b', several='c' %}}x{{% pluralize %}}{of_many}{{% endtrans %}}"
    with site.app.test_request_context("/"):
        assert render_template_string(once) == "&lt;a&gt; b c"
        assert render_template_string(many) == "2abc"


def test_a_button_has_what_its_script_says(alice: Browser) -> None:
    """Scripts have no words of their own: those for "copied" are in the page, in its language."""
    alice.send("/language", {"language": "de", "back": "/"})
    issued = alice.post("/app-passwords/new", {"label": "x", "scope": "full", "days": "9"})
    for page in (issued, alice.get("/start"), alice.post("/second-factor/new-recovery-codes")):
        buttons = re.findall(r"<button[^>]* data-copy=[^>]*>", page.text)
        assert buttons
        assert all('data-copied="Kopiert"' in one and "data-marked=" in one for one in buttons)


@pytest.mark.parametrize(
    ("language", "size", "day", "second"),
    [
        ("en", "1.5 GiB", "2030-01-31", "2030-01-31 07:05:09"),
        ("de", "1,5 GiB", "31.01.2030", "31.01.2030 07:05:09"),
    ],
)
def test_numbers_and_moments_are_written_as_in_the_language(
    site: Site, language: str, size: str, day: str, second: str
) -> None:
    """The comma, the order of a date; bytes below a KiB have no comma at all."""
    moment = datetime(2030, 1, 31, 7, 5, 9, tzinfo=UTC)
    with site.app.test_request_context("/", headers={"Accept-Language": language}):
        assert (words.size(3 * 2**29), words.size(2**30), words.size(17)) == (size, "1 GiB", "17 B")
        assert (words.day(moment), words.second(moment)) == (day, second)
        assert words.minute(moment) == f"{day} 07:05 UTC"
        assert words.number(0.25) == size.replace("1", "0").replace("5 GiB", "25")


def test_outside_of_a_request_words_are_english() -> None:
    """Nothing breaks where no browser has asked."""
    assert words.size(3 * 2**29) == "1.5 GiB"
    assert words.said("read only") == "read only"


def test_mails_are_in_the_language_of_the_site(tmp_path: Path) -> None:
    """Nobody knows a person's own; whatever the browser asks for, the mail is the site's."""
    texts = read_catalogues()["de"].texts
    with mailbox() as post_office:
        mail = {"host": "127.0.0.1", "port": post_office.port, "starttls": False, "sender": "d@example.org"}
        for site in made_site(tmp_path, said=texts.gettext, mail=mail):
            browser = site.first()
            browser.post("/my-data/notices", {"email": "alice@example.org"})
            browser.post("/app-passwords/new", {"label": "Laptop 100 %", "scope": "full", "days": "9"})
            (told,) = post_office.wait_for(1)
    assert told["Subject"] == "Sealdav: Ein neues App-Passwort"
    text = told.get_content()
    assert "Ein neues App-Passwort kann Ihr Laufwerk öffnen." in text
    assert "App-Passwort: Laptop 100 %" in text
    assert "„Ein Gerät wurde gestohlen“" in text


# ── files of texts
def test_a_language_is_added_by_a_file(tmp_path: Path) -> None:
    """It is offered under its own name; what it does not have is English."""
    texts = '{}msgid "Sign in"\nmsgstr "Se connecter"\n'.format(HEADER.format("fr"))
    (tmp_path / "fr.po").write_text(texts, encoding="utf-8")
    catalogues = read_catalogues(tmp_path)
    assert [(one.tag, one.name) for one in catalogues.values()] == [("en", "English"), ("fr", "Français")]
    for site in made_site(tmp_path, catalogues=catalogues):
        page = site.browser().get("/sign-in", headers={"Accept-Language": "fr-CA"}).text
        assert heading(page) == "Se connecter"
        assert "User name" in page
        assert 'value="en" lang="en">English<' in page
        assert ">Français<" in site.browser().get("/").text


def test_a_region_has_its_tag_as_browsers_write_it(tmp_path: Path) -> None:
    """A file is named as gettext does, pages as HTML does; the region wins over the language."""
    for name, text in (("pt", "Entrar"), ("pt_BR", "Fazer login")):
        texts = f'{HEADER.format(name)}msgid "Sign in"\nmsgstr "{text}"\n'
        (tmp_path / f"{name}.po").write_text(texts, encoding="utf-8")
    for site in made_site(tmp_path, catalogues=read_catalogues(tmp_path)):
        browser = site.browser()
        assert language_of(browser, **{"Accept-Language": "pt-br"}) == "pt-BR"
        assert language_of(browser, **{"Accept-Language": "pt-PT"}) == "pt"
        page = browser.get("/sign-in", headers={"Accept-Language": "pt-BR"}).text
        assert heading(page) == "Fazer login"


@pytest.mark.parametrize(
    ("name", "body", "why"),
    [
        ("de", b'msgid "a"\nnonsense\n', "cannot be read"),
        ("de", 'msgid "a"\nmsgstr "ä"\n'.encode("latin-1"), "cannot be read"),
        ("klingon", b"", "cannot be read"),
        ("de", b'msgid "%(a)s"\nmsgstr "%(b)s"\n', "unknown named placeholder 'b'"),
        ("de", b'msgid "a"\nmsgstr "%(b)s"\n', r"%\(b\)s has no meaning"),
        ("de", b'msgid "%(a)s"\nmsgstr "%(a)d"\n', r"%\(a\)d has no meaning|not compatible"),
        ("de", b'msgid "a"\nmsgstr "100 %"\n', "a percent sign has no meaning"),
        ("de", b'msgid "a"\nmsgstr "%(a"\n', "a percent sign has no meaning"),
        ("de", b'msgid "a"\nmsgid_plural "b"\nmsgstr[2] "c"\n', "cannot be"),
        ("de", b'msgid "yyyy-MM-dd"\nmsgstr "d mmmm yyyy"\n', "Invalid length for field"),
        ("de", b'msgid "yyyy-MM-dd"\nmsgstr "d.m.yyyy"\n', "M, m for 'yyyy-MM-dd'"),
        ("de", b'msgid "yyyy-MM-dd HH:mm"\nmsgstr "d.M.yyyy HH"\n', "m for 'yyyy-MM-dd HH:mm'"),
        ("de", b'msgid "yyyy-MM-dd HH:mm:ss"\nmsgstr "d.M.yyyy HH:mm:ss zzz"\n', "z for "),
        ("de", b'msgid "HH:mm"\nmsgstr "nie"\n', "cannot be used"),
    ],
)
def test_a_file_that_would_break_a_page_is_refused(tmp_path: Path, name: str, body: bytes, why: str) -> None:
    """Before anything is served, with the name of the file, on one line."""
    (tmp_path / f"{name}.po").write_bytes(HEADER.format(name).encode() + b"\n" + body)
    with pytest.raises(ConfigError, match=why) as refused:
        read_catalogues(tmp_path)
    assert str(refused.value).startswith(f"the texts in {name}.po cannot be ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("head", "why"),
    [
        ("Content-Type: text/plain; charset=utf-99", "unknown encoding"),
        ("Content-Type: text/plain; charset=hex", "not a text encoding"),
        ("Plural-Forms: nplurals=2; plural=(n !=;", "unexpected end"),
        ("Plural-Forms: nplurals=two; plural=n", "invalid literal"),
        ("Plural-Forms: nplurals=2; plural=n/0;", "zero"),
        ("Plural-Forms: nplurals=2; plural=1%(n-7);", "zero"),
        ("PO-Revision-Date: yesterday", "does not match"),
    ],
)
def test_a_head_that_would_break_the_start_or_a_page_is_refused(tmp_path: Path, head: str, why: str) -> None:
    """In the same way: what a file says of itself is as good as the rest of it."""
    texts = f'msgid ""\nmsgstr "Language: de\\n"\n"{head}\\n"\n\nmsgid "a"\nmsgstr "b"\n'
    (tmp_path / "de.po").write_text(texts, encoding="utf-8")
    with pytest.raises(ConfigError, match=why) as refused:
        read_catalogues(tmp_path)
    assert str(refused.value).startswith("the texts in de.po cannot be read: ")


def test_a_date_is_written_as_a_language_has_it(tmp_path: Path) -> None:
    """In another order, with names of months, with words between: what has the same letters is no error."""
    written = 'msgid "yyyy-MM-dd"\nmsgstr "\'am\' d. MMMM yyyy"\n'
    (tmp_path / "de.po").write_text(f"{HEADER.format('de')}\n{written}", encoding="utf-8")
    for site in made_site(tmp_path / "site", catalogues=read_catalogues(tmp_path)):
        with site.app.test_request_context("/", headers={"Accept-Language": "de"}):
            assert words.day(datetime(2030, 1, 31, tzinfo=UTC)) == "am 31. Januar 2030"


def test_a_guess_is_not_shown(tmp_path: Path) -> None:
    """What a tool has marked as "fuzzy" is English until somebody has looked at it."""
    texts = '{}\n#, fuzzy\nmsgid "Sign in"\nmsgstr "Abmelden"\n'.format(HEADER.format("de"))
    (tmp_path / "de.po").write_text(texts, encoding="utf-8")
    assert read_catalogues(tmp_path)["de"].texts.gettext("Sign in") == "Sign in"


def test_the_files_in_use_can_be_used() -> None:
    """Each of those that come with the site."""
    found = read_catalogues()
    assert set(found) == {"en", *(path.stem.replace("_", "-") for path in FOLDER.glob("*.po"))}
