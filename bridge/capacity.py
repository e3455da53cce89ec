"""How much machine a number of calls needs, from measured figures. Pure; the table is bridge/cli/capacity.py.

    Measured (what `make load` wrote, or the shipped figures) ─┐
    Demand (calls, or calls an hour and Erlang B) ─────────────┼──► need() ──► Need: workers, cores, network, disk, …
    Node (cores, memory, how full it may get) ─────────────────┘

Sources of what is not measured: RFC 3551 and RFC 3550 (160 bytes of G.711, 12 of RTP, 50 packets a second), RFC 6455
(frame headers), Erlang's loss formula (ITU-T E.501), the price table of bridge/realtime/usage.py.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from bridge.errors import BridgeError

CALLS_PER_WORKER = 4
PACKETS_PER_S = 50
RTP_BYTES = 160 + 12 + 8 + 20 + 18  # payload, RTP, UDP, IPv4, Ethernet with its checksum
TLS_TCP_BYTES = 22 + 32 + 20 + 18  # TLS record, TCP with timestamps, IPv4, Ethernet
APPEND_BYTES = 46 + 8  # the JSON round the audio, the masked frame's header
AUDIO_BYTES_PER_S = {"pcmu": 8000, "pcm24": 48000}
DELTAS_PER_S = 5
DELTA_BYTES = 220  # the JSON round the audio of a delta, and its frame
RECORDING_BYTES_PER_S = 32000  # 8 kHz, 16 bit, two channels
EVENTS_PER_CALL = 12  # started, ringing, session, answered, media, recording, ended and the like
EVENTS_PER_TURN = 7  # speech started and stopped, two transcripts, agent started and finished, response
EVENT_BYTES = 900  # in PostgreSQL with both indexes; SQLite needs less
COMMITS_PER_S = 10  # of one control at most: events of all workers are committed together
TOKENS_PER_S_HEARD = 10  # OpenAI: one token is 100 ms of the caller, or 50 ms of the model's speech
TOKENS_PER_S_SAID = 20
MOST_LINES = 1_000_000


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one call, while it talks. CPU in percent of a core, memory (PSS) in MB.

    `resting_*`: of one worker without calls. `edge_*`: kamailio and rtpengine, 0 when they were not there.
    """

    format: str
    calls: int
    worker_cpu: float
    control_cpu: float
    kamailio_cpu: float
    rtpengine_cpu: float
    worker_mb: float
    control_mb: float
    rate: float
    source: str

    @classmethod
    def read(cls, data: Mapping[str, Any], source: str) -> Self:
        """From what `make load` wrote: its largest level that was right. Raises BridgeError when there is none."""
        try:
            levels = [level for level in data["levels"] if level["right"]]
            level = max(levels, key=lambda one: one["calls"])
            calls, used = level["calls"], level["used"]
            rates = [step["rate"] for step in data["rates"] if step["ended_well"] == step["calls"]]

            def share(kind: str, what: str) -> float:
                return float(used[kind][what]) / calls if kind in used else 0.0

            return cls(
                format=str(data["facts"]["format"]),
                calls=calls,
                worker_cpu=(share("worker", "cores") + share("zygote", "cores")) * 100,
                control_cpu=(share("control", "cores") + share("supervisor", "cores")) * 100,
                kamailio_cpu=share("kamailio", "cores") * 100,
                rtpengine_cpu=share("rtpengine", "cores") * 100,
                worker_mb=share("worker", "mb") + share("zygote", "mb"),
                control_mb=share("control", "mb") * calls + share("supervisor", "mb") * calls,
                rate=max(rates, default=0.0),
                source=source,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BridgeError(
                f"{source} is no result of `make load` with a level that was right ({error!r}): run it again"
            ) from error


@dataclass(frozen=True, slots=True)
class Demand:
    """What is wanted. `calls` at once; of each, the caller hears the model for `said` of the time.

    `hours`: of full load a day. `recorded`: the share of calls that is. `mean_s`: of a call; a turn takes `turn_s`.
    """

    calls: int
    mean_s: float = 180.0
    hours: float = 10.0
    recorded: float = 1.0
    said: float = 0.4
    heard: float = 0.4
    turn_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Node:
    """One machine. `full`: how much of its cores may be busy, so that audio stays in time."""

    cores: int = 16
    gb: float = 64.0
    full: float = 0.7


@dataclass(frozen=True, slots=True)
class Need:
    """The answer. Network in Mbit/s, each way as seen from the node; disk in GB a day of `Demand.hours`."""

    calls: int
    workers: int
    cores: float
    edge_cores: float
    calls_per_core: float
    nodes: int
    calls_per_node: int
    gb: float
    new_calls_per_s: float
    rtp_mbit: float
    model_up_mbit: float
    model_down_mbit: float
    recordings_gb: float
    events_per_s: float
    rows_gb: float
    commits_per_s: float
    packets_per_s: float
    bound_by: str


def erlang_b(load: float, lines: int) -> float:
    """The share of calls that finds all lines taken, at `load` Erlang. By the recursion, which does not overflow."""
    blocked = 1.0
    for line in range(1, lines + 1):
        blocked = load * blocked / (line + load * blocked)
    return blocked


def lines_for(calls_per_hour: float, mean_s: float, blocking: float) -> int:
    """The fewest lines at which at most `blocking` of the calls find all taken. Raises BridgeError for no such load."""
    if calls_per_hour <= 0 or mean_s <= 0 or not 0 < blocking < 1:
        raise BridgeError(
            "calls an hour and their length are above 0, blocking is between 0 and 1 (0.01 is 1 %)"
        )
    load, blocked, lines = calls_per_hour * mean_s / 3600, 1.0, 0
    while blocked > blocking:
        lines += 1
        blocked = load * blocked / (lines + load * blocked)
        if lines > MOST_LINES:
            raise BridgeError(f"more than {MOST_LINES} lines: split the load over several installations")
    return lines


def need(measured: Measured, demand: Demand, node: Node) -> Need:
    """What `demand` needs on machines like `node`."""
    calls = demand.calls
    if calls < 1 or node.cores < 1 or not 0 < node.full <= 1:
        raise BridgeError("at least one call, a node with a core, and a load between 0 and 1")
    own = (measured.worker_cpu + measured.control_cpu) / 100
    edge = (measured.kamailio_cpu + measured.rtpengine_cpu) / 100
    by_cpu = int(node.cores * node.full / (own + edge))
    by_memory = int((node.gb * 1024 - measured.control_mb) / measured.worker_mb)
    per_node = min(by_cpu, by_memory)
    if per_node < 1:
        raise BridgeError("such a node has no room for one call")
    nodes = math.ceil(calls / per_node)
    rate = AUDIO_BYTES_PER_S[measured.format]
    append = math.ceil(rate / PACKETS_PER_S * 4 / 3) + APPEND_BYTES + TLS_TCP_BYTES
    delta = math.ceil(rate / DELTAS_PER_S * 4 / 3)
    delta += DELTA_BYTES + TLS_TCP_BYTES * math.ceil(delta / 1448)
    events = calls * (EVENTS_PER_TURN / demand.turn_s + EVENTS_PER_CALL / demand.mean_s)
    busy_s = demand.hours * 3600
    return Need(
        calls=calls,
        workers=math.ceil(calls / CALLS_PER_WORKER),
        cores=calls * own,
        edge_cores=calls * edge,
        calls_per_core=1 / (own + edge),
        nodes=nodes,
        calls_per_node=per_node,
        gb=(calls * measured.worker_mb + nodes * measured.control_mb) / 1024,
        new_calls_per_s=calls / demand.mean_s,
        rtp_mbit=calls * RTP_BYTES * PACKETS_PER_S * 8 / 1e6,
        model_up_mbit=calls * append * PACKETS_PER_S * 8 / 1e6,
        model_down_mbit=calls * delta * DELTAS_PER_S * demand.said * 8 / 1e6,
        recordings_gb=calls * demand.recorded * RECORDING_BYTES_PER_S * busy_s / 1e9,
        events_per_s=events,
        rows_gb=events * busy_s * EVENT_BYTES / 1e9,
        commits_per_s=min(nodes * COMMITS_PER_S, events),
        packets_per_s=calls * PACKETS_PER_S * 2,
        bound_by="cores" if by_cpu <= by_memory else "memory",
    )


def tokens_per_call(demand: Demand) -> dict[str, int]:
    """Audio tokens of one call: heard, said, and read again (cached) at each turn, which grows with the square."""
    turns = max(round(demand.mean_s / demand.turn_s), 1)
    heard = demand.mean_s * demand.heard * TOKENS_PER_S_HEARD
    said = demand.mean_s * demand.said * TOKENS_PER_S_SAID
    # What was heard and said in the turns before is read again at each turn.
    again = (heard + said) / turns * turns * (turns - 1) / 2
    return {"audio_in": round(heard + again), "audio_cached": round(again), "audio_out": round(said)}
