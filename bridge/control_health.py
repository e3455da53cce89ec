"""Pages for load balancers and Prometheus: what one is, and how a part of control gives its gauges.

    Metric (what any part gives) ─► `expose` ─► prometheus-client's own form ─► text or OpenMetrics

Pure. Served by control_api.py.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from prometheus_client import generate_latest
from prometheus_client.core import Metric as Exposed


@dataclass(frozen=True, slots=True)
class Page:
    """One answer."""

    status: HTTPStatus
    content_type: str
    text: str


Pages = Mapping[str, Callable[[str], Page]]
"""By path: what gives the page to a client whose Accept header is this."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One family: `samples` are (labels, value); `kind`: gauge or counter. Label values from closed lists, please."""

    name: str
    kind: str
    help: str
    samples: tuple[tuple[Mapping[str, str], float], ...]


def expose(metrics: Iterable[Metric]) -> Iterator[Exposed]:
    """In the library's form, where a counter's family has no `_total`."""
    for metric in metrics:
        name = metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name
        exposed = Exposed(name, metric.help, metric.kind)
        for labels, value in metric.samples:
            exposed.add_sample(metric.name, dict(labels), value)
        yield exposed


def render(metrics: Iterable[Metric]) -> str:
    """These alone, as Prometheus' text."""
    return generate_latest(_Source(metrics)).decode()


class _Source:
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Exposed]:
        return expose(self._metrics)
