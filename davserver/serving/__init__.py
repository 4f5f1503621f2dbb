"""Any WSGI application over HTTP/1.1, on cheroot's threads, with framing to the letter of RFC 9112."""
