"""What a worker says to requests outside any dialog, before pjsua sees them.

405 to what it does not serve, 503 when it is full or draining, 481 to what only a dialog may ask. OPTIONS get the
same 503, so that a dispatcher that probes sends its calls elsewhere.
Why: a default pjsua answers SUBSCRIBE, MESSAGE and REGISTER of strangers (200, dialogs, memory, a published
use-after-free), and refuses the call beyond its compiled limit with 486 without telling anyone. The doorman is a
pjsip module between the dialog layer and pjsua: requests inside dialogs never reach it. A second one, before the
dialog layer, answers three requests inside calls: OPTIONS, by which trunks see whether the call still lives and to
which pjsua says 500; INFO with a digit, of which "Signal=5" without a line end makes pjsua abort the process; and
REFER, which pjsua2 accepts by itself and then dials whatever the peer named: toll fraud. It gets 603 (RFC 3515
section 2.4.2): a call goes where the dialplan says, never where the peer says. INFO and REFER never pass, whatever
they look like. A third, before the transaction layer, turns a 401 or 407 into 403 unless it answers a call we placed,
a REGISTER or an OPTIONS: within a call that came in, pjsip would send the trunk's digest to whatever Contact the
caller named. Both also stop SDP at which pjmedia would abort the process (sdp.literal).
pjsua2 has no way to say this, so the modules are handed to pjsip by address; the structures are those of pjproject
2.15.1 (pjsip/sip_module.h, sip_endpoint.h). Pj thread only.

Behind the edge the third module also drops whatever does not come from one of the edge's sockets: no answer, no log
line a packet, only a count. It looks at the socket address that the kernel gave with the packet.
"""

import ctypes
from collections import OrderedDict
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

import structlog

from bridge.sip.clibrary import POINTER, Signatures, open_library
from bridge.sip.edge import Socket
from bridge.sip.events import Invite
from bridge.sip.headers import info_digit, parse_invite
from bridge.sip.rdata import MsgInfo, msg_info, packet, sender, sender_text, what
from bridge.sip.sdp import literal
from bridge.sip.siptap import PRIORITY as TAP_PRIORITY
from bridge.sip.siptap import Tap

log = structlog.get_logger(__name__)

