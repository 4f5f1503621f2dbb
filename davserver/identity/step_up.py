"""Keycloak's own second factor, where it takes the place of ours (docs/adr/0019): what a token has to say.

All three, in the token itself. `acr` alone says too little: Keycloak gives it to somebody who has only just
set an authenticator up, and ignores what is asked for in realms that do not know it. Used by `keycloak` for
the site and by `accounts/second_factor.py` for the drive.
"""

from __future__ import annotations

from dataclasses import dataclass

from davserver.identity.base import Identity

ONE_TIME_CODE = "otp"
"""What `amr` calls a one-time code (RFC 8176, 2)."""


@dataclass(frozen=True, slots=True)
class StepUp:
    """What is demanded.

    Attributes:
        acr: the name that the realm gives to a sign-in with both factors.
        max_age: how long such a sign-in counts, in seconds.
        clock_skew: how far the provider's clock and ours may be apart, in seconds.
    """

    acr: str
    max_age: int
    clock_skew: int

    def is_met(self, identity: Identity, now: int) -> bool:
        """Whether both factors were proved there, not long before `now` (seconds since the Unix epoch)."""
        return (
            identity.acr == self.acr
            and ONE_TIME_CODE in identity.amr
            and -self.clock_skew <= now - identity.auth_time <= self.max_age
        )
