"""When a webhook is tried again, and when not any more. Pure: counts and ages in, seconds and verdicts out."""

from dataclasses import dataclass, replace
from typing import Literal

from bridge.store.webhookstore import DELIVERED, PARKED, PENDING, Delivery, Endpoint

STEPS_S = (5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 7200.0)
"""After the first failed try, the second, …; the last one from then on."""
JITTER = 0.4
"""So much of a step is chance: receivers that come back are not met by everything at once."""
GIVE_UP_S = 86_400.0
DISABLE_S = 3 * 86_400.0
"""An endpoint that has failed for so long gets nothing any more until somebody enables it."""
DISABLE_TRIES = 20
"""But not after fewer tries in a row: the clock may have been set, the bridge may have been off for a week."""
MAX_PAUSE_S = 60.0
GONE = 410
"""Standard Webhooks: the receiver does not want to be told any more."""

Health = Literal["well", "failing", "disabled"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one try. `status`: of the answer; `error`: "" when it was taken; `after_s`: what the receiver asked for."""

    status: int | None = None
    error: str = ""
    after_s: float = 0.0


def after(tries: int, chance: float) -> float:
    """Seconds until the next try, when so many have failed. `chance`: 0 to 1."""
    step = STEPS_S[min(max(tries, 1), len(STEPS_S)) - 1]
    return step * (1 - JITTER / 2 + JITTER * chance)


def pause(failures: int, chance: float) -> float:
    """Seconds that an endpoint is left alone after so many failures in a row."""
    step = float(min(2.0 ** min(failures, 10), MAX_PAUSE_S)) if failures else 0.0
    return step * (1 - JITTER / 2 + JITTER * chance)


def settled(delivery: Delivery, outcome: Outcome, now: float, chance: float) -> tuple[Delivery, float]:
    """The delivery after a try, and the seconds until the next one."""
    tries = delivery.tries + 1
    if not outcome.error:
        return replace(delivery, state=DELIVERED, tries=tries, status=outcome.status, error=""), 0.0
    wait_s = max(after(tries, chance), outcome.after_s)
    over = now - delivery.created_at + wait_s >= GIVE_UP_S
    state = PARKED if over else PENDING
    return replace(delivery, state=state, tries=tries, status=outcome.status, error=outcome.error), wait_s


def fared(endpoint: Endpoint, outcome: Outcome, now: float) -> Endpoint:
    """The endpoint after a try."""
    if not outcome.error:
        return replace(endpoint, failing_since=None, failures=0, delivered_at=now, error="")
    since = endpoint.failing_since if endpoint.failing_since is not None else now
    failures = endpoint.failures + 1
    over = outcome.status == GONE or (now - since >= DISABLE_S and failures >= DISABLE_TRIES)
    disabled_at = endpoint.disabled_at if endpoint.disabled_at is not None else (now if over else None)
    return replace(
        endpoint,
        failing_since=since,
        failures=failures,
        disabled_at=disabled_at,
        error=outcome.error,
    )


def health(endpoint: Endpoint) -> Health:
    """In one word."""
    if endpoint.disabled_at is not None:
        return "disabled"
    return "failing" if endpoint.failing_since is not None else "well"
