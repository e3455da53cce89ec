"""Every plan that came into force, on disk: state_dir/plans/<version>.json, and which of them is in force.

    {"version", "times": [{"at", "how", "by", "action"}, …], "routes", "agents", "prompts", "files", "plan"}

`times`: when it came into force, newest last, and by whom; `files`: the texts of plans and prompts by name. Only our
account can read them. A bounded number is kept; the one in force never goes. Which one that is, and whether somebody
rolled back to it, stands in run/in-force.json, so that it survives a restart. Blocking; control calls it on a thread.
Keeps nothing of a plan in memory but its head.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import structlog

from bridge.control_plan import write_atomically
from bridge.control_sources import Sources, is_kept
from bridge.dialplan.plan import Plan
from bridge.errors import BridgeError, LinkError

log = structlog.get_logger(__name__)

MAX_TIMES = 20
"""Of one version that comes and goes."""
_PROMPT = re.compile(r'"([0-9a-f]{16})"')
"""A prompt's id, wherever in a plan it stands; that other words look like it costs a file, not a prompt."""
_VERSION = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Cause:
    """What had a plan come into force, or tried to: `how` is start, SIGHUP, file watch, CLI or API; `by` a user."""

    how: str
    by: str = ""

    def __str__(self) -> str:
        return f"{self.how}, {self.by}" if self.by else self.how


@dataclass(frozen=True, slots=True)
class InForce:
    """What is in force since `at` (unix seconds). `fingerprint`: of the files when that was decided.

    `rolled_back`: somebody chose it; the files say something else.
    """

    version: str
    at: float
    cause: Cause
    fingerprint: str = ""
    rolled_back: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """The head of a kept plan."""

    version: str
    times: tuple[Mapping[str, Any], ...]
    routes: int
    agents: int
    prompts: frozenset[str] = field(repr=False)
    files: tuple[str, ...] = ()

    @property
    def at(self) -> float:
        """When it came into force last."""
        return float(self.times[-1]["at"])


class PlanVersions:
    """The kept plans of one state folder. `keep`: how many at most."""

    def __init__(self, state_dir: Path, keep: int) -> None:
        self._folder = state_dir / "plans"
        self._state = state_dir / "run" / "in-force.json"
        self._keep = keep
        self._heads: dict[str, Kept] | None = None

    def kept(self) -> list[Kept]:
        """Heads, the one that came into force last first."""
        return sorted(self._all().values(), key=lambda head: head.at, reverse=True)

    def find(self, prefix: str) -> str:
        """The one version that begins so. BridgeError: none, or several."""
        found = [version for version in self._all() if prefix and version.startswith(prefix)]
        if len(found) == 1:
            return found[0]
        several = f": {', '.join(sorted(found)[:5])}" if found else ""
        raise BridgeError(
            f"{len(found) or 'no'} kept plans begin with {prefix[:20]!r}{several} (sipbridge dialplan versions)"
        )

    def read(self, version: str) -> dict[str, Any]:
        """Everything kept of it. BridgeError: it is not there, or broken."""
        path = self._path(version)
        try:
            whole: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BridgeError(f"plan {version[:20]} cannot be read: {error}") from error
        files = whole.get("files")
        if isinstance(files, dict):  # older records hold every text of the folder
            whole["files"] = {name: text for name, text in files.items() if is_kept(name)}
        return whole

    def plan(self, version: str, sounds: Path) -> Plan:
        """The plan itself. BridgeError: a sound it plays is gone.

        A sound that is not any more what it was is taken from `sounds`, where it was copied when the plan was loaded.
        """
        body = self.read(version)["plan"]
        _settle_sounds(body, sounds)
        return Plan.from_json(json.dumps(body))

    def put(self, plan: Plan, sources: Sources, now: InForce, action: str) -> None:
        """Keep a plan that comes into force now, and note that it does. OSError: the disk takes nothing more."""
        before = self._all().get(plan.version)
        times = before.times if before else ()
        entry = {"at": now.at, "how": now.cause.how, "by": now.cause.by, "action": action}
        text = plan.to_json()
        head = Kept(
            plan.version,
            (*times, entry)[-MAX_TIMES:],
            len(plan.routes),
            len(plan.agents),
            frozenset(_PROMPT.findall(text)),
            tuple(sources.texts),
        )
        if action == "rollback":
            whole = self.read(plan.version)
            whole["times"] = list(head.times)
            head = _head(whole)
            content = json.dumps(whole)
        else:
            content = _whole(head, sources, text)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        write_atomically(self._path(plan.version), content.encode(), 0o600)
        self._all()[plan.version] = head
        self.note(now)

    def note(self, now: InForce) -> None:
        """Note which one is in force."""
        write_atomically(self._state, json.dumps(asdict(now)).encode())

    def in_force(self) -> InForce | None:
        """What was in force when control ended; None when nobody knows."""
        try:
            data = json.loads(self._state.read_text(encoding="utf-8"))
            return InForce(**{**data, "cause": Cause(**data["cause"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def prune(self, in_force: str) -> list[str]:
        """Forget the oldest beyond the bound; answers which."""
        gone = [head.version for head in self.kept() if head.version != in_force][self._keep - 1 :]
        for version in gone:
            self._path(version).unlink(missing_ok=True)
            del self._all()[version]
        return gone

    def prompts(self) -> frozenset[str]:
        """Ids of every prompt that any kept plan refers to."""
        return frozenset().union(*(head.prompts for head in self._all().values()))

    def _path(self, version: str) -> Path:
        if not _VERSION.fullmatch(version):
            raise BridgeError(f"{version[:20]!r} is no version: it has 12 hex digits")
        return self._folder / f"{version}.json"

    def _all(self) -> dict[str, Kept]:
        if self._heads is None:
            self._heads = {}
            for path in sorted(self._folder.glob("*.json")):
                try:
                    head = _head(self.read(path.stem))
                except (BridgeError, KeyError, TypeError, IndexError) as error:
                    log.warning("plan.kept_unreadable", path=str(path), reason=str(error))
                    continue
                self._heads[head.version] = head
        return self._heads


def _whole(head: Kept, sources: Sources, plan: str) -> str:
    """The file's text; the plan is JSON already, and may be megabytes."""
    first = {**asdict(head), "prompts": sorted(head.prompts), "files": dict(sources.texts)}
    return f'{json.dumps(first)[:-1]}, "plan": {plan}}}'


def _head(whole: Mapping[str, Any]) -> Kept:
    times = tuple(whole["times"])
    float(times[-1]["at"])
    prompts = frozenset(whole["prompts"])
    return Kept(whole["version"], times, whole["routes"], whole["agents"], prompts, tuple(whole["files"]))


def _settle_sounds(body: Any, sounds: Path) -> None:
    """Have everything that names a sound (`path` and `prompt_id`) point to where it is as it was."""
    if isinstance(body, list):
        for item in body:
            _settle_sounds(item, sounds)
    elif isinstance(body, dict):
        if isinstance(body.get("path"), str) and isinstance(body.get("prompt_id"), str):
            copy = sounds / f"{body['prompt_id']}.wav"
            if copy.exists():
                body["path"] = str(copy)
            elif not Path(body["path"]).exists():
                raise LinkError(f"the sound {body['path']} is gone")
        for item in body.values():
            _settle_sounds(item, sounds)
