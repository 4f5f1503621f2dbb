"""`davserver.settings`: precedence, places, secrets, and errors that say where and what to do."""

from __future__ import annotations

import os
import tomllib
from ipaddress import ip_network
from pathlib import Path

import pytest

from davserver.cli.config import example
from davserver.errors import ConfigError
from davserver.settings import SERVICE_CONFIG, load_settings, sections

REPOSITORY = Path(__file__).parents[2]
PLACES = ("STATE_DIRECTORY", "LOGS_DIRECTORY", "CREDENTIALS_DIRECTORY", "XDG_DATA_HOME", "XDG_CONFIG_HOME")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting from outside, and an empty folder for home and to be in."""
    for name in os.environ:
        if name.startswith("DAVSERVER_") or name in PLACES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def written(folder: Path, text: str) -> Path:
    """A configuration file."""
    path = folder / "test.toml"
    path.write_text(text, encoding="utf-8")
    return path


# ── precedence
def test_flags_win_over_environment_over_file_over_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each layer hides the one below key by key, not section by section."""
    config = written(tmp_path, '[server]\nport = 1\nthreads = 1\nhost = "a"\n')
    monkeypatch.setenv("DAVSERVER_SERVER__PORT", "2")
    monkeypatch.setenv("DAVSERVER_SERVER__THREADS", "2")
    server = load_settings(config, {"server": {"port": 3}}).server
    assert (server.port, server.threads, server.host, server.idle_seconds) == (3, 2, "a", 30)


def test_the_file_may_be_named_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For units and containers."""
    monkeypatch.setenv("DAVSERVER_CONFIG", str(written(tmp_path, "[server]\nport = 5\n")))
    assert load_settings().server.port == 5


def test_dotted_and_quoted_keys_are_toml_too(tmp_path: Path) -> None:
    """Whatever way TOML offers to write a setting."""
    settings = load_settings(written(tmp_path, 'server.port = 5\n[storage]\n"max_file_size" = "10GiB"\n'))
    assert (settings.server.port, settings.storage.max_file_size) == (5, 10 * 1024**3)


def test_settings_cannot_be_changed() -> None:
    """They are handed to many."""
    settings = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.server.port = 1  # type: ignore[misc]


# ── places
def test_on_a_desktop_places_are_the_platforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG base directories; data and keys apart, and everything else follows the data folder."""
    settings = load_settings()
    assert settings.storage.data_dir == tmp_path / ".local/share/sealdav"
    assert settings.keys.master_key_file == tmp_path / ".config/sealdav/master.key"
    monkeypatch.setenv("XDG_DATA_HOME", "/d")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/c")
    settings = load_settings()
    assert settings.keys.master_key_file == Path("/c/sealdav/master.key")
    assert settings.database_url == "sqlite:////d/sealdav/sealdav.db"
    assert settings.blobs_url == "/d/sealdav/blobs"
    assert settings.log_folder == Path("/d/sealdav/log")


def test_in_a_checkout_places_are_below_it(tmp_path: Path) -> None:
    """`make run` touches nothing outside the checkout; another project's folder is no checkout."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "other"\n')
    assert load_settings().storage.data_dir != tmp_path / "var"
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "sealdav"\n')
    settings = load_settings()
    assert settings.storage.data_dir == tmp_path / "var"
    assert settings.keys.master_key_file == tmp_path / "var-keys/master.key"


def test_as_a_service_places_are_systemds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """State, logs and the credential come from the unit; without a credential the key is in /etc."""
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/sealdav")
    monkeypatch.setenv("LOGS_DIRECTORY", "/var/log/sealdav")
    settings = load_settings()
    assert settings.storage.data_dir == Path("/var/lib/sealdav")
    assert settings.log_folder == Path("/var/log/sealdav")
    assert settings.keys.master_key_file == SERVICE_CONFIG / "master.key"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load_settings().keys.master_key_file == SERVICE_CONFIG / "master.key"
    (tmp_path / "master.key").touch()
    assert load_settings().keys.master_key_file == tmp_path / "master.key"


def test_a_file_in_its_default_place_is_read(tmp_path: Path) -> None:
    """Without being named."""
    folder = tmp_path / ".config/sealdav"
    folder.mkdir(parents=True)
    (folder / "davserver.toml").write_text("[server]\nport = 7\n")
    assert load_settings().server.port == 7


# ── TLS and proxies
def test_networks_may_be_written_in_every_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list in the file, one string with commas or spaces elsewhere; an address is a network of one."""
    config = written(tmp_path, '[server]\ntrusted_proxies = ["10.0.0.0/8", "2001:db8::/32"]\n')
    both = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
    assert load_settings(config).server.trusted_proxies == both
    monkeypatch.setenv("DAVSERVER_SERVER__TRUSTED_PROXIES", "10.0.0.0/8, 2001:db8::/32")
    assert load_settings().server.trusted_proxies == both
    flags = {"server": {"trusted_proxies": "127.0.0.1"}}
    assert load_settings(config, flags).server.trusted_proxies == (ip_network("127.0.0.1/32"),)
    monkeypatch.setenv("DAVSERVER_SERVER__TRUSTED_PROXIES", "")
    assert load_settings(config).server.trusted_proxies == ()


