"""What the steps of a call have in common: the caller, the plan, the variables, and how texts become audio."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import structlog

from bridge.call.callerside import CallerSide, End
from bridge.call.journal import Journal
from bridge.call.modelside import CallDeps
from bridge.call.prompts import read_prompt
from bridge.dialplan.facts import CallFacts
from bridge.dialplan.plan import Plan
from bridge.dialplan.steps import PlayStep, Prompt, SayStep, Step
from bridge.dialplan.variables import Scene, clean, render
from bridge.errors import LinkError, MediaError
from bridge.sip.events import TransferProgress

log = structlog.get_logger(__name__)

MAX_VARIABLES = 100
MAX_VARIABLE_CHARS = 4000
MAX_CACHED_MUSIC = 8


async def nothing() -> None:
    """Of what a call has none."""


class NotDoneError(Exception):
    """A step or command was not carried out; the text says why, for the record and for the model."""


@dataclass(slots=True)
class CallContext:
    """One call, as its steps see it.

    `run(steps)` runs more steps; `end` ends the call and does not come back. `progress`: what became of a REFER.
    `before_people`, `with_people`: the caller is about to talk with people, and does (recording).
    """

    plan: Plan
    deps: CallDeps
    journal: Journal
    caller: CallerSide
    facts: CallFacts
    end: End
    run: Callable[[Iterable[Step]], Awaitable[None]]
    progress: "asyncio.Queue[TransferProgress]"
    before_people: Callable[[], Awaitable[None]] = nothing
    with_people: Callable[[], None] = lambda: None
    detail: str = ""
    language: str = "en"
    jumps: int = 0
    messages: int = 0
    ordered_s: float | None = None
    """When the caller was to be brought to somebody (monotonic); None again as soon as that one is being called."""
    music_cache: dict[str, bytes] = field(default_factory=dict)

    @property
    def call_id(self) -> str:
        """As in the record."""
        return self.journal.call_id

    def set(self, values: Mapping[str, str]) -> None:
        """Variables of the call; from here on templates know them."""
        cut = {name: clean(value, MAX_VARIABLE_CHARS) for name, value in values.items()}
        kept = {**self.facts.vars, **cut}
        self.facts = replace(self.facts, vars=dict(list(kept.items())[-MAX_VARIABLES:]))

    def render(self, template: str, language: str = "en") -> str:
        """A template of the plan, filled in."""
        scene = Scene(self.facts, datetime.now().astimezone(), self.facts.vars, self._incomplete)
        return render(template, scene, language)

    def _incomplete(self, words: str) -> None:
        log.warning("template.incomplete", call_id=self.call_id, reason=words)

    async def prompts(self, prompts: Iterable[Prompt]) -> bytes:
        """The PCM of prompts, one after the other; what cannot be had is told and left out."""
        pieces = [await self._prompt(prompt) for prompt in prompts]
        return b"".join(pieces)

    async def speech(self, text: str, language: str) -> bytes:
        """The PCM of a text, spoken by control; nothing when that fails."""
        config = self.deps.config.deadlines
        try:
            answer = await self.deps.request(
                "speech.say", {"text": text, "language": language}, config.link_request_s
            )
            pcm = await asyncio.to_thread(read_prompt, Path(str(answer["path"])))
        except (LinkError, MediaError, KeyError) as error:
            self.trouble("prompt", "not_spoken", str(error))
            return b""
        self.journal.note("prompt", text=text, ms=len(pcm) // 16)
        return pcm

    async def music(self, path: str) -> bytes:
        """The PCM of a music file; "" is the built-in one."""
        if path not in self.music_cache:
            try:
                pcm = await asyncio.to_thread(self.deps.music, path)
            except MediaError as error:
                self.trouble("music", "unreadable", str(error))
                return b""
            while len(self.music_cache) >= MAX_CACHED_MUSIC:
                del self.music_cache[next(iter(self.music_cache))]
            self.music_cache[path] = pcm
        return self.music_cache[path]

    async def _prompt(self, prompt: Prompt) -> bytes:
        match prompt:
            case SayStep(text, language, ""):
                return await self.speech(self.render(text, language), language)
            case SayStep(text, _, prompt_id):
                path = Path(self.deps.config.paths.prompt(prompt_id))
            case PlayStep(name):
                path, text = Path(name), Path(name).name
        try:
            pcm = await asyncio.to_thread(read_prompt, path)
        except MediaError as error:
            self.trouble("prompt", "unreadable", str(error))
            return b""
        self.journal.note("prompt", text=text, ms=len(pcm) // 16)
        return pcm

    def trouble(self, where: str, code: str, message: str) -> None:
        """Something did not work; the call goes on."""
        self.journal.note("error", where=where, code=code, message=message)
        log.warning("call.trouble", call_id=self.call_id, where=where, code=code, reason=message)
