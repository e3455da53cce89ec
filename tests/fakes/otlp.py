"""A collector: takes OTLP over HTTP (protobuf) and keeps the spans, decoded by OpenTelemetry's own definitions."""

import contextlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Collector:
    """`status`: what it answers. `spans`: by name of the service; `headers`: of each request."""

    status: int = 200
    spans: list = field(default_factory=list)
    resources: list = field(default_factory=list)
    headers: list = field(default_factory=list)
    url: str = ""
    came: threading.Event = field(default_factory=threading.Event)

    def take(self, headers, body):
        self.headers.append(headers)
        if self.status == 200:
            request = ExportTraceServiceRequest.FromString(body)
            for found in request.resource_spans:
                self.resources.append(values(found.resource.attributes))
                self.spans += [span for scope in found.scope_spans for span in scope.spans]
        self.came.set()

    def named(self, name):
        return [span for span in self.spans if span.name == name]


def values(attributes):
    return {one.key: _value(one.value) for one in attributes}


def _value(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind)


@contextlib.contextmanager
def collecting(status=200):
    collector = Collector(status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.take(dict(self.headers), body)
            self.send_response(collector.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        collector.url = f"http://127.0.0.1:{server.server_port}/v1/traces"
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join(5)
