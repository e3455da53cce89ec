"""A person's call from the console's page to this bridge (console/seats.py), to try a plan without a phone.

    dial ─► Dial {our own SIP address, X-Console-Call: proof} ─► INVITE ─► worker
                         answer: whose call it is, once  ◄── console.call {proof, call_id}

A browser call comes in like any phone's: by the edge, which lets it in because it knows a word of this node's edge key
and comes from this machine; without an edge the worker is reached as any phone reaches it. The proof is no way in but a
mark: sealed with the nodes' common key, good for half a minute and for one call. With it the record says who tried; a
call that carries one that is none is refused; and what the network says of the caller (verstat) is never believed.
On control's loop.
"""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from bridge.approval.signing import seal, sealed
from bridge.config import CONSOLE_HEADER
from bridge.console.audio import AudioDeps
from bridge.console.seats import SeatLimits, Seats
from bridge.control_hands import Hands, Order
from bridge.edge.folder import edge_secret
from bridge.edge.render import console_word, host_port
from bridge.errors import LinkError, SeatError
from bridge.link.server import Peer
from bridge.pool.user import find
from bridge.seat.order import Dial, Ice, IceServer
from bridge.secretsource import Secrets
from bridge.settings import Settings
from bridge.store.userstore import User

log = structlog.get_logger(__name__)

PROOF_S = 30.0
MAX_SPENT = 1000
ABOUT = "console call"
PARTS = ("seal", "seat", "until", "once", "by")


class SeatDesk:
    """console.audio.Voice. `peers`: the workers that are connected here. `key`: of the seal.

    `seats` is set by control, whose console has them.
    """

    seats: Seats | None = None

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        peers: Callable[[], Sequence[Peer]],
        key: bytes,
        hands: Hands,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._environ = environ
        self._peers = peers
        self._key = key
        self._hands = hands
        self._spent: OrderedDict[str, None] = OrderedDict()

    def audio(self) -> AudioDeps:
        """What the console gets."""
        chosen = self._settings.console.audio
        password = Secrets(self._environ).get(chosen.ice_password_env) if chosen.ice_password_env else None
        turn = (chosen.ice_user, password or "")
        servers = [IceServer(url, *(turn if url.startswith("turn") else ())) for url in chosen.ice_servers]
        ice = Ice(chosen.address or "", *chosen.port_range, tuple(servers))
        return AudioDeps(self, ice, SeatLimits(chosen.seats, find(self._settings.pool.user)))

    async def order(self, call_id: str, kind: str, body: Mapping[str, Any], by: str) -> Mapping[str, Any]:
        """Have a live call do something. Raises OrderError."""
        return await self._hands.do(Order(call_id, kind, body, by, "console"))

    def dial(self, seat_id: str, user: User, number: str, caller: str) -> Dial:
        """A call to this bridge. Raises SeatError: nobody would take it."""
        sip, edge = self._settings.sip, self._settings.edge
        headers = {CONSOLE_HEADER: self._proof(seat_id, user)}
        if edge.behind and not edge.enabled:
            raise SeatError("this node has no edge of its own: call from the console of a node that has one")
        if edge.enabled and "udp" not in edge.transports:
            raise SeatError(
                "the edge takes no SIP over UDP, as a browser's call comes: add udp to edge.transports"
            )
        if edge.enabled:
            host, port = _reached(sip.bind), sip.port
            headers["X-Sipbridge-Console"] = console_word(edge_secret(self._settings.state_dir))
        else:
            free = [peer for peer in self._peers() if not peer.status.get("draining", peer.hello.draining)]
            if not free:
                raise SeatError("no worker takes calls now")
            best = min(free, key=lambda peer: int(peer.status.get("calls", 0)))
            host, port = _reached(sip.bind), best.hello.sip_port
        uri = f"sip:{number}@{host_port(host, port)}"
        from_uri = f"<sip:{caller}@{host_port(host, 0).removesuffix(':0')}>"
        return Dial(uri, host, from_uri, headers, float(self._settings.limits.max_call_s))

    async def answer(self, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """A worker asks `console.call` {proof, call_id}: {by} of whom it is, "" of nobody."""
        if kind != "console.call":
            raise LinkError(f"control knows no request {kind[:40]!r}")
        words = self._proved(str(data.get("proof", "")))
        if words is None:
            log.warning("console.call_refused", call_id=str(data.get("call_id"))[:40])
            return {"by": ""}
        seat = self.seats.of_id(str(words["seat"])) if self.seats is not None else None
        if seat is not None and not seat.call_id:
            seat.call_id = str(data.get("call_id", ""))
            seat.tell({"call_id": seat.call_id})
        return {"by": str(words["by"])}

    def _proof(self, seat_id: str, user: User) -> str:
        words = {
            "seat": seat_id,
            "until": f"{self._clock() + PROOF_S:.0f}",
            "once": secrets.token_hex(8),
            "by": user.name,
        }
        return ".".join([seal(self._key, ABOUT, words), *words.values()])

    def _proved(self, proof: str) -> Mapping[str, str] | None:
        parts = proof.split(".", len(PARTS) - 1)  # a name may have dots
        words = dict(zip(PARTS, parts, strict=False))
        if len(parts) != len(PARTS) or not sealed(self._key, ABOUT, words):
            return None
        if float(words["until"]) < self._clock() or words["once"] in self._spent:
            return None
        self._spent[words["once"]] = None
        while len(self._spent) > MAX_SPENT:
            self._spent.popitem(last=False)
        return words


def _reached(bind: str) -> str:
    """Where an address that we bind is reached from this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104  # nobody binds it here
