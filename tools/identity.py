"""Find out whether the caller is who they say: by customer number and PIN.

A caller who was verified is `caller.verified` in the policy for the rest of the call. The number they call from is not
asked: it can be forged.
"""

import hmac
from typing import Annotated

from pydantic import Field

from bridge.errors import ToolError
from bridge.toolbox.load import helper
from bridge.toolbox.spec import ToolContext, tool

business = helper(__file__, "_business")
MAX_TRIES = 3  # on one call, and for one customer


@tool(
    "Verify the caller by customer number (six digits) and PIN (four digits). Ask for both first.",
    risk="read",
    redact=("pin",),
    verifies=True,
)
def verify_caller(
    customer: Annotated[str, Field(pattern=r"^[0-9]{6}$")],
    pin: Annotated[str, Field(pattern=r"^[0-9]{4}$")],
    context: ToolContext,
) -> dict[str, bool]:
    """Counts every try before it looks, so that hanging up gains nothing."""
    with business.database(context) as book:
        book.execute("INSERT INTO pin_tries VALUES (?, ?)", (context.call_id, customer))
        query = "SELECT MAX(tries) FROM (SELECT COUNT(*) AS tries FROM pin_tries WHERE call_id = ? UNION ALL "
        query += "SELECT COUNT(*) FROM pin_tries WHERE customer = ?)"
        tries = book.execute(query, (context.call_id, customer)).fetchone()[0]
        row = book.execute("SELECT pin FROM customers WHERE number = ?", (customer,)).fetchone()
    if tries > MAX_TRIES:
        raise ToolError("too many tries: a colleague has to verify the caller")
    right = row is not None and hmac.compare_digest(row[0], pin)
    if right:
        with business.database(context) as book:
            book.execute("DELETE FROM pin_tries WHERE customer = ?", (customer,))
    return {"verified": right}
