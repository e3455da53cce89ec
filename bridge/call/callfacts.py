"""What an INVITE says about who calls whom, for the dialplan, the tools' gate and the record."""

from datetime import datetime

from bridge.call.consolecall import is_marked
from bridge.dialplan.facts import CallFacts
from bridge.dialplan.plan import Plan
from bridge.sip.events import Invite
from bridge.sip.headers import verstat
from bridge.sip.leg import Leg


def tool_facts(facts: CallFacts, leg: Leg, trusted: tuple[str, ...]) -> dict[str, str]:
    """Who is calling, as the gate wants to know it. The network's word; only a trusted trunk's verstat is more."""
    believed = leg.trunk is not None and leg.trunk.verstat
    word = "" if is_marked(leg.invite) else verstat(leg.invite, trusted, trunk_trusted=believed)
    return {"caller": facts.from_number, "called": facts.to_number, "verstat": word}


def seen(facts: CallFacts) -> dict[str, str]:
    """What the plan made of the call's numbers, for the record; what is as it came is left out."""
    found = {
        "to_e164": facts.to_number if facts.to_number != facts.to_raw else "",
        "from_e164": facts.from_number if facts.from_number != facts.from_raw else "",
        "number": facts.number,
        "trunk": facts.trunk,
    }
    return {name: value for name, value in found.items() if value}


def call_facts(leg: Leg, plan: Plan) -> CallFacts:
    """What the dialplan may look at. The clock is read once: a call does not change its mind at closing time."""
    return facts_of(leg.invite, plan)


def facts_of(invite: Invite, plan: Plan) -> CallFacts:
    """As `call_facts`, of an INVITE."""
    facts = CallFacts(
        to_number=invite.called.user,
        from_number=invite.caller.user,
        from_name=invite.caller.display,
        headers={name.lower(): value for name, value in invite.headers.items()},
        to_host=invite.called.host,
        from_host=invite.from_party.host,
        trunk="" if is_marked(invite) else invite.trunk,  # a trunk may be at this machine's own address
    )
    return plan.complete(facts, datetime.now().astimezone())
