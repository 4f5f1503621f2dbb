"""Every text of the site as it stands in the code, and `enroll_web/translations/` brought up to date.

`make catalogue` runs it: what is new is added without a translation, what is gone is taken out, and what is
left to translate is listed. The tests ask it the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from davserver import errors
from enroll_web.catalogues import FOLDER
from enroll_web.errors import TOLD

ROOT = Path(__file__).parents[2]

TEMPLATES = ("enroll_web/templates/**/*.html",)

TOLD_BY_ERRORS = (
    *("davserver/accounts/**/*.py", "davserver/vault/**/*.py", "davserver/crypto/**/*.py"),
    *("davserver/identity/local.py", "davserver/serving/exchange.py"),
)
"""Where errors are raised that reach a page."""

PYTHON = ("enroll_web/**/*.py", *TOLD_BY_ERRORS)

ERRORS = {
    name: None for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, TOLD)
}
"""By their names: the first argument is a text that a page may show."""

WORDS = {
    "_": None,
    "gettext": None,
    "lazy_gettext": None,
    "ngettext": (1, 2),
    "lazy_ngettext": (1, 2),
    "marked": None,
    **ERRORS,
}
"""What a text is an argument of."""

OPTIONS = {"trimmed": "true", "silent": "false", "newstyle_gettext": "true"}
"""How templates are read; the site reads them alike."""

HEADER = """\
# What is empty is shown in English. `make catalogue` adds what is new; do not edit what is after msgid.
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plurals}\\n"

"""

WIDTH = 110
"""Longest line of a file."""


def extracted() -> Catalog:
    """Every text, with the files that it is in."""
    found = Catalog()
    for method, patterns in (("jinja2.ext:babel_extract", TEMPLATES), ("python", PYTHON)):
        for path in _files(patterns):
            for line, text, comments, _ in extract_from_file(
                method, path, WORDS, options=OPTIONS, comment_tags=("Translators:",), strip_comment_tags=True
            ):
                found.add(text, locations=[(str(path.relative_to(ROOT)), line)], auto_comments=comments)
    return found


def brought_up_to_date(path: Path, texts: Catalog) -> str:
    """What a file of translations should hold."""
    catalog = Catalog(locale=path.stem)  # its plural forms are the language's, whatever a copied header says
    known = _read(path)
    for text in (one for one in texts if one.id):
        kept = known.get(text.id) or Message(text.id)
        catalog.add(
            text.id,
            _forms(text, kept, catalog.num_plurals),
            locations=text.locations,
            flags=kept.flags & {"fuzzy"},
            auto_comments=text.auto_comments,
            user_comments=kept.user_comments,
        )
    body = BytesIO()
    write_po(body, catalog, width=WIDTH, omit_header=True, sort_output=True, include_lineno=False)
    header = HEADER.format(language=path.stem, plurals=catalog.plural_forms)
    return header + body.getvalue().decode()


def untranslated(path: Path) -> list[str]:
    """The texts without a translation."""
    missing = []
    for message in _read(path):
        forms = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
        if message.id and (not all(forms) or message.fuzzy):
            missing.append(message.id if isinstance(message.id, str) else message.id[0])
    return missing


def main() -> int:
    """Write every file anew; 1 if something is left to translate."""
    texts, left = extracted(), 0
    for path in sorted(FOLDER.glob("*.po")):
        path.write_text(brought_up_to_date(path, texts), encoding="utf-8")
        for text in untranslated(path):
            sys.stdout.write(f"{path.name}: {text}\n")
            left += 1
    sys.stdout.write(f"{len(texts)} texts, {left} to translate\n")
    return min(left, 1)


def _read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.stem)


def _forms(text: Message, kept: Message, count: int) -> str | tuple[str, ...]:
    """The translation of a text; one for each plural form of the language, if it has any."""
    if isinstance(text.id, str):
        return kept.string if isinstance(kept.string, str) else ""
    forms = kept.string if isinstance(kept.string, (tuple, list)) else ()
    return tuple((*forms, *[""] * count)[:count])


def _files(patterns: tuple[str, ...]) -> Iterator[Path]:
    for pattern in patterns:
        yield from sorted(ROOT.glob(pattern))


if __name__ == "__main__":
    sys.exit(main())
