"""When the day of an instant began on this machine: what is counted "today" is counted from there."""

from datetime import datetime


def midnight(now: float) -> float:
    """Unix seconds of the local midnight before `now` (unix seconds).

    The naive local time is meant: one with an offset would keep that of `now`, and be an hour off on the days on which
    the clocks are changed.
    """
    local = datetime.fromtimestamp(now)  # noqa: DTZ006
    return local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
