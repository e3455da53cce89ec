"""The steps of a route: what a person may write under `do`. One class an action with settings of its own.

Not worker-safe (pydantic). Pure.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from bridge.dialplan.schema_base import (
    FinalStatus,
    Form,
    HeaderName,
    Language,
    Line,
    Name,
    OrWord,
    Part,
    TargetName,
    TargetNames,
    Template,
    as_key,
    as_text,
    listed,
)

ONE_KEY = "one key: 0 to 9, * or #, in quotes"
Key = Annotated[str, Form(r"^[0-9*#A-D]$", f"this is no key of a telephone | {ONE_KEY}")]
VariableName = Annotated[
    str,
    Form(
        r"^[a-z][a-z0-9_]{0,31}$",
        "this is no name of a variable | small letters, digits and _, at most 32: order_number; used as {{ vars.… }}",
    ),
]
Word = Annotated[
    str,
    Form(
        r"^[A-Za-z][A-Za-z' -]{1,59}$",
        "this is no word to listen for | letters a to z, spaces, - and ' only; write numbers as words",
    ),
]
File = Annotated[str, Field(min_length=1, max_length=1024)]
Music = Annotated[str | None, Field(default=None, min_length=1, max_length=1024)]
MUSIC = "A WAV file (8 kHz, mono, 16 bit), relative to the dialplan file; the built-in music when left out."
RING_S = "How long a target may ring, seconds."


class Ring(Part):
    """Ring for a while before the next step."""

    ms: int = Field(ge=0, le=60_000, description="Milliseconds of ringing (180).")


class Say(Part):
    """A prompt spoken by the bridge's own voice."""

    text: Annotated[Template, Field(max_length=2000)] = Field(
        description="What is said. Variables are possible, such as {{ vars.order }}."
    )
    language: Language | None = Field(default=None, description="As the dialplan's language when left out.")


SayOrText = Annotated[Say, BeforeValidator(as_text), OrWord()]


class Prompted(Part):
    """Something that is said or played first."""

    say: SayOrText | None = Field(default=None, description="Spoken first.")
    play: File | None = Field(
        default=None, description="A WAV file played first, after `say` if both are given."
    )


class EarlyMedia(Prompted):
    """Heard before the answer (183 with SDP): the caller pays nothing yet."""


class Answer(Part):
    """200 OK, now. Other steps answer by themselves when they need to."""


class Hold(Part):
    """Music for a while."""

    s: int = Field(ge=1, le=3600, description="Seconds.")
    music: Music = Field(default=None, description=MUSIC)


class HangUp(Part):
    """End of the call. `hang_up: {}` is an ordinary end."""

    status: FinalStatus | None = Field(
        default=None,
        description="SIP status 300 to 699: in the BYE's Reason, or the final response when the call is not "
        "answered (480 when left out).",
    )
    reason: Line | None = Field(default=None, description="Words that go with the status.")


class Reject(Part):
    """Refusal of a call that is not answered yet."""

    status: FinalStatus = Field(description="SIP status of the final response, 300 to 699.")
    reason: Line | None = Field(default=None, description="Words that go with the status.")


def _as_option(value: Any) -> Any:
    if isinstance(value, list):
        return {"do": value}
    if isinstance(value, str) or (isinstance(value, dict) and value.keys() & _VERBS):
        raise ValueError('a list of steps is needed | each begins with -: {"1": [{go: sales}]}')
    return value


class Option(Part):
    """What a key, or a word, of a menu leads to."""

    words: Annotated[list[Word], BeforeValidator(listed)] = Field(
        default_factory=list, max_length=20, description="What the caller may say instead of the key."
    )
    do: list["Step"] = Field(min_length=1, max_length=20, description="Steps, in order: - say: Hello")


class Menu(Prompted):
    """A choice by key or by word."""

    options: dict[Key, Annotated[Option, BeforeValidator(_as_option)]] = Field(
        min_length=1,
        max_length=16,
        description='By key: {"1": [steps], "2": {words: [billing], do: [steps]}}.',
    )
    timeout_s: float = Field(default=5, ge=1, le=60, description="How long a choice is waited for.")
    tries: int = Field(default=2, ge=1, le=10, description="How often it is asked before or_else.")


class Collect(Prompted):
    """Digits typed by the caller, kept as a variable of the call."""

    into: VariableName = Field(description="The variable: {{ vars.NAME }} from then on.")
    digits: int | None = Field(default=None, ge=1, le=64, description="Exactly so many.")
    least: int = Field(default=1, ge=1, le=64, description="At least so many, when `digits` is left out.")
    most: int = Field(default=20, ge=1, le=64, description="At most so many, when `digits` is left out.")
    terminator: Annotated[str, Form(r"^[*#]?$", 'this key cannot end an entry | "#" or "*"; "" for none')] = (
        Field(default="#", description='The key that ends the entry; "" for none.')
    )
    timeout_s: float = Field(default=8, ge=1, le=120, description="How long a key is waited for.")
    tries: int = Field(default=2, ge=1, le=10, description="How often it is asked before or_else.")


