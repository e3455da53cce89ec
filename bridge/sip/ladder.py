"""The SIP messages of a worker's dialogs, for their calls' records: a line each, the text if told so. A machine.

    Tap (pj thread) ─► read ─► to_loop ─► Book.add ─► Book.take: what is new of one dialog

Kept by Call-ID, because an INVITE is there before anybody knows of a call. MAX_DIALOGS of them, MAX_LINES each;
what nobody takes is forgotten when others come. Secrets (credentials, SRTP keys, digits in INFO) are never kept.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from bridge.sip.headers import clean

MAX_DIALOGS = 128
MAX_LINES = 200
MAX_TEXT = 4000
MAX_REASON = 100
KEPT = frozenset({"INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY"})
"""Methods of calls. The rest (OPTIONS, REGISTER) would only fill the book."""
REDACTED = "[redacted]"
_START = re.compile(r"(?:SIP/2\.0 (\d{3}) ?([^\r\n]*)|([A-Z]{1,20}) \S)")
_CALL_ID = re.compile(r"^(?:Call-ID|i)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_REASON = re.compile(r"^Reason[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_SDP = re.compile(r"^(?:Content-Type|c)[ \t]*:[ \t]*application/sdp\b", re.IGNORECASE | re.MULTILINE)
_HEAD_END = re.compile(r"\r?\n\r?\n")
_CSEQ = re.compile(r"^CSeq[ \t]*:[ \t]*(\d{1,10})[ \t]+([A-Za-z]{1,20})", re.IGNORECASE | re.MULTILINE)
_SECRET_HEADER = re.compile(
    r"^((?:Proxy-)?Authorization|WWW-Authenticate|Proxy-Authenticate|Authentication-Info|X-Sipbridge-[^:\s]*)([ \t]*:)"
    r"[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*",
    re.IGNORECASE | re.MULTILINE,
)
_SECRET_SDP = re.compile(
    r"^(a=(?:crypto|ice-pwd|ice-ufrag|key-mgmt)|k=)[^\r\n]*", re.IGNORECASE | re.MULTILINE
)
_PASSWORD = re.compile(r"(sips?:[^:@;?<>\s]{0,256}):[^@<>\s]{1,256}@", re.IGNORECASE)

Line = Mapping[str, Any]


def read(raw: bytes, *, sent: bool, mono: float, whole: bool = False) -> tuple[str, Line] | None:
    """(Call-ID, the message as a line); None: it is of no call. Monotonic seconds. Never raises."""
    text = raw.decode("utf-8", "replace")
    start, sequence, dialog = _START.match(text), _CSEQ.search(text), _CALL_ID.search(text)
    if start is None or sequence is None or dialog is None or sequence[2].upper() not in KEPT:
        return None
    method, status, reason = sequence[2].upper(), start[1], _REASON.search(text)
    line: dict[str, Any] = {
        "mono": round(mono, 6),
        "sent": sent,
        "what": f"{status} {method}" if status else method,
        "cseq": sequence[1],
        "reason": clean(reason[1] if reason else start[2] or "", MAX_REASON),
    }
    return clean(dialog[1]), {**line, "text": redacted(text)} if whole else line


def redacted(text: str) -> str:
    """A message without credentials, keys and digits; a body that is no SDP is left out."""
    text = text[:MAX_TEXT]
    end = _HEAD_END.search(text)
    head, body = (text[: end.end()], text[end.end() :]) if end else (text, "")
    if body and not _SDP.search(head):
        body = REDACTED
    head = _PASSWORD.sub(rf"\1:{REDACTED}@", _SECRET_HEADER.sub(rf"\1\2 {REDACTED}", head))
    return head + _SECRET_SDP.sub(rf"\1{REDACTED}", body)


class Book:
    """What was read and not taken yet."""

    def __init__(self) -> None:
        self._dialogs: OrderedDict[str, list[Line]] = OrderedDict()
        self._counts: dict[str, int] = {}

    def add(self, sip_call_id: str, line: Line) -> None:
        """One more message of a dialog; beyond MAX_LINES none is kept."""
        count = self._counts.get(sip_call_id, 0)
        if count >= MAX_LINES:
            return
        self._counts[sip_call_id] = count + 1
        self._dialogs.setdefault(sip_call_id, []).append(line)
        self._dialogs.move_to_end(sip_call_id)
        if len(self._dialogs) > MAX_DIALOGS:
            oldest, _ = self._dialogs.popitem(last=False)
            self._counts.pop(oldest, None)

    def take(self, sip_call_id: str) -> list[Line]:
        """What is new of a dialog, in order."""
        lines = self._dialogs.get(sip_call_id)
        if not lines:
            return []
        self._dialogs[sip_call_id] = []
        return lines
