"""What the API says of calls: the shapes of answers, beside control_api_calls.py. Pure."""

from bridge.control_api_docs import AT, FLAG, INTEGER, NUMBER, TEXT, Doc, along, list_of, maybe, thing
from bridge.records.cdr import CallRecord

WHICH = (400, 404, 409)
"""Statuses of whatever is asked of one call: no id, no such call, more than one."""
LINE = thing(
    {
        "id": TEXT,
        "from": maybe(TEXT),
        "to": maybe(TEXT),
        "direction": maybe(TEXT),
        "route": maybe(TEXT),
        "agent": maybe(TEXT),
        "since": AT,
        "answered_at": maybe(AT),
        "node": TEXT,
        "worker": maybe(TEXT),
        "state": TEXT,
        "connected": FLAG,
    }
)
SPAN = thing({"who": TEXT, "start_s": NUMBER, "end_s": NUMBER})
MARK = thing({"at_s": NUMBER, "name": TEXT})
TIMELINE = thing({"start_s": NUMBER, "end_s": NUMBER, "spans": list_of(SPAN), "marks": list_of(MARK)})
EVENT = thing({"type": TEXT, "at": AT, "mono": NUMBER, "seq": INTEGER, "data": thing({})})
DOCS = {
    "live": Doc("Live calls, the newest first.", thing({"calls": list_of(LINE), "complete": FLAG})),
    "one": Doc(
        "One call, live or over: record, timeline and events.",
        thing({"record": along(CallRecord, state=TEXT), "timeline": TIMELINE}, events=list_of(EVENT)),
        refuses=WHICH,
        details="The id may be cut to its beginning, four characters at least, as long as it fits one call only. "
        "Who may not see personal data gets no events.",
    ),
    "queues": Doc(
        "Who waits in queues, and who is parked.",
        thing({"queues": list_of(thing({})), "parked": list_of(thing({}))}),
    ),
}
