"""How a test says that stock WsgiDAV on stock cheroot gets it wrong.

`test_stock_fails.py` runs every test so marked against the stock server and insists that each one fails
there: a test that a broken server passes proves nothing. What both servers do right is not marked.
"""

from __future__ import annotations

from typing import Literal

import pytest


def fault(what: str, *, stock: Literal["fails"] = "fails") -> pytest.MarkDecorator:
    """Mark a test, or one row of a table, with what the stock server does instead."""
    return pytest.mark.fault(what, stock=stock)
