"""A plan to be played without the world: the local engine instead of a provider, nobody dialled, the clock at one time.

No I/O. Called by `sipbridge dialplan simulate`.
"""

from dataclasses import replace
from datetime import UTC, datetime

from bridge.dialplan.facts import CallFacts, Condition
from bridge.dialplan.hours import DAYS, MINUTES_A_DAY, Hours
from bridge.dialplan.plan import Plan

NOWHERE = "127.0.0.1:9"
"""Discard (RFC 863): what every target becomes, so that a rehearsal rings nobody's telephone."""
ALWAYS = dict.fromkeys(DAYS, ((0, MINUTES_A_DAY),))
BY_TIME = frozenset({"hours", "outside", "day_part", "dates"})
"""Fields of conditions that ask the clock, and nothing else."""


def rehearsal(plan: Plan, at: datetime | None, trunk: str = "") -> Plan:
    """The plan with its agents at the default provider and every target at NOWHERE.

    `at`: an aware instant; whatever asks for the time then finds that one, whenever it is played. None: the real time.
    `trunk`: the one the call is to come over; "" none.
    """
    # Field by field, not replace(): what else a plan may hold (trunks to register at, calls to place) stays out.
    played = Plan(
        routes=plan.routes,
        agents=tuple(replace(agent, provider=None, model=None) for agent in plan.agents),
        transfers={name: f"sip:{name}@{NOWHERE}" for name in plan.transfers},
        hours=plan.hours if at is None else tuple(_stopped(one, at) for one in plan.hours),
        flows=plan.flows,
        queues=plan.queues,
        book=plan.book,
    )
    known = (BY_TIME if at else frozenset()) | ({"trunk"} if trunk else frozenset())
    then = plan.complete(CallFacts("", trunk=trunk), at or datetime.now(UTC))
    settled = [(route, _settled(route.conditions, then, known)) for route in plan.routes]
    routes = tuple(replace(route, conditions=asked) for route, asked in settled if asked is not None)
    return replace(played, routes=routes)


def _settled(
    conditions: tuple[Condition, ...], then: CallFacts, known: frozenset[str]
) -> tuple[Condition, ...] | None:
    """The conditions but for those on `known` fields, which are fulfilled; None when one of them is not."""
    left: list[Condition] = []
    for one in conditions:
        if one.field in known:
            if not one.fits(then):
                return None
        elif one.field == "not":
            inner = _settled(one.inner, then, known)
            if inner == ():
                return None
            left += [replace(one, inner=inner)] if inner is not None else []
        else:
            left.append(one)
    return tuple(left)


def _stopped(hours: Hours, at: datetime) -> Hours:
    """Hours that are open for ever, or never."""
    return Hours(hours.name, hours.timezone, ALWAYS if hours.open_at(at) else {})
