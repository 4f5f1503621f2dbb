"""The encrypted format EWD1 (docs/format.md): keys, blobs, names, metadata, tokens.

Pure: bytes in, bytes out. It must never read a clock, a setting, a file or a socket.
Called by `keyring`, `vault` and `accounts`.
"""