@pytest.mark.parametrize(
    ("public_url", "tls", "https"),
    [
        ("", False, False),
        ("", True, True),
        ("https://dav.example.org", False, True),
        ("http://dav.example.org", False, False),
        ("http://dav.example.org", True, False),
    ],
)
def test_whether_clients_come_by_https(public_url: str, tls: bool, https: bool) -> None:  # noqa: FBT001
    """What the public address says; without one, what is spoken here."""
    files = {"tls_certificate": "a", "tls_key": "b"} if tls else {}
    server = load_settings(flags={"server": {"public_url": public_url, **files}}).server
    assert server.is_https is https


# ── secrets
def test_a_secret_may_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`..._FILE`, and its value is in no representation of the settings."""
    secret = tmp_path / "secret"
    secret.write_text("sqlite:////secret/place.db\n")
    monkeypatch.setenv("DAVSERVER_STORAGE__DATABASE_URL_FILE", str(secret))
    settings = load_settings()
    assert settings.database_url == "sqlite:////secret/place.db"
    assert "secret/place" not in repr(settings)
    assert "secret/place" not in settings.model_dump_json()


def test_only_secrets_come_from_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything else would be an option that nobody documented."""
    monkeypatch.setenv("DAVSERVER_SERVER__PORT_FILE", "/dev/null")
    with pytest.raises(ConfigError, match="DAVSERVER_SERVER__PORT_FILE: no such setting"):
        load_settings()


