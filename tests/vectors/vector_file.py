"""The files under tests/vectors/v1: one blob each, what metadata say of it, and what a reader makes of it.

A file is lines `field: value`, an empty line, and the blob in hexadecimal; `HH*N` is one byte N times.
"""

import re
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path

FOLDER = Path(__file__).parent / "v1"

SHORTEST_RUN = 24
"""Fewer equal bytes than this are written out."""

LINE_BYTES = 48


@dataclass(frozen=True)
class Vector:
    """One file.

    Attributes:
        expect: "success", or the first check that fails: header, commit, length or chunk failure.
        blob_id: the blob that is asked for.
        pinned_length: length of the blob as metadata name it; likewise the next two.
        plain_length: how many bytes may be released, all in all or before the failure; likewise the digest.
        data: the blob as the storage has it.
    """

    name: str
    expect: str
    comment: str
    account: bytes
    blob_id: bytes
    file_key: bytes
    pinned_length: int
    pinned_size: int
    pinned_commitment: bytes
    plain_length: int
    plain_sha256: bytes
    data: bytes

    def text(self) -> str:
        """The file."""
        lines = []
        for field in fields(self)[1:-1]:
            value = getattr(self, field.name)
            lines.append(
                f"{field.name.replace('_', '-')}: {value.hex() if isinstance(value, bytes) else value}"
            )
        return "\n".join([*lines, "", *_hex_lines(self.data), ""])


def read(path: Path) -> Vector:
    """Read a file."""
    head, body = path.read_text().split("\n\n", 1)
    texts = dict(line.split(": ", 1) for line in head.splitlines())
    values: dict[str, object] = {"name": path.stem, "data": _from_hex_lines(body)}
    for field in fields(Vector)[1:-1]:
        text = texts.pop(field.name.replace("_", "-"))
        values[field.name] = (
            int(text) if field.type is int else bytes.fromhex(text) if field.type is bytes else text
        )
    assert not texts
    return Vector(**values)  # type: ignore[arg-type]  # the types are those of the fields


def vectors() -> list[Vector]:
    """Every file, by name."""
    return [read(path) for path in sorted(FOLDER.glob("*.txt"))]


def _hex_lines(data: bytes) -> list[str]:
    lines: list[str] = []
    plain = bytearray()

    def flush() -> None:
        lines.extend(plain[at : at + LINE_BYTES].hex() for at in range(0, len(plain), LINE_BYTES))
        plain.clear()

    for byte, run in groupby(data):
        count = len(list(run))
        if count < SHORTEST_RUN:
            plain.extend(bytes([byte]) * count)
            continue
        flush()
        lines.append(f"{byte:02x}*{count}")
    flush()
    return lines


def _from_hex_lines(text: str) -> bytes:
    data = bytearray()
    for line in text.splitlines():
        run = re.fullmatch(r"([0-9a-f]{2})\*([0-9]+)", line)
        data += bytes.fromhex(run[1]) * int(run[2]) if run else bytes.fromhex(line)
    return bytes(data)
