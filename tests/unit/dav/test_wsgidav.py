"""What WsgiDAV itself may ask of its provider, resources and domain controller."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial

import pytest
from wsgidav.dav_error import DAVError

from davserver.accounts.watch import Watch
from davserver.dav.body import RequestBody
from davserver.dav.domain_controller import REALM
from davserver.dav.provider import VaultProvider
from davserver.dav.resources import CollectionResource, FileResource
from davserver.dav.scope import SCOPE_KEY, RequestScope
from davserver.serving.exchange import Environ
from tests.factories import make_principal
from tests.unit.dav.door import Door


@pytest.fixture
def environ(door: Door) -> Environ:
    """A request of Alice's, inside of which WsgiDAV asks."""
    account = door.world.accounts.find("alice")
    principal = make_principal(account, door.world.clock)
    vault = door.vaults.open(principal)
    environ: Environ = {
        "REQUEST_URI": "/dav/",
        "wsgi.input": io.BytesIO(),
        "wsgidav.provider": VaultProvider(),
    }
    environ[SCOPE_KEY] = RequestScope(environ, vault, RequestBody(environ), Watch(lambda: True))
    return environ


def test_provider_finds_resources_by_decoded_path(door: Door, environ: Environ) -> None:
    """A file, a collection with its members, and None where nothing is."""
    door.ask("MKCOL", "a b")
    door.put("a b/c%d", b"12345")
    provider = environ["wsgidav.provider"]
    file = provider.get_resource_inst("/a b/c%d", environ)
    assert isinstance(file, FileResource)
    assert (file.get_content_length(), file.support_etag(), file.get_display_name()) == (5, True, "c%d")
    collection = provider.get_resource_inst("/a b", environ)
    assert isinstance(collection, CollectionResource)
    assert collection.get_member_names() == ["c%d"]
    assert provider.get_resource_inst("/missing", environ) is None


def test_hooks_for_writing_are_forbidden(door: Door, environ: Environ) -> None:
    """Nothing can be written past the vault's own transaction, whoever calls the hooks."""
    door.put("file")
    provider = environ["wsgidav.provider"]
    root, file = provider.get_resource_inst("/", environ), provider.get_resource_inst("/file", environ)
    writes: list[Callable[[], object]] = [
        partial(root.create_collection, "x"),
        partial(root.create_empty_resource, "x"),
        root.delete,
        file.begin_write,
    ]
    for write in writes:
        with pytest.raises(DAVError) as caught:
            write()
        assert caught.value.value == 403


def test_nobody_is_anonymous_and_digest_is_off(door: Door) -> None:
    """WsgiDAV opens a share for which its domain controller does not ask for a credential."""
    controller = door.app.domain_controller
    assert controller.require_authentication(REALM, None)
    assert controller.get_domain_realm("/", None) == REALM
    assert not controller.supports_http_digest_auth()
