"""pjsua2's call object: one SIP dialog and its RTP stream, on the pj thread.

Callbacks become frozen events for the leg; commands of the leg become pjsua2 calls. It decides nothing: when a
command is legal
is dialog.py's business, what a call does is the call's. Never touched off the pj thread.
"""

import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import pjsua2 as pj
import structlog

from bridge.errors import SipError
from bridge.sip.conferenceport import ConferencePort
from bridge.sip.directory import may_replace
from bridge.sip.events import (
    Confirmed,
    Dtmf,
    DtmfMethod,
    HangUpBy,
    Held,
    HungUp,
    Invite,
    LegEvent,
    MediaStarted,
    MediaStats,
    MediaStopped,
    Replaced,
    Resumed,
    Ringing,
    TransferProgress,
)
from bridge.sip.headers import clean, parse_invite, reason_text
from bridge.sip.leg import Leg
from bridge.sip.mediaclock import MediaClock
from bridge.sip.natives import Natives, NativeStream
from bridge.sip.sdp import WIDE_CODEC, best_alone, limit_codecs, sure

log = structlog.get_logger(__name__)

DECLINED = 603
NO_SUCH_DIALOG = (481, "Call/Transaction Does Not Exist")
NOT_ANSWERED = 480  # Temporarily Unavailable: what a hang-up with success is before there was any
GAVE_UP = {pj.PJSIP_EVENT_TIMER, pj.PJSIP_EVENT_TRANSPORT_ERROR}
Callback = Callable[["PjCall", Any], None]


def _guarded(callback: Callback) -> Callback:
    """A callback that raises ends its call; pjsua2 would print the error and go on as if all had been done."""

    @functools.wraps(callback)
    def run(self: "PjCall", prm: Any) -> None:
        try:
            callback(self, prm)
        except Exception:
            log.exception("sip.callback_failed", call_id=self.leg.id, callback=callback.__name__)
            self.agent.fail(self.leg.id, 500, "internal error", callback.__name__)

    return run


class CallOwner(Protocol):
    """The part of SipAgent a call needs."""

    natives: Natives | None
    clock: MediaClock
    codecs: tuple[str, ...]

    def to_loop(self, callback: Callable[..., None], *args: object) -> None:
        """Run `callback` on the asyncio loop."""

    def fail(self, leg_id: str, status: int, reason: str, what: str) -> None:
        """End a call that cannot go on, after the callback that is running has returned."""

    def forget(self, call: "PjCall") -> None:
        """The call is over."""

    def find(self, leg_id: str) -> "PjCall | None":
        """The call of a leg."""

    def identified(self, invite: Invite) -> Invite:
        """The INVITE with the trunk it comes from."""

    def succeed(self, call: "PjCall", heir: "PjCall") -> None:
        """The leg of `call` is that of `heir` from now on."""


