"""Everything that fuzzing has found worth keeping, read again without it: quick, and wherever tests run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")
KEPT = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_kept_breaks_no_law(path: Path) -> None:
    """Each file is what its folder's target is given."""
    TARGETS[path.parent.name](path.read_bytes())


def test_every_target_has_something_to_begin_with() -> None:
    """Without examples coverage leads nowhere."""
    assert {path.parent.name for path in KEPT} == set(TARGETS)
