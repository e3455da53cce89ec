"""The structlog pipeline of every process: JSON lines on stderr, personal data redacted on the way out.

Every value under a key that starts with `pii_` is a phone number, digits, a name or spoken words. What
happens to it is the operator's setting: `keep`, `mask` (the last two characters stay, so that ops can
tell two numbers apart) or `drop`. One processor does it for all of the code, so no log call can forget.

Never configures the standard logging root beyond its level, never opens a file. Worker-safe: structlog only.
Call `configure` once, first thing in a process.
"""

import json
import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, Literal, TextIO

import structlog

Pii = Literal["keep", "mask", "drop"]

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(
    process: str, *, level: str = "info", pii: Pii = "mask", stream: TextIO | None = None, **bound: object
) -> None:
    """Set up logging for this process. `process` (`worker`, `control`, …) and `bound` stand in every line."""
    structlog.contextvars.clear_contextvars()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redactor(pii),
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS.get(level.lower(), logging.INFO)),
        logger_factory=structlog.WriteLoggerFactory(file=stream or sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=stream or sys.stderr, format="%(name)s: %(message)s")
    structlog.contextvars.bind_contextvars(process=process, **bound)


def redactor(
    pii: Pii,
) -> Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]:
    """The processor that applies the setting to every `pii_*` key, at any depth of the log line."""

    def redact(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if pii == "keep":
            return fields
        return {key: value for key, value in _redacted(fields, pii).items() if value is not None}

    return redact


def mask(value: object) -> str:
    """The value with all but its last two characters hidden; short ones and empty ones hide completely."""
    text = str(value)
    return "***" + text[-2:] if len(text) > 4 else "***"


def _redacted(fields: MutableMapping[str, Any], pii: Pii) -> dict[str, Any]:
    clean: dict[str, Any] = {}
    for key, value in fields.items():
        if str(key).startswith("pii_"):
            if pii == "mask":
                clean[key] = mask(value)
        elif isinstance(value, MutableMapping):
            clean[key] = _redacted(value, pii)
        else:
            clean[key] = value
    return clean


def _dumps(value: Any, **_kwargs: Any) -> str:
    return json.dumps(value, default=str)
