"""The key that seals decisions and wishes for calls: a file of this node, or one that all nodes are given.

Who shares a store must share this key: a decision made on one node is judged on another. Used by control and commands.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from bridge.approval.signing import DECISION_KEY, KEY_BYTES, secret
from bridge.errors import StoreError
from bridge.secretsource import Secrets
from bridge.settings import Settings

KEYS = "keys"


def keys_folder(settings: Settings) -> Path:
    """Where this node's own keys lie."""
    return settings.state_dir / KEYS


def decision_key(settings: Settings, environ: Mapping[str, str]) -> bytes:
    """The key of the settings. StoreError: it is not there, or no key."""
    name = settings.node.decision_key_env
    if name is None:
        return secret(keys_folder(settings) / DECISION_KEY)
    secrets = Secrets(environ)
    text = secrets.get(name, "").strip()
    if not text:
        raise StoreError(f"node.decision_key_env: {secrets.why_missing(name)}")
    if not re.fullmatch(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}", text):
        raise StoreError(
            f"{name} is no key: {2 * KEY_BYTES} hexadecimal digits are needed (openssl rand -hex 32)"
        )
    return bytes.fromhex(text)


def key_print(key: bytes) -> str:
    """What tells one decision key from another and says nothing about either."""
    return hashlib.sha256(b"decision key " + key).hexdigest()[:16]
