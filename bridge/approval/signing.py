"""Keys that are not in the database: one signs the audit chain, one seals decisions on their way to control.

Ed25519 (RFC 8032) and HMAC-SHA-256. Both lie in `state_dir/keys`, made at the first use, readable by the bridge's own
account only; whoever can write the database but not read them can neither forge a decision nor mend a chain they broke.
Uses `cryptography`. Files only.
"""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bridge.errors import StoreError

AUDIT_KEY, AUDIT_PUBLIC, DECISION_KEY = "audit.key", "audit.pub", "decisions.key"
KEY_BYTES = 32


class Signer:
    """The private key of the audit chain. `key_id` names it; the public half lies beside it as hex (audit.pub)."""

    def __init__(self, folder: Path) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret(folder / AUDIT_KEY))
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_id, self.public = key_id(public), public.hex()
        path = folder / AUDIT_PUBLIC
        known = path.read_text(encoding="ascii").split() if path.exists() else []
        if public.hex() not in known:
            path.write_text("\n".join([*known, public.hex()]) + "\n", encoding="ascii")

    def sign(self, text: str) -> str:
        """The signature as hex."""
        return self._key.sign(text.encode()).hex()


class Verifier:
    """Public keys, one hex line each, as in audit.pub, and `more` of them. Raises StoreError when there is none."""

    def __init__(self, path: Path, more: Iterable[str] = ()) -> None:
        try:
            lines = [*path.read_text(encoding="ascii").split(), *more]
            keys = [bytes.fromhex(line) for line in lines]
            self._keys = {key_id(raw): Ed25519PublicKey.from_public_bytes(raw) for raw in keys}
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} holds no public key: {error}") from error
        if not self._keys:
            raise StoreError(f"{path} holds no public key")

    def verify(self, key: str, text: str, signature: str) -> bool:
        """Whether the signature is by the key of that id."""
        try:
            self._keys[key].verify(bytes.fromhex(signature), text.encode())
        except (KeyError, ValueError, InvalidSignature):
            return False
        return True


def seal(key: bytes, request_id: str, words: Mapping[str, Any]) -> str:
    """What a decision, or a stored gate, carries so that control knows it from one that was only written there."""
    content = [request_id, {name: value for name, value in words.items() if name != "seal"}]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def sealed(key: bytes, request_id: str, words: Mapping[str, Any]) -> bool:
    """Whether a decision's seal is right."""
    try:
        return hmac.compare_digest(seal(key, request_id, words), str(words.get("seal")))
    except (TypeError, ValueError, AttributeError, RecursionError):
        return False


def secret(path: Path) -> bytes:
    """The key in a file; made when it is not there. Raises StoreError: it is not ours to read, or no key."""
    if not path.exists():
        try:
            _make(path)
        except OSError as error:
            raise StoreError(f"the key {path} cannot be made: {error.strerror}") from error
    try:
        key = path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"the key {path} cannot be read: {error.strerror}; run as the bridge's account"
        ) from error
    if len(key) != KEY_BYTES:
        raise StoreError(f"{path} is no key: {len(key)} bytes instead of {KEY_BYTES}")
    return key


def _make(path: Path) -> None:
    """Whole or not at all: control and a command may both be the first."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, secrets.token_bytes(KEY_BYTES))
        os.fsync(handle)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.close(handle)
        draft.unlink()


def key_id(public: bytes) -> str:
    """The name of a public key: the beginning of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]
