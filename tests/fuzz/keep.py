"""Keeps of what was found what leads somewhere: `python -m tests.fuzz.keep TARGET FOLDER`.

A file of FOLDER becomes part of the corpus if it takes a step from one line to another, in modules that are
fuzzed, that no file of the corpus and no shorter one takes. Called by `make fuzz`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any

CORPUS = Path(__file__).with_name("corpus")

FUZZED = (
    "davserver.serving.head",
    "davserver.serving.reader",
    "davserver.dav.if_header",
    "davserver.dav.uri",
    "davserver.sending.conditions",
    "davserver.vault.paths",
)
"""Modules of which it is noticed which lines run."""

NAME_CHARS = 16

Step = tuple[str, int, int]


def steps_of(target: Callable[[bytes], None], data: bytes) -> set[Step]:
    """From which line to which line of the fuzzed modules the target goes with this."""
    watched = {importlib.import_module(name).__file__ for name in FUZZED}
    steps: set[Step] = set()

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:  # noqa: ANN401 - what `settrace` gives
        if frame.f_code.co_filename not in watched:
            return None
        last = 0
        if event == "call":

            def trace_lines(frame: FrameType, event: str, _argument: Any) -> Any:  # noqa: ANN401
                nonlocal last
                if event == "line":
                    steps.add((frame.f_code.co_filename, last, frame.f_lineno))
                    last = frame.f_lineno
                return trace_lines

            return trace_lines
        return None

    sys.settrace(trace)
    try:
        target(data)
    finally:
        sys.settrace(None)
    return steps


def worth_keeping(
    target: Callable[[bytes], None], kept: Iterable[bytes], found: Iterable[bytes]
) -> list[bytes]:
    """Those that were found, the shortest first, that go where nothing before them went."""
    known = set().union(*(steps_of(target, data) for data in kept))
    new = []
    for data in sorted(set(found), key=lambda data: (len(data), data)):
        steps = steps_of(target, data)
        if not steps <= known:
            known |= steps
            new.append(data)
    return new


def main(name: str, folder: str) -> None:
    """See the module."""
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - `run` imports this before it instruments those

    corpus = CORPUS / name
    kept = [path.read_bytes() for path in sorted(corpus.iterdir())]
    found = [path.read_bytes() for path in sorted(Path(folder).iterdir())]
    for data in worth_keeping(TARGETS[name], kept, found):
        (corpus / sha256(data).hexdigest()[:NAME_CHARS]).write_bytes(data)


if __name__ == "__main__":
    main(*sys.argv[1:])
