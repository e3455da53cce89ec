"""`sipbridge call`: place a SIP call that speaks, listens and records; for rehearsals, tests and as a canary.

The step options are carried out in the order in which they are written, so this command keeps their order, which click
by itself would lose. Prints a report for a person, or one JSON object. Not worker-safe.
"""

import asyncio
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from typer.core import TyperCommand

from bridge.errors import BridgeError
from bridge.media.frame import RATE_HZ, WIDE_RATE_HZ
from bridge.records.log import configure
from bridge.sim.phone import PhoneCall, PhoneReport, place
from bridge.sim.phonefile import PhoneFile, load, prepare
from bridge.sim.phonescript import Outcome

EXIT_DONE, EXIT_UNUSABLE, EXIT_UNANSWERED, EXIT_UNFINISHED, EXIT_SILENT = 0, 1, 3, 4, 5
SWITCH_INTERVAL_S = 0.0005
_STEPS = "Steps, in the order given"
ORDER = "sipbridge.order"


class PhoneCodec(StrEnum):
    """What the phone offers: G.711 in both laws; or G.722 first."""

    G711 = "G711"
    G722 = "G722"


OFFERS = {PhoneCodec.G711: ("PCMU", "PCMA"), PhoneCodec.G722: ("G722", "PCMU", "PCMA")}
RATES_HZ = {PhoneCodec.G711: RATE_HZ, PhoneCodec.G722: WIDE_RATE_HZ}

call = typer.Typer(add_completion=False)


