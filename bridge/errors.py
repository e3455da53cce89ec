"""The one tree of errors. It knows nothing of the rest of the package.

Every error says what is wrong, where, and what to do; `sip_status` is a hint for the outermost layer when
the error has to be told to a SIP peer (RFC 3261 section 21).

    BridgeError 500
      FileProblems              one or more Problem(file, line, column, key, message, hint)
        SettingsError
        DialplanError
        ScenarioError
        PolicyError
      SipError(status, reason)
      MediaError 488
      SessionError
        LocalSessionError 500   our order was illegal: a bug of ours
        RemoteSessionError 503  the speech model refused, failed or vanished (kind, code)
      LinkError 500             worker and control cannot talk
      StoreError 500
        StoreAwayError        the database cannot be reached now; the same may work later
        StoreRaceError        somebody else was faster: look again, and decide anew
        StoreRefusedError     a rule forbids it: it would be refused again
      BackupError               a backup that cannot be made, read or put back; nothing was changed
      ToolError                 a tool that cannot be offered, or says that it did not do it
        ToolArgumentsError      arguments that do not fit it, in words for the model
        ToolLostError           it was started, and nobody knows whether it was done
      WebhookError              a webhook that was not delivered
      OrderError(status)        an operator's order to a live call that was not carried out
      SeatError                 a browser's seat at a call that cannot be had
      EdgeError                 Kamailio or rtpengine cannot be started or asked
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class BridgeError(Exception):
    """Base of everything this package raises on purpose."""

    sip_status: int = 500


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file a person wrote. `line` and `column` count from 1; 0 means the whole file."""

    file: str
    line: int
    column: int
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        key = f" {self.key}:" if self.key else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}:{key} {self.message}{hint}"


class FileProblems(BridgeError):  # noqa: N818  # what it holds, in the plural
    """A YAML file that cannot be used; `problems` holds every mistake found, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class SettingsError(FileProblems):
    """The settings file or an environment override is wrong."""


class DialplanError(FileProblems):
    """A dialplan file is wrong; the plan in force stays in force."""

    sip_status = 404


class ScenarioError(FileProblems):
    """A scenario or script of the local engine is wrong."""


class PolicyError(FileProblems):
    """The policy of the tools is wrong; the one in force stays in force."""


class SipError(BridgeError):
    """A SIP request of ours failed, or the peer refused it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"SIP {status} {reason}")
        self.sip_status = status
        self.reason = reason


class MediaError(BridgeError):
    """Audio cannot be set up or moved."""

    sip_status = 488


class SessionError(BridgeError):
    """The Realtime session cannot go on."""


class LocalSessionError(SessionError):
    """We asked the session machine for something illegal in its state."""


class FailureKind(Enum):
    """What an error of the model side means for the call."""

    FATAL = "fatal"
    RETRY = "retry"
    IGNORE = "ignore"


class RemoteSessionError(SessionError):
    """The model side refused, failed or went away.

    `code` is the protocol's own word (`insufficient_quota`, `session_expired`, `close_1006`, `connect_timeout`, …).
    """

    sip_status = 503

    def __init__(self, kind: FailureKind, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.kind = kind
        self.code = code
        self.message = message


class LinkError(BridgeError):
    """Worker and control cannot understand or reach each other, or control refuses a request.

    `fatal`: the same request would be refused again. `unsure`: it may have arrived all the same.
    """

    def __init__(self, message: str, *, fatal: bool = False, unsure: bool = False) -> None:
        super().__init__(message)
        self.fatal = fatal
        self.unsure = unsure


class StoreError(BridgeError):
    """The store cannot be opened, migrated, read or written."""


class StoreRaceError(StoreError):
    """What a step was based on has changed meanwhile; nothing was done."""


class StoreRefusedError(StoreError):
    """A rule of what is kept forbids it, such as that there is always an admin; nothing was done."""


class StoreAwayError(StoreError):
    """The database cannot be reached, or does not answer; what was asked for may be asked again."""


class BackupError(BridgeError):
    """A backup cannot be made, read or put back; nothing was changed."""


class ToolError(BridgeError):
    """A tool cannot be offered, or says that it did not do what it was asked for; the message is for the model."""


class ToolArgumentsError(ToolError):
    """Arguments that do not fit a tool. The message is for the model, which may try again."""


class ToolLostError(ToolError):
    """A tool was started and its answer never came: nobody knows whether it was done."""


class OrderError(BridgeError):
    """An operator's order to a live call was not carried out, or nobody knows. `calls`: the ids that were meant.

    `status`: as HTTP has it (control_hands.py).
    """

    def __init__(self, status: int, message: str, calls: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.calls = calls


class WebhookError(BridgeError):
    """A webhook was not delivered. `lost`: its receiver may have got it all the same.

    `status`: of its answer, when there was one; `after_s`: how long it asks to be left alone.
    """

    def __init__(self, message: str, *, lost: bool, status: int | None = None, after_s: float = 0.0) -> None:
        super().__init__(message)
        self.lost = lost
        self.status = status
        self.after_s = after_s


class EdgeError(BridgeError):
    """Kamailio or rtpengine cannot be started, or does not do what it is asked for."""


class SeatError(BridgeError):
    """A person cannot listen or talk by their browser; the message is for them. `status`: of HTTP."""

    def __init__(self, message: str, status: int = 503) -> None:
        super().__init__(message)
        self.status = status
