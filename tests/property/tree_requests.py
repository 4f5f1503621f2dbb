"""Requests at random, each the same for a vault and for the model of `tree_model.py`.

Used by `tree_machine.py`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from davserver.vault.moment import Demands
from davserver.vault.paths import VaultPath
from tests.property.tree_model import Model, Wrong
from tests.unit.vault.store import Drive

DEEPEST = 4

# Few names, so that they meet; the last two are one name in two spellings.
names = st.sampled_from(["a", "b", "A", " ; ", "caf\u00e9", "cafe\u0301"])
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
contents = st.builds(
    lambda size, fill: bytes([fill]) * size,
    st.sampled_from([0, 1, 500, 65_536, 65_537, 150_000]),
    st.integers(0, 255),
)
times = st.integers(-5, 5)
seconds = st.sampled_from([10, 60, 600, 600, 600])
properties = st.dictionaries(
    st.sampled_from(["{urn:x}a", "{urn:x}A", "b"]), st.sampled_from([None, "", "<v/>", "v" * 100]), min_size=1
)

Drawn = TypeVar("Drawn")


@dataclass(frozen=True)
class Request:
    """One request, for the vault and for the model."""

    real: Callable[[], object]
    model: Callable[[Model], Wrong]


@dataclass(frozen=True)
class Asking:
    """Who asks, for whom what is there is looked up: then a path mostly means something.

    Attributes:
        data: where choices come from.
        account: whose request it is.
        drive: the device that it comes from.
        model: the account's, with that device's root on top.
        given: every lock token that the account was ever given.
        foreign: lock tokens of the other account.
    """

    data: st.DataObject
    account: str
    drive: Drive
    model: Model
    given: Sequence[str]
    foreign: Sequence[str]

    def draw(self, strategy: SearchStrategy[Drawn], label: str | None = None) -> Drawn:
        """Choose."""
        return self.data.draw(strategy, label=label)

    def flag(self, label: str) -> bool:
        """Yes or no."""
        return self.draw(st.booleans(), label)

    def place(self) -> str:
        """Mostly a name in a collection that is there, whether taken or free; now and then any path."""
        parents = [
            one
            for one in self.model.visible()
            if self.model.is_collection(self.model.key(one)) and one.count("/") < DEEPEST
        ]
        near = st.builds(
            lambda parent, name: f"{parent.rstrip('/')}/{name}", st.sampled_from(parents or ["/"]), names
        )
        covered = [one for one in self._covered() if one != "/"]
        locked = st.sampled_from(covered) if covered else near
        return self.draw(near | near | near | near | locked | paths, "place")

    def thing(self) -> str:
        """Mostly something that is there, in either spelling; now and then any path."""
        there = sorted(self.model.visible())
        there = there[1:] * 3 + there[:1]
        spelled = st.builds(unicodedata.normalize, st.sampled_from(["NFC", "NFD"]), st.sampled_from(there))
        return self.draw(spelled | spelled | spelled | spelled | paths, "thing")

    def path(self) -> str:
        """Something, a place for something, or something that is locked."""
        kind = self.draw(st.sampled_from(["place", "thing", "locked"]))
        return {"place": self.place, "thing": self.thing, "locked": self.locked}[kind]()

    def tokens(self) -> list[str]:
        """Every token that was ever given out, none, some of them, or somebody else's."""
        mine = list(self.given)
        nothing: list[str] = []
        some = st.lists(st.sampled_from(mine), unique=True) if mine else st.just(nothing)
        chosen = (
            st.just(mine)
            | st.just(mine)
            | some
            | st.just(nothing)
            | st.just(nothing)
            | st.just(list(self.foreign))
        )
        return self.draw(chosen, "tokens")

    def token(self) -> str:
        """Mostly one that was given out, whatever it covers or covered."""
        there = [lock.token for lock in self.model.locks] * 3
        return self.draw(
            st.sampled_from([*there, *self.given[-3:], *self.foreign[:1], "urn:uuid:nobody's"]), "token"
        )

    def locked(self) -> str:
        """Mostly something that a lock covers."""
        return self.draw(st.sampled_from(self._covered() or self.model.visible()), "locked")

    def _covered(self) -> list[str]:
        return [one for one in self.model.visible() if self.model.covering(self.model.key(one))]


