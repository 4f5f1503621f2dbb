"""Sealdav: a WebDAV server that keeps every account's files encrypted at rest."""

__version__ = "0.1.0"
