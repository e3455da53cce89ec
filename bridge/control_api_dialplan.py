"""The dialplan over the API (control_api.py).

    GET  /api/v1/dialplan                what is in force, since when, why; the last refusal; workers that lag
    GET  /api/v1/dialplan/versions       every kept plan, newest first
    GET  /api/v1/dialplan/versions/{v}   one, with its files and the plan
    POST /api/v1/dialplan/reload         200 {"version", …}, or 422 {"error", "problems": […]}
    POST /api/v1/dialplan/rollback       {"version": "…"}, a beginning will do
    POST /api/v1/dialplan/check          {"files": {name: text}} or {"path": "a.yaml"} or {} → {"ok", "problems", …}

A problem: {"file", "line", "column", "key", "message", "hint", "text"}. Reading takes any role, changing operator or
admin. Nothing of `check` comes into force; its files stand in for the YAML files of the dialplan's folder.
"""

import asyncio
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bridge.control_api import ApiError, ApiRoute, Call, Terms, get, post
from bridge.control_api_docs import (
    AT,
    FLAG,
    INTEGER,
    TEXT,
    Doc,
    along,
    by_name,
    exactly,
    list_of,
    maybe,
    string,
    thing,
)
from bridge.control_dialplan import Outcome, PlanDesk
from bridge.control_sources import inside
from bridge.control_versions import Cause, Kept, PlanVersions
from bridge.dialplan.around import Around
from bridge.dialplan.load import inspect
from bridge.errors import BridgeError, FileProblems, Problem

MAX_CHECK_BYTES = 9 * 1024 * 1024
"""A dialplan file may have 8 MB (bridge/yamlfile.py)."""
MAX_CHECK_FILES = 200
SETTLE_S = 10.0
"""Workers take a plan of 5,000 routes one after the other, in half a second each."""
_LOOK_S = 0.05
_NAME = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9_. -]{0,99}/){0,5}[A-Za-z0-9_-][A-Za-z0-9_. -]{0,99}")
_YAML = frozenset({".yaml", ".yml"})
PROBLEMS = list_of(along(Problem, text=TEXT))
STATUS = thing(
    {
        "version": maybe(TEXT),
        "since": maybe(AT),
        "how": maybe(TEXT),
        "by": maybe(TEXT),
        "rolled_back": FLAG,
        "routes": INTEGER,
        "agents": INTEGER,
        "dialplans": TEXT,
        "watched": FLAG,
        "lagging": by_name(TEXT),
        "refused": maybe(thing({"at": AT, "how": TEXT, "by": TEXT, "action": TEXT, "problems": PROBLEMS})),
    }
)
HEAD = thing({"version": TEXT, "in_force": FLAG, "at": AT, "how": TEXT, "by": TEXT, "action": TEXT})
TAKEN = thing(
    {"version": TEXT, "changed": FLAG, "note": TEXT, "warnings": PROBLEMS, "lagging": by_name(TEXT)}
)
DOCS = {
    "status": Doc("The dialplan in force: since when, why, and what was refused last.", STATUS),
    "list": Doc("Every kept version, the newest first.", thing({"versions": list_of(HEAD)})),
    "one": Doc(
        "One version with its files and the plan.",
        thing({"version": TEXT, "files": by_name(TEXT), "plan": thing({})}),
        refuses=(404,),
        details="A beginning of the version will do.",
    ),
    "reload": Doc(
        "Read the files again, all or nothing.", TAKEN, refuses=(422,), details="422 says every mistake."
    ),
    "rollback": Doc(
        "Have a kept version in force again.",
        TAKEN,
        exactly({"version": string(100, 1)}),
        refuses=(422,),
        details="A beginning of the version will do.",
    ),
    "check": Doc(
        "Check files, a path below the dialplan's folder, or that folder; nothing comes into force.",
        thing(
            {"ok": FLAG, "problems": PROBLEMS, "warnings": PROBLEMS},
            version=TEXT,
            routes=INTEGER,
            agents=INTEGER,
        ),
        exactly({}, files={**by_name(TEXT), "minProperties": 1, "maxProperties": MAX_CHECK_FILES}, path=TEXT),
    ),
}


