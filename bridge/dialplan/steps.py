"""The steps of a compiled dialplan: one frozen dataclass an action. bridge/call carries them out.

A step that can fail has `or_else`: the steps that run then, instead of going on. Steps that ask the caller something,
or that wait, carry what is played as `prompts`. Worker-safe: standard library only. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class RingStep:
    """180 Ringing for `ms` milliseconds before the next step."""

    TAG: ClassVar = "ring"
    ms: int


@dataclass(frozen=True, slots=True)
class SayStep:
    """Answer if that has not happened, speak the prompt to its end.

    Its WAV is `PathsConfig.prompt(prompt_id)`; no `prompt_id`: a template that control speaks when it is due.
    """

    TAG: ClassVar = "say"
    text: str
    language: str
    prompt_id: str


@dataclass(frozen=True, slots=True)
class PlayStep:
    """Answer if that has not happened, play the WAV file (8 kHz, mono, 16 bit, checked) to its end."""

    TAG: ClassVar = "play"
    path: str
    prompt_id: str


Prompt = SayStep | PlayStep


@dataclass(frozen=True, slots=True)
class EarlyMediaStep:
    """Play before the answer: 183 Session Progress with SDP (RFC 3960), then the prompts; the call stays unanswered."""

    TAG: ClassVar = "early_media"
    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class AnswerStep:
    """200 OK, now; other steps answer by themselves when they need to."""

    TAG: ClassVar = "answer"


@dataclass(frozen=True, slots=True)
class HoldStep:
    """Music for `s` seconds. `music`: a WAV file; "" is the built-in one."""

    TAG: ClassVar = "hold"
    s: int
    music: str = ""


@dataclass(frozen=True, slots=True)
class HangUpStep:
    """End the call: BYE once answered (with `Reason: SIP;cause=status` when there is one), else a final response.

    `status` None: an ordinary end; 480 when the call is not answered.
    """

    TAG: ClassVar = "hang_up"
    status: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class RejectStep:
    """Refuse the call, not answered yet, with this final response."""

    TAG: ClassVar = "reject"
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class AgentStep:
    """Connect the caller with an agent. `or_else` runs when the model does not come up or dies.

    An empty `or_else` means: end the call with 503 and say why.
    """

    TAG: ClassVar = "agent"
    agent: str
    or_else: tuple["Step", ...] = ()


@dataclass(frozen=True, slots=True)
class MenuStep:
    """Play the prompts, wait for a key or a word, go on with the steps of that option and then after the menu.

    `words`: what may be said for an option, by its key. `or_else` runs after `tries` without a valid choice.
    """

    TAG: ClassVar = "menu"
    prompts: tuple[Prompt, ...]
    options: Mapping[str, tuple["Step", ...]] = field(hash=False)
    words: Mapping[str, tuple[str, ...]] = field(hash=False)
    language: str
    timeout_s: float
    tries: int
    or_else: tuple["Step", ...] = ()


@dataclass(frozen=True, slots=True)
class CollectStep:
    """Play the prompts, take `least` to `most` digits into the call's variable `into`.

    `terminator` ends the entry and is no part of it; "" is none. `or_else` runs after `tries`.
    """

    TAG: ClassVar = "collect"
    prompts: tuple[Prompt, ...]
    into: str
    least: int
    most: int
    terminator: str
    timeout_s: float
    tries: int
    or_else: tuple["Step", ...] = ()


@dataclass(frozen=True, slots=True)
class SetStep:
    """Give the call's variables values; each is a template."""

    TAG: ClassVar = "set"
    values: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True, slots=True)
class SwitchStep:
    """Go on with the steps of the case that the template `on` gives, letter case ignored; else with `or_else`."""

    TAG: ClassVar = "switch"
    on: str
    cases: Mapping[str, tuple["Step", ...]] = field(hash=False)
    or_else: tuple["Step", ...] = ()


@dataclass(frozen=True, slots=True)
class GoStep:
    """Go on with the steps of a flow of the plan; nothing of this list follows."""

    TAG: ClassVar = "go"
    flow: str


@dataclass(frozen=True, slots=True)
class ToolStep:
    """Ask the gate for a function tool. Its output goes into the variable `into`, if one is named.

    String values of `arguments` (JSON text of an object) are templates. `or_else`: it was not executed.
    """

    TAG: ClassVar = "tool"
    name: str
    arguments: str
    into: str
    music: str
    or_else: tuple["Step", ...] = ()


