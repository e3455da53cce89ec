"""The example shop: opening hours, orders and refunds, kept in an SQLite file of its own.

Replace it with functions that talk to your own systems; the decorator and the types are all the bridge needs.
"""

import sqlite3
from typing import Annotated

from pydantic import Field

from bridge.toolbox.spec import ToolContext, tool

HOURS = {"weekdays": "09:00 to 18:00", "saturday": "09:00 to 14:00", "sunday": "closed"}
_TABLES = """
CREATE TABLE IF NOT EXISTS orders (number TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS refunds (
    key TEXT PRIMARY KEY, call_id TEXT NOT NULL, caller TEXT NOT NULL, amount REAL NOT NULL, currency TEXT NOT NULL,
    reason TEXT NOT NULL, made_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
INSERT OR IGNORE INTO orders VALUES ('1234', 'left the warehouse'), ('5678', 'waits for payment');
"""


@tool("The shop's opening hours.", risk="read")
def opening_hours() -> dict[str, str]:
    """Never changes while the process runs."""
    return HOURS


@tool("What became of an order.", risk="read", while_running="I am looking up your order.")
def order_status(order: Annotated[str, Field(pattern=r"^[0-9]{4}$")], context: ToolContext) -> dict[str, str]:
    """Unknown orders are an answer too."""
    with _open(context) as shop:
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
    with _open(context) as shop:
        shop.execute(
            "INSERT OR IGNORE INTO refunds (key, call_id, caller, amount, currency, reason) VALUES (?, ?, ?, ?, ?, ?)",
            (context.idempotency_key, context.call_id, context.caller, amount, currency, reason),
        )
    return {"status": "refunded", "refunded_amount": amount, "currency": currency}


def _open(context: ToolContext) -> sqlite3.Connection:
    context.folder.mkdir(parents=True, exist_ok=True)
    shop = sqlite3.connect(context.folder / "shop.db", timeout=5)
    shop.executescript(_TABLES)
    return shop
