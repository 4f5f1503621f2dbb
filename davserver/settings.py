"""Every option once: typed, defaulted, documented. A TOML file < the environment < flags of the command line.

This is the only reader of the environment and of the configuration file; it opens neither stores nor keys.
`davserver.cli` loads it once and hands it to `davserver.bootstrap`; nothing below ever sees it.

Environment: `DAVSERVER_SECTION__KEY`; a secret may come from a file named by `DAVSERVER_SECTION__KEY_FILE`.
`DAVSERVER_CONFIG` names the TOML file. The places of systemd units (`$STATE_DIRECTORY`, `$LOGS_DIRECTORY`,
`$CREDENTIALS_DIRECTORY`) and of desktops (`$XDG_DATA_HOME`, `$XDG_CONFIG_HOME`) are honoured.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from davserver.errors import ConfigError
from davserver.urls import is_private

ENV_PREFIX = "DAVSERVER_"
ENV_DELIMITER = "__"
ENV_CONFIG = "DAVSERVER_CONFIG"
SERVICE_DATA = Path("/var/lib/sealdav")
SERVICE_CONFIG = Path("/etc/sealdav")
CONFIG_NAME = "davserver.toml"
MASTER_KEY_NAME = "master.key"
TOKEN_NAME = "token.json"  # noqa: S105 - the name of a file

MAX_PROCESSES = 8
"""Unless asked for, no more processes than this serve: one writes to the database at a time."""

Tables = dict[str, Any]
"""Sections of a TOML file."""


def _not_empty(value: object) -> object:
    if value == "":
        raise ValueError("a path must not be empty")
    return value


def _networks(value: object) -> object:
    """The list is one string in the environment and on the command line."""
    entries = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(entries, list | tuple):
        raise ValueError("a list of networks is expected")  # noqa: TRY004 - what pydantic reports
    try:
        return tuple(ip_network(str(entry)) for entry in entries)
    except ValueError:
        raise ValueError("a network is written like 10.0.0.0/8 or 2001:db8::/32") from None


Folder = Annotated[Path, BeforeValidator(_not_empty)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]
Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[int, Field(ge=1)]


# ── places ──────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Places:
    """Where things lie unless a setting says otherwise; data and keys never share a folder.

    Attributes:
        data: database, blobs, and logs below it.
        keys: the folder of the master key.
        config: the configuration file that is read if it exists.
    """

    data: Path
    keys: Path
    config: Path


def default_places() -> Places:
    """The service's places under systemd or beside its file in /etc, a checkout's, else the platform's."""
    service = SERVICE_CONFIG / CONFIG_NAME
    if state := os.environ.get("STATE_DIRECTORY"):
        return Places(Path(state.split(":")[0]), SERVICE_CONFIG, service)
    if _is_checkout(Path.cwd()):
        here = Path.cwd()
        return Places(here / "var", here / "var-keys", here / "config" / CONFIG_NAME)
    if service.is_file():
        return Places(SERVICE_DATA, SERVICE_CONFIG, service)
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "sealdav"
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "sealdav"
    return Places(data, config, config / CONFIG_NAME)


def default_token_file() -> Path:
    """Where `sealdav token` keeps what it was given: the user's folder for state (XDG Base Directory 0.8)."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "sealdav" / TOKEN_NAME


def is_journal(descriptor: int) -> bool:
    """Whether what is written there is kept by systemd's journal (systemd.exec(5), $JOURNAL_STREAM)."""
    try:
        found = os.fstat(descriptor)
    except OSError:  # it is closed
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def notify_socket() -> str:
    """Where the service manager that started this process wants to be told how it is; "" if there is none."""
    return os.environ.get("NOTIFY_SOCKET", "")


def watchdog_seconds() -> float:
    """How long this process may be silent before the service manager ends it; 0 if it does not watch."""
    meant_for = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    text = os.environ.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isdecimal() and meant_for == str(os.getpid()) else 0.0


def _is_checkout(folder: Path) -> bool:
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(project.get("project", {}).get("name") == "sealdav")


