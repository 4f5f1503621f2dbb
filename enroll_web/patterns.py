"""How a moment is written: four texts, each with the letters of Unicode's date patterns (UTS 35, part 4).

A translation puts them in another order, or with other signs between them. Used by `words.py`, and by
`catalogues.py`, which refuses what would break a page.
"""

from __future__ import annotations

from babel.dates import parse_pattern, tokenize_pattern

from davserver.texts import marked

# Translators: how a day is written, with the letters of Unicode's date patterns: yyyy, MM, dd.
DAY = marked("yyyy-MM-dd")

# Translators: a day and a time, as above, with HH and mm.
MINUTE = marked("yyyy-MM-dd HH:mm")

# Translators: a day and a time to the second, as above, with ss.
SECOND = marked("yyyy-MM-dd HH:mm:ss")

# Translators: a time of day.
HOUR = marked("HH:mm")

PATTERNS = frozenset({DAY, MINUTE, SECOND, HOUR})


def unfit(english: str, text: str) -> str:
    """Why a translation of a pattern is none: a letter too many or too few, or too often; "" if it is one."""
    try:
        parse_pattern(text)
    except ValueError as error:
        return str(error)
    wrong = sorted(_letters(english) ^ _letters(text))
    return f"{', '.join(wrong)} for {english!r}" if wrong else ""


def _letters(pattern: str) -> set[str]:
    return {value[0] for kind, value in tokenize_pattern(pattern) if kind == "field"}
