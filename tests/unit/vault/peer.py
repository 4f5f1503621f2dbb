"""Alice's vault in another process, which does what it is told and says what it sees.

Run as `python -m tests.unit.vault.peer FOLDER`; used by `test_directories.py`.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from davserver.errors import DavserverError
from davserver.vault.paths import VaultPath
from tests.unit.vault.store import Drive, make_store

NAMES = ("a", "b", "c")
PATHS = [f"/{one}" for one in NAMES]
PATHS += [f"/{one}/{two}" for one in NAMES for two in NAMES]
PATHS += [f"/{one}/{two}/f" for one in NAMES for two in NAMES]

Sight = dict[str, str]
"""What is at each of `PATHS`: id and version, in hexadecimal; nothing for what is not there."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One change: a verb of `Drive` and its paths."""

    verb: str
    path: str
    target: str = ""

    def apply(self, drive: Drive) -> None:
        """Do it, or be refused."""
        arguments = [self.path, self.target] if self.target else [self.path]
        options = {"overwrite": True} if self.target else {}
        with suppress(DavserverError):
            getattr(drive, self.verb)(*arguments, **options)


def change(choice: random.Random) -> Wish:
    """One that is likely to be possible."""
    verb = choice.choice(["mkdir", "mkdir", "mkdir", "put", "put", "move", "move", "delete", "copy"])
    paths = PATHS[len(NAMES) + len(NAMES) ** 2 :] if verb == "put" else PATHS
    return Wish(verb, choice.choice(paths), choice.choice(PATHS) if verb in {"move", "copy"} else "")


def look(drive: Drive) -> Sight:
    """Everything there is, each path asked for by itself, as requests do."""
    found = {path: drive.vault.find(VaultPath.parse(path)) for path in PATHS}
    return {path: f"{node.id.hex()} {node.version}" for path, node in found.items() if node is not None}


class Peer:
    """The other process; to be used as a context."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.vault.peer", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)
        assert self._process.returncode == 0

    def ask(self, wish: Wish) -> None:
        """Have it change something."""
        self._talk(asdict(wish))

    def look(self) -> Sight:
        """What it sees."""
        return self._talk(None)

    def _talk(self, message: object) -> Sight:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        answer: Sight = json.loads(self._process.stdout.readline())
        return answer


def main(folder: Path) -> None:
    """Answer until there are no more questions."""
    store = make_store(folder)
    drive = store.drive("alice")
    for line in sys.stdin:
        message = json.loads(line)
        if message is not None:
            Wish(**message).apply(drive)
        print(json.dumps({} if message is not None else look(drive)), flush=True)  # noqa: T201 - the answer
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
