"""Whatever people read on the site is marked, is in every catalogue, and breaks no page there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po
from jinja2 import Environment, nodes

from enroll_web.catalogues import FOLDER, PLACEHOLDER, placeholders, texts_of
from tests.services.catalogue import ROOT, brought_up_to_date, extracted, untranslated

FILES = sorted(FOLDER.glob("*.po"))

TEMPLATES = sorted((ROOT / "enroll_web" / "templates").rglob("*.html"))

SITE = sorted((ROOT / "enroll_web").rglob("*.py"))

SCRIPTS = sorted((ROOT / "enroll_web" / "static").glob("*.js"))

KEYS = frozenset({"Escape", "Files"})
"""Words that browsers have for keys and for what is dragged."""

READ_ALOUD = ("alt", "aria-description", "aria-label", "data-head", "label", "placeholder", "title")
"""Attributes whose values people read or hear."""

SAME_EVERYWHERE = frozenset({"Sealdav", "UTC"})
"""Words that no language says otherwise."""

TRANSLATED = "_"
"""Stands for what a template puts in, when its own text is looked at."""

TELLING = {"tell": 0, "refused": 1, "sentence": 0}
"""Functions that show a text to somebody, and which argument that is."""

_WORD = re.compile(r"[^\W\d_]{2,}")
_QUOTED = re.compile(r"""["'`]([A-Z][a-z]+(?:[:,.]? [^"'`]*)?)["'`]""")
_ATTRIBUTE = re.compile(r"([\w-]+)=\"([^\"]*)\"")
_IN_ATTRIBUTE = re.compile(r"([\w-]+)=\"[^\"]*$")
_MARKUP = re.compile(r"<[^>]*>")


@pytest.fixture(scope="module")
def texts() -> Catalog:
    """Every text of the site."""
    return extracted()


def messages(path: Path) -> list[Message]:
    """What is in a file, without its header."""
    with path.open("rb") as file:
        return [message for message in read_po(file, locale=path.stem) if message.id]


def lines(catalogue: str) -> list[str]:
    """What is in a file, but for the places where each text is found."""
    return [line for line in catalogue.splitlines() if not line.startswith("#: ")]


def test_there_is_a_german_catalogue() -> None:
    """The languages that are promised are there."""
    assert "de" in {path.stem for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_catalogue_has_every_text_and_nothing_else(path: Path, texts: Catalog) -> None:
    """No text of a page is missing in it, none is stale, and it is written as `make catalogue` writes it."""
    known = {message.id for message in messages(path)}
    wanted = {message.id for message in texts if message.id}
    assert wanted - known == set(), f"not in {path.name} yet: run `make catalogue`, and translate"
    assert known - wanted == set(), f"nowhere but in {path.name}: run `make catalogue`"
    assert lines(path.read_text(encoding="utf-8")) == lines(brought_up_to_date(path, texts))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_text_is_translated(path: Path) -> None:
    """Nothing is empty, and nothing is marked as a guess ("fuzzy")."""
    assert untranslated(path) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_translation_has_the_same_values_and_the_same_markup(path: Path) -> None:
    """What stands for values is the same, so is every tag; without a tag there is no `<`, `&` or `"`."""
    for message in messages(path):
        for english, text in texts_of(message):
            assert placeholders(text) == placeholders(english), text
            assert "%" not in PLACEHOLDER.sub("", text + english), text
            assert sorted(_MARKUP.findall(text)) == sorted(_MARKUP.findall(english)), text
            if not _MARKUP.search(english):
                assert not set('<>&"') & set(text), text


def test_a_file_is_brought_up_to_date(tmp_path: Path) -> None:
    """What is new comes empty, what is gone goes, notes stay, and plural forms are those of the language."""
    path = tmp_path / "pl.po"
    path.write_text(
        'msgid ""\nmsgstr "Plural-Forms: nplurals=2; plural=n != 1;\\n"\n\n'
        '# looked at\n#, fuzzy\nmsgid "kept"\nmsgstr "a"\n\nmsgid "gone"\nmsgstr "b"\n\n'
        'msgid "one"\nmsgid_plural "many"\nmsgstr[0] "c"\nmsgstr[1] "d"\n'
    )
    texts = Catalog()
    for text in ("kept", "new", ("one", "many")):
        texts.add(text)
    path.write_text(brought_up_to_date(path, texts))
    assert untranslated(path) == ["kept", "new", "one"]
    found = {message.id: message for message in messages(path)}
    assert [found[text].string for text in ("kept", "new", ("one", "many"))] == ["a", "", ("c", "d", "")]
    assert (found["kept"].fuzzy, found["kept"].user_comments) == (True, ["looked at"])
    assert len(found) == 3
    assert "nplurals=3" in path.read_text()


def test_german_is_formal() -> None:
    """People are spoken to as "Sie"."""
    for message in messages(FOLDER / "de.po"):
        for _, text in texts_of(message):
            assert not re.search(r"\b(du|dich|dir|dein(e[mnrs]?)?)\b", text, re.IGNORECASE), text


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_text_in_a_template_escapes_translation(path: Path) -> None:
    """Outside of `_(…)` and `{% trans %}` is no word that people read, in the page or in an attribute."""
    assert list(_bare_words(path)) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_translates_its_own_texts_only(path: Path) -> None:
    """What comes from elsewhere is never looked up there: the answer would not be escaped."""
    tree = _environment().parse(path.read_text(encoding="utf-8"))
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in {"_", "gettext", "ngettext"}:
            count = 2 if call.node.name == "ngettext" else 1
            assert all(isinstance(one, nodes.Const) for one in call.args[:count]), call.lineno


@pytest.mark.parametrize("path", SITE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_in_a_page_escapes_translation(path: Path) -> None:
    """What is told or refused comes from `gettext` or from an error, never as it stands in the code."""
    for call in _calls(path):
        place = TELLING.get(_name(call))
        if place is not None and len(call.args) > place:
            assert not isinstance(call.args[place], (ast.Constant, ast.JoinedStr)), call.lineno


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_has_no_texts(path: Path) -> None:
    """What it says is in the page that loads it, in the language of that page."""
    assert [text for text in _QUOTED.findall(path.read_text(encoding="utf-8")) if text not in KEYS] == []


@pytest.mark.parametrize("path", SITE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_text_that_waits_has_no_values(path: Path) -> None:
    """A template does not escape what is translated late: with a value in it, that would be an open door."""
    for call in _calls(path):
        if _name(call).startswith("lazy_"):
            assert len(call.args) == 1, call.lineno
            assert not call.keywords, call.lineno


def _environment() -> Environment:
    return Environment(autoescape=True, extensions=["jinja2.ext.i18n"])


def _calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node


def _name(call: ast.Call) -> str:
    return str(getattr(call.func, "id", getattr(call.func, "attr", "")))


def _bare_words(path: Path) -> Iterator[str]:
    """Words that stand in a template as they are."""
    reader = _Reader()
    reader.feed(_without_what_is_put_in(path.read_text(encoding="utf-8")))
    for read in reader.read:
        text = _ATTRIBUTE.sub(lambda one: one[2] if one[1] in READ_ALOUD else "", read)
        yield from (word for word in _WORD.findall(text) if word not in SAME_EVERYWHERE)
    tree = _environment().parse(path.read_text(encoding="utf-8"))
    for shown in tree.find_all(nodes.Output):
        yield from _choices(shown)


def _choices(shown: nodes.Output) -> Iterator[str]:
    """Words that a template chooses between, in its text or in an attribute that people read."""
    before = ""
    for one in shown.nodes:
        if isinstance(one, nodes.TemplateData):
            before = one.data
        elif isinstance(one, nodes.CondExpr):
            attribute = _IN_ATTRIBUTE.search(before)
            if attribute is None or attribute[1] in READ_ALOUD:
                values = (str(part.value) for part in (one.expr1, one.expr2) if isinstance(part, nodes.Const))
                yield from filter(_WORD.search, values)


def _without_what_is_put_in(source: str) -> str:
    """The markup and the words of a template alone: a translation, and any other expression, is one sign."""
    said, translating = [], False
    for _, kind, value in _environment().lex(source):
        if kind == "name" and value in {"trans", "endtrans"}:
            translating = value == "trans"
        elif kind == "data" and not translating:
            said.append(value)
        elif kind == "variable_begin":
            said.append(TRANSLATED)
    return "".join(said)


class _Reader(HTMLParser):
    """Collects what people read: text, and the values of some attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Attributes."""
        self.read += [value for name, value in attrs if name in READ_ALOUD and value and tag != "option"]

    def handle_data(self, data: str) -> None:
        """Text."""
        self.read.append(data)
