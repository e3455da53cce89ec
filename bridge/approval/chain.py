"""The audit chain: each entry carries the hash of the one before and a signature, so that any change is seen. Pure.

    entry = {seq, at, request_id, call_id, type, actor, facts, payload_hash, prev_hash, key_id} + hash + signature

`facts` name nobody: no number, no argument, no free text. Those are the payload, which lies apart under its salted
hash and can be erased without breaking the chain. A head (the newest seq and hash, signed, kept elsewhere) shows what
was cut off at the end.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

GENESIS = "0" * 64
Verify = Callable[[str, str, str], bool]
"""(key id, text, signature) -> whether the signature of the text is by that key."""


def entry_hash(entry: Mapping[str, Any]) -> str:
    """SHA-256 over everything in an entry but its own hash and signature: JSON with sorted keys and no spaces."""
    left_out = {"hash", "signature"}
    content = {name: value for name, value in entry.items() if name not in left_out and value is not None}
    return _sha256(content)


def payload_hash(salt: str, payload: Mapping[str, Any]) -> str:
    """Of a payload. The salt lies with it, so that after erasure nobody can find a number by trying them all."""
    return _sha256({"salt": salt, "payload": dict(payload)})


def head_text(seq: int, digest: str, at: float) -> str:
    """What is signed of a head."""
    return f"{seq} {digest} {at:.3f}"


def broken(
    entries: Iterable[Mapping[str, Any]],
    verify: Verify | None = None,
    begins: tuple[int, str] = (1, GENESIS),
) -> list[str]:
    """What is wrong with a chain, entry by entry: edited, removed, in another order, or not signed (`verify`).

    `begins`: the number of the first of these entries, and the hash of the one before it.
    """
    found = []
    expected, before = begins
    for entry in entries:
        if entry["seq"] != expected:
            found.append(f"entry {expected} is missing")
        if entry["prev_hash"] != before:
            found.append(f"entry {entry['seq']} does not follow the one before it")
        if entry_hash(entry) != entry["hash"]:
            found.append(f"entry {entry['seq']} was edited")
        elif verify is not None:
            found += _unsigned(entry, verify)
        expected, before = entry["seq"] + 1, entry["hash"]
    return found


def cut_off(
    entries: Iterable[Mapping[str, Any]], heads: Iterable[Mapping[str, Any]], verify: Verify
) -> list[str]:
    """What heads that were kept elsewhere say: entries missing at the end, or a chain that was made anew."""
    hashes = {entry["seq"]: entry["hash"] for entry in entries}
    last = max(hashes, default=0)
    found = []
    for head in heads:
        seq = head["seq"]
        if not verify(head["key_id"], head_text(seq, head["hash"], head["at"]), head["signature"]):
            found.append(f"the head of entry {seq} is not signed by our key")
        elif seq > last:
            first = last + 1
            what = f"entry {seq} was" if first == seq else f"entries {first} to {seq} were"
            found.append(f"{what} cut off at the end")
            last = seq
        elif hashes.get(seq) not in {None, head["hash"]}:
            found.append(f"entry {seq} is not the one that was there when its head was kept")
    return found


def payloads_changed(
    entries: Sequence[Mapping[str, Any]], payloads: Mapping[str, tuple[str, Mapping[str, Any] | None]]
) -> list[str]:
    """Payloads that are not the ones that were signed. `payloads`: hash to salt and content, None when erased."""
    found = []
    erased = {entry["call_id"] for entry in entries if entry["type"] == "erased"}
    for entry in entries:
        digest = entry.get("payload_hash")
        if not digest:
            continue
        if digest not in payloads:
            found.append(f"the payload of entry {entry['seq']} was removed without a trace")
            continue
        salt, payload = payloads[digest]
        if payload is None and entry["call_id"] not in erased:
            found.append(f"the payload of entry {entry['seq']} was erased, but nobody is on record for it")
        if payload is not None and payload_hash(salt, payload) != digest:
            found.append(f"the payload of entry {entry['seq']} was edited")
    return found


def contradicted(entries: Iterable[Mapping[str, Any]], states: Mapping[str, str]) -> list[str]:
    """Requests whose state the chain does not know. `states`: by request id, as the requests' table says."""
    newest = {entry["request_id"]: str(entry["facts"].get("state")) for entry in entries}
    return [
        f"request {request} is {state}, but the chain leaves it {newest.get(request, 'unheard of')}"
        for request, state in states.items()
        if newest.get(request) != state
    ]


def unapproved(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Executions that nothing before them in the chain allows, or that come twice."""
    found = []
    asked: dict[str, Mapping[str, Any]] = {}
    people: dict[str, set[str]] = {}
    confirmed: set[str] = set()
    running: dict[str, int] = {}
    for entry in entries:
        key, facts = entry["request_id"], entry["facts"]
        match entry["type"]:
            case "requested":
                asked[key] = facts
            case "confirmed":
                confirmed.add(key)
            case "approved":
                people[key] = ({*()} if facts.get("edited") else people.get(key, set())) | {entry["actor"]}
            case "retried":
                running.pop(key, None)
            case "executing":
                rule = asked.get(key, {"effect": "deny"})
                enough = len(people.get(key, ())) >= int(rule.get("approvers", 0))
                allowed = rule["effect"] != "deny" and (rule["effect"] != "confirm" or key in confirmed)
                if not (enough and allowed):
                    found.append(
                        f"entry {entry['seq']}: request {key} was run without what its rule asks for"
                    )
                if key in running:
                    found.append(f"entry {entry['seq']}: request {key} was run twice")
                running[key] = entry["seq"]
    return found


def _unsigned(entry: Mapping[str, Any], verify: Verify) -> Iterator[str]:
    if not entry.get("signature"):
        yield f"entry {entry['seq']} is not signed"
    elif not verify(str(entry.get("key_id")), entry["hash"], entry["signature"]):
        yield f"entry {entry['seq']} is not signed by our key"


def _sha256(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
