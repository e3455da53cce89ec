"""The steps of a compiled dialplan: one frozen dataclass an action. bridge/call carries them out.

Worker-safe: standard library only. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class RingStep:
    """180 Ringing for `ms` milliseconds before the next step."""

    TAG: ClassVar = "ring"
    ms: int


@dataclass(frozen=True, slots=True)
class SayStep:
    """Answer if that has not happened, speak the prompt to its end.

    Its WAV is `PathsConfig.prompt(prompt_id)`.
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
class TransferStep:
    """Answer if that has not happened, REFER the caller to a target of the plan's `transfers`, and hang up.

    `or_else` runs when the target cannot be reached; empty: end the call with 503 and say why.
    """

    TAG: ClassVar = "transfer"
    target: str
    or_else: tuple["Step", ...] = ()


Step = RingStep | SayStep | PlayStep | HangUpStep | RejectStep | AgentStep | TransferStep


def branches(step: Step) -> Iterator[tuple[str, tuple[Step, ...]]]:
    """The lists of steps inside a step, each with what leads there: ("or_else", …), ("options.1", …)."""
    for field in fields(step):
        value = getattr(step, field.name)
        if isinstance(value, tuple) and value and hasattr(value[0], "TAG"):
            yield field.name, value
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                if isinstance(inner, tuple) and inner and hasattr(inner[0], "TAG"):
                    yield f"{field.name}.{key}", inner


def walk(steps: Iterable[Step]) -> Iterator[Step]:
    """Every step, those inside others included, in file order."""
    for step in steps:
        yield step
        for _, inner in branches(step):
            yield from walk(inner)
