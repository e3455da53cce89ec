"""Codes that change every 30 seconds (RFC 6238), by pyotp: SHA-1, six digits, what every authenticator app knows.

Pure but for random bytes.
"""

import base64
import hmac
import secrets

import pyotp

STEP_S, DIGITS = 30, 6
AROUND = 1
"""Steps before and after the one that is now, whose codes are taken too: clocks differ, and typing takes time."""
SECRET_BYTES = 20
ISSUER = "sipbridge"


def new_secret() -> str:
    """160 random bits (RFC 4226, section 4) as base32."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def uri(secret: str, user: str, host: str) -> str:
    """What an authenticator app reads from the picture. `host`: tells this bridge from others in its list."""
    return pyotp.TOTP(secret).provisioning_uri(name=user, issuer_name=f"{ISSUER} {host}" if host else ISSUER)


def grouped(secret: str) -> str:
    """The secret for who types it."""
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))


def step_of(secret: str, code: str, now: float, last: int) -> int | None:
    """The time step that this code is of, if it is one about now and after `last`; None: it is wrong, or was used."""
    here, made = int(now) // STEP_S, pyotp.TOTP(secret)
    found = None
    for step in range(
        max(here - AROUND, 0), here + AROUND + 1
    ):  # all of them: how long it takes says nothing
        right = hmac.compare_digest(made.generate_otp(step).encode(), code.encode("utf-8", "replace"))
        if right and step > last and found is None:
            found = step
    return found
