"""The approvals page, one request's page, and the buttons on them.

A decision is a Verdict that names the form which was seen (`binding`), so that what somebody changed meanwhile is not
approved by mistake; it goes the way of the command line's (bridge/verdicts.py), and what the gate answers is shown.
Buttons are plain forms: they work without JavaScript, and answer with a card where there is some.
"""

import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from bridge.console import stepup
from bridge.console.again import Again, Asked, Proof
from bridge.console.card import Card, changed
from bridge.console.feed import Feed
from bridge.console.texts import text
from bridge.console.web import PageError, Visit, Web
from bridge.store.gatestore import GateStore
from bridge.store.queuestore import MAX_OPEN
from bridge.store.userstore import User
from bridge.verdicts import ANSWER_S, TAKEN, Verdict, leave

MAX_REASON_CHARS = 300
_ID = re.compile(r"[0-9a-f]{4,64}")


class Approvals:
    """The pages. `key` seals decisions; `again` asks for a second factor where one is needed (stepup.py)."""

    def __init__(self, web: Web, feed: Feed, gates: GateStore, key: bytes, again: Again) -> None:
        self._web = web
        self._feed = feed
        self._gates = gates
        self._key = key
        self._again = again

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        return [
            self._web.get("/approvals", self._all),
            self._web.get("/approvals/{id}", self._one),
            self._web.post("/approvals/{id}/approve", self._approve, "decide"),
            self._web.post("/approvals/{id}/deny", self._deny, "decide"),
            self._web.post("/approvals/{id}/edit", self._edit, "decide"),
        ]

    async def _all(self, visit: Visit) -> Response:
        now = await self._feed.look()
        values = {"cards": [view(visit, card) for card in now.open_cards], "now": now, "most": MAX_OPEN}
        return self._web.page("approvals.html", visit, {**values, "here": "approvals"})

    async def _one(self, visit: Visit) -> Response:
        values = {
            "card": view(visit, await self._card(visit)),
            "now": self._feed.snapshot,
            "here": "approval",
        }
        return self._web.page("approval.html", visit, values)

    async def _approve(self, visit: Visit) -> Response:
        return await self._decide(visit, "approve", None)

    async def _deny(self, visit: Visit) -> Response:
        return await self._decide(visit, "deny", None)

    async def _edit(self, visit: Visit) -> Response:
        card = await self._card(visit)
        try:
            arguments = changed(card.arguments, visit.form)
        except ValueError as error:
            name, _, wanted = str(error).partition("|")
            problem = text("act.bad_value", name=name, wanted=text(f"act.{wanted}"))
            return await self._told(visit, card, problem, 400)
        return await self._decide(visit, "approve", arguments)

    async def _decide(self, visit: Visit, verdict: str, arguments: Mapping[str, Any] | None) -> Response:
        card = await self._card(visit)
        proof = Proof()
        if self._needs_factor(card, verdict, arguments):
            proof = await self._again.factor(visit)
            if proof.asked:
                return await self._told(visit, card, "", 409, proof.asked)
        decision = Verdict(
            verdict=verdict,
            by=visit.who.name,
            via="console",
            binding=visit.form.get("binding", ""),
            reason=visit.form.get("reason", "").strip()[:MAX_REASON_CHARS],
            arguments=arguments,
            factor=proof.by,
        )
        answer = await leave(self._gates, self._key, card.request_id, decision, ANSWER_S)
        taken = answer.startswith(TAKEN)
        why = answer.split(": ", 2)[-1]
        said = text("done.taken") if taken else text("done.refused", why=why)
        return await self._told(visit, await self._card(visit), said, 200 if taken else 409)

    def _needs_factor(self, card: Card, verdict: str, arguments: Mapping[str, Any] | None) -> bool:
        shown = {one.name: one.value for one in card.arguments}
        return stepup.wanted(self._again.rules, card.risk, verdict, shown, arguments)

    async def _told(
        self, visit: Visit, card: Card, said: str, status: int, ask: Asked | None = None
    ) -> Response:
        shown = {**view(visit, card, said), "ask": ask}
        if visit.by_script:
            return self._web.page("piece.html", visit, {"card": shown}, status)
        values = {"card": shown, "now": self._feed.snapshot, "here": "approval"}
        return self._web.page("approval.html", visit, values, status)

    async def _card(self, visit: Visit) -> Card:
        wanted = str(visit.request.path_params["id"])
        card = await self._feed.one(wanted) if _ID.fullmatch(wanted) else None
        if card is None:
            raise PageError(404, text("error.not_found"))
        return card


def view(visit: Visit, card: Card, said: str = "") -> dict[str, Any]:
    """What a template shows of a card to this visitor. `said`: what became of their decision."""
    return {
        "it": card,
        "said": said,
        "ask": None,
        "personal": visit.may("personal"),
        "keeps": keeps_from(visit.who, card) if card.pending else "",
    }


def keeps_from(user: User, card: Card) -> str:
    """Why this user has no buttons; "": they have. The gate judges by itself, whatever a page shows."""
    if "approver" not in user.roles:
        return text("people.not_role")
    if not user.groups & {*card.groups}:
        return text("people.not_group", group=" / ".join(card.groups))
    if card.caller.number in user.numbers - {""}:
        return text("people.own")
    return text("people.you") if user.name in card.approved_by else ""