class DialplanApi:
    """The handlers. `providers`: names agents may use. `environment`: whose overlay counts."""

    def __init__(
        self,
        desk: PlanDesk,
        versions: PlanVersions,
        providers: Collection[str] | Around,
        environment: str | None = None,
    ) -> None:
        self._environment = environment
        self._desk = desk
        self._versions = versions
        self._providers = providers
        self._checking = asyncio.Semaphore(1)

    def routes(self) -> list[ApiRoute]:
        """For `application`."""
        base = "/api/v1/dialplan"
        return [
            get(base, "look", self._status, DOCS["status"]),
            get(f"{base}/versions", "look", self._list, DOCS["list"]),
            get(f"{base}/versions/{{version}}", "dialplan", self._one, DOCS["one"]),
            post(f"{base}/reload", "dialplan", self._reload, DOCS["reload"]),
            post(f"{base}/rollback", "dialplan", self._rollback, DOCS["rollback"]),
            post(f"{base}/check", "dialplan", self._check, DOCS["check"], Terms(max_body=MAX_CHECK_BYTES)),
        ]

    async def _status(self, _call: Call) -> Mapping[str, Any]:
        return status(self._desk)

    async def _list(self, _call: Call) -> Mapping[str, Any]:
        kept = await asyncio.to_thread(self._versions.kept)
        return {"versions": [shown(head, self._desk.version) for head in kept]}

    async def _one(self, call: Call) -> Mapping[str, Any]:
        try:
            version = await asyncio.to_thread(self._versions.find, call.path["version"])
        except BridgeError as error:
            raise ApiError(404, str(error)) from None
        return await asyncio.to_thread(self._versions.read, version)

    async def _reload(self, call: Call) -> Mapping[str, Any]:
        return await self._answer(await self._desk.reload(Cause(call.how, call.user.name)))

    async def _rollback(self, call: Call) -> Mapping[str, Any]:
        version = call.body.get("version")
        if not isinstance(version, str) or not version:
            raise ApiError(400, 'the version is missing: {"version": "…"} (GET /api/v1/dialplan/versions)')
        return await self._answer(await self._desk.rollback(version, Cause(call.how, call.user.name)))

    async def _answer(self, outcome: Outcome) -> Mapping[str, Any]:
        if not outcome.ok:
            count = len(outcome.problems)
            sentence = (
                f"refused, {count} {'mistake' if count == 1 else 'mistakes'}; everything stays as it was"
            )
            raise ApiError(422, sentence, version=outcome.version, problems=_plain(outcome.problems))
        await settled(self._desk)
        answer = {"version": outcome.version, "changed": outcome.changed, "note": outcome.note}
        return answer | {"warnings": _plain(outcome.warnings), "lagging": _workers(self._desk.lagging())}

    async def _check(self, call: Call) -> Mapping[str, Any]:
        files, path = call.body.get("files"), call.body.get("path")
        if files is not None and path is not None:
            raise ApiError(400, "give files or a path, not both")
        async with self._checking:
            if files is not None:
                return await asyncio.to_thread(self._check_files, _named(files))
            return await asyncio.to_thread(self._inspect, self._inside(path), self._desk.dialplans)

    def _inside(self, path: Any) -> Path:
        folder = self._desk.dialplans
        if path is None:
            return folder
        base = folder if folder.is_dir() else folder.parent
        if not isinstance(path, str) or not _NAME.fullmatch(path):
            raise ApiError(400, f"the path must be that of a file below {base}, such as shop.yaml")
        found = (base / path).resolve()
        if not found.is_relative_to(base.resolve()):
            raise ApiError(400, f"the path leads out of {base}")
        if found.suffix not in _YAML and not found.is_dir():
            raise ApiError(400, "the path must be that of a YAML file, or of a folder of them")
        return found

    def _check_files(self, files: Mapping[str, str]) -> Mapping[str, Any]:
        folder = self._desk.dialplans
        with tempfile.TemporaryDirectory(prefix="sipbridge-check-") as made:
            place = Path(made)
            try:
                _lay_out(place, files, folder)
            except OSError as error:  # such as a.yaml and a.yaml/b.yaml
                sentence = f"the files cannot lie beside each other: {error.strerror or error}"
                raise ApiError(400, sentence) from None
            return self._inspect(place, place)

    def _inspect(self, path: Path, root: Path) -> Mapping[str, Any]:
        try:
            found = inspect(path, self._providers, environment=self._environment)
        except FileProblems as error:
            return {"ok": False, "problems": _plain(error.problems, root), "warnings": []}
        except (BridgeError, OSError, ValueError) as error:
            raise ApiError(400, f"cannot be checked: {error}") from None
        warnings = _plain(found.warnings, root)
        counts = {"routes": len(found.plan.routes), "agents": len(found.plan.agents)}
        return {"ok": True, "version": found.plan.version, **counts, "problems": [], "warnings": warnings}


