"""The approvals page, one request's page, and the buttons on them.

A decision is a Verdict that names the form which was seen (`binding`), so that what somebody changed meanwhile is not
approved by mistake; it goes the way of the command line's (bridge/verdicts.py), and what the gate answers is shown.
Buttons are plain forms: they work without JavaScript, and answer with a card where there is some.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from bridge.approval.actions import State
from bridge.console import stepup
from bridge.console.again import Again, Asked, Proof
from bridge.console.card import Card, changed
from bridge.console.feed import Feed
from bridge.console.snapshot import Snapshot
from bridge.console.texts import text
from bridge.console.trail import told
from bridge.console.web import PageError, Visit, Web
from bridge.store.gatestore import GateStore
from bridge.store.paststore import PastStore
from bridge.store.queuestore import MAX_OPEN
from bridge.store.userstore import User
from bridge.verdicts import ANSWER_S, TAKEN, Verdict, leave

MAX_REASON_CHARS = 300
OUTCOMES = {"done": "succeeded", "not_done": "failed"}
_ID = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True, slots=True)
class ApprovalsDeps:
    """`key` seals decisions; `again` asks for a second factor where one is needed (stepup.py)."""

    gates: GateStore
    past: PastStore
    key: bytes
    again: Again


class Approvals:
    """The pages."""

    def __init__(self, web: Web, feed: Feed, deps: ApprovalsDeps) -> None:
        self._web = web
        self._feed = feed
        self._deps = deps

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        return [
            self._web.get("/approvals", self._all),
            self._web.get("/approvals/{id}", self._one),
            self._web.post("/approvals/{id}/approve", self._approve, "decide"),
            self._web.post("/approvals/{id}/deny", self._deny, "decide"),
            self._web.post("/approvals/{id}/edit", self._edit, "decide"),
            self._web.post("/approvals/{id}/ask", self._ask, "decide"),
            self._web.post("/approvals/{id}/reconcile", self._reconcile, "reconcile"),
        ]

    async def _all(self, visit: Visit) -> Response:
        now = await self._feed.look()
        values = {"cards": [view(visit, card) for card in now.open_cards], "now": now, "most": MAX_OPEN}
        values["here"] = "approvals"
        return await asyncio.to_thread(self._web.page, "approvals.html", visit, values)  # 20 ms for 100 cards

    async def _one(self, visit: Visit) -> Response:
        return await self._page(visit, await self._card(visit), "", 200)

    async def _page(
        self, visit: Visit, card: Card, said: str, status: int, ask: Asked | None = None
    ) -> Response:
        personal = visit.may("personal")
        trail = await self._deps.past.trail(card.request_id, card.call_id)
        shown = [told(one, personal=personal) for one in trail]
        values = {
            "card": view(visit, card, said) | {"ask": ask},
            "trail": shown,
            "now": self._feed.snapshot,
            "digest": Snapshot((card,)).digest,
            "here": "approvals",
        }
        return self._web.page("approval.html", visit, values, status)

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

    async def _ask(self, visit: Visit) -> Response:
        """Have the agent ask the caller something; it decides nothing."""
        return await self._leave(visit, "ask", visit.form.get("question", ""), None, "ask")

    async def _reconcile(self, visit: Visit) -> Response:
        verdict, note = OUTCOMES.get(visit.form.get("outcome", "")), visit.form.get("note", "").strip()
        if verdict is None or not note:
            return await self._told(visit, await self._card(visit), text("act.note_wanted"), 400)
        return await self._leave(visit, verdict, note[:MAX_REASON_CHARS], None)

    async def _decide(self, visit: Visit, verdict: str, arguments: Mapping[str, Any] | None) -> Response:
        reason = visit.form.get("reason", "").strip()[:MAX_REASON_CHARS]
        return await self._leave(visit, verdict, reason, arguments)

    async def _leave(
        self, visit: Visit, verdict: str, words: str, arguments: Mapping[str, Any] | None, done: str = "done"
    ) -> Response:
        card, proof = await self._card(visit), Proof()
        if needs_factor(self._deps.again.rules, card, verdict, arguments):
            proof = await self._deps.again.factor(visit)
            if proof.asked:
                return await self._told(visit, card, "", 409, proof.asked)
        decision = Verdict(
            verdict=verdict,
            by=visit.who.name,
            via="console",
            binding=visit.form.get("binding", ""),
            reason=words,
            arguments=arguments,
            factor=proof.by,
        )
        answer = await leave(self._deps.gates, self._deps.key, card.request_id, decision, ANSWER_S)
        taken = answer.startswith(TAKEN)
        why = answer.split(": ", 2)[-1]
        said = text(f"{done}.taken") if taken else text(f"{done}.refused", why=why)
        return await self._told(visit, await self._card(visit), said, 200 if taken else 409)

    async def _told(
        self, visit: Visit, card: Card, said: str, status: int, ask: Asked | None = None
    ) -> Response:
        if visit.by_script:
            shown = view(visit, card, said) | {"ask": ask}
            return self._web.page("piece.html", visit, {"card": shown}, status)
        return await self._page(visit, card, said, status, ask)

    async def _card(self, visit: Visit) -> Card:
        wanted = str(visit.request.path_params["id"])
        card = await self._feed.one(wanted) if _ID.fullmatch(wanted) else None
        if card is None:
            raise PageError(404, text("error.not_found"))
        return card


def needs_factor(
    rules: stepup.Rules, card: Card, verdict: str = "approve", arguments: Mapping[str, Any] | None = None
) -> bool:
    """Whether this verdict on a card needs a second factor. `arguments`: approved in this form instead."""
    shown = {one.name: one.value for one in card.arguments}
    return stepup.wanted(rules, card.risk, verdict, shown, arguments)


def view(visit: Visit, card: Card, said: str = "") -> dict[str, Any]:
    """What a template shows of a card to this visitor. `said`: what became of their decision."""
    return {
        "it": card,
        "said": said,
        "ask": None,
        "personal": visit.may("personal"),
        "keeps": keeps_from(visit.who, card) if card.pending else "",
        "alerts": alerts(visit.who, card),
        "settles": card.state == State.UNKNOWN and settles(visit.who, card),
    }


def alerts(user: User, card: Card) -> bool:
    """Whether a sound is made for it: an approver is called for what they can decide, who watches for everything."""
    return card.pending and ("approver" not in user.roles or not keeps_from(user, card))


def settles(user: User, card: Card) -> bool:
    """Whether this user may say what became of a request that nobody knows the outcome of."""
    asked = not card.group or bool(user.groups & {*card.groups})
    return "admin" in user.roles or ("approver" in user.roles and asked)


def keeps_from(user: User, card: Card) -> str:
    """Why this user has no buttons; "": they have. The gate judges by itself, whatever a page shows."""
    if "approver" not in user.roles:
        return text("people.not_role")
    if not user.groups & {*card.groups}:
        return text("people.not_group", group=" / ".join(card.groups))
    if card.caller.number in user.numbers - {""}:
        return text("people.own")
    return text("people.you") if user.name in card.approved_by else ""
