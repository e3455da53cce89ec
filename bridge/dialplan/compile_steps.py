"""Steps as a person writes them, into the steps of a plan. They were checked before.

Reads the files that `play` and `music` name. Not worker-safe. Called by bridge/dialplan/load.py.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.dialplan import inputfile
from bridge.dialplan import schema_steps as schema
from bridge.dialplan import steps as plan
from bridge.dialplan.queue import Queue
from bridge.dialplan.schema_queues import Queue as QueueSpec
from bridge.dialplan.source import Source, music_path, play_path

Steps = tuple[plan.Step, ...]

_STATUS_WORDS = {
    403: "Forbidden",
    404: "Not Found",
    480: "Temporarily Unavailable",
    486: "Busy Here",
    488: "Not Acceptable Here",
    500: "Server Internal Error",
    503: "Service Unavailable",
    600: "Busy Everywhere",
    603: "Decline",
    607: "Unwanted",
    608: "Rejected",
}
"""Reason phrases of the statuses people use (RFC 3261 section 21, RFC 8197, RFC 8688)."""


def compile_steps(source: Source, steps: Iterable[schema.Step] | None) -> Steps:
    """The compiled steps; the checks made sure that exactly one action is set in each."""
    return tuple(_Compiler(source).step(step) for step in steps or ())


@dataclass(frozen=True, slots=True)
class _Compiler:
    source: Source

    def step(self, step: schema.Step) -> plan.Step:
        verb = step.verb
        made = _COMPILERS[verb](self, getattr(step, verb), compile_steps(self.source, step.or_else))
        return made  # noqa: RET504  # the table's type says less than the annotation

    def prompts(self, given: schema.Prompted) -> tuple[plan.Prompt, ...]:
        said = (self.say(given.say),) if given.say else ()
        return (*said, self.play(given.play)) if given.play else said

    def say(self, say: schema.Say, _: Steps = ()) -> plan.SayStep:
        language = say.language or self.source.spec.language
        return plan.SayStep(
            say.text, language, "" if "{{" in say.text or "{%" in say.text else prompt_id(say.text, language)
        )

    def play(self, file: str, _: Steps = ()) -> plan.PlayStep:
        path = play_path(self.source, file)
        content = inputfile.read(path, self.source.root, inputfile.MAX_PLAY_BYTES)
        return plan.PlayStep(str(path), hashlib.sha256(content).hexdigest()[:16])

    def hold(self, hold: schema.Hold, _: Steps) -> plan.Step:
        return plan.HoldStep(hold.s, music_path(self.source, hold.music))

    def menu(self, menu: schema.Menu, or_else: Steps) -> plan.Step:
        return plan.MenuStep(
            prompts=self.prompts(menu),
            options={key: compile_steps(self.source, one.do) for key, one in menu.options.items()},
            words={key: tuple(one.words) for key, one in menu.options.items() if one.words},
            language=menu.say.language if menu.say and menu.say.language else self.source.spec.language,
            timeout_s=menu.timeout_s,
            tries=menu.tries,
            or_else=or_else,
        )

    def collect(self, collect: schema.Collect, or_else: Steps) -> plan.Step:
        return plan.CollectStep(
            prompts=self.prompts(collect),
            into=collect.into,
            least=collect.digits or collect.least,
            most=collect.digits or collect.most,
            terminator=collect.terminator,
            timeout_s=collect.timeout_s,
            tries=collect.tries,
            or_else=or_else,
        )

    def switch(self, switch: schema.Switch, or_else: Steps) -> plan.Step:
        cases = {value.strip().lower(): compile_steps(self.source, do) for value, do in switch.cases.items()}
        return plan.SwitchStep(switch.value, cases, or_else)

    def tool(self, tool: schema.Tool, or_else: Steps) -> plan.Step:
        arguments = json.dumps(tool.arguments)
        return plan.ToolStep(
            tool.name, arguments, tool.into or "", music_path(self.source, tool.music), or_else
        )

    def voicemail(self, mail: schema.Voicemail, or_else: Steps) -> plan.Step:
        return plan.VoicemailStep(
            prompts=self.prompts(mail),
            mailbox=mail.mailbox,
            to=tuple(mail.to),
            max_s=mail.max_s,
            silence_s=mail.silence_s,
            finish_key=mail.finish_key,
            or_else=or_else,
        )

    def dial(self, dial: schema.Dial, or_else: Steps) -> plan.Step:
        return plan.DialStep(
            targets=tuple(dial.to),
            ring_s=dial.ring_s,
            together=dial.together,
            music=music_path(self.source, dial.music),
            headers=dial.headers,
            or_else=or_else,
        )

    def warm_transfer(self, warm: schema.WarmTransfer, or_else: Steps) -> plan.Step:
        return plan.WarmTransferStep(
            target=warm.to,
            summary=warm.summary,
            language=warm.language or self.source.spec.language,
            spoken=warm.spoken,
            accept_key=warm.accept_key,
            ring_s=warm.ring_s,
            music=music_path(self.source, warm.music),
            release=warm.release,
            or_else=or_else,
        )

    def park(self, park: schema.Park, or_else: Steps) -> plan.Step:
        return plan.ParkStep(park.slot, park.timeout_s, music_path(self.source, park.music), or_else)


def compile_queue(source: Source, name: str, spec: QueueSpec) -> Queue:
    """Its music's path is absolute."""
    return Queue(
        name=name,
        members=tuple(spec.members),
        strategy=spec.strategy,
        ring_s=spec.ring_s,
        wrap_up_s=spec.wrap_up_s,
        retry_s=spec.retry_s,
        max_callers=spec.max_callers,
        max_wait_s=spec.max_wait_s,
        music=music_path(source, spec.music),
        announce=spec.announce,
        announce_every_s=spec.announce_every_s,
        language=spec.language or source.spec.language,
    )


