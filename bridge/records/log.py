"""The structlog pipeline of every process: lines on stderr, personal data masked on the way out.

Every value under a key that starts with `pii_` is a phone number, digits, a name or spoken words. Unless the
settings say otherwise (`log.redact: false`) all but its last two characters are hidden, so that ops can still
tell two numbers apart. One processor does it for all of the code, so no log call can forget.

To a file when the settings name one (logfile.py). In systemd's journal every line has its priority (sd-daemon(3)):
`journalctl -p warning` works. Worker-safe: structlog only. Call `configure` once, first thing in a process.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import structlog

from bridge.outlet import Outlet
from bridge.records.logfile import from_environ, is_journal

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}

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
    render = render_json if style == "json" else render_line
    file = stream or from_environ(os.environ)
    output: Any = file or _standard_error(render, process)
    after: list[Any] = [prefix_priority] if file is None and is_journal(os.environ) else []
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *([redact_pii] if redact else []),
            render,
            *after,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=output),
        cache_logger_on_first_use=False,
    )
    # Libraries (websockets, alembic, asyncio) speak to the standard logging: warnings and worse come through.
    handler = logging.StreamHandler(output)
    handler.setFormatter(_LibraryLines(style, process))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    structlog.contextvars.clear_contextvars()
    if process:
        structlog.contextvars.bind_contextvars(process=process)


def redact_pii(_logger: Any, _method: str, fields: Fields) -> Fields:
    """Mask every `pii_*` value of a log line, at any depth of its objects."""
    return _masked(fields)


def mask(value: object) -> str:
    """The value with all but its last two characters hidden; a short one, or an object, is hidden completely."""
    text = str(value) if isinstance(value, str | int) else ""
    return "***" + text[-2:] if len(text) > 4 else "***"


def render_json(_logger: Any, _method: str, fields: Fields) -> str:
    """One JSON object; values JSON has no word for as their str()."""
    return json.dumps(fields, default=str)


def render_line(_logger: Any, _method: str, fields: Fields) -> str:
    """One line for a person: `23:15:04 control info    plan.in_force  routes=3`. Empty values are left out."""
    rest = dict(fields)
    time, process = str(rest.pop("timestamp", ""))[11:19], rest.pop("process", "bridge")
    level, event = rest.pop("level", ""), rest.pop("event", "")
    trace = rest.pop("exception", None)
    words = " ".join(f"{key}={_word(value)}" for key, value in rest.items() if value not in ("", None))
    line = f"{time} {process} {level:<7} {event}" + (f"  {words}" if words else "")
    return f"{line}\n{trace}" if trace else line


def prefix_priority(_logger: Any, method: str, line: str) -> str:
    """`<4>…`: how systemd's journal is told the priority (sd-daemon(3)). Each line of a traceback as well."""
    mark = f"<{_PRIORITIES.get(method, 3)}>"
    return mark + line.replace("\n", f"\n{mark}")


def _standard_error(render: Callable[[Any, str, Fields], str], process: str) -> Any:
    """Where lines go without a file: a reader that stands still must not stop a call (bridge/outlet.py)."""

    def lost(lines: int) -> str:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        fields: Fields = {"event": "log.lines_lost", "lines": lines, "level": "warning", "timestamp": now}
        fields["process"] = process or "bridge"
        return render(None, "warning", fields) + "\n"

    return Outlet(2, lost) if sys.stderr is sys.__stderr__ else sys.stderr


def _word(value: object) -> str:
    """The value as logfmt has it: in quotes when it would not be one word."""
    text = str(value)
    if text and text.isprintable() and not any(char in text for char in ' "='):
        return text
    return json.dumps(text, ensure_ascii=False)


class _LibraryLines(logging.Formatter):
    """What libraries tell the standard logging, in the form of our own lines."""

    def __init__(self, style: Literal["json", "console"], process: str) -> None:
        super().__init__()
        self._render = render_json if style == "json" else render_line
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback when there is one."""
        fields: Fields = {
            "event": "library.said",
            "library": record.name,
            "message": record.getMessage(),
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "process": self._process or "bridge",
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return self._render(None, record.levelname, fields)


def _masked(fields: Fields) -> Fields:
    return {
        key: mask(value)
        if str(key).startswith("pii_")
        else _masked(value)
        if isinstance(value, MutableMapping)
        else value
        for key, value in fields.items()
    }
