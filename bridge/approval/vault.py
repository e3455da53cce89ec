"""Small secrets that have to be read again, kept in the database so that the database alone does not give them away.

AES-256-GCM under a key that HKDF-SHA-256 (RFC 5869) makes of the node's decision key, which lies in a file or comes
from outside (bridge/keys.py). What a secret belongs to is authenticated with it: a row that is copied to another's
name does not open. Uses `cryptography`. Pure but for random bytes.
"""

import base64
import binascii
import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bridge.errors import StoreError

NONCE_BYTES = 12
_CLOSING, _TELLING = b"sipbridge: secrets in the store, 1", b"sipbridge: digests in the store, 1"


class Vault:
    """`key`: the decision key (32 bytes)."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(_derived(key, _CLOSING))
        self._telling = _derived(key, _TELLING)

    def closed(self, secret: bytes, owner: str) -> str:
        """As it is kept. `owner`: whose it is."""
        nonce = os.urandom(NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, secret, owner.encode())).decode()

    def opened(self, kept: str, owner: str) -> bytes:
        """What was closed. StoreError: it was changed, is another's, or was closed under another key."""
        try:
            raw = base64.b64decode(kept, validate=True)
            return self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], owner.encode())
        except (InvalidTag, ValueError, binascii.Error):
            raise StoreError(
                "a second factor cannot be read with this decision key: an admin resets it, and it is set up again"
            ) from None

    def digest(self, words: str, owner: str) -> bytes:
        """What tells these words from others and, without the key, cannot be guessed from (HMAC-SHA-256)."""
        return hmac.new(self._telling, f"{owner}\0{words}".encode(), hashlib.sha256).digest()


def _derived(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(key)
