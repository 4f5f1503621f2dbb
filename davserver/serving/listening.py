"""The listening socket: made once, before any fork, so that every process of a server accepts from one queue.

Called by `server`, and by `davserver.cli` where several processes share it.
"""

from __future__ import annotations

import errno
import socket

from davserver.errors import ConfigError

BACKLOG = 1024
"""Connections that the kernel holds until they are accepted."""


def listen(host: str, port: int) -> socket.socket:
    """Listen on a TCP address; accepting from the socket never waits.

    Args:
        host: name or address; "::" takes IPv4 as well.
        port: 0 takes a free one.

    Raises:
        ConfigError: it cannot be listened on; says what to do.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        dual = family == socket.AF_INET6 and host == "::"
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG, dualstack_ipv6=dual)
    except OSError as error:
        raise ConfigError(_advice(host, port, error)) from None
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.settimeout(0)  # another process may be quicker: then there is nothing to accept any more
    return listener


def address_of(listener: socket.socket) -> tuple[str, int]:
    """Host and port that are listened on."""
    host, port = listener.getsockname()[:2]
    return str(host), int(port)


def _advice(host: str, port: int, error: OSError) -> str:
    where = f"cannot listen on {host} port {port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where}: the port is in use; stop the other program or set another server.port (--port)"
    if error.errno == errno.EACCES:
        return f"{where}: not permitted; set server.port (--port) to 1024 or more"
    return f"{where}: not an address of this machine; set server.host (--host)"
