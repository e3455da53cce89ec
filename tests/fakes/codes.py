"""Codes of an authenticator app, as they are asked for one after the other."""

import time

import pyotp


class Codes:
    """Of an authenticator app, each once (bridge/console/totp.py): two of them wait for no clock.

    The first is the one before now, unless that would be too old when it arrives; then the next that counts. `given`:
    those that were asked for.
    """

    def __init__(self, secret):
        self._app, self._last, self.given = pyotp.TOTP(secret), 0, []

    def next(self):
        step, within_s = divmod(time.time(), 30)
        self._last = max(self._last + 1, int(step) - (within_s < 25))
        self.given.append(self._app.generate_otp(self._last))
        return self.given[-1]
