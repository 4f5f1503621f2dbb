"""One authenticated request: who asks, which vault, what it addresses, and the nodes already looked up.

Lives in the WSGI environ from authentication to the last byte; it must never be shared between requests.
Made by `app`; handed to the provider and the methods.
"""

from __future__ import annotations

from collections.abc import Callable

from wsgidav.dav_error import DAVError

from davserver.accounts.watch import Watch
from davserver.dav.body import RequestBody
from davserver.dav.if_header import IfList, State, any_holds, parse_if, submitted
from davserver.dav.uri import Target, parse_destination, parse_target
from davserver.errors import ParentMissing, PreconditionFailed
from davserver.model import Node
from davserver.sending.conditions import Preconditions
from davserver.serving.exchange import Environ
from davserver.vault.moment import NO_DEMANDS, Demands, Look
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault

SCOPE_KEY = "sealdav.scope"
"""Where the environ carries it through WsgiDAV's signatures."""


class _Nothing:
    """The state of what is not in this tree: nobody can know it."""

    node = None

    def is_locked_with(self, _token: str) -> bool:
        return False


NOTHING = _Nothing()

_CONDITIONAL = (
    "HTTP_IF_MATCH",
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_IF_UNMODIFIED_SINCE",
    "HTTP_IF",
)


class RequestScope:
    """What a method works with.

    Attributes:
        environ: the WSGI environ.
        vault: the principal's vault.
        body: the request's body.
        watch: asked between blocks of a long transfer.
        target: what the request target addresses.
        patched_ns: the time of change that PROPPATCH has given to it, if so.

    Raises:
        PathError, NotFound: the request target addresses nothing that can exist.
    """

    def __init__(self, environ: Environ, vault: Vault, body: RequestBody, watch: Watch) -> None:
        self.environ = environ
        self.vault = vault
        self.body = body
        self.watch = watch
        self.target = parse_target(environ["REQUEST_URI"], self.username)
        self.patched_ns: int | None = None
        self._nodes: dict[VaultPath, Node | None] = {}

    @classmethod
    def of(cls, environ: Environ) -> RequestScope:
        """The scope that `app` has put into the environ."""
        scope: RequestScope = environ[SCOPE_KEY]
        return scope

    @property
    def username(self) -> str:
        """Whose vault it is."""
        return self.vault.principal.account.username

    def destination(self) -> Target | None:
        """What the Destination field addresses; None if there is none."""
        value = self.environ.get("HTTP_DESTINATION")
        return None if value is None else self._address(value)

    def node(self, path: VaultPath) -> Node | None:
        """The node at `path`, looked up once a request."""
        if path not in self._nodes:
            self._nodes[path] = self.vault.find(path)
        return self._nodes[path]

    def demands(self, also: Callable[[Node | None], None] | None = None) -> Demands:
        """The client's conditions and lock tokens, for the vault to judge inside its commit.

        Args:
            also: a further condition of the method on what the request addresses.

        Raises:
            DAVError: 400 for a malformed If field.
        """
        if not self._is_conditional and also is None:
            return NO_DEMANDS
        preconditions, lists = Preconditions.of(self.environ), self._if_lists()

        def judge(look: Look) -> None:
            node = look(self.target.path).node
            preconditions.check_write(node)
            self._judge_if(lists, look)
            if also is not None:
                also(node)

        return Demands(judge, submitted(lists))

    def is_unmodified(self, node: Node) -> bool:
        """Judge the client's conditions for GET and HEAD; true asks for 304.

        Raises:
            PreconditionFailed: one does not hold.
        """
        if not self._is_conditional:
            return False
        preconditions, lists = Preconditions.of(self.environ), self._if_lists()
        preconditions.check_current(node)
        if lists:
            self.vault.check(Demands(lambda look: self._judge_if(lists, look)))
        return preconditions.not_modified(node)

    @property
    def _is_conditional(self) -> bool:
        return any(name in self.environ for name in _CONDITIONAL)

    def _if_lists(self) -> tuple[IfList, ...]:
        value = self.environ.get("HTTP_IF")
        return () if value is None else parse_if(value)

    def _judge_if(self, lists: tuple[IfList, ...], look: Look) -> None:
        def state_of(url: str | None) -> State:
            path = self.target.path if url is None else self._address_or_none(url)
            return NOTHING if path is None else look(path)

        if lists and not any_holds(lists, state_of):
            raise PreconditionFailed("the If field does not hold")

    def _address(self, url: str) -> Target:
        return parse_destination(url, self.environ.get("HTTP_HOST", ""), self.username)

    def _address_or_none(self, url: str) -> VaultPath | None:
        """The path of a resource tag; None for one that is not in this tree, whose state cannot be known."""
        try:
            return self._address(url).path
        except (ParentMissing, DAVError):
            return None
