"""Fault scripts of the local engine: a YAML file that says what goes wrong, and when.

    version: 1
    connect: {delay_ms: 0, status: 429}        # refuse the handshake
    session_seconds: 60                        # expire early
    echo: 10                                   # say back what is heard, 10 appends a delta (bridge/sim/echo.py)
    responses:
      - {nth: 2, first_audio_ms: 4000, delta_gap_ms: 500, silence: true}
      - {fail: {code: inference_rate_limit_exceeded, message: slow down}}
    faults:
      - {after_ms: 3000, do: drop}
      - {sending: response.output_audio.delta, nth: 3, do: close, code: 1011}

`Faults` is the sans-IO machine that follows a script in one connection; bridge/sim/conversation.py asks it. A fault
at an event happens right after that event was sent or received. Not worker-safe (pydantic).
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bridge import yamlfile
from bridge.errors import ScenarioError
from bridge.sim.actions import Action, Close, Drop, HalfOpen, Send, SendRaw

Milliseconds = Annotated[int, Field(ge=0, le=3_600_000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Failure(_Strict):
    """The error of a failed response or an `error` event."""

    type: str = "server_error"
    code: str | None = "server_error"
    message: str = "The server had an error while processing your request."


EXPIRED = Failure(
    type="invalid_request_error",
    code="session_expired",
    message="Your session hit the maximum duration of 60 minutes.",
)


class Connect(_Strict):
    """The handshake: wait, then refuse with an HTTP status if one is given."""

    delay_ms: Milliseconds = 0
    status: Annotated[int, Field(ge=400, le=599)] | None = None


class ResponseFault(_Strict):
    """What is wrong with a response: the `nth` of the connection, or every one without `nth`."""

    nth: Annotated[int, Field(ge=1)] | None = None
    first_audio_ms: Milliseconds = 0
    delta_gap_ms: Milliseconds = 0
    silence: bool = False
    fail: Failure | None = None


class Fault(_Strict):
    """One thing to do at one moment: `after_ms`, or the nth time an event is `sending` or `receiving`."""

    after_ms: Milliseconds | None = None
    sending: str | None = None
    receiving: str | None = None
    nth: Annotated[int, Field(ge=1)] = 1
    do: Literal["drop", "close", "send", "error", "expire", "half_open"]
    code: int = 1011
    reason: str = ""
    text: str = '{"type": "response.output_audio.delta", "delta": '
    error: Failure = Failure()
    seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0

    @model_validator(mode="after")
    def _one_moment(self) -> Self:
        if sum(moment is not None for moment in (self.after_ms, self.sending, self.receiving)) != 1:
            raise ValueError("needs exactly one of after_ms, sending, receiving")
        return self

    def actions(self) -> list[Action]:
        """What the shell has to do."""
        table: dict[str, list[Action]] = {
            "drop": [Drop()],
            "close": [Close(self.code, self.reason)],
            "send": [SendRaw(self.text)],
            "error": [Send(error_event(self.error))],
            "expire": [Send(error_event(EXPIRED)), Close(1001, "session expired")],
            "half_open": [HalfOpen(self.seconds)],
        }
        return table[self.do]


class Script(_Strict):
    """A whole script; the empty one is a healthy server."""

    version: Literal[1] = 1
    connect: Connect = Connect()
    session_seconds: Annotated[int, Field(ge=1, le=3600)] = 3600
    echo: Annotated[int, Field(ge=0, le=50)] = 0
    responses: list[ResponseFault] = []
    faults: list[Fault] = []


def error_event(failure: Failure, event_id: str | None = None, param: str | None = None) -> dict[str, object]:
    """An `error` event; `event_id` is the client's, echoed."""
    return {"type": "error", "error": failure.model_dump() | {"param": param, "event_id": event_id}}


def load(path: Path) -> Script:
    """Read and check a script file.

    Raises:
        ScenarioError: with every mistake found, each with file, line and key.

    """
    document = yamlfile.read(path, ScenarioError)
    return yamlfile.validate(document, Script, ScenarioError)


class Faults:
    """Follows a script in one connection, which began at monotonic `now`."""

    def __init__(self, script: Script, now: float) -> None:
        self._script = script
        self._timed = sorted(
            ((now + fault.after_ms / 1000, fault) for fault in script.faults if fault.after_ms is not None),
            key=lambda pair: pair[0],
        )
        self._seen: dict[tuple[str, str], int] = {}
        self._responses = 0

    def next_response(self) -> ResponseFault:
        """What is wrong with the response that starts now."""
        self._responses += 1
        fitting = (fault for fault in self._script.responses if fault.nth in (None, self._responses))
        return next(fitting, ResponseFault())

    def at_event(self, direction: Literal["sending", "receiving"], event_type: str) -> list[Action]:
        """Faults due because this event was just sent or received."""
        key = (direction, event_type)
        self._seen[key] = count = self._seen.get(key, 0) + 1
        hits = [
            fault
            for fault in self._script.faults
            if getattr(fault, direction) == event_type and fault.nth == count
        ]
        return [action for fault in hits for action in fault.actions()]

    def due(self, now: float) -> list[Action]:
        """Faults whose time has come."""
        actions: list[Action] = []
        while self._timed and self._timed[0][0] <= now:
            actions += self._timed.pop(0)[1].actions()
        return actions

    def wake_at(self) -> float | None:
        """When `due` has to be asked again."""
        return self._timed[0][0] if self._timed else None