def _master_key_file() -> Path:
    credential = Path(os.environ.get("CREDENTIALS_DIRECTORY", "")) / MASTER_KEY_NAME
    if "CREDENTIALS_DIRECTORY" in os.environ and credential.is_file():
        return credential
    return default_places().keys / MASTER_KEY_NAME


def _unit_log_folder() -> Path | None:
    logs = os.environ.get("LOGS_DIRECTORY")
    return Path(logs.split(":")[0]) if logs else None


def _one_a_core() -> int:
    """Of those that this process may run on."""
    return min(len(os.sched_getaffinity(0)), MAX_PROCESSES)


# ── sections ────────────────────────────────────────────────────────────────────────────────────────────────
class Section(BaseModel):
    """One table of the TOML file. An unknown key is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class ServerSettings(Section):
    """The listening socket and how requests are run."""

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on. Anything but loopback needs TLS: here, or in a proxy in front.",
    )
    port: Port = Field(8080, description="TCP port; 0 takes a free one and prints it.")
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^/\s?#]+)?$",
        description='Scheme and host that clients use, like "https://dav.example.org"; empty: as listened.',
    )
    tls_certificate: str = Field(
        "", description="PEM file of the TLS certificate and its chain; empty: plain http is spoken."
    )
    tls_key: str = Field("", description="PEM file of the certificate's key, readable by its owner only.")
    plain_http: bool = Field(
        default=False,
        description="Speak plain http with the network too: anybody on the way reads passwords and files.",
    )
    trusted_proxies: Networks = Field(
        (),
        description='Networks of reverse proxies whose X-Forwarded-* is believed, like ["127.0.0.1/32"].',
    )
    processes: Annotated[int, Field(ge=1, le=64)] = Field(
        default_factory=_one_a_core,
        description="Processes that serve requests; 1 does without one that looks after the others.",
        json_schema_extra={"default_text": "one a processor core, at most 8"},
    )
    threads: Annotated[int, Field(ge=1, le=1024)] = Field(
        32, description="Requests that are worked on at once in each process."
    )
    connections_per_address: Positive = Field(
        512, description="Connections that one address may have; trusted proxies are not counted."
    )
    idle_seconds: Positive = Field(
        30, description="How long a silent connection is kept, and one read or write may stall."
    )
    stop_seconds: Annotated[int, Field(ge=0)] = Field(
        30, description="How long running requests may finish after SIGTERM before they are cut off."
    )

    @field_validator("tls_key")
    @classmethod
    def _both_or_none(cls, key: str, info: ValidationInfo) -> str:
        certificate = info.data.get("tls_certificate", "")
        if bool(key) is not bool(certificate):
            missing = "tls_certificate" if key else "tls_key"
            raise ValueError(f"tls_certificate and tls_key are set together, but {missing} is not")
        return key

    @property
    def is_https(self) -> bool:
        """Whether clients come by https: to this server, or to a proxy in front of it."""
        return bool(self.tls_certificate) if not self.public_url else self.public_url.startswith("https:")


class StorageSettings(Section):
    """Where accounts' files lie, encrypted."""

    data_dir: Folder = Field(
        default_factory=lambda: default_places().data,
        description="Folder of the database and the encrypted files.",
        json_schema_extra={
            "default_text": "./var in a checkout, /var/lib/sealdav as a service, else the user's data folder"
        },
    )
    database_url: SecretStr = Field(
        SecretStr(""),
        description="sqlite:////absolute/path of the database; empty: sealdav.db in the data folder.",
    )
    blobs_url: str = Field(
        "",
        description="Absolute path or URL (file:, memory:) of encrypted files; empty: in the data folder.",
    )
    durability: Literal["full", "relaxed"] = Field(
        "full",
        description='An answered write survives: "full" a power failure, "relaxed" a crash of the process.',
    )
    hashes: Literal["auto", "always"] = Field(
        "auto",
        description='Keep SHA-1 of files (encrypted): "auto" for clients that compare it, or "always".',
    )
    md5: bool = Field(
        default=True,
        description="Keep the MD5 as well: of the two, `rclone check` compares only this one.",
    )
    inline_limit: ByteSize = Field(
        ByteSize(64 * 1024),
        ge=0,
        le=64 * 1024,
        description="Files up to this many bytes are stored in the database.",
    )
    max_file_size: ByteSize = Field(
        ByteSize(1024**4), ge=1, le=1024**4, description='Largest file in bytes; "10GiB" is understood too.'
    )
    max_locks: Positive = Field(
        20_000,
        description="Write locks that one account may hold; davfs2 holds one for each file still to upload.",
    )

    @property
    def digests(self) -> frozenset[str]:
        """Which digests are kept, if any are: "SHA1", "MD5"."""
        return frozenset({"SHA1", "MD5"} if self.md5 else {"SHA1"})

    @property
    def always_hashed(self) -> frozenset[str]:
        """Which digests are kept of every file."""
        return self.digests if self.hashes == "always" else frozenset()


