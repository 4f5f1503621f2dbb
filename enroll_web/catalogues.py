"""The site's texts in other languages: one file in `translations/` for each, read once at the start.

English is what stands in the code and in the templates; it is shown wherever a file has nothing. A file that
is damaged, or that could break a page, is refused before anything is served. Used by `languages.py`, and by
`davserver.cli` for mails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from types import MappingProxyType

from babel import Locale, UnknownLocaleError
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from babel.support import NullTranslations, Translations

from davserver.errors import ConfigError
from enroll_web.patterns import PATTERNS, unfit

FOLDER = Path(__file__).parent / "translations"
"""Where the files are, each named after its language: de.po, pt_BR.po."""

ENGLISH = "en"
"""The language of the code."""

PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")
"""What stands for a value. Everything else with a percent sign could end in an error."""

UNREADABLE = (PoFileError, UnknownLocaleError, ValueError, LookupError, ArithmeticError, OSError)
"""What Babel and gettext raise over a damaged file: its bytes, its head, its rule for plural forms."""

COUNTED = 1000
"""Up to here a rule for plural forms is tried; those of all languages repeat themselves long before."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A language and its texts.

    Attributes:
        locale: how numbers are written in it, and what it is called.
        texts: by what stands in the code.
    """

    locale: Locale
    texts: NullTranslations

    @property
    def tag(self) -> str:
        """As browsers name it (RFC 5646): "de", "pt-BR"."""
        return str(self.locale).replace("_", "-")

    @property
    def name(self) -> str:
        """In its own words: "Deutsch"."""
        own = self.locale.get_display_name() or self.tag
        return own[:1].upper() + own[1:]


def read_catalogues(folder: Path = FOLDER) -> dict[str, Catalogue]:
    """Every language there is, by its tag; English is the first.

    Raises:
        ConfigError: a file cannot be used. The message says which, and why.
    """
    found = [Catalogue(Locale.parse(ENGLISH), NullTranslations())]
    found += [_catalogue(path) for path in sorted(folder.glob("*.po"))]
    return {one.tag: one for one in found}


@cache
def our_catalogues() -> Mapping[str, Catalogue]:
    """Those that come with the site; read once, before the processes are made that share them.

    Raises:
        ConfigError: as `read_catalogues`.
    """
    return MappingProxyType(read_catalogues())


def in_language(catalogues: Mapping[str, Catalogue], language: str) -> Catalogue:
    """The catalogue of a language.

    Raises:
        ConfigError: there is none.
    """
    if language not in catalogues:
        raise ConfigError(f"site.language: there is no {language!r}; there are {', '.join(catalogues)}")
    return catalogues[language]


def placeholders(text: str) -> set[str]:
    """What stands for values in a text."""
    return set(PLACEHOLDER.findall(text))


def texts_of(message: Message) -> list[tuple[str, str]]:
    """Each form of a translation with the English one that it says; nothing where there is none."""
    ids = message.id if isinstance(message.id, (tuple, list)) else (message.id,)
    forms = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
    return [(ids[min(index, len(ids) - 1)], text) for index, text in enumerate(forms) if text]


def _catalogue(path: Path) -> Catalogue:
    try:
        locale = Locale.parse(path.stem)
        with path.open("rb") as file:
            read = read_po(file, locale=locale, abort_invalid=True)
        for trouble in _troubles(read):
            raise ConfigError(f"the texts in {path.name} cannot be used: {trouble}")
        return Catalogue(locale, _compiled(read))
    except UNREADABLE as error:
        raise ConfigError(f"the texts in {path.name} cannot be read: {error}") from None


def _compiled(catalog: Catalog) -> Translations:
    """What texts are looked up in; its rule for plural forms has an answer for every number that is tried."""
    compiled = BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    texts = Translations(compiled)
    for count in range(COUNTED):
        texts.plural(count)
    return texts


def _troubles(catalog: Catalog) -> Iterator[str]:
    """What would break a page: a value that nobody gives, a percent sign alone, too few forms for numbers."""
    for message, errors in catalog.check():
        yield f"line {message.lineno}: {errors[0]}"
    for message in catalog:
        for english, text in texts_of(message) if message.id else ():
            unknown = sorted(placeholders(text) - placeholders(english))
            if unknown or "%" in PLACEHOLDER.sub("", text):
                yield f"line {message.lineno}: {', '.join(unknown) or 'a percent sign'} has no meaning there"
            why = unfit(english, text) if english in PATTERNS else ""
            if why:
                yield f"line {message.lineno}: {why}"
