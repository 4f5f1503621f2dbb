"""What one account should hold with its trash and its previous versions, in plain objects.

Written from docs/adr/0026 alone; `history_machine.py` does everything to it that it does to a vault. Only
what can be done is asked of it, save for the quota: a request that does not fit says so and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

DAY = 24 * 3600


@dataclass(eq=False)
class Version:
    """A content that a file had until `at`."""

    content: bytes
    at: int


@dataclass(eq=False)
class File:
    """A file; the latest version comes first."""

    content: bytes
    versions: list[Version] = field(default_factory=list)


@dataclass(eq=False)
class Folder:
    """A collection."""

    entries: dict[str, File | Folder] = field(default_factory=dict)


Entry = File | Folder


@dataclass(eq=False)
class Thrown:
    """Something in the trash."""

    entry: Entry
    path: str
    parent: Folder
    at: int


def walk(entry: Entry, path: str = "") -> Iterator[tuple[str, Entry]]:
    """An entry and all below it, with their paths; the top has `path`."""
    yield path, entry
    for name, below in entry.entries.items() if isinstance(entry, Folder) else ():
        yield from walk(below, f"{path}/{name}")


def live_bytes(entry: Entry) -> int:
    """Bytes of all files."""
    return sum(len(one.content) for _, one in walk(entry) if isinstance(one, File))


def parts_of(path: str) -> list[str]:
    """Its names."""
    return [part for part in path.split("/") if part]


class Model:
    """One account.

    Args:
        quota: bytes of all files, what is kept among them.
        most: versions of a file that are kept.
        days: how long.
        share: how much of the quota.
    """

    def __init__(self, quota: int, most: int, days: int, share: float) -> None:
        self.quota, self.most, self.days, self.share = quota, most, days, share
        self.root = Folder()
        self.trash: list[Thrown] = []
        self.now = 0

    # ── what is there? ──────────────────────────────────────────────────────────────────────────────────────
    def find(self, path: str) -> Entry | None:
        """What is at a path."""
        found: Entry | None = self.root
        for name in parts_of(path):
            found = found.entries.get(name) if isinstance(found, Folder) else None
        return found

    def folder(self, path: str) -> Folder:
        """The collection that holds what is at a path."""
        found = self.find(path.rpartition("/")[0])
        assert isinstance(found, Folder)
        return found

    @property
    def live(self) -> int:
        """Bytes that paths lead to."""
        return live_bytes(self.root)

    @property
    def kept(self) -> int:
        """Bytes of what is kept."""
        return sum(size for _, size, _ in self._kept())

    def _kept(self) -> list[tuple[int, int, Thrown | tuple[File, Version]]]:
        """All that is kept, the oldest first: since when, how much, and what."""
        found: list[tuple[int, int, Thrown | tuple[File, Version]]] = [
            (one.at, live_bytes(one.entry), one) for one in self.trash
        ]
        for top in (self.root, *(one.entry for one in self.trash)):
            files = [one for _, one in walk(top) if isinstance(one, File)]
            found += [(old.at, len(old.content), (one, old)) for one in files for old in one.versions]
        return sorted(found, key=lambda kept: kept[0])

    def _give_up(self, what: Thrown | tuple[File, Version]) -> None:
        if isinstance(what, Thrown):
            self.trash.remove(what)
        else:
            what[0].versions.remove(what[1])

    def _make_room(self, missing: int, until: int | None = None) -> None:
        """The oldest goes until so many bytes are free; what takes none or came after `until` stays."""
        while missing > 0:
            before = self.kept
            old = [what for at, size, what in self._kept() if size and (until is None or at <= until)]
            if not old:
                return
            self._give_up(old[0])
            missing -= before - self.kept

    def _fits(self, more: int, instead: int = 0, going: Callable[[], int] = lambda: 0) -> bool:
        """Whether so many bytes more can be stored in place of others; room is made for them.

        Args:
            more: bytes.
            instead: bytes that paths lead to now, and that go.
            going: all bytes that go in the same moment.
        """
        if self.live + more - instead > self.quota:
            return False
        while True:  # what is given up may have been a version of what goes anyway
            missing = self.live + self.kept + more - going() - self.quota
            if missing <= 0:
                return True
            self._make_room(missing)

    def _surplus(self, versions: list[Version], most: int) -> list[Version]:
        """Those that are more than `most`, but the latest from before yesterday."""
        spared = next((one for one in versions if one.at <= self.now - DAY), None)
        return [one for one in versions[most:] if one is not spared]

    # ── requests ────────────────────────────────────────────────────────────────────────────────────────────
    def put(self, path: str, content: bytes) -> bool:
        """A new file, or a new content, beside which the old one is kept if there can be room for both."""
        above, name = self.folder(path), parts_of(path)[-1]
        old = above.entries.get(name)
        if old is None:
            if not self._fits(len(content)):
                return False
            above.entries[name] = File(content)
            return True
        assert isinstance(old, File)
        keeps = bool(old.content) and self.live + len(content) <= self.quota
        if not self._fits(len(content) - (0 if keeps else len(old.content))):
            return False  # what it was before stays, whether it is kept or not
        if keeps:
            old.versions.insert(0, Version(old.content, self.now))
        old.content = content
        return True

    def mkdir(self, path: str) -> None:
        """A new collection."""
        self.folder(path).entries[parts_of(path)[-1]] = Folder()

    def delete(self, path: str) -> None:
        """Into the trash."""
        above = self.folder(path)
        self.trash.append(Thrown(above.entries.pop(parts_of(path)[-1]), path, above, self.now))

    def move(self, source: str, target: str) -> None:
        """What has the name now is kept."""
        entry = self.folder(source).entries[parts_of(source)[-1]]
        self._replace(target, entry, keeps=True)
        del self.folder(source).entries[parts_of(source)[-1]]
        self.folder(target).entries[parts_of(target)[-1]] = entry

    def copy(self, source: str, target: str) -> bool:
        """Without a past; what has the name now is kept if there can be room for both."""
        entry = self.find(source)
        assert entry is not None
        more, old = live_bytes(entry), self.find(target)
        keeps = self.live + more <= self.quota

        def going() -> int:
            if isinstance(old, File) and isinstance(entry, File):
                surplus = self._surplus(old.versions, self.most - bool(keeps and old.content))
                return sum(len(one.content) for one in surplus) + (0 if keeps else len(old.content))
            return 0 if keeps or old is None else _all_bytes(old)

        if not self._fits(more, 0 if keeps or old is None else live_bytes(old), going):
            return False
        made = _copied(entry)
        self._replace(target, made, keeps=keeps)
        self.folder(target).entries[parts_of(target)[-1]] = made
        return True

    def restore(self, thrown: Thrown) -> str | None:
        """Where it was put; None if it does not fit."""
        if self.live + live_bytes(thrown.entry) > self.quota:
            return None
        paths = [path for path, one in walk(self.root) if one is thrown.parent]
        folder = paths[0] if paths else ""
        for name in [] if paths else parts_of(thrown.path)[:-1]:
            above = self.find(folder)
            assert isinstance(above, Folder)
            chosen = next(
                one for one in _names(name) if isinstance(above.entries.get(one, thrown.parent), Folder)
            )
            above.entries.setdefault(chosen, Folder())
            folder += f"/{chosen}"
        above = self.find(folder)
        assert isinstance(above, Folder)
        name = next(one for one in _names(parts_of(thrown.path)[-1]) if one not in above.entries)
        above.entries[name] = thrown.entry
        self.trash.remove(thrown)
        return f"{folder}/{name}"

    def revert(self, path: str, number: int) -> bool:
        """Back to what it was before; what it is now is kept."""
        file = self.find(path)
        assert isinstance(file, File)
        chosen = file.versions[number]
        if self.live + len(chosen.content) - len(file.content) > self.quota:
            return False
        file.versions.remove(chosen)
        if file.content:
            file.versions.insert(0, Version(file.content, self.now))
        file.content = chosen.content
        return True

    def collect(self) -> None:
        """What is too old, too many or too much goes, in this order; what is too much, after a day."""
        for at, _, what in self._kept():
            if at <= self.now - self.days * DAY and what in [one for _, _, one in self._kept()]:
                self._give_up(what)
        for top in (self.root, *(one.entry for one in self.trash)):
            for _, one in walk(top):
                if isinstance(one, File):
                    surplus = self._surplus(one.versions, self.most)
                    one.versions = [old for old in one.versions if old not in surplus]
        most = min(int(self.quota * self.share), self.quota - self.live)
        self._make_room(self.kept - most, until=self.now - DAY)

    def _replace(self, target: str, successor: Entry, *, keeps: bool) -> None:
        """What has the name becomes a version of its successor, or goes to the trash, or is gone.

        What a file was before is its successor's in any case.
        """
        above, name = self.folder(target), parts_of(target)[-1]
        old = above.entries.pop(name, None)
        if isinstance(old, File) and isinstance(successor, File):
            own = [Version(old.content, self.now)] if old.content and keeps else []
            surplus = self._surplus(old.versions, self.most - len(own))
            handed = [*own, *(one for one in old.versions if one not in surplus)]
            successor.versions = sorted([*handed, *successor.versions], key=lambda one: -one.at)
        elif old is not None and keeps:
            self.trash.append(Thrown(old, target, above, self.now))


def _all_bytes(entry: Entry) -> int:
    past = [old for _, one in walk(entry) if isinstance(one, File) for old in one.versions]
    return live_bytes(entry) + sum(len(old.content) for old in past)


def _copied(entry: Entry) -> Entry:
    if isinstance(entry, File):
        return File(entry.content)
    return Folder({name: _copied(below) for name, below in entry.entries.items()})


def _names(name: str) -> Iterator[str]:
    stem, dot, ending = name.partition(".txt")  # no other ending is among the names
    yield name
    yield f"{stem} (restored){dot}{ending}"
    for number in range(2, 100):
        yield f"{stem} (restored {number}){dot}{ending}"
