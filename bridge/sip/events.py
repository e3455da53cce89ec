"""What happens on a SIP leg, as plain values.

The pj thread builds these, the asyncio loop reads them; no pj object is inside, only strings, numbers and enums.
Strings that came from the peer have been through `headers.clean` (length-capped, no control characters): they
are data,
never instructions. Nothing here does I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class HangUpBy(Enum):
    """Who ended the leg. NETWORK: our own SIP stack gave up on a peer that says nothing (no ACK, no answer)."""

    CALLER = "caller"
    AGENT = "agent"
    OPERATOR = "operator"
    BRIDGE = "bridge"
    NETWORK = "network"


class DtmfMethod(Enum):
    """How a digit travelled: RFC 4733 telephone-event or SIP INFO (application/dtmf-relay)."""

    RFC4733 = "rfc4733"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Party:
    """One side of a call as a header names it (RFC 3261 section 20.10).

    `user` is the number or name part of the URI.
    """

    user: str
    host: str
    display: str = ""
    uri: str = ""


@dataclass(frozen=True, slots=True)
class SdpFacts:
    """What the peer's SDP offers (RFC 4566, RFC 3264).

    `codecs` are names in the peer's order, `ptime_ms` is 0 when absent.
    """

    codecs: tuple[str, ...] = ()
    ptime_ms: int = 0
    direction: str = "sendrecv"
    address: str = ""
    port: int = 0
    telephone_event: bool = False


@dataclass(frozen=True, slots=True)
class EdgeWord:
    """What a request's X-Sipbridge-* headers say, as they stand: text that anybody can write, see sip/edge.py."""

    source: str = ""
    trunk: str = ""


@dataclass(frozen=True, slots=True)
class Invite:
    """An INVITE, read and cleaned. `headers` holds every header once, last value wins, names in canonical case.

    `trunk`: the name of the trunk it came from, "" when from none (the agent decides, not a header).
    Credentials are not in it (see headers.parse_invite). `request_party` is the Request-URI read as a party. The tags
    are those of From and To, which `headers` may have cut off. `verstat` is what the caller's URI says of itself: see
    headers.verstat before believing it. `source` is IP:PORT, `transport` what it came by (the edge's word; "": UDP).
    `from_worker`: another worker of this installation sent it.
    """

    sip_call_id: str
    request_uri: str
    from_party: Party
    to_party: Party
    asserted: Party | None = None
    diversion: Party | None = None
    user_agent: str = ""
    source: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    sdp: SdpFacts | None = None
    request_party: Party | None = None
    trunk: str = ""
    from_tag: str = ""
    to_tag: str = ""
    verstat: str = ""
    transport: str = ""
    from_worker: bool = False
    edge_word: EdgeWord = EdgeWord()

    @property
    def remote(self) -> str:
        """Where it came from, for a record: `203.0.113.9:5060`, or with `;transport=tls` when it was not UDP."""
        named = self.transport not in {"", "udp"}
        return f"{self.source};transport={self.transport}" if named and self.source else self.source

    @property
    def called(self) -> Party:
        """Who is to be reached: the Request-URI when it names one, else To, which may be older than a diversion.

        RFC 3261 section 8.1.1.2.
        """
        named = self.request_party
        return named if named is not None and named.user else self.to_party

    @property
    def caller(self) -> Party:
        """The asserted identity when a trunk gave one (RFC 3325), else From. Neither proves who is speaking."""
        return self.asserted or self.from_party


@dataclass(frozen=True, slots=True)
class Ringing:
    """A provisional response came for a call we place."""

    status: int


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The dialog is confirmed: ACK was seen (our answer) or sent (our call)."""


@dataclass(frozen=True, slots=True)
class MediaStarted:
    """An RTP stream runs. `ptime_ms` is the packet time we send with.

    `peer_sends` is False when the peer said `a=recvonly`: no audio from it is then no sign of a dead call.
    """

    codec: str
    ptime_ms: int
    remote: str
    direct: bool
    peer_sends: bool = True


@dataclass(frozen=True, slots=True)
class MediaStopped:
    """The stream is gone: replaced by a re-INVITE, or the leg is ending."""


@dataclass(frozen=True, slots=True)
class Held:
    """The peer put us on hold (RFC 3264 section 8.4). Nothing we play is heard."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """The peer took us off hold."""


@dataclass(frozen=True, slots=True)
class Dtmf:
    """One keypad digit from the peer: 0-9, *, #, A-D."""

    digit: str
    method: DtmfMethod


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """What became of our REFER so far (RFC 3515 section 2.4.4). `final`: nothing more will come."""

    status: int
    reason: str
    final: bool


@dataclass(frozen=True, slots=True)
class Replaced:
    """The peer is another now: its INVITE replaced the dialog (RFC 3891). The call goes on; `invite` is the new one."""

    invite: Invite


@dataclass(frozen=True, slots=True)
class MediaStats:
    """Counters of one leg's RTP, both directions, from pjmedia's RTCP session and jitter buffer.

    Jitter and round trip in milliseconds; `mos` is the narrow-band E-model estimate made of loss, jitter and delay.
    """

    rx_packets: int = 0
    rx_lost: int = 0
    rx_discarded: int = 0
    rx_reordered: int = 0
    rx_duplicated: int = 0
    rx_jitter_ms: float = 0.0
    tx_packets: int = 0
    tx_lost: int = 0
    tx_jitter_ms: float = 0.0
    rtt_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class HungUp:
    """The leg is over, whoever ended it. `status` is the final SIP status, `reason` its phrase or the Reason header.

    `stats` are the RTP counters as they last were.
    """

    by: HangUpBy
    status: int
    reason: str
    stats: MediaStats = MediaStats()


LegEvent = (
    Ringing
    | Confirmed
    | MediaStarted
    | MediaStopped
    | Held
    | Resumed
    | Dtmf
    | TransferProgress
    | Replaced
    | HungUp
)
