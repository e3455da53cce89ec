"""The audit chain: each entry carries the hash of the one before, so that an edit is seen. Pure."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

GENESIS = "0" * 64


def entry_hash(entry: Mapping[str, Any]) -> str:
    """SHA-256 over everything in an entry but its own hash: JSON with sorted keys and no spaces."""
    content = {name: value for name, value in entry.items() if name != "hash"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def broken(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is wrong with a chain, entry by entry: edited, removed or in another order. [] when it holds.

    Entries cut off at the end are not seen here: that needs a head kept somewhere else.
    """
    found = []
    expected, before = 1, GENESIS
    for entry in entries:
        if entry["seq"] != expected:
            found.append(f"entry {expected} is missing")
        if entry["prev_hash"] != before:
            found.append(f"entry {entry['seq']} does not follow the one before it")
        if entry_hash(entry) != entry["hash"]:
            found.append(f"entry {entry['seq']} was edited")
        expected, before = entry["seq"] + 1, entry["hash"]
    return found
