"""What was decided: old requests to look for, and per rule what people made of it.

    /console/approvals/decided      by state, function, rule, caller; the newest first
    /console/approvals/statistics   for each rule and function, over 1, 7 or 30 days

Reads the store in bounded pieces (store/paststore.py).
"""

import asyncio
import math
from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import BaseRoute

from bridge.approval.statistics import RuleFigures
from bridge.console.card import Card, Described, card
from bridge.console.figures import DAYS, Figures
from bridge.console.texts import text
from bridge.console.web import ROOT, PageError, Visit, Web
from bridge.store.database import plain
from bridge.store.gaterows import StoredRequest
from bridge.store.paststore import STATES, PastStore, Place, Wanted
from bridge.store.queuestore import Around

MAX_FILTER_CHARS = 100
_NOTHING = Around("", (), ())


class Decided:
    """The pages."""

    def __init__(self, web: Web, past: PastStore, figures: Figures) -> None:
        self._web = web
        self._past = past
        self._figures = figures

    def routes(self) -> list[BaseRoute]:
        """For the application, before /approvals/{id}."""
        return [
            self._web.get("/approvals/decided", self._decided),
            self._web.get("/approvals/statistics", self._statistics),
        ]

    # ---- old requests ----------------------------------------------------------------------------------------

    async def _decided(self, visit: Visit) -> Response:
        query, personal = visit.request.query_params, visit.may("personal")
        wanted = wanted_of(query, personal=personal)
        found = await self._past.search(wanted, place_of(query.get("before", "")))
        deciders = await self._past.deciders(found.rows) if found.rows else {}
        older = (
            {**filters_of(wanted), "before": f"{found.older[0]!r}~{found.older[1]}"} if found.older else {}
        )
        values = {
            "rows": [
                (one, deciders.get(one.request_id, ())) for one in await asyncio.to_thread(_cards, found.rows)
            ],
            "wanted": wanted,
            "states": STATES,
            "functions": await self._past.functions(),
            "older": urlencode(older),
            "personal": personal,
            "here": "approvals",
        }
        return self._web.page("decided.html", visit, values)

    # ---- figures ---------------------------------------------------------------------------------------------

    async def _statistics(self, visit: Visit) -> Response:
        given = visit.request.query_params.get("days", str(DAYS[1]))
        if given not in map(str, DAYS):
            raise PageError(400, text("statistics.no_days"))
        days = int(given)
        rules, complete = await self._figures.of(days)
        values = {
            "rules": [(one, hint_of(one, days)) for one in rules],
            "days": days,
            "choices": DAYS,
            "complete": complete,
            "personal": visit.may("personal"),
            "took": took,
            "link": rule_link,
            "here": "approvals",
        }
        return self._web.page("statistics.html", visit, values)


def wanted_of(query: Mapping[str, str], *, personal: bool) -> Wanted:
    """The filter of an address; who may not see numbers does not look for them either."""
    given = {
        name: plain(query.get(name, "")).strip()[:MAX_FILTER_CHARS]
        for name in ("state", "tool", "rule", "caller")
    }
    if given["state"] not in STATES:
        given["state"] = ""
    given["caller"] = given["caller"].translate(_SPELLING) if personal else ""
    return Wanted(**given, everything=query.get("everything") == "1")


def filters_of(wanted: Wanted) -> dict[str, str]:
    """The inverse of `wanted_of`."""
    found = {name: getattr(wanted, name) for name in ("state", "tool", "rule", "caller")}
    found["everything"] = "1" if wanted.everything else ""
    return {name: value for name, value in found.items() if value}


def place_of(given: str) -> Place | None:
    """Where a page of older requests begins."""
    at, _, request_id = plain(given).partition("~")
    try:
        place = float(at), request_id
    except ValueError:
        return None
    return place if math.isfinite(place[0]) and len(request_id) <= MAX_FILTER_CHARS else None


def hint_of(rule: RuleFigures, days: int) -> str:
    """What to do about a rule that wears people out; "": nothing."""
    if not rule.hint:
        return ""
    share = round(100 * (rule.quick or 0.0))
    return text(
        f"statistics.hint.{rule.hint}", count=rule.asked, days=days, share=share, expired=rule.expired
    )


def took(seconds: float | None) -> str:
    """A time to decide, as it is read."""
    if seconds is None:
        return "-"
    whole = round(seconds)
    return f"{seconds:.1f} s" if seconds < 60 else f"{whole // 60}:{whole % 60:02} min"


def rule_link(rule: RuleFigures) -> str:
    """The page of what a rule asked."""
    return f"{ROOT}/approvals/decided?" + urlencode({"tool": rule.tool, "rule": rule.rule})


def _cards(rows: tuple[StoredRequest, ...]) -> list[Card]:
    found = []
    for row in rows:
        try:
            found.append(card(row, _NOTHING, Described()))
        except (KeyError, TypeError, ValueError, AttributeError):  # who wrote that did not come by us
            continue
    return found


_SPELLING = str.maketrans("", "", " -/().")