class KeySettings(Section):
    """The master key; back it up apart from the data folder."""

    master_key_file: Folder = Field(
        default_factory=_master_key_file,
        description="File of the master key, readable by its owner only, outside the data folder.",
        json_schema_extra={
            "default_text": "master.key in systemd credentials, ./var-keys, /etc/sealdav or the config folder"
        },
    )


class LoginSettings(Section):
    """App passwords and one-time codes."""

    app_password_days: Positive = Field(
        365, description="How long an app password is valid unless asked otherwise."
    )
    app_password_max_days: Positive = Field(3650, description="The longest validity that may be asked for.")
    app_passwords_per_account: Positive = Field(
        20, description="Live app passwords that one account may have."
    )
    totp_fresh_minutes: Positive = Field(
        5, description="How long after a one-time code an app password may be issued."
    )
    totp_pending_minutes: Positive = Field(
        10, description="How long an enrolment waits for its first one-time code."
    )

    @model_validator(mode="after")
    def _default_within_maximum(self) -> Self:
        if self.app_password_days > self.app_password_max_days:
            raise ValueError("app_password_days is larger than app_password_max_days")
        return self


class IdentitySettings(Section):
    """Who knows people: this server itself ("local"), or a Keycloak."""

    provider: Literal["local", "keycloak"] = Field(
        "local", description='"local": built-in accounts; "keycloak": people sign in there.'
    )
    keycloak_json: str = Field(
        "",
        description="File keycloak.json of the client, from Keycloak's console: issuer, name and secret.",
    )
    issuer: str = Field(
        "",
        pattern=r"^(https?://[^\s?#]+/realms/[^\s/?#]+)?$",
        description='The realm, like "https://id.example.org/realms/example"; https, or on this machine.',
    )
    client_id: str = Field("", description="What this server is called in the realm.")
    client_secret: SecretStr = Field(SecretStr(""), description="The client's secret.")
    client_secret_file: str = Field("", description="File that holds the client's secret instead.")
    ca_bundle: str = Field(
        "", description="PEM file of who vouches for Keycloak's certificate; empty: those of the system."
    )
    former_issuer: str = Field(
        "",
        pattern=r"^(https?://[^\s?#]+/realms/[^\s/?#]+)?$",
        description="What the issuer was called before the realm moved; its people keep their accounts.",
    )
    post_logout_url: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="Where people land after signing out; registered in the client. Empty: the first page.",
    )
    clock_skew_seconds: Annotated[int, Field(ge=0, le=300)] = Field(
        30, description="How far Keycloak's clock and this server's may be apart."
    )
    confirm_seconds: Annotated[int, Field(ge=20, le=300)] = Field(
        55, description="Nothing is served to whom Keycloak has not confirmed for so long."
    )
    poll_seconds: Annotated[int, Field(ge=1, le=120)] = Field(
        15, description="How often Keycloak is asked who of the people at work was disabled or deleted."
    )
    on_password_reset: Literal["ignore", "suspend"] = Field(
        "ignore",
        description='A new password in Keycloak: "ignore"; "suspend" devices until both factors were proved.',
    )
    cli_client_id: str = Field(
        "dav-cli",
        description="The public client that `sealdav token` signs in with; empty: its tokens open nothing.",
    )
    second_factor: Literal["own", "keycloak"] = Field(
        "own", description='Who asks for the second factor: "own": this server; "keycloak": Keycloak.'
    )
    second_factor_hours: Annotated[int, Field(ge=1, le=168)] = Field(
        12, description="How long after the second factor Keycloak's tokens open the drive."
    )
    required_acr: str = Field(
        "",
        description='What Keycloak calls a sign-in with both factors (acr); for second_factor "keycloak".',
    )

    @model_validator(mode="before")
    @classmethod
    def _from_files(cls, values: object) -> object:
        """What the files say, below what is set outright."""
        if not isinstance(values, dict):
            return values
        told: Tables = {}
        if values.get("keycloak_json"):
            told |= _keycloak_json(str(values["keycloak_json"]))
        if values.get("client_secret_file"):
            told["client_secret"] = _text_of(str(values["client_secret_file"])).strip()
        return {**told, **{key: value for key, value in values.items() if value != "" or key not in told}}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.poll_seconds * 2 > self.confirm_seconds:
            raise ValueError("poll_seconds is more than half of confirm_seconds: one answer must not be all")
        if self.second_factor == "keycloak" and (self.provider == "local" or not self.required_acr):
            raise ValueError('second_factor "keycloak" needs the provider "keycloak" and required_acr')
        if self.provider == "local":
            return self
        if not (self.issuer and self.client_id and self.client_secret.get_secret_value()):
            raise ValueError(
                "keycloak needs issuer, client_id and client_secret, or a keycloak_json that holds them"
            )
        if not is_private(self.issuer):
            raise ValueError("the issuer must be https: whoever reads the line could sign in as anybody")
        return self