def prompt_id(text: str, language: str) -> str:
    """16 hex digits that name a spoken text: the same text in the same language is spoken once."""
    return hashlib.sha256(f"{language}\n{text}".encode()).hexdigest()[:16]


_COMPILERS: Mapping[str, Callable[[_Compiler, Any, Steps], plan.Step]] = {
    "ring": lambda _, ring, __: plan.RingStep(ring.ms),
    "early_media": lambda to, early, _: plan.EarlyMediaStep(to.prompts(early)),
    "answer": lambda _, __, ___: plan.AnswerStep(),
    "say": _Compiler.say,
    "play": _Compiler.play,
    "hold": _Compiler.hold,
    "agent": lambda _, name, or_else: plan.AgentStep(name, or_else),
    "menu": _Compiler.menu,
    "collect": _Compiler.collect,
    "set": lambda _, values, __: plan.SetStep(values),
    "switch": _Compiler.switch,
    "go": lambda _, flow, __: plan.GoStep(flow),
    "tool": _Compiler.tool,
    "voicemail": _Compiler.voicemail,
    "transfer": lambda _, transfer, or_else: plan.TransferStep(transfer.to, or_else, transfer.headers),
    "dial": _Compiler.dial,
    "warm_transfer": _Compiler.warm_transfer,
    "conference": lambda _, conference, or_else: plan.ConferenceStep(
        tuple(conference.invite), conference.agent or "", conference.ring_s, or_else
    ),
    "queue": lambda _, name, or_else: plan.QueueStep(name, or_else),
    "park": _Compiler.park,
    "pick_up": lambda _, slot, or_else: plan.PickUpStep(slot, or_else),
    "callback": lambda _, callback, or_else: plan.CallbackStep(callback.number, callback.after_s, or_else),
    "hang_up": lambda _, end, __: plan.HangUpStep(
        end.status, end.reason or _STATUS_WORDS.get(end.status or 0, "")
    ),
    "reject": lambda _, end, __: plan.RejectStep(
        end.status, end.reason or _STATUS_WORDS.get(end.status, "Refused")
    ),
}
