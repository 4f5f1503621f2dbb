"""What one account should hold, in plain dictionaries: the tree, dead properties, locks, and their rules.

Written from RFC 4918 alone; `tree_machine.py` does everything to it that it does to a vault. Each request
answers with every error that would be right, an empty set if there is none, and changes the model only then.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from davserver.clock import to_seconds
from davserver.errors import (
    AlreadyExists,
    DavserverError,
    LockConflict,
    Locked,
    NoSuchLock,
    NotFound,
    NotPermitted,
    ParentMissing,
    PreconditionFailed,
    QuotaExceeded,
    TargetInsideSource,
    WrongKind,
)
from tests.fakes import START

NEW_TOKEN = "the token that the vault is about to choose"
NS = 1_000_000_000

Wrong = set[type[DavserverError]]
Held = tuple[str, bool, bool, int]
"""Token, exclusive, infinite, and when it ends."""

Seen = dict[str, tuple[str, bytes | None, int, dict[str, str], set[Held]]]
"""All that a client can find out, by path: name, content, time, dead properties, locks that cover it."""


def parent_of(path: str) -> str:
    """The path of the collection that holds it."""
    return path.rpartition("/")[0] or "/"


def name_of(path: str) -> str:
    """The last name of a path, as it is spelled."""
    return path.rpartition("/")[2]


def key_of(path: str) -> str:
    """The spelling under which the model keeps a path."""
    return unicodedata.normalize("NFC", path)


def lies_below(path: str, top: str) -> bool:
    """Whether it is inside `top`, at any depth."""
    return path != top and path.startswith(top.rstrip("/") + "/")


@dataclass(eq=False)
class Entry:
    """A file, or a collection if `content` is None; `born` while it is nothing but what a LOCK has made."""

    name: str
    content: bytes | None
    when: int
    born: bool = False
    properties: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class Hold:
    """A lock."""

    token: str
    root: Entry
    exclusive: bool
    infinite: bool
    until: int

    @property
    def seen(self) -> Held:
        """What a client sees of it."""
        return (self.token, self.exclusive, self.infinite, self.until)


class Model:
    """One account; `top` is the collection that is the root of the device that asks, None if it is gone."""

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self.now = to_seconds(START)
        self.tree: dict[str, Entry] = {"/": Entry("", None, 0)}
        self.locks: list[Hold] = []
        self.phone = self.tree["/"]
        self.top: str | None = "/"

    # ── what is there? ──────────────────────────────────────────────────────────────────────────────────────
    @property
    def used(self) -> int:
        """Bytes of all files."""
        return self._bytes(self.tree)

    def ask_as(self, *, phone: bool) -> None:
        """From here on the whole account asks, or its device that sees one folder only."""
        paths = [path for path, entry in self.tree.items() if entry is self.phone]
        self.top = "/" if not phone else paths[0] if paths else None

    def key(self, path: str) -> str:
        """The spelling under which the model keeps what the asking device calls `path`."""
        below = "" if self.top in {None, "/"} else self.top
        return key_of(f"{below}{path}".rstrip("/")) or "/"

    def visible(self) -> list[str]:
        """Paths of everything below the asking device's root, as the device calls them, and of the root."""
        if self.top is None:
            return ["/"]
        return [one.removeprefix(self.top.rstrip("/")) or "/" for one in self.below(self.top)]

    def is_collection(self, key: str) -> bool:
        """Whether it is there and can have children."""
        return key in self.tree and self.tree[key].content is None

    def below(self, key: str) -> list[str]:
        """The path itself and everything in it."""
        return [one for one in self.tree if one == key or lies_below(one, key)]

    def covering(self, key: str) -> list[Hold]:
        """Locks on what is there, and infinite ones above it."""
        own = self.tree.get(key)
        above = [entry for path, entry in self.tree.items() if lies_below(key, path)]
        return [lock for lock in self.locks if lock.root is own or (lock.infinite and lock.root in above)]

    def seen(self) -> Seen:
        """Everything, for comparison."""
        return {
            path: (
                one.name,
                one.content,
                one.when,
                one.properties,
                {lock.seen for lock in self.covering(path)},
            )
            for path, one in self.tree.items()
        }

    # ── requests ────────────────────────────────────────────────────────────────────────────────────────────
    def put(self, path: str, content: bytes, when: int, tokens: Collection[str]) -> Wrong:
        """PUT."""
        key = self.key(path)
        if wrong := self._no_place(key):
            return wrong
        old = self.tree.get(key)
        old_size = len(old.content or b"") if old else 0
        wrong = _broken(
            (self.is_collection(key), WrongKind),
            (self._locked(tokens, changes=[key], members=[] if old else [key]), Locked),
            (len(content) > old_size and self.used - old_size + len(content) > self.quota, QuotaExceeded),
        )
        if not wrong:
            entry = self.tree.setdefault(key, Entry(name_of(path), b"", when))
            entry.content, entry.when, entry.born = content, when, False
        return wrong

    def mkdir(self, path: str, when: int, tokens: Collection[str]) -> Wrong:
        """MKCOL."""
        key = self.key(path)
        if key in self.tree:
            return {AlreadyExists}
        wrong = self._no_place(key) or _broken((self._locked(tokens, members=[key]), Locked))
        if not wrong:
            self.tree[key] = Entry(name_of(path), None, when)
        return wrong

    def delete(self, path: str, tokens: Collection[str]) -> Wrong:
        """DELETE."""
        key = self.key(path)
        wrong = self._no_entry(key) or _broken((self._locked(tokens, gone=[key], members=[key]), Locked))
        if not wrong:
            self._remove(self.below(key))
        return wrong

    def patch(
        self, path: str, when: int | None, changes: Mapping[str, str | None], tokens: Collection[str]
    ) -> Wrong:
        """PROPPATCH."""
        key = self.key(path)
        if key not in self.tree:
            return {NotFound}
        wrong = _broken((self._locked(tokens, changes=[key]), Locked))
        if not wrong:
            entry = self.tree[key]
            entry.when = entry.when if when is None else when
            merged = {**entry.properties, **changes}
            entry.properties = {name: value for name, value in merged.items() if value is not None}
        return wrong

    def move(self, source: str, target: str, tokens: Collection[str], *, overwrite: bool) -> Wrong:
        """MOVE: what was locked is so no more; empty files that a LOCK has made become ordinary ones."""
        start, end = self.key(source), self.key(target)
        wrong = (
            self._no_entry(start)
            or self._no_place(end)
            or (
                self._wrong_way(start, end, overwrite=overwrite)
                | _broken((self._locked(tokens, gone=[start, end], members=[start, end]), Locked))
            )
        )
        if not wrong:
            moved = {end + one.removeprefix(start): self.tree[one] for one in self.below(start)}
            self._remove(self.below(start))
            self._replace(end, moved, name_of(target))
        return wrong

    def copy(
        self, source: str, target: str, tokens: Collection[str], *, overwrite: bool, deep: bool
    ) -> Wrong:
        """COPY: with the dead properties, without the locks."""
        start, end = self.key(source), self.key(target)
        if start not in self.tree:
            return {NotFound}
        if wrong := self._no_place(end):
            return wrong
        taken = self.below(start) if deep else [start]
        more = self._bytes(taken)
        wrong = self._wrong_way(start, end, overwrite=overwrite) | _broken(
            (self._locked(tokens, gone=[end], members=[end]), Locked),
            (more > 0 and self.used - self._bytes(self.below(end)) + more > self.quota, QuotaExceeded),
        )
        if not wrong:
            copies = {end + one.removeprefix(start): _copied(self.tree[one]) for one in taken}
            self._replace(end, copies, name_of(target))
        return wrong

    def lock(
        self, path: str, tokens: Collection[str], *, exclusive: bool, infinite: bool, seconds: int
    ) -> Wrong:
        """LOCK; makes an empty file if there is nothing. Its token is NEW_TOKEN for now."""
        key = self.key(path)
        if key not in self.tree and (wrong := self._no_place(key)):
            return wrong
        in_the_way = self.covering(key) + (self._rooted_below(key) if infinite else [])
        wrong = _broken(
            (any(exclusive or lock.exclusive for lock in in_the_way), LockConflict),
            (key not in self.tree and self._locked(tokens, members=[key]), Locked),
        )
        if not wrong:
            entry = self.tree.setdefault(key, Entry(name_of(path), b"", self.now * NS, born=True))
            self.locks.append(Hold(NEW_TOKEN, entry, exclusive, infinite, self.now + seconds))
        return wrong

    def refresh(self, path: str, token: str, seconds: int) -> Wrong:
        """LOCK without a body."""
        wrong, held = self._held(path, token)
        for lock in held:
            lock.until = self.now + seconds
        return wrong

    def unlock(self, path: str, token: str) -> Wrong:
        """UNLOCK."""
        wrong, held = self._held(path, token)
        self.locks = [lock for lock in self.locks if lock not in held]
        self._settle()
        return wrong

    def wait(self, seconds: int) -> None:
        """Time goes by."""
        self.now += seconds
        self._settle()

    # ── rules ───────────────────────────────────────────────────────────────────────────────────────────────
    def _no_place(self, key: str) -> Wrong:
        """Why nothing can be written there at all."""
        if key == self.top:
            return {NotPermitted}
        return _broken((not self.is_collection(parent_of(key)), ParentMissing))

    def _no_entry(self, key: str) -> Wrong:
        """Why nothing can be taken away there."""
        return _broken((key == self.top, NotPermitted), (key not in self.tree, NotFound))

    def _wrong_way(self, start: str, end: str, *, overwrite: bool) -> Wrong:
        """Why one cannot be put in the other's place."""
        return _broken(
            (end == start, NotPermitted),
            (end in self.tree and not overwrite, PreconditionFailed),
            (lies_below(end, start) or lies_below(start, end), TargetInsideSource),
        )

    def _held(self, path: str, token: str) -> tuple[Wrong, list[Hold]]:
        key = self.key(path)
        if key not in self.tree:
            return {NotFound}, []
        held = [lock for lock in self.covering(key) if lock.token == token]
        reached = [self.tree[one] for one in self.below(self.top or "/")]
        if any(lock.root not in reached for lock in held):
            return {NotPermitted}, []
        return _broken((not held, NoSuchLock)), held

    def _locked(
        self,
        tokens: Collection[str],
        *,
        changes: Iterable[str] = (),
        members: Iterable[str] = (),
        gone: Iterable[str] = (),
    ) -> bool:
        """Whether a lock is in the way (RFC 4918, 7): of the locks on each resource, one token is needed."""
        gone = [key for key in gone if key in self.tree]
        resources = [self.covering(key) for key in (*changes, *gone) if key in self.tree]
        resources += [self.covering(parent_of(key)) for key in members]
        for key in gone:
            roots = {lock.root for lock in self._rooted_below(key)}
            resources += [[lock for lock in self.locks if lock.root is root] for root in roots]
        return any(locks and not any(lock.token in tokens for lock in locks) for locks in resources)

    def _rooted_below(self, key: str) -> list[Hold]:
        inside = [self.tree[one] for one in self.below(key) if one != key]
        return [lock for lock in self.locks if lock.root in inside]

    def _remove(self, keys: list[str]) -> None:
        """Take entries away; locks that begin there go with them (RFC 4918, 9.6)."""
        gone = [self.tree.pop(key) for key in keys if key in self.tree]
        self.locks = [lock for lock in self.locks if lock.root not in gone]

    def _replace(self, end: str, new: dict[str, Entry], name: str) -> None:
        """Put something in a place; locks that begin there go on (RFC 4918, 7.6)."""
        going_on = [lock for lock in self.locks if lock.root is self.tree.get(end)]
        self._remove(self.below(end))
        self.tree |= new
        self.tree[end].name = name
        for entry in new.values():
            entry.born = False
        for lock in going_on:
            lock.root = self.tree[end]
        self.locks += going_on

    def _settle(self) -> None:
        """What is over is gone: expired locks, and empty files that lived by a lock."""
        self.locks = [lock for lock in self.locks if lock.until > self.now]
        kept = [lock.root for lock in self.locks]
        self.tree = {key: one for key, one in self.tree.items() if not one.born or one in kept}

    def _bytes(self, keys: Iterable[str]) -> int:
        return sum(len(self.tree[one].content or b"") for one in keys)


def _copied(entry: Entry) -> Entry:
    return replace(entry, properties=dict(entry.properties))


def _broken(*rules: tuple[bool, type[DavserverError]]) -> Wrong:
    return {error for broken, error in rules if broken}
