"""What every command shares: its settings, a hardened process, opened services, and the log.

Called by the commands, which get it from Typer's context.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from davserver.audit import TERMINAL, log_to_file, log_to_terminal
from davserver.bootstrap import Services, StoreState, build_services, store_state
from davserver.clock import Clock
from davserver.errors import ConfigError
from davserver.settings import Settings, load_settings
from davserver.vault.orders import Orders

UMASK = 0o077


@dataclass(slots=True)
class Session:
    """One run of the command line.

    Attributes:
        clock: what tells the time.
        config: the file that `--config` named.
        flags: settings given on the command line, by section and key.
        orders: made once, so that the processes that are forked for one server have the same.
    """

    clock: Clock
    config: Path | None = None
    flags: dict[str, dict[str, object]] = field(default_factory=dict)
    orders: Orders = field(default_factory=Orders)

    def override(self, section: str, **values: object) -> None:
        """Let flags win over environment and file; None is "not given"."""
        given = {key: value for key, value in values.items() if value is not None}
        if given:
            self.flags.setdefault(section, {}).update(given)

    def settings(self) -> Settings:
        """Load and check all options."""
        return load_settings(self.config, self.flags)

    @contextmanager
    def services(
        self,
        *,
        level: str = "error",
        create: bool = False,
        needs_space: bool = True,
        is_current: bool = False,
        actor: str = TERMINAL,
    ) -> Iterator[Services]:
        """Open the store and the log; close both afterwards.

        Args:
            level: least important message that the terminal shows.
            create: make database, folders and master key where there is no database.
            needs_space: refuse to begin on a full disk.
            is_current: the process that this one comes from has just opened the store.
            actor: who acts, for the audit log, where nobody is named.
        """
        settings = self.prepare(level=level, create=create)
        services = build_services(
            settings,
            clock=self.clock,
            needs_space=needs_space,
            is_current=is_current,
            actor=actor,
            said=_in_mails(settings),
            orders=self.orders,
        )
        try:
            log_in_folder(settings)
            yield services
        finally:
            services.close()

    def prepare(self, *, level: str = "error", create: bool = False) -> Settings:
        """What comes before the store is opened; arguments as `services`."""
        harden()
        log_to_terminal(level)
        settings = self.settings()
        if not create and store_state(settings) is not StoreState.READY:
            raise ConfigError(
                f"no store in {settings.storage.data_dir}: run `sealdav init`, or set storage.data_dir"
            )
        return settings


def _in_mails(settings: Settings) -> Callable[[str], str]:
    """Says a text in the language of the mails; without a mail server no catalogue is read."""
    if not settings.mail.host:
        return str
    from enroll_web.catalogues import in_language, our_catalogues  # noqa: PLC0415 - most commands need none

    return in_language(our_catalogues(), settings.site.language).texts.gettext


def log_in_folder(settings: Settings) -> None:
    """Write the log where the settings say."""
    log_to_file(
        settings.log_folder,
        level=settings.log.level,
        max_bytes=settings.log.max_size,
        keep=settings.log.keep,
    )


def harden() -> None:
    """Nothing that this process makes is open to others; a crash leaves no image of memory behind."""
    os.umask(UMASK)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
