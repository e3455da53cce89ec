"""SIP ladders: who said what to whom, in order, as text that can be kept and compared.

    caller ──> bridge   INVITE sdp
    caller <── bridge   180

Retransmissions (same CSeq and status from the same side) are left out. `UPDATE_LADDERS=1 pytest …` writes them anew.
"""

import collections
import difflib
import itertools
import os
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data" / "ladders"
BRIDGE = "bridge"
SHOWN = (
    "Refer-To", "Replaces", "Require", "Session-Expires", "Reason", "X-Context", "Authorization", "Proxy-Authorization",
    "WWW-Authenticate", "Proxy-Authenticate", "RSeq", "RAck",
)  # fmt: skip


def ladder(*, apart=False, **phones):
    """The ladder of some raw phones, by name, all of which talk to the bridge.

    `apart`: one phone after the other, for parties whose messages cross each other now so, now so.
    """
    messages = [
        (message.at, name, out, message)
        for name, phone in phones.items()
        for out, box in ((True, phone.sent), (False, phone.sip.got))
        for message in box
    ]
    order = list(phones)
    messages.sort(key=lambda one: (order.index(one[1]) if apart else 0, one[0]))
    return lines_of(
        (name, BRIDGE, message) if out else (BRIDGE, name, message) for _, name, out, message in messages
    )


def lines_of(messages):
    """A line for each new (sender, receiver, message)."""
    lines, seen = [], set()
    for sender, receiver, message in messages:
        start = message.start.split(" SIP")[0]
        key = (sender, receiver, start, message.headers.get("cseq"), message.headers.get("call-id"))
        if key in seen:
            continue
        seen.add(key)
        # The bridge stands on the right; a second worker (bridge-2) too, unless the other side is the first.
        flip = sender.startswith(BRIDGE) and receiver != BRIDGE
        left, arrow, right = (receiver, "<──", sender) if flip else (sender, "──>", receiver)
        lines.append(f"{left} {arrow} {right}   {_words(message)}")
    return "\n".join(lines) + "\n"


def _words(message):
    what = f"{message.status} {message.cseq}" if message.status else message.method
    more = ["sdp"] if message.headers.get("content-type", "").startswith("application/sdp") else []
    if message.headers.get("content-type", "").startswith("message/sipfrag"):
        more.append(message.body.strip())
    more += [name for name in SHOWN if name.lower() in message.headers]
    if message.method == "REGISTER":
        more.append(f"Expires={message.headers.get('expires')}")
    if message.status == 422:
        more.append("Min-SE")
    return " ".join((what, *more))


def check(name, text):
    """Compare with the kept ladder. `text` None: there was none to be had (see wire.py)."""
    if text is None:
        return
    path = FOLDER / f"{name}.txt"
    if os.environ.get("UPDATE_LADDERS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"no such ladder: {path}; UPDATE_LADDERS=1 writes it"
    kept = path.read_text(encoding="utf-8")
    assert same(kept, text), "\n".join(
        difflib.unified_diff(kept.splitlines(), text.splitlines(), name, "seen", n=20)
    )


def same(kept, seen):
    """Whether two ladders tell the same, when what the bridge sends to one phone may be read late.

    Phones of one test read one after the other: on a busy machine what came first may be read last. So a message of
    the bridge may stand further down than it did, past those of other phones; nothing may stand further up.
    """
    before, after = _numbered(kept), _numbered(seen)
    for phone in {phone for phone, _, _ in (*before, *after)}:
        if [line for at, _, line in before if at == phone] != [line for at, _, line in after if at == phone]:
            return False
    place = {one: number for number, one in enumerate(after)}
    return all(
        place[one] < place[other] or _of_bridge(one[2])
        for one, other in itertools.combinations(before, 2)
        if one[0] != other[0]
    )


def _numbered(text):
    """(phone, how many of its lines came before, line) of each line."""
    counts, lines = collections.Counter(), []
    for line in text.splitlines():
        left, _, right = line.split()[:3]
        phone = left if right == BRIDGE else f"{left} {right}"
        lines.append((phone, counts[phone], line))
        counts[phone] += 1
    return lines


def _of_bridge(line):
    left, arrow, right = line.split()[:3]
    return (left if arrow == "──>" else right).startswith(BRIDGE)
