"""A call that somebody places from the console's page, to try a plan: whose it is, asked of control, before anything.

Whoever else sends the header is refused: a mark that anybody can set is worth nothing. On the worker's loop.
"""

from bridge.call.journal import Journal
from bridge.call.modelside import CallDeps
from bridge.config import CONSOLE_HEADER
from bridge.errors import LinkError, SeatError
from bridge.sip.events import Invite

REFUSED = "it says that it comes from the console, and does not"


def is_marked(invite: Invite) -> bool:
    """Whether it says so. Then nothing that it says of its caller is believed (verstat)."""
    return CONSOLE_HEADER in invite.headers


async def admit(invite: Invite, deps: CallDeps, journal: Journal) -> None:
    """The record says who placed it. Raises SeatError: nobody did."""
    if not is_marked(invite):
        return
    question = {"proof": invite.headers[CONSOLE_HEADER], "call_id": journal.call_id}
    try:
        answer = await deps.request("console.call", question, deps.config.deadlines.link_request_s)
    except LinkError as error:
        raise SeatError(f"control cannot say whose call it is: {error}") from None
    by = str(answer.get("by", ""))
    if not by:
        raise SeatError(REFUSED)
    journal.note("console.call", by=by)
