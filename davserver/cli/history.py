"""`sealdav trash list|restore|purge`, `sealdav versions list|restore|purge`: what was deleted or overwritten.

Each asks for both factors (`sign_in.py`): administrators see no file, nor the names of any. Its owner gets
back here what the site would give back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from pydantic import ByteSize

from davserver.cli.console import Console, Usage
from davserver.cli.options import Json, Name, PasswordStdin
from davserver.cli.session import Session
from davserver.cli.sign_in import prove_owner
from davserver.clock import SECOND_NS, from_seconds
from davserver.errors import CorruptRow, NotFound
from davserver.model import ID_BYTES, FileVersion, NodeId, TrashEntry
from davserver.vault.history import TRASH_PAGE
from davserver.vault.paths import VaultPath, lookup_form
from davserver.vault.service import Vault

Place = Annotated[str, typer.Argument(metavar="PATH", help="The file, like /letters/draft.odt.")]
What = Annotated[
    str, typer.Argument(metavar="ID|PATH", help="From `trash list`, or where it was; then the latest of it.")
]
VersionId = Annotated[
    str | None, typer.Argument(metavar="ID", help="From `versions list`; without one it is the latest.")
]
All = Annotated[bool, typer.Option("--all", help="All of them.")]

trash = typer.Typer(help="What was deleted, until it is removed for good.", no_args_is_help=True)
versions = typer.Typer(help="What a file was before it was overwritten.", no_args_is_help=True)


@contextmanager
def _opened(
    context: typer.Context, name: str, console: Console, *, needs_space: bool = True
) -> Iterator[Vault]:
    """The vault of somebody who has just proved to be its owner; whatever makes room needs none."""
    session: Session = context.obj
    with session.services(needs_space=needs_space) as services:
        yield services.vaults.open(prove_owner(services, console, name))


# ── the trash ───────────────────────────────────────────────────────────────────────────────────────────────
@trash.command("list")
def list_trash(
    context: typer.Context, name: Name, password_stdin: PasswordStdin = False, as_json: Json = False
) -> None:
    """List what is in the trash, the latest first."""
    console = Console(as_json=as_json, secrets_from_stdin=password_stdin)
    with _opened(context, name, console) as vault:
        for entry in _entries(vault, console):
            where = _where(entry) + "/" * entry.node.is_collection
            console.result(
                {
                    "id": entry.id.hex(),
                    "path": _where(entry),
                    "folder": entry.node.is_collection,
                    "bytes": entry.bytes,
                    "deleted_at": _moment(entry.deleted_ns),
                },
                f"{entry.id.hex()}  {_minute(entry.deleted_ns)}  {_size(entry.bytes):>8}  {where}",
            )


@trash.command("restore")
def restore_from_trash(  # noqa: PLR0913, PLR0917 - typer wants it like this
    context: typer.Context,
    name: Name,
    what: What,
    to: Annotated[
        str | None, typer.Option(metavar="PATH", help="Where to; without it to where it was.")
    ] = None,
    password_stdin: PasswordStdin = False,
    as_json: Json = False,
) -> None:
    """Bring something back from the trash, with everything that was in it."""
    console = Console(as_json=as_json, secrets_from_stdin=password_stdin)
    target = None if to is None else VaultPath.parse(to)
    with _opened(context, name, console) as vault:
        restored = vault.restore(_chosen(vault, console, what), target)
        console.result(
            {"id": restored.node.id.hex(), "path": str(restored.path)}, f"{restored.path} is there again"
        )


@trash.command("purge")
def purge_from_trash(  # noqa: PLR0913, PLR0917 - typer wants it like this
    context: typer.Context,
    name: Name,
    what: Annotated[str | None, typer.Argument(metavar="[ID|PATH]", help="As for `trash restore`.")] = None,
    everything: All = False,
    password_stdin: PasswordStdin = False,
    as_json: Json = False,
) -> None:
    """Remove something from the trash for good, or all that is in it."""
    console = Console(as_json=as_json, secrets_from_stdin=password_stdin)
    if (what is None) != everything:
        raise Usage("say what to remove: an id, a path, or --all")
    with _opened(context, name, console, needs_space=False) as vault:
        if what is None:
            gone = vault.empty_trash()
            count, freed = gone.count, gone.bytes
            _tell_altered(console, gone.altered)
        else:
            count, freed = 1, vault.purge(_chosen(vault, console, what))
        _tell_gone(console, count, freed)


def _entries(vault: Vault, console: Console) -> Iterator[TrashEntry]:
    """All of them that open; in the end it is told how many do not."""
    after, altered = None, list[CorruptRow]()
    while True:
        page = vault.trash(after=after, altered=altered.append)
        yield from page
        if len(page) < TRASH_PAGE:
            break
        after = page[-1].position
    _tell_altered(console, len(altered))


def _chosen(vault: Vault, console: Console, what: str) -> NodeId:
    """The entry that is meant: by its id, or the latest that was at a path, as `trash list` shows that."""
    node_id = _id(what)
    if node_id is not None:
        return node_id
    wanted = _as_found(VaultPath.parse(what.removesuffix("/")).parts)
    found = [entry for entry in _entries(vault, console) if entry.path and _as_found(entry.path) == wanted]
    if not found:
        raise NotFound("nothing in the trash was there: see `sealdav trash list`")
    return max(found, key=lambda entry: entry.deleted_ns).id


def _as_found(names: Iterable[str]) -> tuple[str, ...]:
    """Names however they are spelled: a Mac types others than most devices store."""
    return tuple(map(lookup_form, names))


def _where(entry: TrashEntry) -> str:
    return "/" + "/".join(entry.path) if entry.path else entry.node.name


# ── previous versions ───────────────────────────────────────────────────────────────────────────────────────
@versions.command("list")
def list_versions(
    context: typer.Context,
    name: Name,
    path: Place,
    password_stdin: PasswordStdin = False,
    as_json: Json = False,
) -> None:
    """List what a file was before, the latest first."""
    console = Console(as_json=as_json, secrets_from_stdin=password_stdin)
    at = VaultPath.parse(path)
    with _opened(context, name, console) as vault:
        for one in vault.versions(at):
            console.result(
                {
                    "id": one.id.hex(),
                    "bytes": one.node.size,
                    "modified_at": _moment(one.node.modified_ns),
                    "replaced_at": _moment(one.replaced_ns),
                },
                f"{one.id.hex()}  until {_minute(one.replaced_ns)}  {_size(one.node.size):>8}",
            )


@versions.command("restore")
def restore_version(  # noqa: PLR0913, PLR0917 - typer wants it like this
    context: typer.Context,
    name: Name,
    path: Place,
    version: VersionId = None,
    password_stdin: PasswordStdin = False,
    as_json: Json = False,
) -> None:
    """Give a file back what it was before; what it is now is kept in turn."""
    console = Console(as_json=as_json, secrets_from_stdin=password_stdin)
    at = VaultPath.parse(path)
    with _opened(context, name, console) as vault:
        node = vault.restore_version(at, _version(vault, at, version))
        console.result(
            {"path": str(at), "bytes": node.size, "modified_at": _moment(node.modified_ns)},
            f"{at} is as it was: {_size(node.size)}, of {_minute(node.modified_ns)}",
        )


@versions.command("purge")
def purge_versions(  # noqa: PLR0913, PLR0917 - typer wants it like this
    context: typer.Context,
    name: Name,
    path: Place,
    version: Annotated[str | None, typer.Argument(metavar="[ID]", help="From `versions list`.")] = None,
    everything: All = False,
    password_stdin: PasswordStdin = False,
    as_json: Json = False,
) -> None:
    """Remove a previous version of a file for good, or all of them; the file stays."""
    console = Console(as_json=as_json, secrets_from_stdin=password_stdin)
    if (version is None) != everything:
        raise Usage("say what to remove: an id, or --all")
    at = VaultPath.parse(path)
    with _opened(context, name, console, needs_space=False) as vault:
        if version is None:
            gone = vault.purge_versions(at)
            count, freed = gone.count, gone.bytes
        else:
            count, freed = 1, vault.purge_version(at, _version(vault, at, version))
        _tell_gone(console, count, freed)


def _version(vault: Vault, path: VaultPath, version: str | None) -> NodeId:
    if version is not None:
        return _id(version) or _missing()
    found: list[FileVersion] = vault.versions(path)
    return found[0].id if found else _missing()


def _missing() -> NodeId:
    raise NotFound("there is no such version of this file")


# ── words ───────────────────────────────────────────────────────────────────────────────────────────────────
def _tell_gone(console: Console, count: int, freed: int) -> None:
    console.result({"removed": count, "bytes": freed}, f"removed {count}, {_size(freed)} are free")


def _tell_altered(console: Console, count: int) -> None:
    """Nobody can say what they are; nothing removes them."""
    if count:
        console.note(f"left out, since the database was altered: {count}; `sealdav verify` names them")


def _id(text: str) -> NodeId | None:
    """The id that the text is, if it is one."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        return None
    return NodeId(found) if len(found) == ID_BYTES else None


def _size(count: int) -> str:
    return ByteSize(count).human_readable()


def _moment(nanoseconds: int) -> str:
    return from_seconds(nanoseconds // SECOND_NS).isoformat()


def _minute(nanoseconds: int) -> str:
    return f"{from_seconds(nanoseconds // SECOND_NS):%Y-%m-%d %H:%M}"
