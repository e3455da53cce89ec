"""The way from a call to its model: whose key, which URL, how long each step may take.

A shell without rules: control gives the credential (design §5: secrets live there), realtime/endpoint.py knows
the URLs and
headers of each kind of provider, the dialplan and the settings say the rest.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.call.occupancy import Occupancy
from bridge.call.prompts import read_music
from bridge.call.rendezvous import Rendezvous
from bridge.call.waittimes import WaitTimes
from bridge.config import DeadlinesConfig, ProviderConfig, WorkerConfig
from bridge.errors import FailureKind, LinkError, RemoteSessionError
from bridge.media.recorder import RecorderThread
from bridge.realtime.endpoint import endpoint
from bridge.realtime.transport import Transport
from bridge.realtime.usage import PriceTable
from bridge.realtime.websocket import Deadlines, connect
from bridge.sip.leg import Leg

MIN_OPEN_S = 0.5  # a last try is given at least this much


@dataclass(frozen=True, slots=True)
class CallDeps:
    """What every call of a worker shares. `request(kind, data, deadline_s)` asks control; raises LinkError.

    `connect(url, headers, deadlines)` opens the way to a model; raises RemoteSessionError.
    `dial(uri, headers, from_uri, trunk)` places a call; raises SipError. `music(path)`: PCM; raises
    MediaError. `rendezvous`: who may come into a running call. `glimpse`: as
    glimpse.Glimpse tells.
    """

    config: WorkerConfig
    prices: PriceTable
    recorder: RecorderThread
    emit: Callable[[str, str, Mapping[str, Any]], None]
    request: Callable[[str, Mapping[str, Any], float], Awaitable[Mapping[str, Any]]]
    connect: Callable[[str, Mapping[str, str], Deadlines], Awaitable[Transport]] = connect
    occupancy: Occupancy = field(default_factory=Occupancy)
    dial: Callable[[str, Mapping[str, str], str, str], Awaitable[Leg]] | None = None
    music: Callable[[str], bytes] = read_music
    rendezvous: Rendezvous = field(default_factory=Rendezvous)
    times: WaitTimes = field(default_factory=WaitTimes)
    glimpse: Callable[[str, Mapping[str, Any]], None] = lambda _call_id, _data: None


async def open_transport(
    deps: CallDeps, provider: ProviderConfig, model: str, call_id: str, due_s: float
) -> Transport:
    """A connection to the provider, by monotonic `due_s` at the latest. Raises RemoteSessionError."""
    chosen = deps.config.deadlines
    headers = await _credential(deps, provider, model, call_id, _remaining(chosen.link_request_s, due_s))
    place = endpoint(provider.kind, provider.url or "", model, headers.pop("key", ""))
    return await deps.connect(place.url, {**place.headers, **headers}, _deadlines(chosen, due_s))


async def _credential(
    deps: CallDeps, provider: ProviderConfig, model: str, call_id: str, deadline_s: float
) -> dict[str, str]:
    """The session's key (under "key") and extra headers, fresh from control. Nothing when the provider needs none."""
    if provider.api_key_env is None and not provider.headers_env:
        return {}
    question = {"provider": provider.name, "model": model, "call_id": call_id}
    try:
        answer = await deps.request("credential", question, deadline_s)
    except LinkError as error:
        kind = FailureKind.FATAL if error.fatal else FailureKind.RETRY
        raise RemoteSessionError(kind, "no_credential", str(error)) from error
    return {**answer.get("headers", {}), "key": str(answer.get("value", ""))}


def _deadlines(chosen: DeadlinesConfig, due_s: float) -> Deadlines:
    return Deadlines(
        open_s=_remaining(chosen.session_connect_s, due_s),
        send_s=chosen.send_s,
        ping_interval_s=chosen.ping_interval_s,
        ping_timeout_s=chosen.ping_timeout_s,
    )


def _remaining(most_s: float, due_s: float) -> float:
    return min(most_s, max(due_s - time.monotonic(), MIN_OPEN_S))