@dataclass(frozen=True, slots=True)
class VoicemailStep:
    """Play the prompts and a tone, record a message, keep and deliver it.

    It ends with `finish_key`, after `silence_s` without speech, or at `max_s`. `to`: channels of the settings.
    """

    TAG: ClassVar = "voicemail"
    prompts: tuple[Prompt, ...]
    mailbox: str
    to: tuple[str, ...]
    max_s: int
    silence_s: float
    finish_key: str
    or_else: tuple["Step", ...] = ()


@dataclass(frozen=True, slots=True)
class TransferStep:
    """Answer if that has not happened, REFER the caller to a target of the plan's `transfers`, and hang up.

    `headers` (templates) go along in the Refer-To URI (RFC 3261 section 19.1.1). `or_else` runs when the target cannot
    be reached; empty: end the call with 503 and say why.
    """

    TAG: ClassVar = "transfer"
    target: str
    or_else: tuple["Step", ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class DialStep:
    """Call targets, one after the other or (`together`) all at once, and connect the caller with the first to answer.

    Meanwhile the caller hears `music` ("" is the built-in one). After the callee has hung up the next step runs.
    `or_else`: nobody answered.
    """

    TAG: ClassVar = "dial"
    targets: tuple[str, ...]
    ring_s: int
    together: bool
    music: str
    headers: Mapping[str, str] = field(hash=False)
    or_else: tuple["Step", ...] = ()


@dataclass(frozen=True, slots=True)
class WarmTransferStep:
    """Call a target, tell it who is coming, connect it with the caller when it accepts with a key.

    `summary` is a template. `spoken`: the caller hears it too, after the accepting; else only the target, before.
    `release`: leave the path by REFER with Replaces (RFC 3891); else the bridge stays between the two.
    """

    TAG: ClassVar = "warm_transfer"
    target: str
    summary: str
    language: str
    spoken: bool
    accept_key: str
    ring_s: int
    music: str
    release: bool
    or_else: tuple["Step", ...] = ()


@dataclass(frozen=True, slots=True)
class ConferenceStep:
    """Call all targets and put everybody who answers into one conference with the caller, and `agent` if one is named.

    It lasts until the caller hangs up, or the last of the others. `or_else`: nobody answered.
    """

    TAG: ClassVar = "conference"
    targets: tuple[str, ...]
    agent: str
    ring_s: int
    or_else: tuple["Step", ...] = ()


@dataclass(frozen=True, slots=True)
class QueueStep:
    """Wait with music for a free member of a queue of the plan. `or_else`: full, nobody there, or waited too long."""

    TAG: ClassVar = "queue"
    queue: str
    or_else: tuple["Step", ...] = ()


@dataclass(frozen=True, slots=True)
class ParkStep:
    """Wait with music until another call picks up `slot`. `or_else`: the slot is taken, or nobody came in time."""

    TAG: ClassVar = "park"
    slot: str
    timeout_s: int
    music: str
    or_else: tuple["Step", ...] = ()


@dataclass(frozen=True, slots=True)
class PickUpStep:
    """Connect with the call that is parked on `slot` (a template). `or_else`: there is none."""

    TAG: ClassVar = "pick_up"
    slot: str
    or_else: tuple["Step", ...] = ()


@dataclass(frozen=True, slots=True)
class CallbackStep:
    """Have `number` (a template) called later, by the plan's `outbound` rules. `or_else`: they do not allow it."""

    TAG: ClassVar = "callback"
    number: str
    after_s: int
    or_else: tuple["Step", ...] = ()


Step = (
    RingStep
    | SayStep
    | PlayStep
    | EarlyMediaStep
    | AnswerStep
    | HoldStep
    | HangUpStep
    | RejectStep
    | AgentStep
    | MenuStep
    | CollectStep
    | SetStep
    | SwitchStep
    | GoStep
    | ToolStep
    | VoicemailStep
    | TransferStep
    | DialStep
    | WarmTransferStep
    | ConferenceStep
    | QueueStep
    | ParkStep
    | PickUpStep
    | CallbackStep
)
STEP_TYPES: Mapping[str, type[Step]] = {kind.TAG: kind for kind in Step.__args__}


def branches(step: Step) -> Iterator[tuple[str, tuple[Step, ...]]]:
    """The lists of steps inside a step, each with what leads there: ("or_else", …), ("options.1", …)."""
    for one in fields(step):
        value = getattr(step, one.name)
        if isinstance(value, tuple) and value and hasattr(value[0], "TAG"):
            yield one.name, value
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                if isinstance(inner, tuple) and inner and hasattr(inner[0], "TAG"):
                    yield f"{one.name}.{key}", inner


def walk(steps: Iterable[Step]) -> Iterator[Step]:
    """Every step, those inside others included, in file order."""
    for step in steps:
        yield step
        for _, inner in branches(step):
            yield from walk(inner)
