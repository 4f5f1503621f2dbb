"""What every command shares: the settings it runs with, a hardened process, and opened services.

Called by the commands, which get it from Typer's context.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from davserver.audit import log_to_file, log_to_terminal
from davserver.bootstrap import Services, StoreState, build_services, check_storage, store_state
from davserver.errors import ConfigError
from davserver.settings import Settings, load_settings

UMASK = 0o077

Flags = dict[str, dict[str, object]]


@dataclass(slots=True)
class Session:
    """One run of the command line.

    Attributes:
        config: the file that `--config` named.
        flags: settings given on the command line, by section and key.
    """

    config: Path | None = None
    flags: Flags = field(default_factory=dict)

    def override(self, section: str, **values: object) -> None:
        """Let flags of a command win over file and environment; None is "not given"."""
        given = {key: value for key, value in values.items() if value is not None}
        if given:
            self.flags.setdefault(section, {}).update(given)

    def settings(self) -> Settings:
        """Load and check all options."""
        return load_settings(self.config, self.flags)

    @contextmanager
    def services(self, *, create: bool = False, quiet: bool = True) -> Iterator[Services]:
        """Open the store, log to its file, close it afterwards.

        Args:
            create: make database, folders and master key if there are none yet.
            quiet: show only warnings on the terminal.
        """
        harden()
        settings = self.settings()
        log_to_terminal("warning" if quiet else settings.log.level)
        if not create and store_state(settings) is not StoreState.READY:
            raise ConfigError(
                f"there is no store in {settings.storage.data_dir}: run `sealdav init`, or set storage.data_dir"
            )
        check_storage(settings)
        services = build_services(settings)
        try:
            log_to_file(settings.log_folder, max_bytes=settings.log.max_size, keep=settings.log.keep)
            yield services
        finally:
            services.close()


def harden() -> None:
    """Nothing that this process makes is open to others; a crash leaves no memory image with keys in it."""
    os.umask(UMASK)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def parse_assignment(text: str) -> tuple[str, str, str]:
    """Section, key and value of `section.key=value`.

    Raises:
        ConfigError: it has another shape.
    """
    name, equals, value = text.partition("=")
    section, dot, key = name.partition(".")
    if not (equals and dot and section and key):
        raise ConfigError(f"--set {name}: write it as --set section.key=value")
    return section, key, value