def _lay_out(place: Path, files: Mapping[str, str], folder: Path) -> None:
    """The files, and beside them the texts and sounds of the plan's folder that they refer to."""
    for name, text in files.items():
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    for name, beside in inside(folder) if folder.is_dir() else ():
        copy = place / name
        if beside.suffix not in _YAML and not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(beside, copy)


async def settled(desk: PlanDesk) -> None:
    """Give the workers a moment to take the plan in force."""
    until = time.monotonic() + SETTLE_S
    while desk.lagging() and time.monotonic() < until:  # noqa: ASYNC110  # workers tell the link, not us
        await asyncio.sleep(_LOOK_S)


def status(desk: PlanDesk) -> dict[str, Any]:
    """What /api/v1/dialplan says."""
    now, refusal, plan = desk.now, desk.refusal, desk.plan
    return {
        "version": desk.version or None,
        "since": now.at if now else None,
        "how": now.cause.how if now else None,
        "by": now.cause.by if now else None,
        "rolled_back": bool(now and now.rolled_back),
        "routes": len(plan.routes) if plan else 0,
        "agents": len(plan.agents) if plan else 0,
        "dialplans": str(desk.dialplans),
        "watched": desk.watched,
        "lagging": _workers(desk.lagging()),
        "refused": refusal
        and {
            "at": refusal.at,
            "how": refusal.cause.how,
            "by": refusal.cause.by,
            "action": refusal.action,
            "problems": _plain(refusal.problems),
        },
    }


def shown(head: Kept, in_force: str) -> dict[str, Any]:
    """A kept version for the API and the console."""
    last = head.times[-1]
    return {
        "version": head.version,
        "in_force": head.version == in_force,
        "at": head.at,
        "how": last["how"],
        "by": last["by"],
        "action": last["action"],
        "times": list(head.times),
        "routes": head.routes,
        "agents": head.agents,
        "files": list(head.files),
    }


def _plain(problems: Iterable[Problem], root: Path | None = None) -> list[dict[str, Any]]:
    prefix = f"{root}/" if root else ""
    return [
        {
            name: value.replace(prefix, "") if prefix and isinstance(value, str) else value
            for name, value in {**asdict(one), "text": str(one)}.items()
        }
        for one in problems
    ]


def _workers(lagging: Mapping[int, str]) -> dict[str, str]:
    return {str(worker): version for worker, version in lagging.items()}


def _named(files: Any) -> Mapping[str, str]:
    if not isinstance(files, dict) or not files or len(files) > MAX_CHECK_FILES:
        raise ApiError(400, f'files must be {{"name.yaml": "text"}}, at most {MAX_CHECK_FILES}')
    for name, text in files.items():
        if not _NAME.fullmatch(name) or not isinstance(text, str):
            raise ApiError(400, f"{name[:100]!r} is no name of a file with a text")
    return files
