"""`sealdav config check|show`: the options as they are, or as they would be.

It must never show a secret. The example in config/ is what `show --defaults` prints; a test compares them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from davserver.bootstrap import store_state
from davserver.cli.session import Session
from davserver.cli.tls import tls_certificate
from davserver.settings import Settings, sections

MASKED = "(hidden)"

HEADER = """\
# Every option of Sealdav with its default. Remove the "#" of a line to change it.
# The environment wins over this file: DAVSERVER_SECTION__KEY, for example DAVSERVER_SERVER__PORT=8443;
# a secret may be in a file of its own: DAVSERVER_SECTION__KEY_FILE. The command line wins over both:
# sealdav --set server.port=8443 serve
# `sealdav config check` judges the result, `sealdav config show` prints it.
"""

app = typer.Typer(help="Settings.", no_args_is_help=True)


@app.command()
def check(context: typer.Context) -> None:
    """Say whether every setting is known and valid, and TLS can be spoken; touches no store."""
    session: Session = context.obj
    settings = session.settings()
    store_state(settings)
    tls_certificate(settings.server)
    typer.echo("the settings are valid")


@app.command()
def show(
    context: typer.Context,
    defaults: Annotated[bool, typer.Option("--defaults", help="Print an example file instead.")] = False,
) -> None:
    """Print every option with its value, as a TOML file; secrets are hidden."""
    session: Session = context.obj
    typer.echo(example() if defaults else "\n".join(_effective(session.settings())), nl=False)


def example() -> str:
    """A file with every option commented out at its default."""
    return HEADER + "".join(f"{line}\n" for line in _lines(None))


def _effective(settings: Settings) -> Iterator[str]:
    yield from _lines(settings)
    yield ""


def _lines(settings: Settings | None) -> Iterator[str]:
    for name, model in sections():
        yield ""
        yield f"# {(model.__doc__ or '').splitlines()[0]}"
        yield f"[{name}]"
        for key, field in model.model_fields.items():
            yield f"# {field.description}"
            yield (
                _commented(key, field)
                if settings is None
                else f"{key} = {_toml(_value(settings, name, key))}"
            )


def _value(settings: Settings, section: str, key: str) -> object:
    """What is in force; the folder of the log depends on another option."""
    return (
        settings.log_folder
        if (section, key) == ("log", "folder")
        else getattr(getattr(settings, section), key)
    )


def _commented(key: str, field: FieldInfo) -> str:
    """The default as a comment; one that depends on the machine is described."""
    extra = field.json_schema_extra
    if isinstance(extra, dict):
        return f'#{key} = "..."  # default: {extra["default_text"]}'
    default = field.default
    value = default.get_secret_value() if isinstance(default, SecretStr) else default
    return f"#{key} = {_toml(value)}"


def _toml(value: object) -> str:
    if isinstance(value, SecretStr):
        value = MASKED if value.get_secret_value() else ""
    return json.dumps(value, ensure_ascii=False, default=str)  # paths and networks are text