class Switch(Part):
    """A choice by value."""

    value: Template = Field(description="What is looked at, such as {{ vars.tier }}.")
    cases: dict[Annotated[str, Field(min_length=1, max_length=200)], list["Step"]] = Field(
        min_length=1, max_length=100, description="Steps by value; letter case is ignored."
    )


class Tool(Part):
    """A function tool, through the approval gate like a model's."""

    name: Annotated[
        str,
        Form(r"^[a-zA-Z0-9_-]{1,64}$", "this is no name of a tool | one of those of: sipbridge tools list"),
    ] = Field(description="Which one: sipbridge tools list.")
    arguments: dict[str, Any] = Field(
        default_factory=dict, max_length=50, description="Texts in it may hold variables."
    )
    into: VariableName | None = Field(
        default=None, description="The variable that gets its output; each part of it is vars.NAME_part."
    )
    music: Music = Field(default=None, description=MUSIC)


class Voicemail(Prompted):
    """A message of the caller, kept and delivered."""

    mailbox: Name = Field(description="Whose message it is: sipbridge voicemail list --mailbox NAME")
    to: Annotated[list[Name], BeforeValidator(listed)] = Field(
        default_factory=list,
        max_length=20,
        description="Channels of the settings (notify.channels) that get it.",
    )
    max_s: int = Field(default=120, ge=5, le=600, description="The longest message, seconds.")
    silence_s: float = Field(default=4, ge=1, le=30, description="It ends after so much silence.")
    finish_key: Annotated[str, Form(r"^[0-9*#]?$", f'this is no key | {ONE_KEY}; "" for none')] = Field(
        default="#", description='The key that ends it; "" for none.'
    )


class Transfer(Part):
    """The caller is handed on by REFER."""

    to: TargetName = Field(description="One target of `transfers`; dial and queue take several.")
    headers: dict[HeaderName, Template] = Field(
        default_factory=dict,
        max_length=20,
        description="SIP headers that the target gets (Refer-To?Name=value).",
    )


class Dial(Part):
    """Call somebody and connect the caller with them; the bridge stays between the two."""

    to: TargetNames = Field(description="A target of `transfers`, or a list: tried one after the other.")
    together: bool = Field(default=False, description="All at once; the first to answer has the call.")
    ring_s: int = Field(default=30, ge=3, le=180, description=RING_S)
    music: Music = Field(default=None, description=MUSIC)
    headers: dict[HeaderName, Template] = Field(
        default_factory=dict, max_length=20, description="SIP headers of the INVITE."
    )


class WarmTransfer(Part):
    """Somebody is told who is coming, and takes the call with a key or not."""

    to: TargetName = Field(description="A target of `transfers`.")
    summary: Annotated[Template, Field(max_length=2000)] = Field(
        description="What the target is told before it decides."
    )
    language: Language | None = Field(default=None, description="As the dialplan's language when left out.")
    spoken: bool = Field(
        default=False, description="The caller hears the summary too, once the call is accepted."
    )
    accept_key: Key = Field(
        default="1", description="The target takes the call with it; any other key refuses."
    )
    ring_s: int = Field(default=30, ge=3, le=180, description=RING_S)
    music: Music = Field(default=None, description=MUSIC)
    release: bool = Field(
        default=False,
        description="Leave the call to the two (REFER with Replaces) instead of staying between them.",
    )


class Conference(Part):
    """The caller and several others in one call."""

    invite: TargetNames = Field(description="Targets of `transfers`; everybody who answers is in.")
    agent: Name | None = Field(default=None, description="An agent that takes part.")
    ring_s: int = Field(default=30, ge=3, le=180, description=RING_S)


class Park(Part):
    """The caller waits until somebody picks the call up."""

    slot: Annotated[Template, Field(max_length=64)] = Field(description="Where it is parked, such as 701.")
    timeout_s: int = Field(default=300, ge=5, le=3600, description="or_else runs after so many seconds.")
    music: Music = Field(default=None, description=MUSIC)


class Callback(Part):
    """A call back later, by the rules of `outbound`."""

    number: Annotated[Template, Field(max_length=200)] = Field(description="Such as {{ caller.number }}.")
    after_s: int = Field(default=0, ge=0, le=7 * 86_400, description="Not before so many seconds.")


def _as_to(value: Any) -> Any:
    return {"to": value} if isinstance(value, str | list) else value


