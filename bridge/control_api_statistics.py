"""How people decide what each rule asks them, over the API (control_api.py): the figures of the console's page.

    GET /api/v1/approvals/statistics     ?days=1|7|30

Who decided how often takes the right `personal`. Its route stands before that of one approval.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bridge.approval.statistics import RuleFigures
from bridge.console.figures import DAYS, Figures
from bridge.control_api import ApiError, ApiRoute, Call, get
from bridge.control_api_docs import FLAG, INTEGER, NUMBER, TEXT, Doc, list_of, maybe, one_of, thing

PATH = "/api/v1/approvals/statistics"
_COUNTS = ("asked", "approved", "denied", "expired", "cancelled", "edited", "waiting")
RULE = thing(
    {
        "rule": TEXT,
        "tool": TEXT,
        **dict.fromkeys(_COUNTS, INTEGER),
        "median_s": maybe(NUMBER),
        "p90_s": maybe(NUMBER),
        "quick": maybe({"type": "number", "description": "Share of approvals within 3 s of the question."}),
        "deciders": list_of(thing({"name": TEXT, "decisions": INTEGER})),
        "hint": one_of("always", "quick", "late", ""),
    }
)
DOC = Doc(
    "How people decided what each rule asked them.",
    thing({"days": INTEGER, "rules": list_of(RULE), "complete": FLAG}),
    query={"days": {"type": "integer", "enum": list(DAYS), "default": DAYS[1]}},
    refuses=(400,),
    details="Counted is what a person was asked. `hint`: the rule tires people, as all is approved, approved within "
    "seconds, or too late. `complete` false: there was more than is counted, the newest is. Figures may be 30 s old. "
    "Who may not see personal data gets no `deciders`.",
)


class StatisticsApi:
    """The handler."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def routes(self) -> list[ApiRoute]:
        """For `application`, before /approvals/{id}."""
        return [get(PATH, "look", self._read, DOC)]

    async def _read(self, call: Call) -> Mapping[str, Any]:
        given = call.query.get("days", str(DAYS[1]))
        if given not in map(str, DAYS):
            raise ApiError(400, f"days must be one of {', '.join(map(str, DAYS))}")
        rules, complete = await self._figures.of(int(given))
        personal = call.may("personal")
        return {"days": int(given), "rules": [_plain(one, personal) for one in rules], "complete": complete}


def _plain(rule: RuleFigures, personal: bool) -> dict[str, Any]:
    names = rule.deciders if personal else ()
    deciders = [{"name": name, "decisions": count} for name, count in names]
    return {**asdict(rule), "deciders": deciders, "hint": rule.hint}
