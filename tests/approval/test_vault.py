"""What the database holds of a secret gives it away to nobody who has only the database."""

import base64

import pytest

from bridge.approval.vault import Vault
from bridge.errors import StoreError


def test_what_was_closed_opens_with_the_same_key_for_the_same_owner():
    vault = Vault(b"k" * 32)
    kept = vault.closed(b"JBSWY3DP", "anna f1")
    assert b"JBSWY3DP" not in base64.b64decode(kept)
    assert Vault(b"k" * 32).opened(kept, "anna f1") == b"JBSWY3DP"
    assert vault.closed(b"JBSWY3DP", "anna f1") != kept


@pytest.mark.parametrize("what", ["key", "owner", "changed", "short", "no base64"])
def test_nothing_else_opens_it(what):
    vault = Vault(b"k" * 32)
    kept = vault.closed(b"secret", "anna f1")
    owner = "bert f1" if what == "owner" else "anna f1"
    other = {
        "changed": kept[:-6] + ("AAAA" if kept[-6:-2] != "AAAA" else "BBBB") + kept[-2:],
        "short": "AAAA",
        "no base64": "\u00e4",
    }
    with pytest.raises(StoreError, match="second factor"):
        Vault(b"x" * 32 if what == "key" else b"k" * 32).opened(other.get(what, kept), owner)
