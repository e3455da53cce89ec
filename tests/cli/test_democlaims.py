"""The demo's claims: all kept by a good call, and each broken by the fault it is there for."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bridge.cli.democlaims import Audio, Claim, Evidence, claims, listen
from bridge.errors import MediaError
from bridge.media.offline import write_wav
from bridge.media.recorder import wav_header
from bridge.media.tones import tone
from bridge.records.cdr import CallRecord
from bridge.sim.phonetimes import Times, Turn


@dataclass(frozen=True)
class Event:
    type: str
    data: dict[str, Any] = field(default_factory=dict)
    call_id: str = "c"
    boot: str = "b"
    at: float = 0.0
    mono: float = 0.0


def said(who: str, text: str) -> Event:
    return Event("transcript", {"who": who, "text": text})


EVENTS = (
    said("agent", "Hello."),
    said("caller", "tell me your opening hours"),
    said("agent", "We are open from nine."),
    Event("barge_in", {"heard_ms": 4000, "dropped_ms": 9000}),
    said("caller", "goodbye"),
    Event("dtmf", {"digit": "5"}),
)
TURNS = [{"stop_ms": None}, {"stop_ms": 200}]
PHONE = {
    "script": "done", "answered": True, "answer_ms": 50.0, "steps": 11, "steps_done": 11, "problem": "",
    "ended_by": "phone", "times": {"greeting_ms": 60, "agent_speech_ms": 9000, "turns": TURNS},
}  # fmt: skip
RECORD = CallRecord(
    "c", "b", 0.0, ended_by="caller", end_status=200, duration_s=30.0, responses=3, cost_usd=0.01, rx_lost=0
)
TIMES = Times(60, (Turn(1000, 2000, 500, None),), 500, 9100, 4000)
GOOD = Evidence(
    ["Tell me your opening hours.", "Goodbye."], "5", RECORD, EVENTS, Audio(2, 30.1, TIMES), PHONE
)


def broken(evidence: Evidence) -> list[str]:
    return [claim.text for claim in claims(evidence) if not claim.holds]


def phone(**changes: Any) -> dict[str, Any]:
    return {**PHONE, **changes, "times": PHONE["times"] | changes.get("times", {})}


def test_a_good_call_keeps_every_claim() -> None:
    assert broken(GOOD) == []
    assert len(list(claims(GOOD))) == 10
    assert all(isinstance(claim, Claim) and claim.seen for claim in claims(GOOD))


@pytest.mark.parametrize(
    ("evidence", "claim"),
    [
        (replace(GOOD, phone=phone(script="failed", problem="no word")), "script ran to its end"),
        (replace(GOOD, events=[e for e in EVENTS if e.data.get("text") != "goodbye"]), "understood"),
        (replace(GOOD, events=[*EVENTS[:2], said("agent", "Sorry?"), *EVENTS[3:]]), "answered the question"),
        (replace(GOOD, phone=phone(times={"agent_speech_ms": 0})), "the agent spoke"),
        (replace(GOOD, audio=Audio(2, 30.1, replace(TIMES, agent_speech_ms=20_000))), "the agent spoke"),
        (replace(GOOD, events=[e for e in EVENTS if e.type != "barge_in"]), "interrupted"),
        (replace(GOOD, phone=phone(times={"turns": [{"stop_ms": 1500}]})), "interrupted"),
        (replace(GOOD, phone=phone(times={"turns": [{"stop_ms": None}]})), "interrupted"),
        (replace(GOOD, keys="7"), "the key was seen"),
        (replace(GOOD, record=replace(RECORD, ended_by="bridge")), "the caller ended the call"),
        (replace(GOOD, phone=phone(ended_by="peer")), "the caller ended the call"),
        (replace(GOOD, audio=Audio(1, 30.1, TIMES)), "the recording is stereo"),
        (replace(GOOD, audio=Audio(2, 12.0, TIMES)), "the recording is stereo"),
        (replace(GOOD, audio=Audio(2, 30.1, replace(TIMES, own_speech_ms=0))), "the recording is stereo"),
        (replace(GOOD, record=replace(RECORD, cost_usd=None)), "usage was counted"),
        (replace(GOOD, record=replace(RECORD, rx_lost=3)), "no packet was lost"),
        (replace(GOOD, record=replace(RECORD, errors=1)), "no packet was lost"),
    ],
)
def test_a_fault_breaks_its_claim(evidence: Evidence, claim: str) -> None:
    found = broken(evidence)

    assert len(found) == 1
    assert claim in found[0]


def test_a_recording_is_measured_side_by_side(tmp_path) -> None:
    path = tmp_path / "a.wav"
    left = tone((400.0,), 1000) + bytes(32_000)
    right = bytes(24_000) + tone((400.0,), 1500)
    frames = b"".join(left[at : at + 2] + right[at : at + 2] for at in range(0, 48_000, 2))
    path.write_bytes(wav_header(len(frames)) + frames)

    audio = listen(path)

    assert (audio.channels, audio.seconds) == (2, 3.0)
    assert audio.times.own_speech_ms == pytest.approx(1000, abs=40)
    assert audio.times.agent_speech_ms == pytest.approx(1500, abs=40)


def test_a_mono_recording_is_told_from_a_stereo_one(tmp_path) -> None:
    write_wav(tmp_path / "a.wav", tone((400.0,), 500), 8000)

    assert listen(tmp_path / "a.wav").channels == 1


def test_a_recording_that_is_not_there_is_an_error(tmp_path) -> None:
    with pytest.raises(MediaError, match=r"a\.wav"):
        listen(tmp_path / "a.wav")
