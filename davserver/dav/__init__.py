"""The WebDAV door: WsgiDAV's resource model over the vault, its request handling replaced."""