class PjCall(pj.Call):  # type: ignore[misc]  # pjsua2 has no types
    """pjsua2's call object. Lives on the pj thread; translates callbacks into events, decides nothing."""

    def __init__(
        self, agent: "CallOwner", account: pj.Account, leg: Leg, call_index: int | None = None
    ) -> None:
        if call_index is None:
            super().__init__(account)
        else:
            super().__init__(account, call_index)
        self.agent = agent
        self.account = account
        self.leg = leg
        self.came_in = call_index is not None
        self.peer_tag = leg.invite.from_tag
        self.stream: NativeStream | None = None
        self.heir: Invite | None = None  # whose INVITE takes this dialog over
        self.replaced = False
        self.held = False
        self.codec = ""
        self.remote = ""
        self.peer_sends = True
        self.stats = MediaStats()
        self.ended_by: tuple[HangUpBy, str] | None = None
        self.failed_with: int | None = None
        self.conference: ConferencePort | None = None

    def emit(self, event: LegEvent) -> None:
        """Hand an event to the leg on the loop."""
        self.agent.to_loop(self.leg.receive, event)

    def owns(self, request: Invite) -> bool:
        """Whether a request of the peer belongs to this call (RFC 3261 section 12.2.2, without our own tag)."""
        if self.sip_call_id != request.sip_call_id:
            return False
        return not self.came_in or self.peer_tag == request.from_tag

    @property
    def sip_call_id(self) -> str:
        """Its Call-ID as `Invite` has it; "" when the call is gone."""
        try:
            return clean(self.getInfo().callIdString)
        except pj.Error:
            return ""

    @property
    def account_id(self) -> int:
        """Pjsua's number of the account it is on; -1 when the call is gone."""
        try:
            return int(self.getInfo().accId)
        except pj.Error:
            return -1

    # pjsua2 calls these by name; their names are its own
    @_guarded
    def onCallState(self, prm: Any) -> None:  # noqa: N802
        if self.replaced:  # the leg goes on with another call
            return
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_EARLY and info.role == pj.PJSIP_ROLE_UAC:
            self.emit(Ringing(info.lastStatusCode))
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            self.emit(Confirmed())
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            by, reason = self.ended_by or (_ended_by(prm), _reason_header(prm) or clean(info.lastReason))
            self.agent.clock.remove(self.leg.audio)
            self.agent.forget(self)
            self.emit(HungUp(by, self.failed_with or info.lastStatusCode, reason, self.stats))

    def onCallSdpCreated(self, prm: Any) -> None:  # noqa: N802
        """Our SDP, before it is sent: of the worker's codecs only those of the trunk."""
        trunk = self.leg.trunk
        codecs = trunk.codecs if trunk is not None and trunk.codecs else self.agent.codecs
        if trunk is not None and trunk.codecs:
            prm.sdp.wholeSdp = limit_codecs(prm.sdp.wholeSdp, codecs)
        if WIDE_CODEC in codecs and WIDE_CODEC in self.agent.codecs:
            prm.sdp.wholeSdp = best_alone(prm.sdp.wholeSdp, codecs, prm.remSdp.wholeSdp)

    @_guarded
    def onCallMediaState(self, prm: Any) -> None:  # noqa: N802, ARG002
        info = self.getInfo()  # kept by name: the media list points into it, and it goes with its last name
        media = next((m for m in info.media if m.type == pj.PJMEDIA_TYPE_AUDIO), None)
        if media is None:
            return
        if media.status == pj.PJSUA_CALL_MEDIA_ERROR:
            self.agent.fail(self.leg.id, 488, "no media", "pjsua could not set up the stream")
        if media.status in {pj.PJSUA_CALL_MEDIA_ERROR, pj.PJSUA_CALL_MEDIA_NONE}:
            return
        held = media.status == pj.PJSUA_CALL_MEDIA_REMOTE_HOLD or not media.dir & pj.PJMEDIA_DIR_ENCODING
        if held != self.held:
            self.held = held
            self.emit(Held() if held else Resumed())
        if self.conference is not None and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
            audio = self.getAudioMedia(-1)
            audio.startTransmit(self.conference)
            self.conference.startTransmit(audio)

    @_guarded
    def onStreamPreCreate(self, prm: Any) -> None:  # noqa: N802
        self.codec = prm.streamInfo.codecName
        self.remote = prm.streamInfo.remoteRtpAddress
        self.peer_sends = bool(prm.streamInfo.dir & pj.PJMEDIA_DIR_DECODING)

    @_guarded
    def onStreamCreated(self, prm: Any) -> None:  # noqa: N802
        ptime_ms = 20
        natives = self.agent.natives
        if natives is not None:
            try:
                stream = natives.open(prm.stream)
            except OSError as error:
                self.agent.fail(self.leg.id, 500, "media failed", f"no access to the RTP stream: {error}")
                return
            ptime_ms = stream.ptime_ms
            self.stream = stream
            self.leg.audio.attach(stream)
            self.agent.clock.add(self.leg.audio)
        elif self.conference is None:
            self.conference = ConferencePort(self.leg.audio)
            self.conference.create(self.leg.id)
        self.emit(MediaStarted(self.codec, ptime_ms, self.remote, natives is not None, self.peer_sends))

    @_guarded
    def onStreamDestroyed(self, prm: Any) -> None:  # noqa: N802, ARG002
        # First of all: pjmedia frees the stream when this returns. The port stays with the clock, which measures
        # the time without a stream for the recording.
        self.leg.audio.detach(self.stream)
        if self.replaced:
            return
        self.read_stats()
        self.emit(MediaStopped())

    @_guarded
    def onDtmfDigit(self, prm: Any) -> None:  # noqa: N802
        info = prm.method == pj.PJSUA_DTMF_METHOD_SIP_INFO
        self.emit(Dtmf(clean(prm.digit, 1), DtmfMethod.INFO if info else DtmfMethod.RFC4733))

    @_guarded
    def onCallTransferStatus(self, prm: Any) -> None:  # noqa: N802
        self.emit(TransferProgress(prm.statusCode, clean(prm.reason, 80), bool(prm.finalNotify)))

    @_guarded
    def onCallReplaceRequest(self, prm: Any) -> None:  # noqa: N802
        """An INVITE wants to take this dialog over (RFC 3891)."""
        prm.statusCode, prm.reason = 500, "Internal Server Error"
        invite = self.agent.identified(parse_invite(prm.rdata.wholeMsg, prm.rdata.srcAddress))
        if self.getInfo().state != pj.PJSIP_INV_STATE_CONFIRMED:
            prm.statusCode, prm.reason = NO_SUCH_DIALOG
        elif not may_replace(self.leg.invite, invite):
            log.warning("sip.replaces_refused", call_id=self.leg.id, trunk=invite.trunk, source=invite.source)
            prm.statusCode, prm.reason = 403, "Forbidden"
        elif not sure(invite.sdp, prm.rdata.wholeMsg):
            prm.statusCode, prm.reason = 488, "Not Acceptable Here"
        else:
            self.heir = invite
            prm.statusCode, prm.reason = 200, "OK"

    @_guarded
    def onCallReplaced(self, prm: Any) -> None:  # noqa: N802
        """It has: the leg goes on with the new call, this one is being ended by pjsua."""
        invite = self.heir or self.leg.invite
        heir = PjCall(self.agent, self.account, self.leg, prm.newCallId)
        heir.peer_tag = invite.from_tag
        heir.held = self.held
        self.replaced = True
        self.agent.succeed(self, heir)
        prm.newCall = heir
        heir.emit(Replaced(invite))

    def onCallTransferRequest(self, prm: Any) -> None:  # noqa: N802
        """A REFER that came past the doorman. pjsua2 by itself would dial its target: toll fraud."""
        prm.statusCode = DECLINED

    def onCallRedirected(self, prm: Any) -> int:  # noqa: N802, ARG002
        """A 3xx to our INVITE ends the call with that status: no peer makes us dial what the plan does not know."""
        return int(pj.PJSIP_REDIRECT_REJECT)

    # ---- commands, run by the agent on the pj thread ---------------------------------------------------------

    def place(self, uri: str, prm: pj.CallOpParam) -> str:
        """Send the INVITE of a call we place. Says why it cannot be sent, "" when it is on its way.

        No exception: its traceback would hold this object, and let go of it on another thread, which crashes.
        """
        try:
            self.makeCall(uri, prm)
        except pj.Error as error:
            return clean(error.reason) or "refused"
        return ""

    def respond(self, status: int) -> None:
        """Send a provisional or 2xx response to the INVITE."""
        if status in {183, 200} and self.agent.natives is not None:
            self.agent.clock.add(
                self.leg.audio
            )  # time passes for the recording even without a stream (inactive)
        self.answer(call_parameters(status))

    def end(self, by: HangUpBy, status: int, reason: str) -> None:
        """BYE, CANCEL or a final response, whichever fits, with the cause in a Reason header (RFC 3326).

        A success (2xx) before the answer is 480: pjsip would send 200 OK, which answers the call, and then BYE.
        """
        self.ended_by = (by, reason)
        self.read_stats()
        text = clean(reason, 80).replace('"', "'")
        try:
            if status < 300 and self.getInfo().state < pj.PJSIP_INV_STATE_CONNECTING:
                status = NOT_ANSWERED
            self.hangup(call_parameters(status, "", {"Reason": f'SIP;cause={status};text="{text}"'}))
        except pj.Error as error:
            log.warning("sip.hang_up_failed", leg=self.leg.id, reason=clean(error.reason))

    def fail(self, status: int, reason: str) -> None:
        """End a call that cannot go on; `status` is what the record says."""
        self.failed_with = status
        self.end(HangUpBy.BRIDGE, status, reason)

    def send_digits(self, digits: str, method: DtmfMethod) -> None:
        """Send keypad digits as RFC 4733 events in the RTP stream, or as SIP INFO."""
        prm = pj.CallSendDtmfParam()
        prm.digits = digits
        info = method is DtmfMethod.INFO
        prm.method = pj.PJSUA_DTMF_METHOD_SIP_INFO if info else pj.PJSUA_DTMF_METHOD_RFC2833
        self.sendDtmf(prm)

    def refer(self, target: str) -> None:
        """REFER with Refer-To `target` and Referred-By us; the subscription it makes tells how it went."""
        self.xfer(f"<{target}>", call_parameters())

    def refer_replacing(self, leg_id: str) -> None:
        """REFER to the peer of another call of ours, with Replaces of that dialog. SipError when it is gone."""
        other = self.agent.find(leg_id)
        if other is None:
            raise SipError(481, "the other call is over")
        self.xferReplaces(other, call_parameters())

    def hold(self, on: bool) -> None:
        """re-INVITE with sendonly, or back with sendrecv (RFC 3264 section 8.4)."""
        if on:
            self.setHold(call_parameters())
            return
        prm = call_parameters()
        prm.opt.flag = pj.PJSUA_CALL_UNHOLD
        self.reinvite(prm)

    def read_stats(self) -> MediaStats:
        """Pjmedia's counters as they are now, or as they last were when the stream is gone."""
        self.agent.clock.poll()
        with contextlib.suppress(pj.Error):
            stat = self.getStreamStat(0)
            rx, tx = stat.rtcp.rxStat, stat.rtcp.txStat
            self.stats = MediaStats(
                rx_packets=rx.pkt,
                rx_lost=rx.loss,
                rx_discarded=rx.discard,
                rx_reordered=rx.reorder,
                rx_duplicated=rx.dup,
                rx_jitter_ms=rx.jitterUsec.mean / 1000,
                tx_packets=tx.pkt,
                tx_lost=tx.loss,
                tx_jitter_ms=tx.jitterUsec.mean / 1000,
                rtt_ms=stat.rtcp.rttUsec.mean / 1000,
            )
        return self.stats