def _as_slot(value: Any) -> Any:
    if type(value) is int:
        raise ValueError(f'text is needed | write "{value}" in quotes')
    return {"slot": value} if isinstance(value, str) else value


class Step(Part):
    """One action: exactly one of the keys; `or_else` beside those that can fail."""

    ring: Ring | None = Field(default=None, description="Ring for a while before the next step.")
    early_media: Annotated[EarlyMedia, BeforeValidator(as_key("say")), OrWord()] | None = Field(
        default=None, description="Say or play something before the answer."
    )
    answer: Answer | None = Field(default=None, description="Answer now.")
    say: SayOrText | None = Field(default=None, description="Answer, speak this text to its end.")
    play: File | None = Field(
        default=None,
        description="Answer, play this WAV file to its end: 8 kHz, mono, 16 bit; relative to the dialplan file.",
    )
    hold: Hold | None = Field(default=None, description="Answer, play music for a while.")
    agent: Name | None = Field(default=None, description="Connect the caller with this agent.")
    menu: Menu | None = Field(default=None, description="Let the caller choose by key or word.")
    collect: Collect | None = Field(default=None, description="Have digits typed in.")
    set: dict[VariableName, Template] | None = Field(
        default=None, min_length=1, max_length=50, description="Give variables of the call their values."
    )
    switch: Switch | None = Field(default=None, description="Go on by a value.")
    go: Name | None = Field(default=None, description="Go on with the steps of this flow.")
    tool: Tool | None = Field(default=None, description="Have a function tool run, through the gate.")
    voicemail: Voicemail | None = Field(default=None, description="Record a message.")
    transfer: Annotated[Transfer, BeforeValidator(_as_to), OrWord()] | None = Field(
        default=None,
        description="Answer, hand the caller to this target of `transfers` (REFER), and hang up.",
    )
    dial: Annotated[Dial, BeforeValidator(_as_to), OrWord()] | None = Field(
        default=None, description="Call a target of `transfers` and connect the caller with it."
    )
    warm_transfer: WarmTransfer | None = Field(
        default=None, description="Ask a target first, then connect the caller with it."
    )
    conference: Conference | None = Field(default=None, description="Bring others into the call.")
    queue: Name | None = Field(default=None, description="Wait in this queue for one of its members.")
    park: Annotated[Park, BeforeValidator(_as_slot), OrWord()] | None = Field(
        default=None, description="Wait until another call picks this one up."
    )
    pick_up: Annotated[Template, Field(max_length=64)] | None = Field(
        default=None, description="Connect with the call that is parked there."
    )
    callback: Callback | None = Field(default=None, description="Have the caller called back later.")
    hang_up: HangUp | None = Field(default=None, description="End the call.")
    reject: Reject | None = Field(default=None, description="Refuse the call.")
    or_else: list["Step"] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        description="What happens instead when the action fails: no model, no answer, no choice, nobody free.",
    )

    @cached_property
    def given(self) -> list[str]:
        """The actions that are written here; more or fewer than one is a mistake."""
        found = [name for name in self.model_fields_set if name in _VERBS and getattr(self, name) is not None]
        return found if len(found) == 1 else sorted(found, key=VERBS.index)

    @property
    def verb(self) -> str:
        """The one action."""
        return self.given[0]

    def lists(self) -> Iterator[tuple[tuple[str | int, ...], list["Step"]]]:
        """The lists of steps inside this one but for or_else, with the path that leads there."""
        if self.menu is not None:
            for key, option in self.menu.options.items():
                yield ("menu", "options", key, "do"), option.do
        if self.switch is not None:
            for value, steps in self.switch.cases.items():
                yield ("switch", "cases", value), steps


NOT_VERBS = frozenset({"or_else"})
VERBS = tuple(name for name in Step.model_fields if name not in NOT_VERBS)
_VERBS = frozenset(VERBS)
LAST_VERBS = frozenset({"agent", "transfer", "warm_transfer", "go", "hang_up", "reject"})
"""After these nothing else happens, so nothing may follow."""
CAN_FAIL = frozenset(
    {
        "agent",
        "menu",
        "collect",
        "switch",
        "tool",
        "voicemail",
        "transfer",
        "dial",
        "warm_transfer",
        "conference",
        "queue",
        "park",
        "pick_up",
        "callback",
    }
)
"""These may have or_else."""
BEFORE_ANSWER = frozenset(
    {"ring", "early_media", "set", "switch", "go", "reject", "hang_up", "callback", "tool"}
)
"""These do not answer the call. `tool` plays its music only to a call that is answered."""

for _model in (Option, Switch, Menu):
    _model.model_rebuild()  # now that there is Step: hints come from the fields' types, names alone say nothing