CHALLENGE_PRIORITY = 12  # behind the transport layer (8), before the transaction layer (16)
KEEPALIVE_PRIORITY = 24  # behind the transaction layer (16), before the UA layer (32)
PRIORITY = (
    40  # behind the UA layer (32), which keeps what belongs to a dialog; before presence, messaging and pjsua
)
ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY"
ALLOWED = frozenset(ALLOW.split(", "))
ONLY_IN_DIALOGS = frozenset({"BYE", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY"})
ABILITIES = (("Allow", ALLOW), ("Accept", "application/sdp"))  # RFC 3261 section 11.2
RETRY_AFTER = ("Retry-After", "5")
NO_SUCH_DIALOG = (481, "Call/Transaction Does Not Exist")
NOT_ACCEPTABLE = (488, "Not Acceptable Here")
DECLINED = (603, "Decline")
IN_DIALOGS = frozenset({"OPTIONS", "INFO", "REFER"})  # answered here, before the dialog layer
MAX_REMEMBERED = 256  # requests whose retransmissions count no second time
NEVER_PASSED = frozenset({"INFO", "REFER"})
CHALLENGES = frozenset({401, 407})
FORBIDDEN = 403
REFUSALS = {415: "no SDP", 420: "an extension we do not have", 488: "no_common_media"}  # pjsua's own
OUTSIDE_CALLS = frozenset({"REGISTER", "OPTIONS"})  # of our requests
KINDS = ("request", "response")
Verdict = tuple[int, str]
_OnMessage = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)


class House(Protocol):
    """Whose door it is: the part of SipAgent the doorman asks and tells."""

    def closed(self) -> Verdict | None:
        """(status, phrase) while no call may come in."""

    def admit(self) -> Verdict | None:
        """(status, phrase) when this INVITE may not come in; else it counts as a call."""

    def admit_heir(self) -> bool:
        """Whether an INVITE that takes over a call may come in although no new call may; it counts."""

    def identified(self, invite: Invite) -> Invite:
        """The INVITE with where it really comes from."""

    def turned_away(self, invite: Invite, status: int, phrase: str) -> None:
        """An INVITE was refused; told once, however often it is sent."""

    def knows(self, request: Invite) -> bool:
        """Whether a request within a dialog belongs to a call that is up."""

    def placed(self, sip_call_id: str) -> bool:
        """Whether a Call-ID is that of a call we placed, and of none that came in."""

    def pressed(self, info: Invite, digit: str) -> None:
        """An INFO brought a digit of a known call."""


class _Text(ctypes.Structure):
    """pj_str_t."""

    _fields_ = (("text", ctypes.c_char_p), ("length", ctypes.c_long))


class _ListHead(ctypes.Structure):
    """The head of a pj_list of headers."""

    _fields_ = (("previous", ctypes.c_void_p), ("next", ctypes.c_void_p))


class _Module(ctypes.Structure):
    """pjsip_module."""

    _fields_ = (
        ("previous", ctypes.c_void_p),
        ("next", ctypes.c_void_p),
        ("name", _Text),
        ("id", ctypes.c_int),
        ("priority", ctypes.c_int),
        ("load", ctypes.c_void_p),
        ("start", ctypes.c_void_p),
        ("stop", ctypes.c_void_p),
        ("unload", ctypes.c_void_p),
        ("on_rx_request", _OnMessage),
        ("on_rx_response", _OnMessage),
        ("on_tx_request", _OnMessage),
        ("on_tx_response", _OnMessage),
        ("on_tsx_state", ctypes.c_void_p),
    )


class _Response(ctypes.Structure):
    """The head of pjsip_msg when it is a response."""

    _fields_ = (("type", ctypes.c_int), ("_", ctypes.c_int), ("code", ctypes.c_int))


_SIGNATURES: Signatures = {
    "pjsua_get_pjsip_endpt": (POINTER, []),
    "pjsua_pool_create": (POINTER, [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t]),
    "pj_pool_release": (None, [POINTER]),
    "pjsip_endpt_register_module": (ctypes.c_int, [POINTER, POINTER]),
    "pjsip_endpt_unregister_module": (ctypes.c_int, [POINTER, POINTER]),
    "pjsua_call_get_count": (ctypes.c_uint, []),
    "pjsip_rx_data_get_info": (POINTER, [POINTER]),
    "pjsip_tx_data_get_info": (POINTER, [POINTER]),
    "pjsip_generic_string_hdr_create": (POINTER, [POINTER, POINTER, POINTER]),
    "pjsip_endpt_respond_stateless": (
        ctypes.c_int,
        [POINTER, POINTER, ctypes.c_int, POINTER, POINTER, POINTER],
    ),
}


class Doorman:
    """Stands at the door of one endpoint from `stand` to `leave`. `edge`: nobody else is heard; empty: everybody is.

    `dropped` counts what others sent.
    """

    def __init__(
        self, extension: Path, house: House, edge: Collection[Socket] = (), tap: Tap | None = None
    ) -> None:
        self._library = open_library(extension, _SIGNATURES)
        self._house = house
        self._edge = edge
        self.dropped = 0
        self._remembered: OrderedDict[str, None] = OrderedDict()
        self._passed: Invite | None = None
        self._modules = (
            _module(
                b"mod-doorman",
                PRIORITY,
                on_rx_request=self._guarded(self._on_request),
                on_tx_response=self._on_answer,
            ),
            _module(
                b"mod-keepalive", KEEPALIVE_PRIORITY, on_rx_request=self._guarded(self._on_request_in_dialog)
            ),
            _module(
                b"mod-challenge",
                CHALLENGE_PRIORITY,
                on_rx_request=self._on_any_request,
                on_rx_response=self._on_response,
            ),
            *_tapped(tap),
        )
        self._tap = tap
        self._endpoint: int | None = None

    def stand(self) -> bool:
        """Register with pjsip. False when it would not have us; pjsua's own behaviour stays then."""
        self._endpoint = self._library.pjsua_get_pjsip_endpt()
        register = self._library.pjsip_endpt_register_module
        return not any(register(self._endpoint, ctypes.byref(module)) for module in self._modules)

    def leave(self) -> None:
        """Unregister; before the endpoint is destroyed."""
        for module in self._modules:
            self._library.pjsip_endpt_unregister_module(self._endpoint, ctypes.byref(module))
        if self._tap is not None:
            self._tap.close()

    def lines_in_use(self) -> int:
        """Pjsua's own count: a call whose peer does not answer our BYE holds its line until Timer F."""
        return int(self._library.pjsua_call_get_count())

    def _on_any_request(self, rdata: int) -> int:
        """Any request: 1, it is dropped; 0, it passes."""
        return int(bool(self._edge) and self._is_foreign(rdata))

    def _is_foreign(self, rdata: int) -> bool:
        """Whether a message is none of the edge's. What cannot be told is."""
        try:
            self._read(rdata)
            foreign = sender(rdata) not in self._edge
        except Exception:
            log.exception("sip.sender_unknown")
            foreign = True
        if foreign:
            self.dropped += 1
            if self.dropped & (self.dropped - 1) == 0:  # the 1st, 2nd, 4th, 8th …: a flood writes no log
                log.warning("sip.not_from_the_edge", dropped=self.dropped)
        return foreign

    def _on_request(self, rdata: int) -> int:
        """Pjsip's question about one request outside dialogs: 1, it is dealt with; 0, pass it on."""
        _, method, info = self._read(rdata)
        if method == "INVITE":
            return self._on_invite(rdata, info)
        if method == "OPTIONS":
            closed = self._house.closed()
            self._respond(rdata, *closed or (200, "OK"), *((RETRY_AFTER,) if closed else ()), *ABILITIES)
        elif method in ONLY_IN_DIALOGS:
            self._respond(rdata, *NO_SUCH_DIALOG)
        elif method not in ALLOWED:
            self._respond(rdata, 405, "Method Not Allowed", ("Allow", ALLOW))
        else:
            return 0
        return 1

    def _on_invite(self, rdata: int, info: MsgInfo) -> int:
        self._passed = None
        invite = self._house.identified(parse_invite(packet(info), sender_text(rdata)))
        verdict = self._house.admit()
        if verdict is None:
            self._passed = invite
            return 0
        if "Replaces" in invite.headers and self._house.admit_heir():
            return 0  # no new call: one that is up goes on with another peer
        if self._is_new(invite.sip_call_id) and not self._edge:
            self._house.turned_away(invite, *verdict)  # an edge tries the next one, who keeps the record
        self._respond(rdata, *verdict, RETRY_AFTER)
        return 1

    def taken(self) -> None:
        """The INVITE that has just passed is a call now."""
        self._passed = None

    def _on_answer(self, tdata: int) -> int:
        """A response goes out. 0: let it.

        What pjsua refuses by itself (no common codec, an unknown extension) it tells nobody; but it does so at once,
        so a refusal that goes out before the INVITE became a call is that INVITE's.
        """
        invite = self._passed
        if invite is None:
            return 0
        try:
            status, method = what(ctypes.string_at(self._library.pjsip_tx_data_get_info(tdata)))
            if method == "INVITE" and status >= 300:
                self._passed = None
                if self._is_new(invite.sip_call_id):
                    self._house.turned_away(
                        invite, status, REFUSALS.get(status, "refused by the SIP library")
                    )
        except Exception:
            log.exception("sip.answer_failed")
        return 0

    def _on_request_in_dialog(self, rdata: int) -> int:
        """OPTIONS (RFC 3261 section 11), INFO and REFER of a dialog: its To has a tag. All else passes.

        But for SDP that pjmedia must not see, in any request.
        """
        _, method, info = self._read(rdata)
        message = packet(info)
        if not literal(message):
            log.warning("sip.sdp_refused", method=method)
            if method != "ACK":
                self._respond(rdata, *NOT_ACCEPTABLE)
            return 1
        if method not in IN_DIALOGS:
            return 0
        request = parse_invite(message)
        if not request.to_tag and method not in NEVER_PASSED:
            return 0
        if not request.to_tag or not self._house.knows(request):
            self._respond(rdata, *NO_SUCH_DIALOG)
        elif method == "OPTIONS":
            self._respond(rdata, 200, "OK", *ABILITIES)
        elif method == "REFER":
            log.warning("sip.refer_declined", pii_refer_to=request.headers.get("Refer-To", ""))
            self._respond(rdata, *DECLINED)
        else:
            self._respond(rdata, *self._take_info(request, info_digit(message)), *ABILITIES)
        return 1

    def _take_info(self, request: Invite, digit: str | None) -> Verdict:
        """What to answer to an INFO; its digit, if it has one, is on its way to the call."""
        if digit is None:
            return 415, "Unsupported Media Type"
        if not digit:
            return 400, "Bad Request"
        if self._is_new(f"{request.sip_call_id} {request.headers.get('CSeq', '')}"):
            self._house.pressed(request, digit)
        return 200, "OK"

    def _on_response(self, rdata: int) -> int:
        """Any response: 1, it is dropped; 0, it passes, as it came or as a 403."""
        if self._edge and self._is_foreign(rdata):
            return 1
        try:
            status, method, info = self._read(rdata)
            if not literal(packet(info)):
                log.warning("sip.sdp_refused", status=status, method=method)
                return 1
            if status not in CHALLENGES or method in OUTSIDE_CALLS:
                return 0
            if not self._house.placed(parse_invite(packet(info)).sip_call_id):
                log.warning("sip.challenge_refused", status=status, method=method)
                _Response.from_address(info.msg).code = FORBIDDEN
        except Exception:
            log.exception("sip.response_failed")
            return 1
        return 0

    def _read(self, rdata: int) -> tuple[int, str, MsgInfo]:
        """Status (0: it is a request) and method of a message, and where it lies."""
        info = self._library.pjsip_rx_data_get_info(rdata)
        return *what(ctypes.string_at(info)), msg_info(rdata, info)

    def _guarded(self, on_request: Callable[[int], int]) -> Callable[[int], int]:
        """A bug of ours costs one request its proper answer, and is seen in the log."""

        def run(rdata: int) -> int:
            try:
                return on_request(rdata)
            except Exception:
                log.exception("sip.request_failed")
                self._respond(rdata, 500, "Internal Server Error")
                return 1

        return run

    def _respond(self, rdata: int, status: int, phrase: str, *fields: tuple[str, str]) -> None:
        reason = _text(phrase)
        # A pool for each answer: what a flood allocates is gone again at once.
        pool = self._library.pjsua_pool_create(b"doorman", 1024, 512)
        headers = _ListHead()
        headers.previous = headers.next = ctypes.addressof(headers)
        for name, value in fields:
            self._append(headers, pool, _text(name), _text(value))
        self._library.pjsip_endpt_respond_stateless(
            self._endpoint, rdata, status, ctypes.byref(reason), ctypes.byref(headers), None
        )
        self._library.pj_pool_release(pool)

    def _append(self, headers: _ListHead, pool: int, name: _Text, value: _Text) -> None:
        """What pj_list_push_back does."""
        made = self._library.pjsip_generic_string_hdr_create(pool, ctypes.byref(name), ctypes.byref(value))
        link = _ListHead.from_address(made)
        link.previous, link.next = headers.previous, ctypes.addressof(headers)
        _ListHead.from_address(headers.previous).next = made
        headers.previous = made

    def _is_new(self, key: str) -> bool:
        """Whether this request has not been seen before; it is from now on."""
        if key in self._remembered:
            return False
        self._remembered[key] = None
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return True


def _text(value: str) -> _Text:
    data = value.encode("ascii")
    return _Text(data, len(data))


def _module(name: bytes, priority: int, **callbacks: Callable[[int], int]) -> _Module:
    asked = {field: _OnMessage(callback) for field, callback in callbacks.items()}
    return _Module(name=_Text(name, len(name)), id=-1, priority=priority, **asked)


def _tapped(tap: Tap | None) -> tuple[_Module, ...]:
    """The module that copies every message, if one is wanted."""
    if tap is None:
        return ()
    both = {
        f"on_{way}_{kind}": take for way, take in (("rx", tap.received), ("tx", tap.sent)) for kind in KINDS
    }
    return (_module(b"mod-tap", TAP_PRIORITY, **both),)