def call_parameters(
    status: int = 0, reason: str = "", headers: Mapping[str, str] | None = None
) -> pj.CallOpParam:
    """pjsua2's parameters for one audio stream, with an optional status, phrase and extra headers."""
    prm = pj.CallOpParam(True)
    prm.opt.audioCount = 1
    prm.opt.videoCount = 0
    if status:
        prm.statusCode = status
    if reason:
        prm.reason = reason
    for name, value in (headers or {}).items():
        header = pj.SipHeader()
        header.hName = name
        header.hValue = value
        prm.txOption.headers.append(header)
    return prm


def _ended_by(prm: Any) -> HangUpBy:
    """Whether the peer ended the call or our own stack gave up on it: no ACK, no answer, a transport error."""
    return HangUpBy.NETWORK if prm.e.body.tsxState.type in GAVE_UP else HangUpBy.CALLER


def _reason_header(prm: Any) -> str:
    """The text of the peer's Reason header in the message that ended the call (RFC 3326)."""
    try:
        message = str(prm.e.body.tsxState.src.rdata.wholeMsg)
    except AttributeError:
        return ""
    for line in message.split("\r\n\r\n", 1)[0].splitlines():
        if line.lower().startswith("reason:"):
            return reason_text(line.split(":", 1)[1])
    return ""
