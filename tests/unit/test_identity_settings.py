"""The section `[identity]`: complete or refused, and a keycloak.json as Keycloak's console writes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from davserver.errors import ConfigError
from davserver.settings import IdentitySettings, default_token_file, load_settings

ISSUER = "https://id.example.test/realms/example"
SECRET = "not to be seen"
FROM_CONSOLE: dict[str, object] = {
    "realm": "example",
    "auth-server-url": "https://id.example.test/",
    "ssl-required": "external",
    "resource": "sealdav",
    "credentials": {"secret": SECRET},
    "confidential-port": 0,
}
COMPLETE: dict[str, object] = {
    "provider": "keycloak",
    "issuer": ISSUER,
    "client_id": "sealdav",
    "client_secret": SECRET,
}


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No configuration file of the checkout is read."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def loaded(**values: object) -> IdentitySettings:
    """The section with these values."""
    return load_settings(flags={"identity": values}).identity


def console_file(folder: Path, **changes: object) -> str:
    """A downloaded file."""
    path = folder / "keycloak.json"
    path.write_text(json.dumps({**FROM_CONSOLE, **changes}), encoding="utf-8")
    return str(path)


def test_built_in_accounts_are_the_default() -> None:
    """Nothing has to be set."""
    assert loaded().provider == "local"


def test_the_file_from_the_console_is_enough(tmp_path: Path) -> None:
    """Issuer, name and secret are read from it."""
    found = loaded(provider="keycloak", keycloak_json=console_file(tmp_path))
    assert (found.issuer, found.client_id) == (ISSUER, "sealdav")
    assert found.client_secret.get_secret_value() == SECRET


def test_an_old_path_of_keycloak(tmp_path: Path) -> None:
    """With or without "/auth" and the slash at the end."""
    path = console_file(tmp_path, **{"auth-server-url": "https://id.example.test/auth"})
    assert loaded(provider="keycloak", keycloak_json=path).issuer == (
        "https://id.example.test/auth/realms/example"
    )


def test_what_is_set_wins_over_the_file(tmp_path: Path) -> None:
    """An empty setting is none."""
    path = console_file(tmp_path)
    found = loaded(provider="keycloak", keycloak_json=path, client_id="other", issuer="")
    assert (found.issuer, found.client_id) == (ISSUER, "other")


def test_no_client_for_terminals() -> None:
    """To leave its name empty is to let none of its tokens in, and not to leave it out."""
    assert not loaded(**COMPLETE, cli_client_id="").cli_client_id
    assert loaded(**COMPLETE).cli_client_id == "dav-cli"


def test_the_secret_may_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named in the configuration or in the environment; the line's end is no part of it."""
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n", encoding="utf-8")
    without = {name: value for name, value in COMPLETE.items() if name != "client_secret"}
    assert loaded(**without, client_secret_file=str(path)).client_secret.get_secret_value() == SECRET
    monkeypatch.setenv("DAVSERVER_IDENTITY__CLIENT_SECRET_FILE", str(path))
    assert loaded(**without).client_secret.get_secret_value() == SECRET


def test_the_secret_is_not_shown() -> None:
    """Nor is it in what is printed of the settings."""
    assert SECRET not in repr(loaded(**COMPLETE))


@pytest.mark.parametrize("missing", ["issuer", "client_id", "client_secret"])
def test_keycloak_needs_all_three(missing: str) -> None:
    """Said at the start, not at the first sign-in."""
    with pytest.raises(ConfigError, match="keycloak_json"):
        loaded(**{**COMPLETE, missing: ""})


@pytest.mark.parametrize(
    "issuer",
    [
        "http://id.example.test/realms/example",
        "http://127.0.0.1.example.test/realms/example",
        "ftp://127.0.0.1/realms/example",
        "https://id.example.test/",
        "https://id.example.test/realms/example/",
        "https://id.example.test/realms/example?x",
        "id.example.test/realms/example",
    ],
)
def test_issuers_that_are_refused(issuer: str) -> None:
    """Over a line that others can write to, anybody could sign in as anybody; and it must be a realm's."""
    with pytest.raises(ConfigError, match=r"identity"):
        loaded(**{**COMPLETE, "issuer": issuer})


@pytest.mark.parametrize("host", ["127.0.0.1:8180", "localhost:8180", "[::1]:8180"])
def test_on_this_machine_http_will_do(host: str) -> None:
    """For trying it out."""
    assert host in loaded(**{**COMPLETE, "issuer": f"http://{host}/realms/sealdav"}).issuer


@pytest.mark.parametrize(
    "changes",
    [
        {"credentials": {}},  # a public client
        {"credentials": "secret"},
        {"realm": None, "auth-server-url": None},
        {"resource": 5},
    ],
)
def test_files_that_will_not_do(tmp_path: Path, changes: dict[str, object]) -> None:
    """The message names the setting and holds nothing of the file."""
    with pytest.raises(ConfigError, match="identity") as raised:
        loaded(provider="keycloak", keycloak_json=console_file(tmp_path, **changes))
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '"text"'])
def test_files_that_are_something_else(tmp_path: Path, text: str) -> None:
    """The same."""
    path = tmp_path / "keycloak.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="keycloak_json"):
        loaded(provider="keycloak", keycloak_json=str(path))


@pytest.mark.parametrize("setting", ["keycloak_json", "client_secret_file"])
def test_files_that_are_not_there(tmp_path: Path, setting: str) -> None:
    """It says which."""
    with pytest.raises(ConfigError, match="missing"):
        loaded(**{**COMPLETE, setting: str(tmp_path / "missing")})


# ── tokens on the drive
def test_our_own_second_factor_is_the_default() -> None:
    """For twelve hours, with the client of the example realm."""
    found = loaded(**COMPLETE)
    assert (found.second_factor, found.second_factor_hours, found.cli_client_id) == ("own", 12, "dav-cli")


def test_keycloaks_second_factor_has_to_be_named() -> None:
    """What it calls a sign-in with both factors differs from realm to realm: nothing is assumed."""
    with pytest.raises(ConfigError, match="required_acr"):
        loaded(**COMPLETE, second_factor="keycloak")
    assert loaded(**COMPLETE, second_factor="keycloak", required_acr="mfa").required_acr == "mfa"


def test_built_in_accounts_have_no_other_second_factor() -> None:
    """There is nobody who could ask for it."""
    with pytest.raises(ConfigError, match="second_factor"):
        loaded(second_factor="keycloak", required_acr="mfa")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("second_factor", "either"), ("second_factor_hours", 0), ("second_factor_hours", 169)],
)
def test_other_second_factors_are_refused(setting: str, value: object) -> None:
    """Never either, never for ever."""
    with pytest.raises(ConfigError, match=setting):
        loaded(**COMPLETE, **{setting: value})


def test_where_tokens_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """XDG Base Directory 0.8: the folder for state."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert default_token_file() == tmp_path / ".local/state/sealdav/token.json"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert default_token_file() == tmp_path / "state/sealdav/token.json"


def test_one_missed_answer_shuts_nobody_out() -> None:
    """Keycloak is asked at least twice within the time for which its word counts."""
    assert (loaded().poll_seconds, loaded().confirm_seconds) == (15, 55)
    assert loaded(poll_seconds=30, confirm_seconds=60).confirm_seconds == 60
    with pytest.raises(ConfigError, match="poll_seconds"):
        loaded(poll_seconds=31, confirm_seconds=60)
