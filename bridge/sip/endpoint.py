"""How the one pjsua2 endpoint of a worker is set up: pjlib's own settings, transports, codecs. No state, no calls.

Called by agent.py on the pj thread. What stands here as a number is about pjproject 2.15.1; what an operator may
choose comes from the configuration.
"""

import asyncio
import ctypes
import functools
from dataclasses import dataclass
from pathlib import Path

import pjsua2 as pj
import pjsua2._pjsua2 as pj_extension

from bridge.config import MediaConfig, SipConfig
from bridge.errors import MediaError
from bridge.media.dejitter import Dejitter
from bridge.media.intake import Intake
from bridge.media.playout import Playout
from bridge.sip.clibrary import Signatures, open_library
from bridge.sip.port import AudioPort

PJ_LOG_LEVEL = (
    2  # errors and warnings; to a file, because a log callback would need the GIL inside pjlib's locks
)
# Timers B, F, H, J and D (RFC 3261 section 17) in place of 32 s: how long a peer that says nothing keeps a slot of
# pjsua's four after our BYE, and how long we wait for an ACK. Five tries fit in.
TRANSACTION_MS = 8000
EXTENSION = Path(pj_extension.__file__)
_SIGNATURES: Signatures = {
    "pj_log_set_level": (None, [ctypes.c_int]),
    "pjsip_tsx_set_timers": (None, [ctypes.c_uint] * 4),
}


@dataclass(frozen=True, slots=True)
class AgentInfo:
    """Where the agent is reachable and how its audio moves (`direct` or `conference`, and why)."""

    address: str
    port: int
    audio: str
    note: str


def open_pjsua() -> ctypes.PyDLL:
    """The functions of pjsua that pjsua2 does not wrap, and a pjlib that writes nothing to the terminal.

    It would, everything, until libInit has read the log settings. Raises OSError or AttributeError.
    """
    library = open_library(EXTENSION, _SIGNATURES)
    library.pj_log_set_level(PJ_LOG_LEVEL)
    return library


def endpoint_config(sip: SipConfig, media: MediaConfig, log_file: Path | None) -> pj.EpConfig:
    """One thread for everything, no VAD, no echo canceller, a jitter buffer that holds nothing back."""
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.uaConfig.userAgent = sip.user_agent
    config.logConfig.level = PJ_LOG_LEVEL
    config.logConfig.consoleLevel = 0
    config.logConfig.msgLogging = 0
    if log_file is not None:
        config.logConfig.filename = str(log_file)
        config.logConfig.fileFlags = pj.PJ_O_APPEND  # control cuts it (bridge/control_retention.py)
    medium = config.medConfig
    medium.hasIoqueue = True  # mediaqueue.py reads it
    medium.clockRate = media.rate_hz
    medium.audioFramePtime = 20
    medium.noVad = True
    medium.ecTailLen = 0
    medium.jbInit = medium.jbMinPre = medium.jbMaxPre = 0
    medium.jbMax = media.jitter_max_ms
    medium.sndAutoCloseTime = -1
    return config


def transport_config(sip: SipConfig) -> pj.TransportConfig:
    """The SIP socket."""
    transport = pj.TransportConfig()
    transport.port = sip.port
    transport.boundAddress = sip.bind
    if sip.public_address:
        transport.publicAddress = sip.public_address
    return transport


def account_config(sip: SipConfig) -> pj.AccountConfig:
    """The one local identity, and where its RTP goes."""
    config = pj.AccountConfig()
    config.idUri = f"sip:{sip.user_agent.split('/')[0]}@{sip.bind}:{sip.port}"
    if sip.edge:
        config.sipConfig.proxies.append(f"<sip:{sip.edge[0]};lr>")
    rtp = config.mediaConfig.transportConfig
    rtp.port = sip.rtp_first
    rtp.portRange = sip.rtp_last - sip.rtp_first
    rtp.boundAddress = sip.bind
    if sip.public_address:
        rtp.publicAddress = sip.public_address
    config.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_DISABLED
    config.mediaConfig.lockCodecEnabled = False
    return config


def allow_codecs(endpoint: pj.Endpoint, codecs: tuple[str, ...]) -> None:
    """Offer the named codecs in that order and nothing else (design §5: Speex, iLBC and GSM stay off).

    Raises MediaError when this build has none of them.
    """
    wanted = {name.upper(): 250 - rank for rank, name in enumerate(codecs)}
    found = 0
    for codec in endpoint.codecEnum2():
        priority = wanted.get(codec.codecId.split("/", 1)[0].upper(), 0)
        found += bool(priority)
        endpoint.codecSetPriority(codec.codecId, priority)
    if not found:
        raise MediaError(f"none of the codecs {', '.join(codecs)} is in this build of pjproject")


def new_audio(loop: asyncio.AbstractEventLoop, media: MediaConfig) -> AudioPort:
    """The audio of one leg, whose call is on `loop`."""
    return AudioPort(
        loop,
        Playout(max_ms=media.playout_max_s * 1000, rate_hz=media.rate_hz),
        Intake(max_ms=media.intake_max_ms, rate_hz=media.rate_hz),
        functools.partial(new_dejitter, media),
        media.rate_hz,
    )


def new_dejitter(media: MediaConfig, ptime_ms: int) -> Dejitter:
    """The buffer of one stream. Silence must not be found between two packets that are merely long."""
    silence_after_ms = max(media.silence_after_ms, 3 * ptime_ms)
    return Dejitter(media.reorder_wait_ms, silence_after_ms, ptime_ms)
