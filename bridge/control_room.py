"""How many calls are on each route with `capacity`, over all workers: the one place that counts them.

    worker ──"room.take"──► Room.take ──► granted or not        call.ended, a dead worker ──► Room.ended
           ──Status held──► Room.told ──► what was missed (control was away) is made good

Sans-IO: `now` is monotonic seconds. Bounded by the calls that workers can carry. Control's loop; called by its Desk.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

FORGET_S = 15.0
"""A call that its worker no longer names, and whose end was never told, gives its place back after this time: three
times the interval of a worker's Status."""


@dataclass(slots=True)
class _Place:
    worker: int
    route: str
    seen: float


class Room:
    """The places that calls have taken."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}

    def take(self, call_id: str, worker: int, wanted: tuple[str, int], now: float) -> bool:
        """A place on route `wanted[0]`, of which there are `wanted[1]`. False: all are taken."""
        route, most = wanted
        taken = sum(place.route == route and other != call_id for other, place in self._places.items())
        if taken >= most:
            return False
        self._places[call_id] = _Place(worker, route, now)
        return True

    def live(self) -> dict[str, int]:
        """Calls on each route that has any."""
        return dict(Counter(place.route for place in self._places.values()))

    def ended(self, call_ids: Iterable[str]) -> None:
        """These calls are over; those that had no place do not matter."""
        for call_id in call_ids:
            self._places.pop(call_id, None)

    def told(self, worker: int, held: Mapping[str, str], now: float) -> None:
        """A worker names all its calls that have a place: what control did not know, and what it need not keep."""
        for call_id, route in held.items():
            self._places[call_id] = _Place(worker, route, now)
        gone = [
            call_id
            for call_id, place in self._places.items()
            if place.worker == worker and call_id not in held and now - place.seen > FORGET_S
        ]
        self.ended(gone)
