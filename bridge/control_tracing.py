"""Sends one trace a call to an OpenTelemetry collector, when the call is over.

    Counts.ended ─► queue (bounded) ─► events of the call from the store ─► bridge/records/spans.py
        ─► OpenTelemetry SDK: batches on its own thread ─► OTLP over HTTP

Calls never wait for it: what finds a full queue, or a collector that does not answer, is dropped and counted. The SDK
(extra `otel`) is imported only when `tracing.enabled`. Runs on control's loop; the export on the SDK's thread.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Self

import structlog

from bridge import __version__
from bridge.control_health import Metric
from bridge.control_metrics import Counts
from bridge.errors import Problem, SettingsError, StoreError
from bridge.records.cdr import CallEvent
from bridge.records.course import Course
from bridge.records.ending import cause
from bridge.records.spans import Show, Span, spans, trace_id, trace_id_text
from bridge.settings_observe import Tracing
from bridge.store.store import Store

log = structlog.get_logger(__name__)

MAX_WAITING = 2000
"""Calls that are over and not yet read from the store."""
CLOSE_S = 3.0
EXPORT_EVERY_MS = 1000
BATCH = 512
OUTCOMES = ("exported", "failed", "dropped")
NEEDS = "traces need OpenTelemetry, which is not installed"
INSTALL = "pip install sipbridge[otel]"

Samples = tuple[tuple[Mapping[str, str], float], ...]
Read = Callable[[str], Awaitable[Sequence[CallEvent]]]


class Tracer:
    """Async context manager. `ended` takes calls, `run` sends them. `read` gives the events of a call."""

    def __init__(self, settings: Tracing, environ: Mapping[str, str], read: Read, node: str = "") -> None:
        self._settings = settings
        self._read = read
        self._show = Show(numbers=settings.numbers, words=settings.transcripts)
        self._waiting: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING)
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        headers = {name: environ.get(variable, "") for name, variable in settings.headers_env.items()}
        self._sdk = _Sdk(settings, headers, node, self._told)
        self._failing = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exit: object) -> None:
        """Send what is there, but not for long: a collector that is away must not hold a restart up."""
        closed = asyncio.Event()
        loop = asyncio.get_running_loop()

        def close() -> None:
            self._sdk.close()
            loop.call_soon_threadsafe(closed.set)

        threading.Thread(target=close, name="traces-close", daemon=True).start()
        try:
            async with asyncio.timeout(CLOSE_S):
                await closed.wait()
        except TimeoutError:
            log.warning("tracing.not_flushed", seconds=CLOSE_S)

    def ended(self, course: Course) -> None:
        """A call is over. Those that failed are always traced, the others by `sample`."""
        kept = trace_id(course.call_id) < self._settings.sample * 2**128
        if not kept and cause(course).kind == "success":
            return
        if self._waiting.full():
            self.outcomes["dropped"] += 1
        else:
            self._waiting.put_nowait(course.call_id)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            call_id = await self._waiting.get()
            try:
                self._sdk.send(call_id, spans(await self._read(call_id), self._show))
            except StoreError as error:
                self.outcomes["dropped"] += 1
                log.warning("tracing.not_read", call_id=call_id, reason=str(error))
            finally:
                self._waiting.task_done()

    async def idle(self, most_s: float) -> None:
        """Until every call that is over has been handed to the SDK, but not for ever."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                await self._waiting.join()

    def metrics(self) -> tuple[Metric, ...]:
        """How it goes."""
        samples: Samples = tuple(({"outcome": name}, float(count)) for name, count in self.outcomes.items())
        waiting: Samples = (({}, float(self._waiting.qsize())),)
        return (
            Metric(
                "sipbridge_traces_total",
                "counter",
                "Spans exported or failed, calls that were dropped.",
                samples,
            ),
            Metric("sipbridge_traces_waiting", "gauge", "Calls whose trace is still to be made.", waiting),
        )

    def _told(self, count: int, *, ok: bool) -> None:
        """By the SDK's thread, after every batch."""
        self.outcomes["exported" if ok else "failed"] += count
        if ok == self._failing:
            self._failing = not ok
            facts = {"endpoint": self._settings.endpoint}
            if ok:
                log.info("tracing.works_again", **facts)
            else:
                log.warning(
                    "tracing.fails", **facts, hint="calls are not touched; spans are dropped meanwhile"
                )


