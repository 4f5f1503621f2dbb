"""A flame graph as SVG, from stacks that a sampling profiler counted. Pure; no script, and small.

Each box is a function; what it called stands on it; its width is the share of the time in which it was on the
stack. What is too narrow to be seen is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import escape

WIDTH = 1200
ROW = 17
LEAST_SHARE = 0.003
"""Narrower boxes are left out."""

LETTER_WIDTH = 6.7
LEAST_LETTERS = 4
"""A box without room for so many letters has no name on it, only when pointed at."""

COLOURS: Final = (
    ("davserver/crypto", "#e8795a"),
    ("davserver/serving", "#8fc97c"),
    ("davserver/dav", "#f2c14e"),
    ("davserver/vault", "#f0a35e"),
    ("davserver/db", "#6fa8dc"),
    ("davserver/blobs", "#b58fd6"),
    ("davserver", "#f5d98b"),
    ("cheroot", "#b9dfae"),
    ("sqlalchemy", "#aacbee"),
    ("sqlite3", "#aacbee"),
    ("wsgidav", "#f7e3b0"),
)
"""By the first of these that the file of a function is in."""

OTHER_COLOUR = "#d9d9d9"


@dataclass
class Box:
    """A function as it was called from the one below.

    Attributes:
        name: function and file.
        count: samples in which it was there.
        above: what it called.
    """

    name: str
    count: int = 0
    above: dict[str, Box] = field(default_factory=dict)


def fold(lines: Iterable[str], common: tuple[str, ...] = (), waiting: tuple[str, ...] = ()) -> Box:
    """One tree of all stacks.

    Args:
        lines: "outermost;…;innermost count", as `py-spy record --format raw` writes them.
        common: functions are left out whose text begins with one of these: they are in every stack.
        waiting: a stack does not count whose innermost function is one of these: nothing runs there.
    """
    root = Box("all")
    for line in lines:
        stack, _, number = line.rpartition(" ")
        if not stack or not number.isdecimal() or stack.endswith(waiting or ("\0",)):
            continue
        box = root
        box.count += int(number)
        for name in stack.split(";"):
            if not name.startswith(common or ("\0",)):
                box = box.above.setdefault(name, Box(name))
                box.count += int(number)
    return root


def draw(root: Box, title: str) -> str:
    """The picture."""
    least = root.count * LEAST_SHARE
    height = (_depth(root, least) + 2) * ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">',
        "<style>rect{stroke:#fff;stroke-width:.5}text{pointer-events:none;font:11px monospace}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{WIDTH / 2:g}" y="13" text-anchor="middle">{escape(title)}</text>',
    ]
    if root.count:
        _draw_box(root, 0.0, height - ROW, WIDTH / root.count, least, parts)
    return "\n".join([*parts, "</svg>", ""])


def _draw_box(  # noqa: PLR0913, PLR0917 - where it is
    box: Box, x: float, y: int, scale: float, least: float, parts: list[str]
) -> None:
    width = box.count * scale
    share = width / WIDTH
    name = escape(box.name)
    parts.append(
        f'<g><title>{name}, {share:.1%}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" '
        f'height="{ROW - 1}" fill="{colour(box.name)}"/>'
    )
    letters = int((width - 4) / LETTER_WIDTH)
    if letters >= LEAST_LETTERS:
        shown = box.name if len(box.name) <= letters else box.name[: letters - 1] + "…"
        parts.append(f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(shown)}</text>')
    parts.append("</g>")
    for above in sorted(box.above.values(), key=lambda one: one.name):
        if above.count >= least:
            _draw_box(above, x, y - ROW, scale, least, parts)
            x += above.count * scale


def colour(name: str) -> str:
    """By whose function it is."""
    return next((found for part, found in COLOURS if part in name), OTHER_COLOUR)


def _depth(box: Box, least: float) -> int:
    return 1 + max((_depth(above, least) for above in box.above.values() if above.count >= least), default=0)
