"""A plan to be played without the world: the local engine instead of a provider, nobody dialled, the clock at one time.

Pure. Called by `sipbridge dialplan simulate`.
"""

from dataclasses import replace
from datetime import datetime

from bridge.dialplan.hours import DAYS, MINUTES_A_DAY, Hours
from bridge.dialplan.plan import Plan

NOWHERE = "127.0.0.1:9"
"""Discard (RFC 863): what every target becomes, so that a rehearsal rings nobody's telephone."""
ALWAYS = dict.fromkeys(DAYS, ((0, MINUTES_A_DAY),))


def rehearsal(plan: Plan, at: datetime | None) -> Plan:
    """The plan with its agents at the default provider and every target at NOWHERE.

    `at`: an aware instant; the opening hours then are what they are then, whenever it is played. None: as they are.
    """
    agents = tuple(replace(agent, provider=None, model=None) for agent in plan.agents)
    transfers = {name: f"sip:{name}@{NOWHERE}" for name in plan.transfers}
    hours = plan.hours if at is None else tuple(_stopped(one, at) for one in plan.hours)
    return replace(plan, agents=agents, transfers=transfers, hours=hours)


def _stopped(hours: Hours, at: datetime) -> Hours:
    """Hours that are open for ever, or never."""
    return Hours(hours.name, hours.timezone, ALWAYS if hours.open_at(at) else {})
