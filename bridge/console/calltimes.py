"""Times of calls as people read them; filters of templates (render.py)."""

import time
from collections.abc import Callable, Mapping
from typing import Any


def ago(at: float) -> int:
    """Whole seconds since unix second `at`; the browser counts on from here, by its own clock."""
    return max(round(time.time() - at), 0)


def span(seconds: int) -> str:
    """Seconds as 3:07 or 1:02:03."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def milliseconds(ms: float) -> str:
    """As 640 ms or 3.2 s."""
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


FILTERS: Mapping[str, Callable[[Any], Any]] = {"ago": ago, "span": span, "ms": milliseconds}
