"""LOCK, its refresh, and UNLOCK (RFC 4918, 9.10 and 9.11): each one transaction.

Called by `Vault`. What a lock is, with its limits, is in `locks.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from davserver.db.engine import Transaction
from davserver.errors import LimitExceeded, LockConflict, NoSuchLock, NotPermitted, TooMany
from davserver.model import Lock, NodeId, Scope
from davserver.vault.access import Access
from davserver.vault.locks import (
    MAX_OWNER_BYTES,
    MAX_SECONDS,
    MAX_SHARED,
    LockCodec,
    Wanted,
)
from davserver.vault.moment import NO_DEMANDS, Demands, Moment, Root
from davserver.vault.paths import VaultPath
from davserver.vault.tree import Trail, existing, place_of
from davserver.vault.upload import place_empty


@dataclass(frozen=True, slots=True)
class ShownLock:
    """A lock, where it begins, and how many seconds are left of it."""

    lock: Lock
    root: Root
    seconds: int


@dataclass(frozen=True, slots=True)
class Granted:
    """The outcome of a LOCK: `created` if it made an empty file."""

    shown: ShownLock
    created: bool


@dataclass(frozen=True, slots=True)
class LocksHere:
    """The locks on a resource, and those that begin at its members."""

    covering: tuple[ShownLock, ...]
    of_members: dict[NodeId, tuple[Lock, ...]]
    now: int


def grant(access: Access, path: VaultPath, wanted: Wanted, demands: Demands) -> Granted:
    """Lock what is at `path`; make an empty file there if there is nothing (RFC 4918, 9.10.4).

    Raises:
        LockConflict: another lock is in the way.
        Locked: there is nothing yet, and the collection's members are locked.
        LimitExceeded, TooMany, ParentMissing, PreconditionFailed, NotPermitted.
    """
    access.require(Scope.LOCK)
    if len(wanted.owner.encode()) > MAX_OWNER_BYTES:
        raise LimitExceeded(
            "the owner of a lock must not be longer than %(most)s bytes", most=MAX_OWNER_BYTES
        )
    codec = LockCodec(access.key, access.keyring)
    with access.write() as tx:
        moment = Moment(access, tx)
        trail = moment.trail(path)
        if trail.node is None:
            place_of(trail)
            access.require(Scope.WRITE)
        below = moment.look(trail, tops=[trail] if wanted.infinite else [])
        moment.judge(demands)
        in_the_way = [
            lock for lock in (*moment.covering(trail), *below) if wanted.exclusive or lock.exclusive
        ]
        if in_the_way:
            raise LockConflict("it is locked already", moment.roots(in_the_way))
        _require_room(access, tx, moment, trail)
        node = trail.node or place_empty(access, tx, moment, path, demands)
        row = codec.new_row(node.id, wanted, now=access.now())
        tx.locks.insert(row)
        tx.commit()
    shown = ShownLock(codec.open_lock(row), (path.parts, node.is_collection), wanted.seconds)
    return Granted(shown, created=trail.node is None)


def refresh(access: Access, path: VaultPath, seconds: int, demands: Demands) -> ShownLock:
    """Let a lock last `seconds` from now on: the one among the submitted tokens that covers `path`.

    Raises:
        NoSuchLock: none does.
        NotFound, PreconditionFailed, NotPermitted.
    """
    access.require(Scope.LOCK)
    codec, seconds = LockCodec(access.key, access.keyring), min(seconds, MAX_SECONDS)
    with access.write() as tx:
        moment = Moment(access, tx)
        trail = moment.trail(path)
        existing(trail)
        lock = _held(moment, trail, demands.tokens)
        moment.judge(demands)
        rows = tx.locks.find(access.account_id, [lock.node_id], now=access.now())
        row = next(one for one in rows if one.lock_id == lock.id)
        changed = codec.refreshed(row, access.now() + seconds)
        tx.locks.replace(changed, expected_version=row.version)
        root = moment.root_of(lock)
        tx.commit()
    return ShownLock(codec.open_lock(changed), root, seconds)


def release(access: Access, path: VaultPath, token: str, demands: Demands = NO_DEMANDS) -> None:
    """Give a lock back; the empty file that it has made goes with it if nothing was put there.

    Args:
        access: the opened vault.
        path: anything that the lock covers.
        token: its token.
        demands: the client's conditions.

    Raises:
        NoSuchLock: it does not cover `path`.
        NotFound, NotPermitted, PreconditionFailed.
    """
    access.require(Scope.LOCK)
    with access.write() as tx:
        moment = Moment(access, tx)
        trail = moment.trail(path)
        existing(trail)
        moment.judge(demands)
        lock = _held(moment, trail, frozenset({token}))
        tx.locks.delete(access.account_id, [lock.id])
        access.tree.drop_if_lock_born(tx, lock.node_id)
        tx.commit()


def locks_here(
    access: Access, tx: Transaction, moment: Moment, path: VaultPath, *, members: bool
) -> LocksHere:
    """The locks that `lockdiscovery` shows of a resource and, if asked, of its members (RFC 4918, 15.8)."""
    codec, now = LockCodec(access.key, access.keyring), access.now()
    of_members: dict[NodeId, tuple[Lock, ...]] = {}
    trail = moment.trail(path)
    moment.look(trail)
    covering = tuple(
        ShownLock(lock, moment.root_of(lock), lock.expires_at - now) for lock in moment.covering(trail)
    )
    if members and trail.node is not None:
        for lock in map(codec.open_lock, tx.locks.of_children(access.account_id, trail.node.id, now=now)):
            of_members[lock.node_id] = (*of_members.get(lock.node_id, ()), lock)
    return LocksHere(covering, of_members, now)


def sweep(access: Access, lock_ids: list[bytes], node_ids: set[NodeId]) -> None:
    """Remove expired locks, and the empty files that lived by them. Called by garbage collection.

    A lock that was refreshed since it was found expired stays: its holder was told so.
    """
    with access.write() as tx:
        tx.locks.delete(access.account_id, lock_ids, expired_at=access.now())
        for node_id in node_ids:
            access.tree.drop_if_lock_born(tx, node_id)
        tx.commit()


def _held(moment: Moment, trail: Trail, tokens: frozenset[str]) -> Lock:
    """The lock that is meant; one that begins above a device's folder is not the device's to change."""
    moment.look(trail)
    for lock in moment.covering(trail):
        if lock.token in tokens:
            if moment.begins_outside(lock):
                raise NotPermitted("the lock begins outside of what this app password reaches")
            return lock
    raise NoSuchLock("the lock token does not match a lock on this resource")


def _require_room(access: Access, tx: Transaction, moment: Moment, trail: Trail) -> None:
    if len(moment.rooted_at(trail)) >= MAX_SHARED:
        raise TooMany("a resource must not have more than %(most)s locks", most=MAX_SHARED)
    most = access.limits.max_locks
    if tx.locks.count(access.account_id, now=access.now()) >= most:
        raise TooMany("an account must not have more than %(most)s locks", most=most)
