"""`sipbridge capacity`: how many cores, nodes, bandwidth and disk a number of calls needs, from measured figures.

The figures come from a JSON of `make load` (--measured), else from those that are shipped (bridge/capacity.json: how
and where they were measured stands in them). Arithmetic and assumptions: bridge/capacity.py. Not worker-safe.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from bridge import capacity as arithmetic
from bridge.capacity import Demand, Measured, Need, Node
from bridge.errors import BridgeError
from bridge.realtime.usage import Usage, load_prices

SHIPPED = Path(arithmetic.__file__).with_name("capacity.json")
MODEL = "gpt-realtime-2.1"
Calls = Annotated[int | None, typer.Option(min=1, help="Calls at once.")]
PerHour = Annotated[float | None, typer.Option(min=0.1, help="Calls in the busy hour, in place of --calls.")]
Mean = Annotated[float, typer.Option(min=1, help="Mean length of a call, in seconds.")]
Blocking = Annotated[
    float, typer.Option(min=0.000001, max=0.99, help="Share of calls that may find all lines taken.")
]
Format = Annotated[Literal["pcmu", "pcm24"], typer.Option(help="Audio towards the model (shipped figures).")]
MeasuredFile = Annotated[
    Path | None, typer.Option("--measured", help="What `make load` wrote: build/load.json.")
]
Cores = Annotated[int, typer.Option(min=1, help="Cores of a node.")]
Memory = Annotated[float, typer.Option(min=0.5, help="Memory of a node, in GB.")]
Full = Annotated[float, typer.Option(min=0.05, max=1, help="How much of a node's cores may be busy.")]
Hours = Annotated[float, typer.Option(min=0, max=24, help="Hours of full load a day.")]
Recorded = Annotated[float, typer.Option(min=0, max=1, help="Share of calls that is recorded.")]
Said = Annotated[float, typer.Option(min=0, max=1, help="Share of a call in which the model speaks.")]
Model = Annotated[str, typer.Option(help="Whose price: a name of bridge/realtime/prices.toml.")]


def capacity(  # noqa: PLR0913  # a command's options
    *,
    calls: Calls = None,
    per_hour: PerHour = None,
    mean_s: Mean = 180.0,
    blocking: Blocking = 0.01,
    format: Format = "pcmu",  # noqa: A002  # the option's name
    measured: MeasuredFile = None,
    cores: Cores = 16,
    memory_gb: Memory = 64.0,
    full: Full = 0.7,
    hours: Hours = 10.0,
    recorded: Recorded = 1.0,
    said: Said = 0.4,
    model: Model = MODEL,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="A table for a page like ops/capacity.md.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """How much machine a number of calls needs: cores, nodes, network, disk, database, the model's price."""
    if (calls is None) == (per_hour is None):
        raise BridgeError("say either --calls (at once) or --per-hour (with --mean-s and --blocking)")
    lines = calls or arithmetic.lines_for(per_hour or 0, mean_s, blocking)
    figures = read(measured, format)
    demand = Demand(lines, mean_s, hours, recorded, said)
    found = arithmetic.need(figures, demand, Node(cores, memory_gb, full))
    dollars = price(demand, model)
    if as_json:
        typer.echo(
            json.dumps(
                {"measured": asdict(figures), "need": asdict(found), "usd_per_call": dollars}, indent=1
            )
        )
        return
    if markdown:
        typer.echo(as_markdown(rows(figures, demand, found, dollars)))
        return
    console = Console(width=None if Console().is_terminal else 120)
    grid = Table(box=None, pad_edge=False, show_header=False)
    for name, value in rows(figures, demand, found, dollars):
        grid.add_row(name, value)
    if per_hour is not None:
        erlang = per_hour * mean_s / 3600
        spoken = f"{per_hour:g} calls an hour of {mean_s:g} s are {erlang:.1f} Erlang"
        console.print(f"{spoken}: {lines} lines at {blocking:.2%} blocking", highlight=False)
    console.print(grid, highlight=False)


def as_markdown(table: Sequence[tuple[str, str]]) -> str:
    """The rows as a Markdown table."""
    return "\n".join(
        ["| what | how much |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in table)]
    )


def read(path: Path | None, audio: str) -> Measured:
    """The measured figures: of this file, or the shipped ones of a format. Raises BridgeError."""
    if path is None:
        return Measured(**json.loads(SHIPPED.read_text(encoding="utf-8"))[audio])
    try:
        return Measured.read(json.loads(path.read_text(encoding="utf-8")), str(path))
    except (ValueError, AttributeError) as error:
        raise BridgeError(f"{path} is no JSON of `make load`: {error}") from error


def price(demand: Demand, model: str) -> float | None:
    """USD that the model takes for one call, by its audio tokens; None when it has no price."""
    cost = load_prices().cost(model, Usage(**arithmetic.tokens_per_call(demand)))
    return None if cost is None else float(cost)


def rows(figures: Measured, demand: Demand, found: Need, dollars: float | None) -> Sequence[tuple[str, str]]:
    """The table: what, how much."""
    own = figures.worker_cpu + figures.control_cpu
    edge = figures.kamailio_cpu + figures.rtpengine_cpu
    hourly = None if dollars is None else dollars * found.calls * 3600 / demand.mean_s
    return (
        ("calls at once", f"{found.calls}"),
        (
            "measured",
            f"{own:.2f} % of a core a call for the bridge, {edge:.2f} % for the edge ({figures.source})",
        ),
        ("workers", f"{found.workers} ({arithmetic.CALLS_PER_WORKER} calls each)"),
        ("cores busy", f"{found.cores:.1f} for the bridge, {found.edge_cores:.1f} for the edge"),
        ("calls per core", f"{found.calls_per_core:.0f} when it is full"),
        ("nodes", f"{found.nodes} of {found.calls_per_node} calls each (bound by {found.bound_by})"),
        ("memory", f"{found.gb:.1f} GB"),
        ("new calls a second", f"{found.new_calls_per_s:.1f}"),
        ("RTP", f"{found.rtp_mbit:.1f} Mbit/s each way to the phones, {found.packets_per_s:.0f} packets/s"),
        (
            "to the model",
            f"{found.model_up_mbit:.1f} Mbit/s up, {found.model_down_mbit:.1f} Mbit/s down ({figures.format})",
        ),
        ("recordings", f"{found.recordings_gb:.1f} GB a day of {demand.hours:g} full hours"),
        (
            "database",
            f"{found.events_per_s:.0f} rows/s in {found.commits_per_s:.0f} commits/s, {found.rows_gb:.1f} GB a day",
        ),
        (
            "the model",
            "no price for it" if hourly is None else f"{dollars:.3f} USD a call, {hourly:.0f} USD an hour",
        ),
    )
