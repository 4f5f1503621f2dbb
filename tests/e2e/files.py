"""Folders full of files that clients find hard, and how to compare two folders."""

from __future__ import annotations

import hashlib
import os
import random
import unicodedata
from pathlib import Path

AWKWARD_NAMES = (
    "with space",
    " leading space",
    "trailing space ",
    "per%cent",
    "per%20cent",
    "hash#mark",
    "question?mark",
    "semi;colon",
    "a&b=c+d",
    "plus+plus",
    "comma,colon:quote'double\"",
    "back\\slash",
    "(brackets)[square]{curly}",
    "<angle>|pipe*star",
    "~tilde`tick^caret",
    "@at$dollar!bang",
    ".hidden",
    "..twodots",
    "dots.",
    "résumé",
    unicodedata.normalize("NFD", "Ångström"),
    "日本語",
    "emoji 🗝️🔒",
    "ﬁ ligature",
    "İstanbul ß",
    "x" * 200,
    "ü" * 100,
    "%2F",
    "%",
    "-rf",
)
"""What people name files, and what breaks servers."""


def plant(folder: Path, count: int, *, seed: int = 7) -> None:
    """Make `count` files in some collections: every awkward name, sizes around the chunk, distinct times."""
    rng = random.Random(seed)
    sizes = (0, 1, 100, 4096, 65535, 65536, 65537, 200_000)
    names = [*AWKWARD_NAMES, *(f"file {number}" for number in range(count - len(AWKWARD_NAMES)))]
    for number, name in enumerate(names):
        inside = folder / ("", "plain", "sub dir/deep;er", "d#%?")[number % 4]
        inside.mkdir(parents=True, exist_ok=True)
        path = inside / name
        path.write_bytes(rng.randbytes(rng.choice(sizes)))
        os.utime(path, (1_500_000_000 + number, 1_500_000_000 + number))


def fingerprint(folder: Path) -> dict[str, tuple[int, str]]:
    """For every file its path, whole seconds of its time and digest: equal for folders with equal content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[path.relative_to(folder).as_posix()] = (int(path.stat().st_mtime), digest)
    return found