def _keycloak_json(name: str) -> Tables:
    """The settings that a keycloak.json stands for, as Keycloak's console writes it."""
    try:
        found = json.loads(_text_of(name))
        return {
            "issuer": f"{found['auth-server-url'].rstrip('/')}/realms/{found['realm']}",
            "client_id": found["resource"],
            "client_secret": found["credentials"]["secret"],
        }
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError):
        raise ValueError(
            "keycloak_json is not the keycloak.json of a confidential client with a secret: download it again"
        ) from None


def _text_of(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"the file {name} cannot be read") from None


class SiteSettings(Section):
    """The pages that people see in a browser."""

    idle_minutes: Positive = Field(15, description="How long a signed-in browser may be silent.")
    session_hours: Positive = Field(
        12, description="How long after the sign-in a session ends at the latest."
    )
    keep_days: Positive = Field(
        90, description="How long addresses and clients of app passwords' last use are kept."
    )
    language: str = Field(
        "en",
        description="Language of mails, and of pages for browsers that ask for none there is: en, de.",
    )


class AuditSettings(Section):
    """The audit log: who signed in, failed, was given or lost what, and who has read it."""

    keep_days: Annotated[int, Field(ge=0)] = Field(
        400,
        description="How long entries are kept; their addresses as long as site.keep_days. 0: for ever.",
    )


class MailSettings(Section):
    """Notices to people by mail: a new device, a new app password, use from a new network."""

    host: str = Field("", description="SMTP server; empty: no mail is sent.")
    port: Port = Field(587, description="Its TCP port.")
    starttls: bool = Field(default=True, description="Speak TLS before anything else is said; false: never.")
    user: str = Field("", description="Name to sign in with; empty: without.")
    password: SecretStr = Field(SecretStr(""), description="Password to sign in with.")
    sender: str = Field("", description='Address that mails come from, like "drive@example.org".')

    @field_validator("sender")
    @classmethod
    def _needed_with_a_host(cls, sender: str, info: ValidationInfo) -> str:
        if (sender or info.data.get("host")) and not _is_address(sender):
            raise ValueError('sender is needed with host: one address alone, like "drive@example.org"')
        return sender


def _is_address(text: str) -> bool:
    """Whether mails can come from it as it is: an address (RFC 5322, 3.4.1) and nothing around it."""
    try:
        found = Address(addr_spec=text)
    except (ValueError, IndexError, MessageError):
        return False
    return text.isascii() and found.addr_spec == text and bool(found.domain)


