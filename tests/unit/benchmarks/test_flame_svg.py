"""Flame graphs: counted right, drawn small."""

from __future__ import annotations

from defusedxml import ElementTree

from benchmarks.flame_svg import Box, colour, draw, fold
from benchmarks.flames import COMMON, WAITING

STACKS = [
    "process 1;main (app.py);read (davserver/vault/download.py) 30",
    "process 1;main (app.py);send <&> (socket.py) 60",
    "process 2;main (app.py) 10",
    "process 2;main (app.py);Condition.wait (threading.py) 1000",
    "a line that is none",
    "",
]
SVG = "{http://www.w3.org/2000/svg}"


def test_equal_stacks_are_one() -> None:
    """Counts add up; what is common to all is left out, and a thread that only waits does not count."""
    root = fold(STACKS, COMMON, WAITING)
    assert root.count == 100
    (main,) = root.above.values()
    assert (main.name, main.count) == ("main (app.py)", 100)
    assert {name: box.count for name, box in main.above.items()} == {
        "read (davserver/vault/download.py)": 30,
        "send <&> (socket.py)": 60,
    }


def test_the_picture_is_xml_and_as_wide_as_it_should_be() -> None:
    """A box is as wide as its share, names are escaped, and each says its share when pointed at."""
    picture = ElementTree.fromstring(draw(fold(STACKS, COMMON, WAITING), "a <title>"))
    titles = [found.text for found in picture.iter(f"{SVG}title")]
    assert titles == [
        "all, 100.0%",
        "main (app.py), 100.0%",
        "read (davserver/vault/download.py), 30.0%",
        "send <&> (socket.py), 60.0%",
    ]
    widths = [float(box.attrib["width"]) for box in picture.iter(f"{SVG}rect")][1:]
    assert widths == [1200, 1200, 360, 720]


def test_what_nobody_could_see_is_left_out() -> None:
    """A box of a thousandth is none; a profile without samples is an empty picture."""
    text = draw(fold(["main 999", "main;tiny 1"]), "")
    assert "tiny" not in text
    assert ElementTree.fromstring(draw(Box("all"), "")) is not None


def test_colours_tell_whose_it_is() -> None:
    """Ours by part, libraries by name, the rest grey."""
    names = ("f (davserver/vault/a.py)", "f (davserver/db/a.py)", "f (sqlalchemy/a.py)", "f (socket.py)")
    assert len({colour(name) for name in names}) == len(names)