# ── errors
@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (
            "[server]\nport = 1\nhots = 'a'\n",
            3,
            "server.hots: no such setting; correct the name or remove it",
        ),
        ("\n[servre]\nport = 1\n", 2, "servre: no such setting"),
        ("port = 1\n", 1, "port: no such setting"),
        ("[server]\nport = 'x'\n", 2, "server.port: input should be a valid integer"),
        ("[gc]\n[server]\n\nport = 70000\n", 4, "server.port: input should be less than or equal to 65535"),
        ("server.port = 70000\n", 1, "server.port: input should be less than"),
        ("server = 1\n", 1, "server: a table is expected; write [server]"),
        ("[storage]\ndurability = 'some'\n", 2, "storage.durability: input should be 'full' or 'relaxed'"),
        ("[server]\npublic_url = 'dav.example.org'\n", 2, "server.public_url: string should match"),
        ("[log]\nfolder = ''\n", 2, "log.folder: a path must not be empty"),
        (
            "[server]\ntls_key = 'a'\n",
            2,
            "server.tls_key: tls_certificate and tls_key are set together, but tls_certificate is not",
        ),
        ("[server]\ntls_certificate = 'a'\n", 1, "are set together, but tls_key is not"),
        ("[server]\n\ntrusted_proxies = ['10.0.0.1/8']\n", 3, "a network is written like 10.0.0.0/8"),
        ("[server]\ntrusted_proxies = ['a']\n", 2, "server.trusted_proxies: a network is written like"),
        ("[server]\ntrusted_proxies = [1]\n", 2, "server.trusted_proxies: a network is written like"),
        ("[server]\ntrusted_proxies = 1\n", 2, "server.trusted_proxies: a list of networks is expected"),
        ("[server]\nport = 1\nport = 2\n", 3, "not valid TOML"),
        ("[server]\nhost = 'a\n", 2, "not valid TOML"),
        ("[server\n", 1, "not valid TOML"),
        ("[login]\napp_password_days = 9999\n", 1, "app_password_days is larger than app_password_max_days"),
    ],
)
def test_an_error_in_the_file_names_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    """One line of text: file, line, setting, what is wrong; and never a line that is right."""
    config = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_settings(config)
    message = str(caught.value)
    assert message.startswith(f"{config}:{line}: ")
    assert words in message
    assert ";" in message  # what to do
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DAVSERVER_SERVER__PORT", "x", "server__port: input should be a valid integer"),
        ("DAVSERVER_SERVER__PRT", "1", "server__prt: no such setting"),
        ("DAVSERVER_SERVER__TRUSTED_PROXIES", "[broken", "server__trusted_proxies: a network is written"),
        ("DAVSERVER_SERVER", "1", "server: no such setting"),
        ("DAVSERVER_NOTHING__AT_ALL", "1", "nothing__at_all: no such setting"),
        ("DAVSERVER_STORAGE__DATABASE_URL_FILE", "/nonexistent", "cannot read the file that it names"),
    ],
)
def test_an_error_in_the_environment_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    """A mistyped variable is not ignored either."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"environment variable {name}: ")
    assert words in str(caught.value).lower()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"server": {"port": "x"}}, "flag for server.port: input should be a valid integer"),
        ({"server": {"prt": "1"}}, "flag for server.prt: no such setting"),
        ({"nothing": {"a": "1"}}, "flag for nothing: no such setting"),
    ],
)
def test_an_error_in_a_flag_names_the_flag(flags: dict[str, dict[str, object]], words: str) -> None:
    """Flags are judged like everything else."""
    with pytest.raises(ConfigError, match=words):
        load_settings(flags=flags)


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """Defaults must not silently stand in for what somebody asked for."""
    with pytest.raises(ConfigError, match="cannot read the configuration file"):
        load_settings(tmp_path / "missing.toml")


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    """And not a traceback."""
    path = tmp_path / "test.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_settings(path)


# ── documentation
def test_every_option_is_described() -> None:
    """One sentence each, and a default text where the default depends on the machine."""
    for name, model in sections():
        for key, field in model.model_fields.items():
            assert field.description, f"{name}.{key}"
            assert field.description.endswith("."), f"{name}.{key}"
            assert not field.is_required(), f"{name}.{key}"


def test_the_example_file_is_what_the_program_prints() -> None:
    """`sealdav config show --defaults > config/davserver.example.toml` after every change of the settings."""
    assert (REPOSITORY / "config/davserver.example.toml").read_text(encoding="utf-8") == example()


def test_the_example_file_sets_nothing_and_its_comments_are_the_defaults(tmp_path: Path) -> None:
    """It is loaded as it is, and with every comment removed: both are the defaults."""
    assert load_settings(written(tmp_path, example())) == load_settings()
    lines = [line.removeprefix("#") for line in example().splitlines() if '= "..."' not in line]
    enabled = "\n".join(line for line in lines if not line.startswith(" "))
    assert load_settings(written(tmp_path, enabled)) == load_settings()
    options = [(name, key) for name, table in tomllib.loads(enabled).items() for key in table]
    machine = [("server", "processes"), ("storage", "data_dir"), ("keys", "master_key_file")]
    machine.append(("log", "folder"))
    every = [(name, key) for name, model in sections() for key in model.model_fields]
    assert sorted(options + machine) == sorted(every)


@pytest.mark.parametrize("sender", ["drive@example.org", "drive@nas", "first.last+x@mail.example.org"])
def test_a_sender_is_an_address(sender: str) -> None:
    """As mail servers take it."""
    assert load_settings(flags={"mail": {"host": "mail.example.org", "sender": sender}}).mail.sender == sender


@pytest.mark.parametrize(
    "sender",
    [
        "",
        "@",
        "drive@",
        "@example.org",
        "drive",
        "Sealdav <drive@example.org>",
        "a@example.org, b@example.org",
        "drive@example.org ",
        "(x)drive@example.org",
        "d rive@example.org",
        "dr\u00eeve@example.org",
        "drive@b\u00fccher.example",
        "drive@example.org\nBcc: x@example.org",
        "a@b@example.org",
        "=?utf-8?q?x?=@example.org",
    ],
)
def test_what_is_no_address_sends_no_mails(sender: str) -> None:
    """It is told at the start, not when the first mail is refused."""
    with pytest.raises(ConfigError, match=r"mail\.sender"):
        load_settings(flags={"mail": {"host": "mail.example.org", "sender": sender}})