class LogSettings(Section):
    """The structured log file beside the readable log on the terminal."""

    folder: Folder | None = Field(
        default_factory=_unit_log_folder,
        description="Folder of app.log.",
        json_schema_extra={"default_text": "systemd's log folder, else log in the data folder"},
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least important message that is logged."
    )
    max_size: ByteSize = Field(
        ByteSize(10 * 1024**2), ge=64 * 1024, description="app.log is rotated at this many bytes."
    )
    keep: Annotated[int, Field(ge=1, le=1000)] = Field(5, description="How many rotated files are kept.")


class GcSettings(Section):
    """Collection of encrypted files that nothing refers to any more."""

    interval_minutes: Annotated[int, Field(ge=0)] = Field(
        60, description="How often `serve` collects; 0 is never."
    )
    grace_minutes: Annotated[int, Field(ge=0)] = Field(
        1440,
        description="How long something must have been unreferenced, or an upload silent, to be removed.",
    )


class HistorySettings(Section):
    """Trash and previous versions: they count in the quota, and give way to whatever is written."""

    keep_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        30, description="How long it is kept; 0: DELETE and overwriting are final."
    )
    max_share: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="How much of an account's quota it may take, if there is one; the oldest goes first."
    )
    max_versions: Annotated[int, Field(ge=0, le=1000)] = Field(
        50, description="How many previous versions of one file are kept."
    )


class UploadSettings(Section):
    """What a browser has uploaded in part: it counts in the quota until it is finished or given up."""

    keep_days: Annotated[int, Field(ge=1, le=365)] = Field(
        7, description="How long it waits for somebody to go on with it."
    )


class Settings(BaseSettings):
    """All options, validated and immutable."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
        extra="forbid",
        frozen=True,
        validate_default=True,
    )

    server: ServerSettings = Field(default_factory=ServerSettings)
    storage: StorageSettings = Field(default_factory=StorageSettings)
    keys: KeySettings = Field(default_factory=KeySettings)
    login: LoginSettings = Field(default_factory=LoginSettings)
    identity: IdentitySettings = Field(default_factory=IdentitySettings)
    site: SiteSettings = Field(default_factory=SiteSettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    mail: MailSettings = Field(default_factory=MailSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    gc: GcSettings = Field(default_factory=GcSettings)
    history: HistorySettings = Field(default_factory=HistorySettings)
    uploads: UploadSettings = Field(default_factory=UploadSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_settings` merged: it has to know from where each value came, for its messages."""
        return (init_settings,)

    @property
    def database_url(self) -> str:
        """Where the database is."""
        default = f"sqlite:///{self.storage.data_dir.absolute() / 'sealdav.db'}"
        return self.storage.database_url.get_secret_value() or default

    @property
    def blobs_url(self) -> str:
        """Where encrypted files are."""
        return self.storage.blobs_url or str(self.storage.data_dir.absolute() / "blobs")

    @property
    def log_folder(self) -> Path:
        """Where app.log is written."""
        return self.log.folder or self.storage.data_dir / "log"


# ── loading ─────────────────────────────────────────────────────────────────────────────────────────────────


def load_settings(
    config: Path | None = None, flags: Mapping[str, Mapping[str, object]] | None = None
) -> Settings:
    """Read file and environment once and merge them with `flags` (section -> key -> value).

    Raises:
        ConfigError: on one line, what is wrong, where (file and line, variable or flag), and what to do.
    """
    path = _config_file(config)
    text = _read(path) if path else ""
    from_file = _parse(path, text) if path else {}
    from_environment = _environment()
    from_flags: Tables = {section: dict(values) for section, values in (flags or {}).items()}
    try:
        return Settings(**_merged(_merged(from_file, from_environment), from_flags))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = _origin(problem["loc"], from_flags, from_environment, path, text)
        raise ConfigError(f"{where}: {_advice(problem)}") from None


def _config_file(asked: Path | None) -> Path | None:
    named = asked or (Path(os.environ[ENV_CONFIG]) if os.environ.get(ENV_CONFIG) else None)
    if named is not None:
        return named
    default = default_places().config
    return default if default.is_file() else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot read the configuration file ({error.strerror}); check --config"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8; save the configuration file as UTF-8 text") from None


