"""Collections that this process has opened on the way to something, kept for the next request.

What is kept is a fact about one account at one version of its structure, which rises whenever a collection
is moved or deleted. It must never be used at another version, nor for more than the way: who asks for a
collection itself gets it from the database. Holds names as plain text, in memory only. Called by `tree.py`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from davserver.model import AccountId, Node, NodeId
from davserver.vault.paths import lookup_form

MAX_ENTRIES = 10_000
"""Collections that are kept."""

MAX_BYTES = 8 * 1024 * 1024
"""Memory that they may take, about."""

ENTRY_BYTES = 700
"""What a collection takes besides its name: a node, its ids, the key, and its place in the table."""

CHARACTER_BYTES = 8
"""What a character of a name may take: up to four bytes, in the node and in the key."""

ITSELF = ""
"""Under this name, which nothing can have, a collection is kept that is the root of a device."""

_Key = tuple[AccountId, int, NodeId, str]


class Directories:
    """Collections by account, version of its structure, parent and name; may be shared by threads."""

    def __init__(self, *, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._kept: OrderedDict[_Key, Node] = OrderedDict()
        self._bytes = 0
        self._latest: OrderedDict[AccountId, int] = OrderedDict()
        self._lock = threading.Lock()

    def latest(self, account_id: AccountId) -> int | None:
        """The newest version at which something of the account was kept: a guess at what it is now."""
        return self._latest.get(account_id)

    def walk(self, account_id: AccountId, version: int, start: NodeId, names: Sequence[str]) -> list[Node]:
        """The collections that `names` lead through from the collection `start`, as far as they are kept.

        None at a version other than the latest: a counter that was turned back brings nothing old to light.
        """
        found: list[Node] = []
        with self._lock:
            for name in names if version == self._latest.get(account_id) else ():
                key = (account_id, version, start, lookup_form(name))
                node = self._kept.get(key)
                if node is None:
                    break
                self._kept.move_to_end(key)
                found.append(node)
                start = node.id
        return found

    def keep(self, account_id: AccountId, version: int, parent: NodeId, name: str, node: Node) -> None:
        """Remember what `name` leads to; of what was last used longest ago, some may be forgotten.

        At a version that is older than the latest there is nothing to remember: it will not come again.
        """
        key = (account_id, version, parent, lookup_form(name))
        with self._lock:
            if version < self._latest.get(account_id, version):
                return
            self._latest[account_id] = version
            self._latest.move_to_end(account_id)
            if key not in self._kept:
                self._bytes += _size(key)
            self._kept[key] = node
            self._kept.move_to_end(key)
            self._shrink()

    def forget(self, account_id: AccountId) -> None:
        """Forget all of an account: what is kept was found to be wrong."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == account_id]:
                del self._kept[key]
                self._bytes -= _size(key)
            self._latest.pop(account_id, None)

    def _shrink(self) -> None:
        while len(self._kept) > self._max_entries or self._bytes > self._max_bytes:
            key, _ = self._kept.popitem(last=False)
            self._bytes -= _size(key)
        if len(self._latest) > self._max_entries:
            self._latest.popitem(last=False)


def _size(key: _Key) -> int:
    return ENTRY_BYTES + CHARACTER_BYTES * len(key[3])
