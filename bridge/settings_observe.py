"""The settings of what is told to systems that watch: traces to an OpenTelemetry collector.

Not worker-safe (pydantic). Pure.
"""

from typing import Annotated

from pydantic import Field

from bridge.settings_base import EnvName, HttpUrl, Seconds, Section


class Tracing(Section):
    """One trace a call, sent by OTLP over HTTP. Needs the extra `otel`."""

    enabled: bool = Field(
        default=False,
        description="Send a trace of every call when it is over. Needs pip install sipbridge[otel].",
    )
    endpoint: HttpUrl = Field(
        default="http://127.0.0.1:4318/v1/traces",
        description="Where a collector takes OTLP over HTTP (protobuf), the whole address.",
    )
    headers_env: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")], EnvName] = Field(
        default_factory=dict,
        max_length=16,
        description="HTTP headers of the export: header name to the environment variable that holds its value.",
    )
    sample: float = Field(
        default=1.0, ge=0, le=1, description="Share of the calls that are traced; failed calls always are."
    )
    numbers: bool = Field(
        default=False,
        description="Put the numbers of caller and called, and the peer's address, into the trace.",
    )
    transcripts: bool = Field(
        default=False, description="Put what was said, and arguments and results of tools, into the trace."
    )
    timeout_s: Seconds = Field(default=5, description="Longest export of one batch.")
    queue: int = Field(
        default=8192, ge=512, le=100_000, description="Spans that wait for the collector; more are dropped."
    )
