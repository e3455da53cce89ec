"""How often calls that wait ask control, and how long they wait for control to come back. Plain values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WaitTimes:
    """Seconds. A queue is left after `queue_away_s` without control, which takes less to start again.

    A call that control has not heard of within `park_away_s` is not parked: nobody could pick it up. The position in a
    queue is not said more often than every `position_pause_s`, how often it may change.
    """

    poll_s: float = 1.0
    queue_away_s: float = 20.0
    park_away_s: float = 10.0
    position_pause_s: float = 10.0
