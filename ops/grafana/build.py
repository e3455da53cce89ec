"""Writes the Grafana dashboards beside it: `python ops/grafana/build.py`. A test holds the files to what this makes.

A dashboard is a list of rows, a row a list of panels; places on the grid follow from the order. Import the JSON files
into Grafana (or provision the folder); each asks for the Prometheus data source.
"""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24
ROW_HEIGHT = 8
Json = dict[str, Any]


def panel(
    title: str, unit: str, *queries: tuple[str, str], kind: str = "timeseries", about: str = ""
) -> Json:
    """`queries`: (PromQL, legend). `unit`: Grafana's name for it. `kind`: timeseries, stat or heatmap."""
    targets = [
        {
            "refId": chr(ord("A") + number),
            "datasource": SOURCE,
            "expr": expr,
            "legendFormat": legend,
            "instant": kind == "stat",
            "range": kind != "stat",
            "format": "heatmap" if kind == "heatmap" else "time_series",
        }
        for number, (expr, legend) in enumerate(queries)
    ]
    defaults: Json = {"unit": unit, "custom": {}}
    if kind == "timeseries":
        defaults["custom"] = {"lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": False}
        defaults["min"] = 0
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {"calculate": False} if kind == "heatmap" else {},
        "targets": targets,
    }


def quantiles(title: str, metric: str, by: str = "", about: str = "") -> Json:
    """Median, 95th and 99th percentile of a histogram in seconds."""
    more = f", {by}" if by else ""
    legend = f" {{{{{by}}}}}" if by else ""
    queries = (
        (
            f"histogram_quantile({q}, sum by (le{more}) (rate({metric}_bucket{{{PICK}}}[$__rate_interval])))",
            f"p{q * 100:g}{legend}",
        )
        for q in (0.5, 0.95, 0.99)
    )
    return panel(title, "s", *queries, about=about)


PICK = 'instance=~"$instance"'


def rate(metric: str, by: str = "", where: str = "") -> str:
    """Per second, summed."""
    labels = f"{PICK},{where}" if where else PICK
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{labels}}}[$__rate_interval]))"


def gauge(metric: str, by: str = "", where: str = "", how: str = "sum") -> str:
    """As it is now, summed (or the like)."""
    labels = f"{PICK},{where}" if where else PICK
    return f"{how}{f' by ({by})' if by else ''} ({metric}{{{labels}}})"


_DECIDED = f"sum(increase(sipbridge_approvals_total{{{PICK}}}[24h]))"
_YES = f"sum(increase(sipbridge_approvals_total{{{PICK},outcome='approved'}}[24h]))"
APPROVED = f"{_YES} / ({_DECIDED} > 0)"

