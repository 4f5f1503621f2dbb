"""In which language a page is: the one that was chosen in this browser, else one that the browser asks for.

What was chosen is in a cookie that holds the language's tag and nothing else. Texts are looked up in memory,
for the request at hand; outside of one they are English. Built by `enroll_web.app`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import islice
from typing import cast

from babel import Locale
from babel.support import NullTranslations
from flask import Flask, Response, g, has_app_context, request
from flask_babel import Babel, Domain, get_locale
from markupsafe import Markup

from enroll_web.catalogues import ENGLISH, Catalogue, in_language

COOKIE = "sealdav-language"
"""Holds what was chosen."""

KEPT_SECONDS = 365 * 24 * 3600
"""How long a browser keeps what was chosen."""

MAX_TAG_CHARS = 35
"""Longest tag of a language that is looked up (RFC 5646, 4.4.1)."""

MAX_ASKED_FOR = 32
"""So many languages of a browser's list are looked at."""


class Languages(Domain):
    """The languages of the site, and which of them a request is answered in.

    Args:
        catalogues: by tag, from `read_catalogues`.
        usual: the tag of the one for whoever asks for none of them.

    Raises:
        ConfigError: there is no such language.
    """

    def __init__(self, catalogues: Mapping[str, Catalogue], usual: str) -> None:
        super().__init__()
        self._catalogues = catalogues
        self._usual = in_language(catalogues, usual)
        self._by_locale = {str(one.locale): one.texts for one in catalogues.values()}
        self._english = catalogues[ENGLISH].texts

    def __contains__(self, tag: object) -> bool:
        return tag in self._catalogues

    def install(self, app: Flask) -> None:
        """Let the templates and pages of a site speak them."""
        app.jinja_env.policies["ext.i18n.trimmed"] = True
        _InMemory(self).init_app(app, locale_selector=lambda: self.of_request().locale)
        # In the place of Jinja's and Flask-Babel's own, which take three times as long for each text.
        app.jinja_env.globals |= {"_": self._text, "gettext": self._text, "ngettext": self._text_of_many}
        app.after_request(vary)

    def of_request(self) -> Catalogue:
        """The language of the request at hand."""
        chosen = request.cookies.get(COOKIE, "")
        if chosen in self._catalogues:
            return self._catalogues[chosen]
        asked_for = (tag for tag, quality in islice(request.accept_languages, MAX_ASKED_FOR) if quality)
        return next(filter(None, map(self._look_up, asked_for)), self._usual)

    def others(self) -> list[Catalogue]:
        """Those that the page at hand is not in."""
        return [one for one in self._catalogues.values() if one.locale != get_locale()]

    def get_translations(self) -> NullTranslations:
        """The texts for the request at hand; called for each of them, so that one look has to do."""
        if not has_app_context():
            return self._english
        if "texts" not in g:
            g.texts = self._by_locale[str(get_locale())]
        return cast("NullTranslations", g.texts)

    def _text(self, text: str, /, **values: object) -> Markup:
        """For templates: their own texts may hold markup; what is put in is escaped."""
        found = Markup(self.get_translations().gettext(text))  # noqa: S704 - a test sees to it that it is ours
        return found % values if values else found

    def _text_of_many(self, one: str, several: str, /, num: int, **values: object) -> Markup:
        """The same for a number of things."""
        found = self.get_translations().ngettext(one, several, num)
        return Markup(found) % {"num": num, **values}  # noqa: S704 - as `_text`

    def _look_up(self, tag: str) -> Catalogue | None:
        """The nearest that there is: "de-AT" is answered in "de" (RFC 4647, 3.4)."""
        while 0 < len(tag) <= MAX_TAG_CHARS:
            for own, catalogue in self._catalogues.items():
                if own.lower() == tag.lower():
                    return catalogue
            tag = tag.rpartition("-")[0]
        return None


class _InMemory(Babel):
    """Flask-Babel with texts that are in memory already."""

    def __init__(self, languages: Languages) -> None:
        super().__init__()
        self._languages = languages

    @cached_property
    def domain_instance(self) -> Languages:
        """Where it looks texts up."""
        return self._languages


def tag() -> str:
    """The language of the page at hand, as HTML names it (RFC 5646)."""
    return str(get_locale() or Locale.parse(ENGLISH)).replace("_", "-")


def vary(response: Response) -> Response:
    """After each request: what decided about the language; files below /static/ are the same in all."""
    if request.endpoint != "static":
        response.vary.update(("Accept-Language", "Cookie"))
    return response
