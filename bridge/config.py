"""What a worker (and the local engine) needs to know, as plain values.

Settings (bridge/settings.py) reads and checks the file a person wrote and renders these; a worker gets them
as JSON and never sees the file. They hold no secret: a provider names the environment variable that holds its
key.

Worker-safe: standard library only. Pure: no I/O, any thread. Meanings, ranges and defaults are documented
once, in bridge/settings.py; the defaults here exist only so that tests can build a part by hand.
"""

import json
from dataclasses import dataclass, field
from typing import Literal

from bridge.errors import LinkError
from bridge.strictjson import decode, encode

AudioFormat = Literal["pcm24", "pcmu", "pcma"]
"""Model side audio: PCM 24 kHz, or G.711 passed through at 8 kHz."""
CONSOLE_HEADER = "X-Console-Call"
"""Header of a call that a person places from the console's page: control's proof of who does (call/consolecall.py)."""
ProviderKind = Literal["openai", "azure", "compatible", "local"]
SipRecord = Literal["off", "lines", "whole"]
"""What a call's record keeps of its SIP messages."""
PoolKind = Literal["narrow", "wide"]
"""Which calls a worker carries: 8 kHz (PCMU, PCMA), or G.722 at 16 kHz as well."""


@dataclass(frozen=True, slots=True)
class SipConfig:
    """One worker's own SIP socket and RTP ports. `rtp_last` is included.

    `edge`: IP:PORT of the sockets by which our own edge speaks to workers. Not empty: nobody else is heard, the edge's
    word says where a request comes from, and every request of ours goes through the first of them.
    `hep`: IP:PORT of a capture server (Homer) that gets a copy of each message as HEP3; "": none. `hep_id`: our number.
    """

    bind: str = "127.0.0.1"
    port: int = 5060
    rtp_first: int = 20000
    rtp_last: int = 20999
    public_address: str | None = None
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    user_agent: str = "sipbridge"
    max_calls: int = 4
    verstat_from: tuple[str, ...] = ()
    edge: tuple[str, ...] = ()
    hep: str = ""
    hep_id: int = 1
    record: SipRecord = "lines"


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """Audio path of a call. `rate_hz`: of the phone side's PCM, 8000, or 16000 in a worker that takes G.722."""

    rate_hz: int = 8000
    tick_ms: int = 10
    model_format: AudioFormat = "pcm24"
    reorder_wait_ms: int = 20
    silence_after_ms: int = 60
    intake_max_ms: int = 1000
    playout_max_s: int = 120
    jitter_max_ms: int = 200


@dataclass(frozen=True, slots=True)
class RecordingConfig:
    """Stereo WAV of a call; an agent may switch it off for itself."""

    enabled: bool = True
    folder: str = "var/recordings"


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """How long things may go on."""

    max_call_s: int = 3600
    rtp_timeout_s: int = 20
    hold_max_s: int = 900
    ring_max_s: int = 60


@dataclass(frozen=True, slots=True)
class DeadlinesConfig:
    """How long one await may take, in seconds."""

    session_connect_s: float = 5.0
    session_ready_s: float = 5.0
    send_s: float = 5.0
    ping_interval_s: float = 3.0
    ping_timeout_s: float = 3.0
    answer_wait_s: float = 8.0
    model_silence_s: float = 6.0
    link_request_s: float = 10.0
    drain_s: float = 300.0


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """A Realtime endpoint. `url` is None only for `local`, whose address the supervisor fills in.

    `headers_env`: pairs of header name and the environment variable that holds its value.
    """

    name: str = "local"
    kind: ProviderKind = "local"
    url: str | None = None
    api_key_env: str | None = None
    model: str = "gpt-realtime-2.1"
    scenario: str | None = None
    headers_env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LogConfig:
    """Log output of a process."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "console"
    redact: bool = True


@dataclass(frozen=True, slots=True)
class PathsConfig:
    """Absolute paths under the state folder that the processes share."""

    state_dir: str = "var"
    link_socket: str = "var/link.sock"
    spool: str = "var/spool"
    prompts: str = "var/prompts"

    def prompt(self, prompt_id: str) -> str:
        """The WAV file (8 kHz, mono, 16 bit) of a spoken prompt of the plan."""
        return f"{self.prompts}/{prompt_id}.wav"


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Everything one worker is told at its start. `index` is its slot, from 0; `name` is used in logs and records.

    `default_provider` is the provider of every agent that names none.
    """

    index: int = 0
    name: str = "worker-0"
    default_provider: str = "local"
    sip: SipConfig = field(default_factory=SipConfig)
    media: MediaConfig = field(default_factory=MediaConfig)
    recording: RecordingConfig = field(default_factory=RecordingConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    deadlines: DeadlinesConfig = field(default_factory=DeadlinesConfig)
    providers: tuple[ProviderConfig, ...] = (ProviderConfig(),)
    log: LogConfig = field(default_factory=LogConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
    pool: PoolKind = "narrow"

    def provider(self, name: str | None) -> ProviderConfig | None:
        """The provider an agent names; None asks for the default one.

        None comes back when there is no such name.
        """
        wanted = name or self.default_provider
        return next((provider for provider in self.providers if provider.name == wanted), None)

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads."""
        return json.dumps(encode(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "WorkerConfig":
        """The inverse of `to_json`; LinkError when the two processes disagree about the shape."""
        try:
            data = json.loads(text)
        except ValueError as error:
            raise LinkError(f"the worker configuration is not JSON: {error}") from None
        return decode(cls, data)