@contextlib.asynccontextmanager
async def traced(
    settings: Tracing, environ: Mapping[str, str], store: Store, counts: Counts
) -> AsyncIterator[Tracer | None]:
    """Count what the store commits from now on, and trace it when the settings say so."""
    store.on_stored = counts.stored
    if not settings.enabled:
        yield None
        return
    async with Tracer(settings, environ, store.events) as tracer, asyncio.TaskGroup() as tasks:
        counts.ended, counts.exemplar = tracer.ended, trace_id_text
        running = tasks.create_task(tracer.run())
        yield tracer
        await tracer.idle(CLOSE_S)
        running.cancel()


Told = Callable[..., None]


class _Sdk:
    """OpenTelemetry's SDK, as far as it is used here. Raises SettingsError when it is not installed."""

    def __init__(self, settings: Tracing, headers: Mapping[str, str], node: str, told: Told) -> None:
        try:
            trace = import_module("opentelemetry.sdk.trace")
            export = import_module("opentelemetry.sdk.trace.export")
            otlp = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
            resources = import_module("opentelemetry.sdk.resources")
            self._api = import_module("opentelemetry.trace")
        except ImportError as error:
            raise SettingsError([Problem("settings", 0, 0, "tracing.enabled", NEEDS, INSTALL)]) from error
        logging.getLogger("opentelemetry").setLevel(
            logging.CRITICAL
        )  # once a batch, with a traceback; see `_told`
        self._ids = _ids(trace.RandomIdGenerator)
        exporter = otlp.OTLPSpanExporter(
            endpoint=settings.endpoint, headers=dict(headers), timeout=settings.timeout_s
        )
        about = {"service.name": "sipbridge", "service.version": __version__, "service.instance.id": node}
        self._provider = trace.TracerProvider(
            resource=resources.Resource({name: value for name, value in about.items() if value}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            export.BatchSpanProcessor(
                _counting(export, exporter, told),
                max_queue_size=settings.queue,
                max_export_batch_size=BATCH,
                schedule_delay_millis=EXPORT_EVERY_MS,
                export_timeout_millis=int(settings.timeout_s * 1000),
            )
        )
        self._tracer = self._provider.get_tracer("sipbridge", __version__)

    def send(self, call_id: str, found: list[Span]) -> None:
        """Hand the spans of one call to the SDK's queue."""
        self._ids.trace = trace_id(call_id)
        made: list[Any] = []
        for span in found:
            parent = None if span.parent is None else self._api.set_span_in_context(made[span.parent])
            one = self._tracer.start_span(
                span.name,
                context=parent,
                kind=self._api.SpanKind[span.kind.upper()],
                attributes=dict(span.attributes),
                start_time=_ns(span.start_s),
            )
            for event in span.events:
                one.add_event(event.name, dict(event.attributes), _ns(event.at_s))
            if span.error:
                one.set_status(self._api.StatusCode.ERROR, span.error)
            made.append(one)
        for one, span in zip(made, found, strict=True):
            one.end(_ns(span.end_s))

    def close(self) -> None:
        """Blocks while the last batches go out."""
        self._provider.shutdown()


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)


def _ids(base: Any) -> Any:
    """Span ids by chance, the trace's id from the call."""

    class Ids(base):  # type: ignore[misc]  # the SDK is imported only when it is wanted
        trace = 1

        def generate_trace_id(self) -> int:
            return int(self.trace)

    return Ids()


def _counting(export: Any, exporter: Any, told: Told) -> Any:
    """The exporter, which tells after every batch how it went."""

    class Counting(export.SpanExporter):  # type: ignore[misc]  # the SDK is imported only when it is wanted
        def export(self, batch: Sequence[Any]) -> Any:
            result = exporter.export(batch)
            told(len(batch), ok=result is export.SpanExportResult.SUCCESS)
            return result

        def shutdown(self) -> None:
            exporter.shutdown()

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return bool(exporter.force_flush(timeout_millis))

    return Counting()
