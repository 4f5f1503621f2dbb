"""`lockdiscovery` and `supportedlock` (RFC 4918, 15.8 and 15.10), as XML.

Pure. Only locks of the account itself ever reach this place. Called by `lock` and `propfind`.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

from davserver.dav.uri import href
from davserver.vault.locking import ShownLock

NO_LOCKS = "<D:lockdiscovery/>"

SUPPORTED = "".join(
    f"<D:lockentry><D:lockscope><D:{scope}/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>"
    for scope in ("exclusive", "shared")
)
"""The content of `supportedlock`, the same for everything."""


def discovery(locks: Iterable[ShownLock], tree: str) -> str:
    """The property `lockdiscovery`; `tree` is the encoded path of the tree's root as the client sees it."""
    active = "".join(_activelock(shown, tree) for shown in locks)
    return f"<D:lockdiscovery>{active}</D:lockdiscovery>" if active else NO_LOCKS


def _activelock(shown: ShownLock, tree: str) -> str:
    lock, (names, is_collection) = shown.lock, shown.root
    scope = "exclusive" if lock.exclusive else "shared"
    root = escape(href(tree, names, collection=is_collection))
    return (
        f"<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope><D:{scope}/></D:lockscope>"
        f"<D:depth>{'infinity' if lock.infinite else '0'}</D:depth>{lock.owner}"
        f"<D:timeout>Second-{shown.seconds}</D:timeout>"
        f"<D:locktoken><D:href>{lock.token}</D:href></D:locktoken>"
        f"<D:lockroot><D:href>{root}</D:href></D:lockroot></D:activelock>"
    )