class OrderedCommand(TyperCommand):
    """Remembers in which order options were written."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Click's, and the names of the options in `ctx.meta[ORDER]`."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        ctx.meta[ORDER] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)


def _step(*names: str, text: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=_STEPS, **more)


Say = Annotated[list[str] | None, _step("--say", text="Speak this text.", metavar="TEXT")]
Play = Annotated[list[Path] | None, _step("--play", text="Speak this 16-bit WAV file.", metavar="FILE")]
Dtmf = Annotated[list[str] | None, _step("--dtmf", text="Press these keys.", metavar="KEYS")]
Wait = Annotated[list[float] | None, _step("--wait", text="Wait so many seconds.", metavar="S")]
At = Annotated[list[float] | None, _step("--at", text="Wait until S seconds after the answer.", metavar="S")]
After = Annotated[
    int,
    _step(
        "--after-agent",
        text="Wait until the agent has spoken (since your last words) and stopped.",
        count=True,
        metavar="",
        show_default=False,
    ),
]
During = Annotated[
    list[float] | None,
    _step("--during-agent", text="Wait until the agent has spoken for S seconds: interrupt it.", metavar="S"),
]
UntilHungUp = Annotated[
    int,
    _step(
        "--until-hang-up",
        text="Wait until the other side hangs up.",
        count=True,
        metavar="",
        show_default=False,
    ),
]
Script = Annotated[Path | None, typer.Option("--script", help="Steps from a YAML file instead of options.")]
Header = Annotated[
    list[str] | None, typer.Option("--header", help='SIP header of the INVITE, "Name: value".')
]
From = Annotated[str, typer.Option("--from", help="Caller: number, SIP URI, or '\"Name\" <sip:…>'.")]
Record = Annotated[Path | None, typer.Option("--record", help="Stereo WAV: what is said left, heard right.")]
MaxSeconds = Annotated[float, typer.Option("--max-seconds", min=1, help="Longest call.")]
RingSeconds = Annotated[float, typer.Option("--ring-seconds", min=1, help="Longest ringing.")]
FailIfSilent = Annotated[
    int | None,
    typer.Option("--fail-if-silent-ms", min=1, help="Fail when the agent lets us wait for longer."),
]
Voice = Annotated[
    str | None, typer.Option("--voice", help="espeak-ng voice of --say: en-us, en-gb, de, en-us+f3 …")
]
Codec = Annotated[
    PhoneCodec,
    typer.Option("--codec", help="G711 (PCMU or PCMA), or G722: wideband, where the bridge has it."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


@call.command(cls=OrderedCommand)
def place_call(  # noqa: PLR0913  # one parameter is one option of the command line
    ctx: typer.Context,
    uri: Annotated[
        str, typer.Argument(metavar="SIP_URI", help="sip:100@127.0.0.1:5060, or 100@127.0.0.1:5060.")
    ],
    *,
    say: Say = None,
    play: Play = None,
    dtmf: Dtmf = None,
    wait: Wait = None,
    at: At = None,
    after_agent: After = 0,
    during_agent: During = None,
    until_hang_up: UntilHungUp = 0,
    script: Script = None,
    header: Header = None,
    from_: From = "",
    record: Record = None,
    max_seconds: MaxSeconds = 120,
    ring_seconds: RingSeconds = 30,
    fail_if_silent_ms: FailIfSilent = None,
    voice: Voice = None,
    codec: Codec = PhoneCodec.G711,
    as_json: AsJson = False,
) -> None:
    """Place a SIP call that speaks, listens and records.

    Where no step says when, it is polite: each line is spoken after the agent has stopped, and the last answer is
    heard to its end. Without any step it listens to the greeting.

    Exit status: 0 answered and every step done · 1 cannot start (bad script, no port) · 2 wrong usage · 3 not answered
    · 4 the call ended before the script · 5 the agent was silent longer than --fail-if-silent-ms.
    """
    values = {
        "say": say, "play": play, "dtmf": dtmf, "wait": wait, "at": at, "during_agent": during_agent,
        "after_agent": [True] * after_agent, "until_hang_up": [True] * until_hang_up,
    }  # fmt: skip
    steps = list(
        in_order(ctx.meta[ORDER], {name: iter(given or ()) for name, given in values.items()}, _KEYS)
    )
    if script is not None and steps:
        raise typer.BadParameter("give steps by options or by --script, not both")
    configure("warning", "console", process="phone")
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        file = load(script) if script else _checked(polite(steps))
        if voice:
            file = file.model_copy(update={"voice": voice})
        order = PhoneCall(
            sip_uri(uri),
            prepare(file, script.parent if script else Path(), RATES_HZ[codec]),
            headers=dict(_header(line) for line in header or ()),
            from_uri=_plain(from_),
            record=record,
            ring_s=ring_seconds,
            max_s=max_seconds,
            codecs=OFFERS[codec],
        )
        report = asyncio.run(place(order))
    except BridgeError as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(EXIT_UNUSABLE) from None
    code = exit_code(report, fail_if_silent_ms)
    typer.echo(
        json.dumps(as_dict(report) | {"exit": code}, indent=1) if as_json else "\n".join(describe(report))
    )
    raise typer.Exit(code)


def exit_code(report: PhoneReport, fail_if_silent_ms: int | None) -> int:
    """The status of the command, as its help says."""
    if not report.answered:
        return EXIT_UNANSWERED
    if report.script is not Outcome.DONE:
        return EXIT_UNFINISHED
    if fail_if_silent_ms is not None and report.times.dead_air_ms > fail_if_silent_ms:
        return EXIT_SILENT
    return EXIT_DONE


def as_dict(report: PhoneReport) -> dict[str, Any]:
    """The report as JSON values."""
    return asdict(report) | {"script": report.script.value}


def describe(report: PhoneReport) -> Iterator[str]:
    """The report for a person."""
    if not report.answered:
        yield f"not answered: {report.status} {report.reason}"
        return
    times, rtp = report.times, report.rtp
    yield f"answered     after {_ms(report.answer_ms)} (ringing after {_ms(report.ring_ms)}), {report.codec}"
    yield f"first word   {_ms(times.greeting_ms)} after the answer"
    for turn in times.turns:
        cut = "" if turn.stop_ms is None else f", interrupted: the agent fell silent in {turn.stop_ms} ms"
        said = f"{turn.said_from_ms / 1000:.2f} to {turn.said_to_ms / 1000:.2f} s"
        yield f"said         {said}, answer after {_ms(turn.response_ms)}{cut}"
    yield f"dead air     {times.dead_air_ms} ms at most; the agent spoke {times.agent_speech_ms / 1000:.1f} s"
    yield (
        f"RTP          {rtp.rx_packets} packets heard, {rtp.rx_lost} lost, jitter {rtp.rx_jitter_ms:.1f} ms; "
        f"{rtp.tx_packets} sent"
    )
    yield f"ended        after {report.duration_s:.1f} s by the {report.ended_by}: {report.status} {report.reason}"
    yield f"script       {report.script.value}" + (f": {report.problem}" if report.problem else "")
    if report.recording:
        yield f"recording    {report.recording}"


def sip_uri(text: str) -> str:
    """`sip:100@host` for `100@host`."""
    return _plain(text) if re.match(r"^sips?:", text) else f"sip:{_plain(text)}"


def _plain(text: str) -> str:
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise typer.BadParameter("control characters are not allowed in a SIP URI")
    return text


def in_order(
    order: list[str], values: dict[str, Iterator[Any]], keys: Mapping[str, tuple[str, bool]]
) -> Iterator[dict[str, Any]]:
    """Steps of a phone's script in the order in which their options were written."""
    for name in order:
        if name in values:
            key, unit = keys[name]
            value = next(values[name])
            yield {key: round(value * 1000) if unit else value}


def polite(steps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Steps that say nothing about when: with a wait for the agent around each of them; other steps as they are."""
    listen = {"after_agent": True}
    if any(not step.keys() <= {"say", "play", "dtmf"} for step in steps):
        return list(steps)
    return [listen, *(one for step in steps for one in (step, listen))]


_KEYS = {  # option -> key of the YAML step; True: seconds become milliseconds
    "say": ("say", False), "play": ("play", False), "dtmf": ("dtmf", False),
    "wait": ("wait_ms", True), "at": ("at_ms", True), "during_agent": ("during_agent_ms", True),
    "after_agent": ("after_agent", False), "until_hang_up": ("until_hung_up", False),
}  # fmt: skip


def _checked(steps: list[dict[str, Any]]) -> PhoneFile:
    try:
        return PhoneFile.model_validate({"steps": steps})
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        where = steps[int(first["loc"][1])]
        raise typer.BadParameter(f"step {where}: {first['msg']}") from None


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if (
        not colon
        or not re.fullmatch(r"[A-Za-z0-9!%*_+`'~.-]+", name.strip())
        or re.search(r"[\x00-\x1f]", value)
    ):
        raise typer.BadParameter(f'"{line}" is not "Name: value"')
    return name.strip(), value.strip()


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
