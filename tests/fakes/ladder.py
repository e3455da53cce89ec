"""SIP ladders: who said what to whom, in order, as text that can be kept and compared.

    caller ──> bridge   INVITE sdp
    caller <── bridge   180

Retransmissions (same CSeq and status from the same side) are left out. `UPDATE_LADDERS=1 pytest …` writes them anew.
"""

import os
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data" / "ladders"
SHOWN = ("refer-to", "replaces", "require", "session-expires", "reason", "x-context")


def ladder(**phones):
    """The ladder of some raw phones, by name, all of which talk to the bridge."""
    messages = [
        (message.at, name, out, message)
        for name, phone in phones.items()
        for out, box in ((True, phone.sent), (False, phone.sip.got))
        for message in box
    ]
    lines, seen = [], set()
    for _, name, out, message in sorted(messages, key=lambda one: one[0]):
        key = (
            name,
            out,
            message.start.split(" SIP")[0],
            message.headers.get("cseq"),
            message.headers.get("call-id"),
        )
        if key in seen:
            continue
        seen.add(key)
        arrow = "──>" if out else "<──"
        lines.append(f"{name} {arrow} bridge   {_words(message)}")
    return "\n".join(lines) + "\n"


def _words(message):
    what = f"{message.status} {message.cseq}" if message.status else message.method
    more = ["sdp"] if message.headers.get("content-type", "").startswith("application/sdp") else []
    if message.headers.get("content-type", "").startswith("message/sipfrag"):
        more.append(message.body.strip())
    more += [name.title() for name in SHOWN if name in message.headers]
    return " ".join((what, *more))


def check(name, text):
    """Compare with the kept ladder."""
    path = FOLDER / f"{name}.txt"
    if os.environ.get("UPDATE_LADDERS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"no such ladder: {path}; UPDATE_LADDERS=1 writes it"
    assert text == path.read_text(encoding="utf-8")
