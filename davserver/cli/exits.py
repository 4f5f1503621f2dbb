"""Exit codes, and which error leads to which. Scripts rely on the numbers: never give one another meaning."""

from __future__ import annotations

from enum import IntEnum

from davserver.errors import (
    AuthenticationError,
    ConfigError,
    DavserverError,
    MasterKeyError,
    NotPermitted,
    StorageUnavailable,
)


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    """What was asked for could not be done, or `verify` found something altered."""
    USAGE = 2
    """The command line is wrong, or a question had nobody to answer it."""
    CONFIG = 3
    """A setting is missing, unknown or wrong; a port in use; a folder that cannot be used."""
    MASTER_KEY = 4
    """The master key is missing, unreadable or not the one of this database."""
    STORAGE = 5
    """Database or file store cannot be reached, or there is no space left."""
    REFUSED = 6
    """A password or a one-time code was wrong, came too often, or does not permit this."""


_BY_ERROR: tuple[tuple[type[DavserverError], ExitCode], ...] = (
    (MasterKeyError, ExitCode.MASTER_KEY),
    (ConfigError, ExitCode.CONFIG),
    (StorageUnavailable, ExitCode.STORAGE),
    (AuthenticationError, ExitCode.REFUSED),
    (NotPermitted, ExitCode.REFUSED),
    (DavserverError, ExitCode.FAILED),
)


def exit_code(error: DavserverError) -> ExitCode:
    """The code for an error: that of its most special class in the table."""
    return next(code for kind, code in _BY_ERROR if isinstance(error, kind))
