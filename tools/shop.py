"""The example shop: opening hours, orders and refunds, kept in an SQLite file of its own.

Replace it with functions that talk to your own systems; the decorator and the types are all the bridge needs.
"""

from typing import Annotated

from pydantic import Field

from bridge.toolbox.load import helper
from bridge.toolbox.spec import ToolContext, tool

business = helper(__file__, "_business")
HOURS = {"weekdays": "09:00 to 18:00", "saturday": "09:00 to 14:00", "sunday": "closed"}


@tool("The shop's opening hours.", risk="read")
def opening_hours() -> dict[str, str]:
    """Never changes while the process runs."""
    return HOURS


@tool("What became of an order.", risk="read", while_running="I am looking up your order.")
def order_status(order: Annotated[str, Field(pattern=r"^[0-9]{4}$")], context: ToolContext) -> dict[str, str]:
    """Unknown orders are an answer too."""
    with business.database(context) as shop:
        row = shop.execute("SELECT state FROM orders WHERE number = ?", (order,)).fetchone()
    return {"order": order, "state": row[0] if row else "there is no such order"}


@tool("Give the caller money back.", risk="money", idempotent=True, while_running="I am making the refund.")
def refund(
    amount: Annotated[float, Field(gt=0, le=10_000)],
    context: ToolContext,
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD",
    reason: Annotated[str, Field(max_length=200)] = "",
) -> dict[str, object]:
    """One row for one idempotency key, however often it is tried."""
    with business.database(context) as shop:
        shop.execute(
            "INSERT OR IGNORE INTO refunds (key, call_id, caller, amount, currency, reason) VALUES (?, ?, ?, ?, ?, ?)",
            (context.idempotency_key, context.call_id, context.caller, amount, currency, reason),
        )
    return {"status": "refunded", "refunded_amount": amount, "currency": currency}
