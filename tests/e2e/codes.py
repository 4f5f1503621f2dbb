"""One-time codes as people type them: each once. Used by the people of the end-to-end tests."""

from __future__ import annotations

import time
from collections.abc import Callable

import pyotp

STEP_SECONDS = 30
"""How long a code is shown."""

TYPING_SECONDS = 10
"""How long a code that was shown before the present one must still be good for to be worth typing."""


class Codes:
    """The codes of one authenticator.

    The code before the present one is still good, so they begin with that, and two can be had without a wait.
    For another one it is waited, as people do.

    Args:
        clock: what time it is, in seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._used = 0

    def next(self, app: pyotp.TOTP) -> str:
        """A code that is good now and was not used."""
        step, gone = divmod(self._clock(), STEP_SECONDS)
        earliest = int(step) - (gone < STEP_SECONDS - TYPING_SECONDS)
        self._used = max(earliest, self._used + 1)
        while self._clock() < self._used * STEP_SECONDS:
            time.sleep(0.1)  # The clock on the wall: there is nothing else to wait on.
        return app.generate_otp(self._used)