def put(asking: Asking) -> Request:
    """A new file or a new content."""
    path, tokens = asking.path(), asking.tokens()
    content, when = asking.draw(contents), asking.draw(times)
    return Request(
        lambda: asking.drive.put(path, content, modified_ns=when, tokens=tokens),
        lambda model: model.put(path, content, when, tokens),
    )


def mkdir(asking: Asking) -> Request:
    """A new collection."""
    path, tokens, when = asking.place(), asking.tokens(), asking.draw(times)
    return Request(
        lambda: asking.drive.mkdir(path, modified_ns=when, tokens=tokens),
        lambda model: model.mkdir(path, when, tokens),
    )


def delete(asking: Asking) -> Request:
    """Away with it."""
    path, tokens = asking.thing(), asking.tokens()
    return Request(lambda: asking.drive.delete(path, tokens=tokens), lambda model: model.delete(path, tokens))


def patch(asking: Asking) -> Request:
    """Another time, other dead properties, the same content."""
    path, tokens = asking.thing(), asking.tokens()
    when, changes = asking.draw(st.none() | times), asking.draw(properties)
    return Request(
        lambda: asking.drive.patch(path, changes, modified_ns=when, tokens=tokens),
        lambda model: model.patch(path, when, changes, tokens),
    )


def move(asking: Asking) -> Request:
    """To another place."""
    source, target, tokens = asking.thing(), asking.place(), asking.tokens()
    overwrite = asking.flag("overwrite")
    return Request(
        lambda: asking.drive.move(source, target, overwrite=overwrite, tokens=tokens),
        lambda model: model.move(source, target, tokens, overwrite=overwrite),
    )


def copy(asking: Asking) -> Request:
    """Once more in another place."""
    source, target, tokens = asking.thing(), asking.place(), asking.tokens()
    overwrite, deep = asking.flag("overwrite"), asking.flag("deep")
    return Request(
        lambda: asking.drive.copy(source, target, overwrite=overwrite, recursive=deep, tokens=tokens),
        lambda model: model.copy(source, target, tokens, overwrite=overwrite, deep=deep),
    )


def lock(asking: Asking) -> Request:
    """Something that is there, or a name that is not."""
    path, tokens, length = asking.path(), asking.tokens(), asking.draw(seconds)
    shared, infinite = asking.flag("shared"), asking.flag("infinite")
    return Request(
        lambda: asking.drive.lock(path, shared=shared, infinite=infinite, seconds=length, tokens=tokens),
        lambda model: model.lock(path, tokens, exclusive=not shared, infinite=infinite, seconds=length),
    )


def refresh(asking: Asking) -> Request:
    """For longer, or for shorter."""
    path, token, length = asking.locked(), asking.token(), asking.draw(seconds)
    demands = Demands(tokens=frozenset({token}))
    return Request(
        lambda: asking.drive.vault.refresh_lock(VaultPath.parse(path), length, demands),
        lambda model: model.refresh(path, token, length),
    )


def unlock(asking: Asking) -> Request:
    """By any path that the lock covers."""
    path, token = asking.locked(), asking.token()
    return Request(
        lambda: asking.drive.unlock(path, token),
        lambda model: model.unlock(path, token),
    )


REQUESTS: dict[str, Callable[[Asking], Request]] = {
    "PUT": put,
    "MKCOL": mkdir,
    "DELETE": delete,
    "PROPPATCH": patch,
    "MOVE": move,
    "COPY": copy,
    "LOCK": lock,
    "refresh": refresh,
    "UNLOCK": unlock,
}

OTHERS = ["GET", "PROPFIND", "device limited", "expiry", "another setting", "garbage collection"]
"""What changes nothing, or nothing that a client has asked for."""

OFTEN = [*REQUESTS, *OTHERS, "PUT", "LOCK", "LOCK", "LOCK", "MOVE", "COPY", "PROPPATCH"]
"""What a tree and its locks grow by, more often than what they shrink by."""
