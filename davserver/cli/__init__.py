"""The command `sealdav`: the one package above both doors; only it knows the site and draws QR codes."""

from davserver.cli.commands import main

__all__ = ["main"]
