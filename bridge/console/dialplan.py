"""The pages of the dialplan: what is in force, what the files say, what was before, and how to change which one it is.

    /console/dialplan            in force: routes, agents, flows, targets     POST …/reload
    /console/dialplan/disk       the files as they are: mistakes, and what a reload would change
    /console/dialplan/versions   every kept version                           POST …/rollback
    /console/dialplan/compare    any two of them
    /console/dialplan/file/…     a file with its lines
    /console/dialplan/explain    what would happen to a call

Reload and rollback go control's one way (PlanDesk); a plan that is refused changes nothing and the page says why.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from bridge.console import planview
from bridge.console.plans import DISK, RUNNING, Done, Look, Plans
from bridge.console.texts import text
from bridge.console.web import PageError, Visit, Web
from bridge.dialplan.diff import Change, compare
from bridge.dialplan.plan import Plan
from bridge.dialplan.question import Answer, Question, answer
from bridge.errors import BridgeError

CHANGE = "dialplan"
MAX_CHANGES = 300
MAX_FIELD = 2_000
BOTH = (RUNNING, DISK)
_EMPTY = {"to": "", "from": "", "at": "", "trunk": "", "headers": "", "loads": "", "which": RUNNING}


class DialplanPages:
    """The pages over `plans`."""

    def __init__(self, web: Web, plans: Plans) -> None:
        self._web = web
        self._plans = plans
        self._known: deque[tuple[Mapping[str, str], planview.Places]] = deque(maxlen=3)

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        get, post = self._web.get, self._web.post
        return [
            get("/dialplan", self._running),
            get("/dialplan/disk", self._disk),
            get("/dialplan/versions", self._versions),
            get("/dialplan/compare", self._compare),
            get("/dialplan/explain", self._ask),
            get("/dialplan/file/{which}/{name:path}", self._file),
            post("/dialplan/explain", self._explain, "look"),
            post("/dialplan/reload", self._reload, CHANGE),
            post("/dialplan/rollback", self._rollback, CHANGE),
        ]

    # ---- pages -----------------------------------------------------------------------------------------------

    async def _running(self, visit: Visit) -> Response:
        look = await self._look(RUNNING)
        wanted = visit.request.query_params.get("q", "")[:100]

        known = await self._places(look)

        def rows(plan: Plan) -> dict[str, Any]:
            found, count = planview.routes(plan, look.texts, known, wanted)
            return {"routes": found, "count": count, "sections": planview.sections(plan, known)}

        values = (
            await asyncio.to_thread(rows, look.plan)
            if look.plan
            else {"routes": [], "count": 0, "sections": {}}
        )
        used = planview.used(look.plan, (), look.texts)
        around = {"look": look, "wanted": wanted, "used": used}
        return await self._page("plan_running.html", visit, {**around, **values})

    async def _disk(self, visit: Visit) -> Response:
        return await self._disk_page(visit, None, 200)

    async def _disk_page(self, visit: Visit, done: Done | None, status: int) -> Response:
        disk, running = await self._look(DISK), await self._look(RUNNING)
        values = {
            "look": disk,
            "done": done,
            "said": planview.findings(done.problems if done else (), disk.texts),
            "used": planview.used(disk.plan, disk.problems, disk.texts),
            "findings": planview.findings(disk.problems, disk.texts),
            "warnings": planview.findings(disk.warnings, disk.texts),
            **await difference(running, disk),
        }
        return await self._page("plan_disk.html", visit, values, status)

    async def _versions(self, visit: Visit) -> Response:
        return await self._versions_page(visit, None, 200)

    async def _versions_page(self, visit: Visit, done: Done | None, status: int) -> Response:
        heads = await self._plans.heads()
        said = planview.findings(done.problems if done else (), {})
        return await self._page(
            "plan_versions.html", visit, {"heads": heads, "done": done, "said": said}, status
        )

    async def _compare(self, visit: Visit) -> Response:
        query = visit.request.query_params
        old, new = query.get("old", RUNNING), query.get("new", DISK)
        before, after = await self._look(old), await self._look(new)
        if after.plan is None or before.plan is None:
            which = before if before.plan is None else after
            raise PageError(409, text("plan.no_compare", which=text_of(which)))
        values = {"old": before, "new": after, **await difference(before, after)}
        return await self._page("plan_compare.html", visit, {**values, "heads": await self._plans.heads()})

    async def _file(self, visit: Visit) -> Response:
        path, query = visit.request.path_params, visit.request.query_params
        look = await self._look(str(path["which"]))
        name = str(path["name"])
        if name not in look.texts:
            raise PageError(404, text("plan.no_file"))
        at, page = _number(query.get("at", "1")), _number(query.get("page", "0"))
        window = await asyncio.to_thread(planview.window, look.texts[name], at, page)
        wrong = {
            one.spot.line for one in planview.findings(look.problems, look.texts) if one.spot.name == name
        }
        values = {"look": look, "name": name, "window": window, "wrong": wrong, "at": at}
        return await self._page("plan_file.html", visit, values)

    # ---- what would happen to this call ----------------------------------------------------------------------

    async def _ask(self, visit: Visit) -> Response:
        given = {"to": visit.request.query_params.get("to", "")[:MAX_FIELD]}
        return await self._explain_page(visit, given, [], "", 200)

    async def _explain(self, visit: Visit) -> Response:
        given = {name: value.strip()[:MAX_FIELD] for name, value in visit.form.items()}
        question = Question(
            to=given.get("to", ""),
            from_number=given.get("from", ""),
            headers=_lines(given.get("headers", "")),
            at=given.get("at", ""),
            trunk=given.get("trunk", ""),
            loads=_lines(given.get("loads", "")),
        )
        which = given.get("which", RUNNING)
        answers: list[dict[str, Any]] = []
        problem = ""
        try:
            looks = [await self._look(one) for one in (BOTH if which == "both" else (which,))]
            answers = [await self._answer(look, question) for look in looks]
        except ValueError as error:
            problem = str(error)
        return await self._explain_page(visit, given, answers, problem, 400 if problem else 200)

    async def _answer(self, look: Look, question: Question) -> dict[str, Any]:
        if look.plan is None:
            return {"look": look, "answer": None, "problems": len(look.problems)}
        plan, known = look.plan, await self._places(look)

        def work() -> dict[str, Any]:
            found = answer(plan, question)
            return {"look": look, "answer": found, **_told(found, look, known)}

        return await asyncio.to_thread(work)

    async def _explain_page(
        self, visit: Visit, given: Mapping[str, str], answers: list[dict[str, Any]], problem: str, status: int
    ) -> Response:
        plan = (await self._look(RUNNING)).plan
        trunks = [one.name for one in plan.trunks] if plan else []
        given = {**_EMPTY, **given}
        values = {"given": given, "answers": answers, "problem": problem, "trunks": trunks}
        return await self._page("plan_explain.html", visit, values, status)

    # ---- changes ---------------------------------------------------------------------------------------------

    async def _reload(self, visit: Visit) -> Response:
        done = await self._plans.reload(visit.who.name, everywhere="everywhere" in visit.form)
        return await self._disk_page(visit, done, 200 if done.ok else 422)

    async def _rollback(self, visit: Visit) -> Response:
        done = await self._plans.rollback(visit.form.get("version", "")[:64], visit.who.name)
        return await self._versions_page(visit, done, 200 if done.ok else 422)

    # ---- all of them -----------------------------------------------------------------------------------------

    async def _look(self, which: str) -> Look:
        try:
            return await self._plans.look(which[:64])
        except BridgeError as error:
            raise PageError(404, str(error)) from None

    async def _places(self, look: Look) -> planview.Places:
        """Found out once for the same texts: control gives the same object until they change."""
        for texts, known in self._known:
            if texts is look.texts:
                return known
        known = await asyncio.to_thread(planview.places, look.texts)
        self._known.append((look.texts, known))
        return known

    async def _page(
        self, template: str, visit: Visit, values: Mapping[str, Any], status: int = 200
    ) -> Response:
        standing = self._plans.standing()
        around = {"here": "dialplan", "standing": standing, "tone": planview.tone}
        return self._web.page(template, visit, {**around, **values}, status)


def text_of(look: Look) -> str:
    """What a person calls it."""
    return text(f"plan.{look.which}") if look.which in BOTH else look.version


async def difference(old: Look, new: Look) -> dict[str, Any]:
    """What is different, in words and in lines; nothing while one of them is no plan."""
    before, after = old.plan, new.plan

    def work() -> dict[str, Any]:
        same = before is None or after is None or before.version == after.version
        changes: list[Change] = list(compare(before, after)) if before and after and not same else []
        files = planview.file_diffs(old.texts, new.texts) if old.texts and new.texts else []
        return {
            "differences": changes[:MAX_CHANGES],
            "more": max(len(changes) - MAX_CHANGES, 0),
            "files": files,
        }

    return await asyncio.to_thread(work)


def _told(found: Answer, look: Look, known: planview.Places) -> dict[str, Any]:
    """The verdicts with links, and the steps of the route that takes the call."""
    last = len(found.verdicts) - planview.MAX_ROUTES
    rows = [
        {
            "name": one.route.name,
            "spot": planview.spot(one.route.file, one.route.line, look.texts),
            "fits": one.misfit is None,
            "why": one.why,
        }
        for one in found.verdicts[max(last, 0) :]
    ]
    taken = planview.route_row(found.taken.route, look.texts, known) if found.taken else None
    return {"rows": rows, "left_out": max(last, 0), "taken": taken}


def _lines(given: str) -> list[str]:
    return [line.strip() for line in given.splitlines() if line.strip()][:50]


def _number(given: str) -> int:
    return int(given) if given.isascii() and given.isdigit() and len(given) < 8 else 0
