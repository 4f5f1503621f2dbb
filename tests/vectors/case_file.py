"""The JSON files of vectors: one case a line; bytes are texts that begin with `hex:`."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROWS = Path(__file__).parent / "rows.json"
PRIMITIVES = Path(__file__).parent / "primitives.json"

BYTES = "hex:"

Case = dict[str, Any]


def text_of(cases: Iterable[Case]) -> str:
    """The file that holds these cases."""
    return "[\n" + ",\n".join(json.dumps(_packed(case), ensure_ascii=True) for case in cases) + "\n]\n"


def cases_of(path: Path) -> list[Case]:
    """The cases that a file holds."""
    found = json.loads(path.read_text())
    assert isinstance(found, list)
    return [_unpacked(case) for case in found]


def _packed(value: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold, and bytes.
    if isinstance(value, bytes):
        return BYTES + value.hex()
    if isinstance(value, dict):
        return {key: _packed(one) for key, one in value.items()}
    return [_packed(one) for one in value] if isinstance(value, list) else value


def _unpacked(value: Any) -> Any:  # noqa: ANN401 - as above.
    if isinstance(value, str) and value.startswith(BYTES):
        return bytes.fromhex(value.removeprefix(BYTES))
    if isinstance(value, dict):
        return {key: _unpacked(one) for key, one in value.items()}
    return [_unpacked(one) for one in value] if isinstance(value, list) else value
