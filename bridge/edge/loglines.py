"""Lines of Kamailio and rtpengine, taken apart, so that they come out in the form of our own log.

Kamailio: ` 7(1234) WARNING: {call-id} <script>: edge.banned source=192.0.2.7`. A line of our configuration's own begins
with a dotted name. rtpengine: `ERR: [call-id]: text`. Pure.
"""

import re
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["debug", "info", "warning", "error"]

_KAMAILIO = re.compile(
    r"\s*\d+\((?P<pid>\d+)\)\s+(?P<level>[A-Z]+):\s*(?:\{(?P<call_id>[^}]*)\}\s*)?(?P<module><\w+>|\w+)"
    r"(?:\s+\[(?P<where>[^\]]*)\])?:\s*(?P<text>.*)"
)
_RTPENGINE = re.compile(
    r"(?:\[[\d.]+\]\s*)?(?P<level>[A-Z]+):\s*(?:\[(?P<call_id>[^\]]*)\]:?\s*)?(?P<text>.*)"
)
_EVENT = re.compile(r"(?P<event>edge\.[a-z_]+)(?P<fields>(?:\s+[a-z_]+=\S*)*)\s*\Z")
_LEVELS: dict[str, Level] = {
    "DEBUG": "debug", "INFO": "info", "NOTICE": "info", "WARNING": "warning", "WARN": "warning",
    "ERROR": "error", "ERR": "error", "CRITICAL": "error", "CRIT": "error", "ALERT": "error", "EMERG": "error",
    "BUG": "error",
}  # fmt: skip
MAX_TEXT = 500


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line to log: level, event and its fields."""

    level: Level
    event: str
    fields: dict[str, str] = field(default_factory=dict)


def kamailio(line: str) -> LogLine:
    """A line of Kamailio."""
    found = _KAMAILIO.match(line)
    if not found:
        return LogLine("debug", "kamailio.said", {"message": line[:MAX_TEXT]})
    text = found["text"].strip()
    fields = {"sip_call_id": found["call_id"]} if found["call_id"] else {}
    own = _EVENT.match(text)
    level = _LEVELS.get(found["level"], "info")
    if own and found["module"] == "<script>":
        pairs = (pair.partition("=") for pair in own["fields"].split())
        return LogLine(level, own["event"], {**fields, **{key: value[:100] for key, _, value in pairs}})
    return LogLine(level, "kamailio.said", {**fields, "module": found["module"], "message": text[:MAX_TEXT]})


def rtpengine(line: str) -> LogLine:
    """A line of rtpengine."""
    found = _RTPENGINE.match(line)
    if not found:  # the rest of a longer message: an SDP, mostly
        return LogLine("debug", "rtpengine.said", {"message": line[:MAX_TEXT]})
    fields = {"sip_call_id": found["call_id"].split(" ")[0].split("/")[0]} if found["call_id"] else {}
    text = found["text"].strip()[:MAX_TEXT]
    return LogLine(_LEVELS.get(found["level"], "info"), "rtpengine.said", {**fields, "message": text})


READERS = {"kamailio": kamailio, "rtpengine": rtpengine}
