"""The structlog pipeline of every process: lines on stderr, personal data masked on the way out.

Every value under a key that starts with `pii_` is a phone number, digits, a name or spoken words. Unless the
settings say otherwise (`log.redact: false`) all but its last two characters are hidden, so that ops can still
tell two numbers apart. One processor does it for all of the code, so no log call can forget.

Never opens a file, never sends anything anywhere. Worker-safe: structlog only. Call `configure` once, first
thing in a process.
"""

import json
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

Fields = MutableMapping[str, Any]


def configure(
    level: str = "info",
    style: Literal["json", "console"] = "json",
    *,
    redact: bool = True,
    process: str = "",
    stream: TextIO | None = None,
) -> None:
    """Set up logging for this process; `process` (`control`, …), when given, stands in every line."""
    output = stream or sys.stderr
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *([redact_pii] if redact else []),
            render_json if style == "json" else render_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=output),
        cache_logger_on_first_use=False,
    )
    # Libraries (websockets, alembic, asyncio) speak to the standard logging: warnings and worse come through.
    logging.basicConfig(
        level=logging.WARNING, stream=output, format=f"{process} %(name)s: %(message)s".lstrip(), force=True
    )
    structlog.contextvars.clear_contextvars()
    if process:
        structlog.contextvars.bind_contextvars(process=process)


def redact_pii(_logger: Any, _method: str, fields: Fields) -> Fields:
    """Mask every `pii_*` value of a log line, at any depth of its objects."""
    return _masked(fields)


def mask(value: object) -> str:
    """The value with all but its last two characters hidden; a short one is hidden completely."""
    text = str(value)
    return "***" + text[-2:] if len(text) > 4 else "***"


def render_json(_logger: Any, _method: str, fields: Fields) -> str:
    """One JSON object; values JSON has no word for as their str()."""
    return json.dumps(fields, default=str)


def render_line(_logger: Any, _method: str, fields: Fields) -> str:
    """One line for a person: `23:15:04 control info    plan loaded  routes=3`."""
    rest = dict(fields)
    time, process = str(rest.pop("timestamp", ""))[11:19], rest.pop("process", rest.pop("worker", "bridge"))
    level, event = rest.pop("level", ""), rest.pop("event", "")
    trace = rest.pop("exception", None)
    words = " ".join(f"{key}={value}" for key, value in rest.items())
    line = f"{time} {process} {level:<7} {event}" + (f"  {words}" if words else "")
    return f"{line}\n{trace}" if trace else line


def _masked(fields: Fields) -> Fields:
    return {
        key: mask(value)
        if str(key).startswith("pii_")
        else _masked(value)
        if isinstance(value, MutableMapping)
        else value
        for key, value in fields.items()
    }