def _parse(path: Path, text: str) -> Tables:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        number = line.group(1) if line else str(len(text.rstrip().splitlines()))
        reason = re.sub(r" \(at .*\)$", "", str(error))
        raise ConfigError(f"{path}:{number}: not valid TOML ({reason}); correct this line") from None


def _environment() -> Tables:
    """Values of `DAVSERVER_SECTION__KEY` and `..._FILE`; a variable that no option has is an error."""
    secrets: list[tuple[str, str, str]] = []
    for name in os.environ:
        if not name.startswith(ENV_PREFIX) or name == ENV_CONFIG:
            continue
        section, key = _option_of(name)
        if _known(section, key):
            continue
        if not (key.endswith("_file") and _is_secret(section, key.removesuffix("_file"))):
            raise ConfigError(
                f"environment variable {name}: no such setting; `sealdav config show` lists all of them"
            )
        secrets.append((name, section, key))
    tables: Tables = EnvSettingsSource(Settings)()
    for name, section, key in secrets:
        tables[section].pop(key)
        tables[section][key.removesuffix("_file")] = _secret_from(name, Path(os.environ[name]))
    return tables


def _option_of(variable: str) -> tuple[str, str]:
    section, _, key = variable.removeprefix(ENV_PREFIX).lower().partition(ENV_DELIMITER)
    return section, key


def sections() -> Iterator[tuple[str, type[Section]]]:
    """Every section's name and model, in the order of the file."""
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield name, field.annotation


def _known(section: str, key: str) -> bool:
    return any(name == section and key in model.model_fields for name, model in sections())


def _is_secret(section: str, key: str) -> bool:
    return _known(section, key) and dict(sections())[section].model_fields[key].annotation is SecretStr


def _secret_from(variable: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            f"environment variable {variable}: cannot read the file that it names; check it"
        ) from None


def _merged(lower: Tables, upper: Tables) -> Tables:
    """`upper` wins, key by key; a section that is not a table is left for validation to refuse."""
    result = dict(lower)
    for name, values in upper.items():
        below = result.get(name, {})
        result[name] = {**below, **values} if isinstance(below, dict) and isinstance(values, dict) else values
    return result


# ── messages ────────────────────────────────────────────────────────────────────────────────────────────────
def _origin(
    loc: tuple[int | str, ...], flags: Tables, environment: Tables, path: Path | None, text: str
) -> str:
    section, key = str(loc[0]), str(loc[1]) if len(loc) > 1 else ""
    if key in flags.get(section, {}) or (not key and section in flags):
        return f"flag for {section}.{key}".rstrip(".")
    if key in environment.get(section, {}):
        return f"environment variable {ENV_PREFIX}{section.upper()}{ENV_DELIMITER}{key.upper()}"
    line = _line_of(text, section, key)
    return (
        f"{path}:{line}: {section}.{key}".rstrip(".")
        if path and line
        else f"setting {section}.{key}".rstrip(".")
    )


def _line_of(text: str, section: str, key: str) -> int | None:
    """The line of `key` in `[section]`, else of the section's header or its dotted form."""
    header: int | None = None
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if match := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            table = match.group(1).strip("\"'")
            header = number if table == section and header is None else header
        name = line.partition("=")[0].strip().strip("\"'") if "=" in line else None
        if (
            name is not None
            and key
            and ((table == section and name == key) or (not table and name == f"{section}.{key}"))
        ):
            return number
        if name == section and not table:
            header = number
    return header


def _advice(problem: ErrorDetails) -> str:
    if problem["type"] == "extra_forbidden":
        return "no such setting; correct the name or remove it (`sealdav config show` lists all of them)"
    if problem["type"] == "model_type":
        return f"a table is expected; write [{problem['loc'][0]}] on a line of its own, its settings below"
    reason = problem["msg"].removeprefix("Value error, ")
    return f"{reason[:1].lower()}{reason[1:]}; correct the value".replace("\n", " ")
