"""From what both ends of a call saw to figures. Pure: arrays in, milliseconds out.

uplink      an RTP packet leaves the phone → the append with its audio (its middle sample) arrives at the model. Where
            in the model's stream a packet went is read from the markers in it, and so is whether audio was lost.
  sample    the same for the very sample a marker begins with, wherever in a packet it is: the resampler's 1.6 ms move
            8 % of all samples into the next append, 20 ms later.
downlink    the model writes a delta, nothing is queued → the first packet with a loud sample arrives at the phone.
round trip  packet with the marker's first sample out → packet with a loud sample back.
stop        speech_started written → the last loud packet arrives. Below 0: none came after it.
truncation  audio_end_ms the model was told, less the milliseconds of loud audio the phone got of that item.
"""

from base64 import b64decode
from dataclasses import dataclass

import numpy as np

from bridge.media import g711
from tests.bench.rounds import Joined
from tests.bench.sound import LOUD, MODEL_RATE_HZ, PACKET, RATE_HZ, Pcm, onsets, stretches

NEAR_S = 0.4
QUIET_MS = 40
ECHO_STEADY_NS = 150e6


def model_audio(call: Joined) -> tuple[Pcm, int]:
    """Everything the model got, as samples, and their rate."""
    data = b"".join(b64decode(text) for text in call.model["appends"])
    match call.spec.audio:
        case "pcmu":
            return np.frombuffer(g711.pcmu_decode(data), "<i2"), RATE_HZ
        case "pcma":
            return np.frombuffer(g711.pcma_decode(data), "<i2"), RATE_HZ
    return np.frombuffer(data[: len(data) // 2 * 2], "<i2"), MODEL_RATE_HZ


@dataclass(frozen=True, slots=True)
class Uplink:
    """`ms`: one a packet. `sample_ms`: one a marker. `shift`: how far the audio moved in itself, in 8 kHz samples."""

    ms: list[float]
    sample_ms: list[float]
    missing: int
    shift: float


def uplink(call: Joined) -> Uplink:
    """See the head of this file."""
    pcm, rate = model_audio(call)
    bytes_per_sample = 2 if rate == MODEL_RATE_HZ else 1
    sizes = [len(text) * 3 // 4 - text[-2:].count("=") for text in call.model["appends"]]
    ends = np.cumsum(sizes) // bytes_per_sample * RATE_HZ // rate
    arrivals = np.array(call.model["append_ns"], np.int64)

    def arrival(at: float) -> int:
        """When the 8 kHz sample `at` of the model's stream came."""
        return int(arrivals[np.searchsorted(ends, at, "right")])

    found = [at * RATE_HZ / rate for at in onsets(pcm, rate * QUIET_MS // 1000)]
    ms, places, missing = [], [], 0
    for mark in call.spec.marks:
        sent = int(call.sent_ns[mark // PACKET])
        hit = next((at for at in found if 0 <= arrival(at) - sent < NEAR_S * 1e9), None)
        if hit is None:
            missing += mark > RATE_HZ // 4  # the first moments of a call may pass before it is answered
            continue
        ms.append((arrival(hit) - sent) / 1e6)
        places.append(hit - mark)
    middles = np.arange(len(call.sent_ns)) * PACKET + PACKET // 2 + (np.median(places) if places else 0)
    packets = [
        (arrival(at) - int(sent)) / 1e6
        for at, sent in zip(middles, call.sent_ns, strict=True)
        if 0 <= at < ends[-1] - PACKET
    ]
    return Uplink(packets, ms, missing, max(places) - min(places) if places else 0.0)


def loud_packets(call: Joined) -> np.ndarray:
    """For each received packet, in order of arrival, whether any sample is loud."""
    pcm = np.abs(call.heard().astype(np.int32)).reshape(-1, PACKET)
    return np.asarray(pcm.max(axis=1) >= LOUD)


def downlink(call: Joined) -> tuple[list[float], int]:
    """Milliseconds of every marker delta, and how many were never heard."""
    arrivals = call.rx_ns[loud_packets(call)]
    return _first_after(np.array(call.model["delta_ns"], np.int64), arrivals, call.rx_ns[-1])


def round_trip(call: Joined) -> tuple[list[float], int]:
    """Milliseconds of every marker that came back, and how many did not; without those in a pause of the echo."""
    sent = call.sent_ns[np.array(call.spec.marks) // PACKET]
    echoed = np.array(call.model["echo_ns"], np.int64)
    nearest = np.searchsorted(echoed, sent)
    inside = [0 < at < len(echoed) - 6 and echoed[at + 5] - echoed[at - 1] < ECHO_STEADY_NS for at in nearest]
    sent = sent[np.array(inside, bool)]
    return _first_after(sent, call.rx_ns[loud_packets(call)], call.rx_ns[-1])


def _first_after(causes: np.ndarray, effects: np.ndarray, end_ns: int) -> tuple[list[float], int]:
    """For each cause the first effect after it; causes in the last moments of a call do not count."""
    ms, missing = [], 0
    for cause in causes[causes < end_ns - NEAR_S * 1e9]:
        at = np.searchsorted(effects, cause)
        if at < len(effects) and effects[at] - cause < NEAR_S * 1e9:
            ms.append(float(effects[at] - cause) / 1e6)
        else:
            missing += 1
    return ms, missing


def hold(call: Joined) -> list[float]:
    """Milliseconds the model itself held an append before it wrote the echo (part of the round trip)."""
    held = np.array(call.model["delta_ns"], np.int64) - np.array(call.model["echo_ns"], np.int64)
    return [float(ns) / 1e6 for ns in held]


@dataclass(frozen=True, slots=True)
class Cuts:
    """One entry a barge-in: `stop_ms`, `error_ms` (absolute), `told_ms` (speech_started → truncate at the model)."""

    stop_ms: list[float]
    error_ms: list[float]
    told_ms: list[float]
    missing: int


def cuts(call: Joined) -> Cuts:
    """See the head of this file. Stretches of sound and interruptions are matched by time."""
    told = {item: (at, ms) for at, item, ms in call.model["cuts"]}
    heard = []
    for first, last in stretches(call.heard(), RATE_HZ * QUIET_MS // 1000):
        heard.append(
            (call.rx_ns[first // PACKET], call.rx_ns[last // PACKET], (last - first + 1) * 1000 / RATE_HZ)
        )
    stop, error, delay, missing = [], [], [], 0
    for at, item in zip(call.model["speech_ns"], call.model["cut_items"], strict=True):
        if at > call.rx_ns[-1] - 300e6:
            continue
        stretch = next((s for s in heard if s[0] <= at <= s[1] + 100e6), None)
        order = told.get(item)
        if stretch is None or order is None:
            missing += 1
            continue
        stop.append(float(stretch[1] - at) / 1e6)
        error.append(abs(order[1] - stretch[2]))
        delay.append((order[0] - at) / 1e6)
    return Cuts(stop, error, delay, missing)


@dataclass(frozen=True, slots=True)
class Pacing:
    """The bridge's packets as they arrived: gaps, and breaks in sequence numbers and timestamps."""

    gaps_ms: list[float]
    bad_sequence: int
    bad_timestamp: int


def pacing(call: Joined, skip: int = 5) -> Pacing:
    """Without the first packets of the call, when the stream is made and the clock starts."""
    sequence, timestamp = call.headers()
    gaps = np.diff(call.rx_ns)[skip:] / 1e6
    bad_sequence = int(np.count_nonzero(np.diff(sequence) % (1 << 16) != 1))
    bad_timestamp = int(np.count_nonzero(np.diff(timestamp) % (1 << 32) != PACKET))
    return Pacing([float(gap) for gap in gaps], bad_sequence, bad_timestamp)


def answers(call: Joined) -> tuple[float, float]:
    """INVITE → 200 OK, and the model's session.updated → 200 OK, in milliseconds."""
    caller, model = call.caller, call.model
    return (caller["answer_ns"] - caller["invite_ns"]) / 1e6, (
        caller["answer_ns"] - model["updated_ns"]
    ) / 1e6
