"""A bridge that is watched: what Prometheus, a collector of traces and the log say is what the records say."""

import asyncio
import json
import os
import re

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge.cli.demo import embedded_bridge, environment
from bridge.records.spans import trace_id
from bridge.records.timeline import build
from tests.fakes.otlp import collecting
from tests.fakes.ports import free_port
from tests.fakes.rawphone import raw_phone
from tests.system.test_tools import approver, me_approver, sipbridge, tools_of

pytestmark = pytest.mark.system

HEAD = "version: 1\nvoice: en-us\nwpm: 150\nsteps:\n  - after_agent: true\n"
SCRIPTS = {
    "talker": "  - say: Tell me your opening hours.\n  - after_agent: true\n  - say: Tell me a long story.\n"
    "  - during_agent_ms: 1500\n  - say: Goodbye.\n  - after_agent: true\n",
    "payer": "  - say: I want a refund of forty dollars.\n  - after_agent: true\n  - say: Yes please.\n"
    "  - after_agent: true\n  - wait_ms: 4000\n  - say: Goodbye.\n  - after_agent: true\n",
}


class Scrape:
    """One look at /metrics."""

    def __init__(self, text):
        self.values = {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def moment(self, name, *labels):
        """(how often, seconds in all)."""
        return tuple(self.values[f"sipbridge_{name}_seconds_{what}", *labels] for what in ("count", "sum"))


class Event:
    """An event of `calls show --json`, for the timeline."""

    def __init__(self, data):
        self.__dict__.update(data)


async def shown(environ, call_id):
    status, output = await sipbridge(environ, "calls", "show", call_id, "--json")
    assert status == 0
    return [Event(event) for event in json.loads(output)["events"]]


def by_hand(events):
    """The moments of one call, read off its timeline as a person would."""
    timeline = build(events)
    caller = [span for span in timeline.spans if span.who == "caller"]
    agent = [span for span in timeline.spans if span.who == "agent"]
    found = {"greeting": [agent[0].start_s] if agent else [], "response": []}
    for at, span in enumerate(caller):
        until_s = caller[at + 1].start_s if at + 1 < len(caller) else float("inf")
        answers = [one.start_s for one in agent if span.end_s <= one.start_s < until_s]
        found["response"] += [answers[0] - span.end_s] if answers else []
    found["barge_in"] = [event.data["stop_ms"] / 1000 for event in events if event.type == "barge_in"]
    asked = {event.data["call_id"]: event.mono for event in events if event.type == "function_call"}
    done = {event.data["call_id"]: event.mono for event in events if event.type == "function_output"}
    found["tool_wait"] = [done[one] - since for one, since in asked.items() if one in done]
    return found


async def phone(environ, folder, address, caller):
    script = folder / f"{caller}.yaml"
    script.write_text(HEAD + SCRIPTS[caller])
    words = ("call", f"sip:100@{address}", "--script", str(script), "--from", caller, "--json")
    status, output = await sipbridge(environ, *words)
    assert status == 0, output


async def calls_of(environ, count):
    async with asyncio.timeout(20):
        while True:
            rows = json.loads((await sipbridge(environ, "calls", "list", "--json"))[1])
            if len(rows) == count and all(row["state"] == "ended" for row in rows):
                return {row["from_uri"]: row for row in rows}
            await asyncio.sleep(0.3)


async def test_metrics_traces_and_the_log_say_what_the_records_say(tmp_path):
    console = free_port()
    with collecting() as collector:
        environ = environment(tmp_path, os.environ) | {
            "SIPBRIDGE_TOOLS": str(tools_of(tmp_path)),
            "SIPBRIDGE_CONSOLE__PORT": str(console),
            "SIPBRIDGE_TRACING__ENABLED": "true",
            "SIPBRIDGE_TRACING__ENDPOINT": collector.url,
            "SIPBRIDGE_LOG__FORMAT": "json",
        }
        async with embedded_bridge(tmp_path, environ) as address, httpx.AsyncClient() as client:
            await me_approver(environ)
            async with asyncio.timeout(80), asyncio.TaskGroup() as tasks:
                for caller in SCRIPTS:
                    tasks.create_task(phone(environ, tmp_path, address, caller))
                tasks.create_task(approver(environ, {"payer": "approve"}))
            async with raw_phone(int(address.rpartition(":")[2])) as stranger:
                assert (await stranger.invite(stranger.sdp(codecs=(3,)))).status == 488
            calls = await calls_of(environ, 3)
            base = f"http://127.0.0.1:{console}"
            scrape = Scrape((await client.get(f"{base}/metrics")).text)
            pages = {
                path: (await client.get(base + path)).status_code
                for path in ("/livez", "/readyz", "/healthz")
            }
            refused = calls["raw"]["call_id"]
            events = {who: await shown(environ, row["call_id"]) for who, row in calls.items()}
            why = await sipbridge(environ, "calls", "why", refused)
    log = [
        json.loads(line) for line in (tmp_path / "serve.log").read_text().splitlines() if line.startswith("{")
    ]

    assert pages == {"/livez": 200, "/readyz": 200, "/healthz": 200}
    expected = {name: [] for name in ("greeting", "response", "barge_in", "tool_wait")}
    for caller in SCRIPTS:
        for name, seconds in by_hand(events[caller]).items():
            expected[name] += seconds
    for name in ("greeting", "response", "barge_in"):
        count, total = scrape.moment(name)
        assert (count, total) == (len(expected[name]), pytest.approx(sum(expected[name]), abs=0.002)), name
        assert count >= 1
    count, total = scrape.moment("tool_wait", "approver")
    assert (count, total) == (1, pytest.approx(expected["tool_wait"][0], abs=0.002))
    count, total = scrape.moment("record_written")
    assert count == 3
    assert total < 5.0

    values = scrape.values
    assert values["sipbridge_calls_ended_total", "inbound", "success"] == 2
    assert values["sipbridge_calls_ended_total", "client_error", "inbound"] == 1
    assert values["sipbridge_tool_calls_total", "done"] == 1
    assert values["sipbridge_approvals_total", "approved"] == 1
    assert values["sipbridge_mos_count",] == 2
    cost = sum(row["cost_usd"] or 0 for row in calls.values())
    assert values["sipbridge_cost_usd_total",] >= cost > 0
    assert values["sipbridge_worker_resident_bytes", "0"] > 2e7
    assert sum(values[key] for key in values if key[0] == "sipbridge_calls_active") == 0

    traces = {trace_id(row["call_id"]).to_bytes(16, "big") for row in calls.values()}
    assert {span.trace_id for span in collector.spans} == traces
    assert len([span for span in collector.spans if not span.parent_span_id]) == 3
    assert len(collector.named("execute_tool refund")) == len(collector.named("approval wait")) == 1
    assert "forty dollars" not in str(collector.spans)

    failed = [line for line in log if line["event"] == "call.failed"]
    assert [(line["cause"], line["kind"]) for line in failed] == [("no_common_media", "client_error")]
    assert failed[0]["call_id"] == refused
    assert why[1].startswith(f"{refused}: the two sides have no audio in common")
    assert not [line for line in log if re.search(r"metrics|tracing\.fails", line["event"])]
