"""What the demo claims, checked against what two witnesses wrote down: the bridge's record and the phone's own report.

    store: record, events ─┐
    bridge's recording ────┼──► claims ──► one line each, kept or broken
    phone's report ────────┘

Pure. The phone is another process that knows only SIP and RTP; where both can tell, both have to agree.
"""

import re
import wave
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bridge.errors import MediaError
from bridge.media.frame import FRAME_SAMPLES, rms_dbfs
from bridge.records.cdr import CallEvent, CallRecord
from bridge.sim.phonetimes import Times, measure

LENGTH_TOLERANCE_S = 0.5
MAX_STOP_MS = 1000
"""From the caller's first sound to the agent's last one: voice detection takes some 200 ms of it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence about the call, whether it holds, and what was seen."""

    text: str
    holds: bool
    seen: str


@dataclass(frozen=True, slots=True)
class Audio:
    """A recording: channels, seconds, and who spoke when (left: caller, right: agent)."""

    channels: int
    seconds: float
    times: Times


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything there is to judge by. `spoken`: the caller's lines, `keys`: what was pressed."""

    spoken: Sequence[str]
    keys: str
    record: CallRecord
    events: Sequence[CallEvent]
    audio: Audio
    phone: Mapping[str, Any]


def listen(path: Path) -> Audio:
    """Measure a stereo recording. Raises MediaError."""
    try:
        with wave.open(str(path)) as file:
            channels, seconds = file.getnchannels(), file.getnframes() / file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, channels)
    except (OSError, EOFError, wave.Error) as error:
        raise MediaError(f"{path}: not a readable WAV file: {error}") from error
    sides = [
        [rms_dbfs(side[at : at + FRAME_SAMPLES].tobytes()) for at in range(0, len(side), FRAME_SAMPLES)]
        for side in (samples[:, 0], samples[:, -1])
    ]
    return Audio(channels, seconds, measure(*sides))


def claims(evidence: Evidence) -> Iterator[Claim]:
    """Every claim, in the order of the call."""
    yield from _conversation(evidence)
    yield from _interruption(evidence)
    yield from _rest(evidence)


def _conversation(evidence: Evidence) -> Iterator[Claim]:
    phone, times = evidence.phone, evidence.audio.times
    done = phone["script"] == "done" and phone["answered"]
    yield Claim(
        "the call was answered and the phone's script ran to its end",
        done,
        f"answered after {phone['answer_ms']} ms, first word {phone['times']['greeting_ms']} ms later; "
        f"{phone['steps_done']} of {phone['steps']} steps {phone['problem']}".rstrip(),
    )
    heard = transcripts(evidence.events, "caller")
    yield Claim(
        "the caller's spoken words were understood",
        [_words(line) for line in evidence.spoken] == [_words(line) for line in heard],
        "; ".join(f"“{line}”" for line in heard),
    )
    answer = next(iter(_after(evidence.events, evidence.spoken[0])), "")
    yield Claim("the agent answered the question", "open from nine" in answer, f"“{answer}”")
    here, there = times.agent_speech_ms, phone["times"]["agent_speech_ms"]
    yield Claim(
        "the agent spoke, in the bridge's recording and in the phone's ear",
        min(here, there) > 5000 and abs(here - there) < 0.1 * here,
        f"{here / 1000:.1f} s recorded, {there / 1000:.1f} s heard",
    )


def _interruption(evidence: Evidence) -> Iterator[Claim]:
    cuts = [event.data for event in evidence.events if event.type == "barge_in"]
    stops = [turn["stop_ms"] for turn in evidence.phone["times"]["turns"] if turn["stop_ms"] is not None]
    heard = ", ".join(f"{cut.get('heard_ms')} ms heard, {cut.get('dropped_ms')} ms dropped" for cut in cuts)
    yield Claim(
        "the caller interrupted the agent, which fell silent",
        len(cuts) == 1 and len(stops) == 1 and stops[0] <= MAX_STOP_MS and cuts[0].get("dropped_ms", 0) > 0,
        f"{heard}; silent {', '.join(map(str, stops)) or '?'} ms after the caller's first sound",
    )
    digits = "".join(str(event.data.get("digit")) for event in evidence.events if event.type == "dtmf")
    yield Claim("the key was seen", digits == evidence.keys, digits)


def _rest(evidence: Evidence) -> Iterator[Claim]:
    record, audio = evidence.record, evidence.audio
    yield Claim(
        "the caller ended the call",
        record.ended_by == "caller" and record.end_status == 200 and evidence.phone["ended_by"] == "phone",
        f"by {record.ended_by}, {record.end_status} {record.end_reason}",
    )
    length_s = record.duration_s or 0.0
    both = audio.times.own_speech_ms > 0 and audio.times.agent_speech_ms > 0
    yield Claim(
        "the recording is stereo, caller left and agent right, as long as the call",
        audio.channels == 2 and both and abs(audio.seconds - length_s) <= LENGTH_TOLERANCE_S,
        f"{audio.channels} channels, {audio.seconds:.2f} s of {length_s:.2f} s",
    )
    yield Claim(
        "usage was counted and priced",
        record.responses > 0 and (record.cost_usd or 0.0) > 0,
        f"{record.responses} responses, ${record.cost_usd or 0.0:.4f}",
    )
    lost, errors = record.rx_lost, record.errors
    yield Claim(
        "no packet was lost and nothing went wrong",
        lost == 0 and errors == 0,
        f"{lost} lost, {errors} errors",
    )


def transcripts(events: Sequence[CallEvent], who: str) -> list[str]:
    """What `who` said, in order."""
    said = (event.data for event in events if event.type == "transcript")
    return [str(data.get("text")) for data in said if data.get("who") == who]


def _after(events: Sequence[CallEvent], line: str) -> Iterator[str]:
    """What the agent said after the caller's `line`."""
    asked = False
    for event in events:
        if event.type != "transcript":
            continue
        text = str(event.data.get("text"))
        if asked and event.data.get("who") == "agent":
            yield text
        asked = asked or (event.data.get("who") == "caller" and _words(text) == _words(line))


def _words(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))
