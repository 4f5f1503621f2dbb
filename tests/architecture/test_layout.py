"""The tree as documents describe it: nothing extra at the top, and no document names a file that is gone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FOLDERS = {".ci", "benchmarks", "config", "davserver", "deploy", "docs", "enroll_web", "tests"}
FILES = {".gitignore", "CHANGELOG.md", "Makefile", "README.md", "pyproject.toml"}

MADE_BY_PEOPLE = {"config/davserver.toml"}
"""Named in documents, absent from a fresh checkout."""

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NAMED_FILE = re.compile(rf"`((?:{'|'.join(map(re.escape, sorted(FOLDERS)))})/[\w./-]+)`")
LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)")


def named_files(document: Path) -> set[Path]:
    """Files that a document names in code spans, from the top, or links to, from where it lies."""
    text = document.read_text()
    spans = {ROOT / name for name in NAMED_FILE.findall(text) if name not in MADE_BY_PEOPLE}
    return spans | {document.parent / name for name in LINK.findall(text)}


def test_the_top_level_is_what_it_should_be() -> None:
    """Exactly the agreed folders and files lie at the top, committed or about to be."""
    command = "git -c safe.directory=* ls-files --cached --others --exclude-standard -z"
    listing = subprocess.run(command.split(), cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [Path(name) for name in listing.split("\0") if name and (ROOT / name).exists()]
    assert {path.parts[0] for path in paths if len(path.parts) > 1} == FOLDERS
    assert {path.name for path in paths if len(path.parts) == 1} == FILES


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_named_in_documents_exist(document: Path) -> None:
    """A reader who follows a document finds every file that it names."""
    missing = sorted(str(path.relative_to(ROOT)) for path in named_files(document) if not path.exists())
    assert not missing


def test_named_files_are_recognised(tmp_path: Path) -> None:
    """The check above sees code spans and links, and leaves web addresses alone."""
    document = tmp_path / "page.md"
    document.write_text(
        "`davserver/model.py`, `other.py`, [this](adr/0001.md#why), [that](https://a.example/b)"
    )
    assert named_files(document) == {ROOT / "davserver/model.py", tmp_path / "adr/0001.md"}