OVERVIEW = [
    [
        panel("Calls now", "none", (gauge("sipbridge_calls_active"), "calls"), kind="stat"),
        panel(
            "Free lines",
            "none",
            (f"{gauge('sipbridge_call_lines')} - {gauge('sipbridge_calls_active')}", "lines"),
            kind="stat",
        ),
        panel("Faults, 5 min", "percentunit", ("sipbridge:call_faults:ratio5m", "of the calls"), kind="stat"),
        panel("Answer to greeting, p95", "s", ("sipbridge:greeting_seconds:p95_10m", ""), kind="stat"),
        panel("Response, p95", "s", ("sipbridge:response_seconds:p95_10m", ""), kind="stat"),
        panel("Cost an hour", "currencyUSD", ("sipbridge:cost_usd:rate1h", ""), kind="stat"),
    ],
    [
        panel(
            "Calls", "none", (gauge("sipbridge_calls_active", "direction, state"), "{{direction}} {{state}}")
        ),
        panel(
            "Ends",
            "cps",
            (rate("sipbridge_calls_ended_total", "kind"), "{{kind}}"),
            about="By class: ops/observe.md",
        ),
        panel(
            "Causes of faults",
            "cps",
            (
                rate("sipbridge_call_causes_total", "cause", 'cause!~"caller|agent|operator|dialplan"'),
                "{{cause}}",
            ),
        ),
    ],
    [
        quantiles("Answer to greeting", "sipbridge_greeting_seconds"),
        quantiles("Last word to response", "sipbridge_response_seconds"),
        quantiles("Barge-in to silence", "sipbridge_barge_in_seconds"),
    ],
    [
        quantiles("Tool wait", "sipbridge_tool_wait_seconds", "waited_for"),
        quantiles("Transfer start", "sipbridge_transfer_start_seconds", "how"),
        quantiles("Record written", "sipbridge_record_written_seconds"),
    ],
    [
        quantiles("Setup (INVITE to answer)", "sipbridge_setup_seconds", "direction"),
        panel(
            "Outbound jobs",
            "none",
            (gauge("sipbridge_outbound_jobs", "state"), "{{state}}"),
            (rate("sipbridge_outbound_ended_total", "outcome"), "{{outcome}} /s"),
        ),
        panel(
            "Queues",
            "none",
            (gauge("sipbridge_queue_callers", "queue"), "{{queue}}"),
            (gauge("sipbridge_parked_calls"), "parked"),
        ),
    ],
]
QUALITY = [
    [
        panel(
            "Listening quality (MOS)", "none", (rate("sipbridge_mos_bucket", "le"), "{{le}}"), kind="heatmap"
        ),
        panel("Poor audio, 30 min", "percentunit", ("sipbridge:poor_audio:ratio30m", "of the calls")),
        panel("Packet loss of a call, p90", "percentunit", ("sipbridge:rtp_loss_ratio:p90_30m", "")),
    ],
    [
        quantiles("Jitter", "sipbridge_rtp_jitter_seconds"),
        panel(
            "Gaps in the agent's speech",
            "none",
            (rate("sipbridge_underruns_total"), "gaps /s"),
            (rate("sipbridge_underrun_seconds_total"), "seconds /s"),
        ),
        panel(
            "Caller audio dropped", "s", (rate("sipbridge_caller_audio_dropped_seconds_total"), "seconds /s")
        ),
    ],
    [
        quantiles("Model: asked to first audio", "sipbridge_model_latency_seconds"),
        quantiles("Session connect", "sipbridge_session_connect_seconds"),
        panel("Session failures", "cps", (rate("sipbridge_session_failures_total", "code"), "{{code}}")),
    ],
    [
        panel("Responses", "cps", (rate("sipbridge_responses_total", "status"), "{{status}}")),
        panel(
            "Dead air, errors",
            "cps",
            (rate("sipbridge_dead_air_total"), "dead air"),
            (rate("sipbridge_call_errors_total", "where"), "{{where}}"),
        ),
        panel("Tokens", "cps", (rate("sipbridge_tokens_total", "kind"), "{{kind}}")),
    ],
    [
        quantiles("Length of calls", "sipbridge_call_duration_seconds", "direction"),
        panel(
            "Steps and legs",
            "cps",
            (rate("sipbridge_steps_failed_total"), "steps failed"),
            (rate("sipbridge_second_legs_total", "outcome"), "leg {{outcome}}"),
        ),
        panel(
            "Media clock: latest tick",
            "ms",
            (gauge("sipbridge_worker_clock_max_late_ms", "worker", how="max"), "worker {{worker}}"),
        ),
    ],
]
APPROVALS = [
    [
        panel(
            "Waiting for a person",
            "none",
            (gauge("sipbridge_approvals_open", where='state="pending"'), ""),
            kind="stat",
        ),
        panel(
            "Outcome unknown",
            "none",
            (gauge("sipbridge_approvals_open", where='state="unknown"'), ""),
            kind="stat",
        ),
        panel("Approved, 24 h", "percentunit", (APPROVED, ""), kind="stat"),
    ],
    [
        panel("Open requests", "none", (gauge("sipbridge_approvals_open", "state"), "{{state}}")),
        panel("Decisions", "cps", (rate("sipbridge_approvals_total", "outcome"), "{{outcome}}")),
        quantiles("Time to a decision", "sipbridge_approval_seconds", "outcome"),
    ],
    [
        panel("Function calls", "cps", (rate("sipbridge_tool_calls_total", "outcome"), "{{outcome}}")),
        quantiles("Tool wait", "sipbridge_tool_wait_seconds", "waited_for"),
        panel(
            "MCP servers",
            "none",
            (gauge("sipbridge_mcp_connected", "server", how="min"), "{{server}}"),
            (gauge("sipbridge_mcp_tools_pending"), "tools not accepted"),
        ),
    ],
]
PLATFORM = [
    [
        panel(
            "Workers",
            "none",
            (gauge("sipbridge_workers_connected"), "connected"),
            (gauge("sipbridge_workers_wanted"), "wanted"),
            (gauge("sipbridge_workers_draining"), "draining"),
        ),
        panel(
            "Worker processes started, calls cut",
            "none",
            (rate("sipbridge_worker_starts_total"), "starts /s"),
            (rate("sipbridge_worker_died_calls_total"), "calls cut by a death /s"),
        ),
        panel(
            "Calls a worker",
            "none",
            (gauge("sipbridge_worker_calls", "instance, worker"), "{{instance}} {{worker}}"),
        ),
    ],
    [
        panel(
            "Memory of workers",
            "bytes",
            (gauge("sipbridge_worker_resident_bytes", "instance, worker"), "{{instance}} {{worker}}"),
        ),
        panel(
            "Processor of workers",
            "percentunit",
            (rate("sipbridge_worker_cpu_seconds_total", "instance, worker"), "{{instance}} {{worker}}"),
        ),
        panel(
            "Media clock",
            "none",
            (rate("sipbridge_worker_clock_late_ticks", "worker"), "late ticks /s, {{worker}}"),
            (rate("sipbridge_worker_clock_restarts", "worker"), "restarts /s, {{worker}}"),
        ),
    ],
    [
        quantiles("Store: one write", "sipbridge_store_write_seconds"),
        panel(
            "Store",
            "none",
            (rate("sipbridge_store_retries_total"), "refusals /s"),
            (gauge("sipbridge_store_failing", how="max"), "failing"),
        ),
        panel(
            "Spools",
            "bytes",
            (gauge("sipbridge_worker_spool_bytes", "instance, worker"), "{{instance}} {{worker}}"),
            (gauge("sipbridge_worker_events_lost"), "events lost"),
        ),
    ],
    [
        panel(
            "Trunks",
            "none",
            (gauge("sipbridge_trunk_registered", "trunk", how="max"), "{{trunk}} registered"),
            (gauge("sipbridge_trunk_reachable", "trunk", how="max"), "{{trunk}} reachable"),
        ),
        panel("Events stored", "cps", (rate("sipbridge_events_total", "type"), "{{type}}")),
        panel("Requests of workers", "cps", (rate("sipbridge_link_requests_total"), "requests")),
    ],
    [
        panel(
            "Dialplan",
            "none",
            (gauge("sipbridge_plan_in_force", "instance", how="min"), "{{instance}} in force"),
            (gauge("sipbridge_plan_routes", how="max"), "routes"),
            (rate("sipbridge_plans_refused_total"), "refused /s"),
        ),
        panel(
            "Not ended, overdue",
            "none",
            (rate("sipbridge_calls_not_ended_total"), "not ended /s"),
            (gauge("sipbridge_calls_overdue"), "overdue"),
        ),
        panel("Up", "s", (gauge("sipbridge_uptime_seconds", "instance", how="min"), "{{instance}}")),
    ],
]
DASHBOARDS = {
    "overview": ("sipbridge overview", OVERVIEW),
    "quality": ("sipbridge call quality", QUALITY),
    "approvals": ("sipbridge tools and approvals", APPROVALS),
    "platform": ("sipbridge workers, nodes, edge", PLATFORM),
}


