"""Files on their way in parts, for the tests of unfinished uploads; parts are short here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from davserver.model import Node, NodeId
from davserver.vault import parts, unfinished
from davserver.vault.access import Limits
from davserver.vault.paths import VaultPath
from davserver.vault.unfinished import IfTaken
from tests.unit.vault.store import Drive

PART = 70_000
"""Longer than a chunk, so that a part is a blob in the store."""

CONTENT = bytes(range(251)) * 1000
"""Four parts, the last one shorter."""

IDLE_DAYS = Limits().upload_days
"""After so many an upload is given up."""

TIME = 1_600_000_000_123_000_000


def shorten_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let parts be `PART` long."""
    for module in (parts, unfinished):
        monkeypatch.setattr(module, "PART_BYTES", PART)


@dataclass
class Arriving:
    """One upload of one file, as a browser drives it."""

    drive: Drive
    id: NodeId
    content: bytes

    @classmethod
    def begin(
        cls,
        drive: Drive,
        path: str,
        content: bytes = CONTENT,
        if_taken: IfTaken = IfTaken.ASK,
        **options: Any,  # noqa: ANN401
    ) -> Arriving:
        """Announce it."""
        at = VaultPath.parse(path)
        begun = drive.vault.parts.begin(at, len(content), TIME, if_taken=if_taken, **options)
        return cls(drive, begun.id, content)

    @property
    def received(self) -> int:
        """How much of it is there."""
        return self.drive.vault.parts.state(self.id).received

    def send(self, offset: int | None = None) -> int:
        """Send one part, by default the next one; says how much is there then."""
        self.part(self.received if offset is None else offset)
        return self.received

    def part(self, offset: int) -> None:
        """Send the part that begins there, and look at nothing else."""
        with self.drive.vault.parts.append(self.id, offset) as upload:
            upload.write(self.content[offset : offset + PART])
            upload.commit()

    def send_all(self) -> Arriving:
        """Send all that is missing."""
        while self.received < len(self.content):
            self.send()
        return self

    def join(self, if_taken: IfTaken | None = None, keep: frozenset[str] = frozenset()) -> Node:
        """Make the file."""
        joining = self.drive.vault.parts.join(self.id, if_taken=if_taken, keep=keep)
        done = list(joining)
        assert done == sorted(done)
        assert done[-1:] == ([len(self.content)] if self.content else [])
        assert joining.placed is not None
        return joining.placed.node

    def cancel(self) -> int:
        """Give it up."""
        return self.drive.vault.parts.cancel(self.id)


def open_uploads(drive: Drive) -> list[tuple[str, int]]:
    """Where those go that are unfinished, and how much of each is there."""
    return [("/" + "/".join(one.path), one.received) for one in drive.vault.parts.all()]
