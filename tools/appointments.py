"""Appointments of the example business: what is free, booking, looking up and cancelling by the code that was given.

Whoever has the code may see and cancel an appointment: a caller's number proves nothing.
"""

import hashlib
import sqlite3
from datetime import date, datetime, timedelta
from typing import Annotated

from pydantic import Field

from bridge.errors import ToolError
from bridge.toolbox.load import helper
from bridge.toolbox.spec import ToolContext, tool

business = helper(__file__, "_business")
TIMES = ("09:00", "10:00", "11:00", "14:00", "15:00", "16:00")
AHEAD_DAYS = 60
Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$", description="ISO date, such as 2026-12-01.")]
Time = Annotated[str, Field(pattern=r"^\d{2}:\d{2}$", description="24-hour time, such as 14:00.")]
Code = Annotated[str, Field(pattern=r"^[0-9]{6}$", description="The six digits given at the booking.")]


@tool("Free appointment times on a day.", risk="read", while_running="I am looking at the calendar.")
def free_appointments(day: Day, context: ToolContext) -> dict[str, object]:
    """No times on weekends, in the past, or more than two months ahead."""
    _check(day)
    with business.database(context) as book:
        rows = book.execute("SELECT time FROM appointments WHERE day = ? AND cancelled_at IS NULL", (day,))
        taken = {row[0] for row in rows}
    return {"day": day, "free": [time for time in TIMES if time not in taken]}


@tool("Book an appointment.", risk="write", idempotent=True, while_running="I am booking it.")
def book_appointment(
    day: Day, time: Time, name: Annotated[str, Field(min_length=1, max_length=80)], context: ToolContext
) -> dict[str, str]:
    """The code is made of the idempotency key: a second try of the same request finds the first one's row."""
    _check(day)
    if time not in TIMES:
        raise ToolError(f"appointments begin at {', '.join(TIMES)}")
    key = context.idempotency_key
    code = f"{int(hashlib.sha256(key.encode()).hexdigest(), 16) % 1_000_000:06d}"
    with business.database(context) as book:
        if not book.execute("SELECT 1 FROM appointments WHERE key = ?", (key,)).fetchone():
            try:
                book.execute(
                    "INSERT INTO appointments (code, key, day, time, name, caller) VALUES (?, ?, ?, ?, ?, ?)",
                    (code, key, day, time, name, context.caller),
                )
            except sqlite3.IntegrityError as error:
                raise ToolError(f"{day} {time} is taken") from error
    return {"status": "booked", "day": day, "time": time, "code": code}


@tool("Look up an appointment by its code.", risk="read")
def find_appointment(code: Code, context: ToolContext) -> dict[str, str]:
    """A code that does not exist is an answer too."""
    with business.database(context) as book:
        row = book.execute(
            "SELECT day, time FROM appointments WHERE code = ? AND cancelled_at IS NULL", (code,)
        ).fetchone()
    return {"day": row[0], "time": row[1]} if row else {"status": "there is no appointment with this code"}


@tool(
    "Cancel an appointment by its code.", risk="write", idempotent=True, while_running="I am cancelling it."
)
def cancel_appointment(code: Code, context: ToolContext) -> dict[str, str]:
    """Cancelling twice is cancelling once."""
    with business.database(context) as book:
        book.execute(
            "UPDATE appointments SET cancelled_at = CURRENT_TIMESTAMP WHERE code = ? AND cancelled_at IS NULL",
            (code,),
        )
        row = book.execute("SELECT day, time FROM appointments WHERE code = ?", (code,)).fetchone()
    if row is None:
        raise ToolError("there is no appointment with this code")
    return {"status": "cancelled", "day": row[0], "time": row[1]}


def _check(day: str) -> None:
    try:
        wanted = date.fromisoformat(day)
    except ValueError as error:
        raise ToolError(f"{day} is no date") from error
    today = datetime.now().astimezone().date()
    if not today <= wanted <= today + timedelta(days=AHEAD_DAYS):
        raise ToolError(f"appointments are made for today and the next {AHEAD_DAYS} days; today is {today}")
    if wanted.weekday() >= 5:
        raise ToolError(f"{day} is a {wanted:%A}; there are no appointments on weekends")