def placed(rows: list[list[Json]]) -> list[Json]:
    """The panels with ids and places."""
    panels: list[Json] = []
    y = 0
    for row in rows:
        width, height = COLUMNS // len(row), 4 if row[0]["type"] == "stat" else ROW_HEIGHT
        for number, one in enumerate(row):
            place = {"x": number * width, "y": y, "w": width, "h": height}
            panels.append({"id": len(panels) + 1, "gridPos": place, **one})
        y += height
    return panels


def dashboard(name: str) -> Json:
    """The whole dashboard, as Grafana imports it."""
    title, rows = DASHBOARDS[name]
    instances = "label_values(sipbridge_uptime_seconds, instance)"
    variables = [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
        {
            "name": "instance",
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": instances, "refId": "instances"},
            "definition": instances,
            "includeAll": True,
            "allValue": ".*",
            "multi": True,
            "current": {"text": "All", "value": "$__all"},
            "refresh": 2,
        },
    ]
    return {
        "uid": f"sipbridge-{name}",
        "title": title,
        "tags": ["sipbridge"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": variables},
        "annotations": {"list": []},
        "links": [
            {
                "type": "dashboards",
                "tags": ["sipbridge"],
                "title": "sipbridge",
                "asDropdown": True,
                "includeVars": True,
            }
        ],
        "panels": placed(rows),
    }


def text(name: str) -> str:
    """The file of a dashboard."""
    return json.dumps(dashboard(name), indent=1) + "\n"


if __name__ == "__main__":
    for each in DASHBOARDS:
        (HERE / f"{each}.json").write_text(text(each), encoding="utf-8")
