"""The shipped Prometheus rules, run by promtool: each alert fires on its series, and only then."""

import re

import pytest
import yaml

from tests.ops.promtool import ROOT, RULES, promtool, test_rules

FILES = ("rules.yml", "alerts.yml")
RUNBOOK = ROOT / "ops" / "runbook.md"
IT = 'instance="a",job="sipbridge"'


def rules():
    for name in FILES:
        for group in yaml.safe_load((RULES / name).read_text())["groups"]:
            yield from group["rules"]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def ended(kind, values, direction="inbound"):
    return f'sipbridge_calls_ended_total{{direction="{direction}",kind="{kind}",{IT}}}', values


def gauge(name, values, **labels):
    more = "".join(f',{key}="{value}"' for key, value in labels.items())
    return f"sipbridge_{name}{{{IT}{more}}}", values


def buckets(name, fast, slow, edge, **labels):
    """A histogram of which all observations lie below `edge`, and from minute 20 on above it."""
    return [
        gauge(f"{name}_bucket", fast, le=edge, **labels),
        gauge(f"{name}_bucket", slow, le="60.0", **labels),
        gauge(f"{name}_bucket", slow, le="+Inf", **labels),
        gauge(f"{name}_count", slow, **labels),
    ]


FINE, STILL = "0+10x20 200+0x40", "0x60"
"""Ten a minute for twenty minutes, then none any more."""
GROWS = "0+10x60"
FROM_20 = "0x20 1+1x40"
"""Nothing for twenty minutes, then one more every minute."""
CASES = {
    "SipbridgeDown": ([(f"up{{{IT}}}", "1x20 0x40")], 25),
    "SipbridgeNoPlan": ([gauge("plan_in_force", "1x20 0x40")], 25),
    "SipbridgePlanRefused": ([gauge("plans_refused_total", "0x20 1x40")], 25),
    "SipbridgeWorkersMissing": ([gauge("workers_connected", "2x20 1x40"), gauge("workers_wanted", "2x60")], 25),
    "SipbridgeNoWorker": ([gauge("workers_connected", "2x60"), gauge("workers_draining", "1x20 2x40")], 25),
    "SipbridgeWorkerDied": ([gauge("worker_died_calls_total", "0x20 4x40")], 25),
    "SipbridgeWorkersRestart": ([gauge("worker_starts_total", "2x20 3+1x40"), gauge("workers_wanted", "2x60")], 35),
    "SipbridgeWorkerMemory": ([gauge("worker_resident_bytes", "6e7x20 4e8x40", worker="0")], 35),
    "SipbridgeWorkerBusy": ([gauge("worker_cpu_seconds_total", "0+6x20 180+58x40", worker="0")], 40),
    "SipbridgeMediaClockStalled": ([gauge("worker_clock_restarts", "0x20 1x40", worker="0")], 25),
    "SipbridgeCallsFail": ([ended("success", GROWS), ended("network", FROM_20)], 35),
    "SipbridgeMostCallsFail": ([ended("success", FINE), ended("client_error", "0x20 10+10x40")], 30),
    "SipbridgeServerErrors": ([ended("success", GROWS), ended("server_error", "0x20 1x40")], 25),
    "SipbridgeModelLost": ([ended("success", GROWS), ended("provider_error", FROM_20)], 30),
    "SipbridgeSessionsFail": ([gauge("session_failures_total", FROM_20, code="http_429")], 30),
    "SipbridgeCallsTurnedAway": ([ended("success", GROWS), ended("overload", "0x20 1x40")], 22),
    "SipbridgeNearlyFull": (
        [gauge("calls_active", "60x20 75x40", direction="inbound", state="talking"), gauge("call_lines", "80x60")],
        25,
    ),
    "SipbridgeCallsNotEnded": ([gauge("calls_not_ended_total", "0x20 1x40")], 25),
    "SipbridgeCallsOverdue": ([gauge("calls_overdue", "0x20 1x40")], 30),
    "SipbridgeTrunkDown": (
        [gauge("trunk_registered", "1x20 0x40", trunk="pbx"), gauge("trunk_reachable", "1x60", trunk="pbx")],
        25,
    ),
    "SipbridgeQueueWaits": ([gauge("queue_longest_wait_seconds", "10x20 400x40", queue="sales")], 22),
    "SipbridgeSlowGreeting": (buckets("greeting_seconds", FINE, GROWS, "2.0"), 45),
    "SipbridgeSlowSetup": (buckets("setup_seconds", FINE, GROWS, "5.0", direction="inbound"), 45),
    "SipbridgeSlowResponse": (buckets("response_seconds", FINE, GROWS, "3.0"), 45),
    "SipbridgeSlowBargeIn": (buckets("barge_in_seconds", FINE, GROWS, "0.15"), 45),
    "SipbridgeDeadAir": ([gauge("dead_air_total", FROM_20)], 30),
    "SipbridgePoorAudio": (
        [gauge("mos_bucket", FROM_20, le="3.5"), gauge("mos_count", "0+4x60")],
        45,
    ),
    "SipbridgeAgentStutters": (
        [
            gauge("underrun_seconds_total", "0x20 30+30x40"),
            gauge("calls_active", "4x60", direction="inbound", state="talking"),
        ],
        45,
    ),
    "SipbridgeApprovalsWait": ([gauge("approvals_open", "0x20 2x40", state="pending")], 28),
    "SipbridgeApprovalsExpire": ([gauge("approvals_total", FROM_20, outcome="expired")], 30),
    "SipbridgeOutcomeUnknown": ([gauge("approvals_open", "0x20 1x40", state="unknown")], 22),
    "SipbridgeToolsFail": ([gauge("tool_calls_total", FROM_20, outcome="failed")], 30),
    "SipbridgeMcpAway": ([gauge("mcp_connected", "1x20 0x40", server="crm")], 30),
    "SipbridgeStoreFails": ([gauge("store_failing_seconds", "0x20 30+60x40")], 25),
    "SipbridgeStoreSlow": (buckets("store_write_seconds", FINE, GROWS, "0.3"), 45),
    "SipbridgeSpoolGrows": ([gauge("worker_spool_bytes", "0x20 3e6x40", worker=one) for one in ("0", "1")], 30),
    "SipbridgeEventsLost": ([gauge("worker_events_lost", "0x20 5x40", worker="0")], 25),
    "SipbridgeRecordsLate": (buckets("record_written_seconds", FINE, GROWS, "10.0"), 45),
}  # fmt: skip
"""Alert: (series, minute at which it fires). Until minute 20 all is well."""
ALONE = {"SipbridgeMostCallsFail": {"SipbridgeCallsFail"}, "SipbridgeModelLost": {"SipbridgeCallsFail"}}
"""What else fires with good reason."""


def fires(alert, minute, count):
    expr = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    samples = [{"labels": "{}", "value": count}] if count else []
    return {"expr": expr, "eval_time": f"{minute}m", "exp_samples": samples}


def others(alert, minute):
    silent = "|".join(sorted({alert} | ALONE.get(alert, set())))
    expr = f'ALERTS{{alertname!~"{silent}",alertstate="firing"}}'
    return {"expr": expr, "eval_time": f"{minute}m", "exp_samples": []}


def group(alert):
    series, minute = CASES[alert]
    return {
        "name": alert,
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series],
        "promql_expr_test": [
            fires(alert, 19, 0),
            fires(alert, minute, 1),
            others(alert, 19),
            others(alert, minute),
        ],
    }


def test_promtool_takes_rules_and_configuration():
    status, output = promtool("check", "rules", *(RULES / name for name in FILES))
    assert status == 0, output
    status, output = promtool("check", "config", RULES / "prometheus.yml")
    assert status == 0, output


def test_every_alert_has_series_of_its_own():
    assert set(CASES) == set(ALERTS)


def test_each_alert_fires_on_its_series_and_not_before_and_no_other_does(tmp_path):
    assert test_rules(tmp_path, [group(alert) for alert in CASES]) == ""


def test_a_rule_that_would_not_fire_is_found_out(tmp_path):
    """promtool's word is worth something: the series of one alert do not satisfy another."""
    wrong = {**group("SipbridgeDown"), "promql_expr_test": [fires("SipbridgeNoPlan", 25, 1)]}
    assert "FAILED" in test_rules(tmp_path, [wrong])


def test_the_ratio_of_faults_leaves_out_what_is_no_fault(tmp_path):
    series = [
        ended("success", "0+6x60"),
        ended("caller", "0+2x60"),
        ended("callee", "0+1x60"),
        ended("network", "0+1x60"),
    ]
    expected = {"expr": "round(sipbridge:call_faults:ratio5m * 1000)", "eval_time": "30m"}
    expected["exp_samples"] = [{"labels": "{}", "value": 100}]
    one = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series],
        "promql_expr_test": [expected],
    }
    assert test_rules(tmp_path, [one]) == ""


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_says_how_bad_what_and_where_to_read_on(alert):
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"page", "ticket", "info"}
    assert rule["annotations"]["summary"].endswith(".")
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert (ROOT / page) == RUNBOOK
    assert anchor == alert.lower()
    section = re.search(
        rf"^### {alert}\n(.*?)(?=^##)", RUNBOOK.read_text() + "\n## ", re.DOTALL | re.MULTILINE
    )
    assert section, f"ops/runbook.md has no part {alert}"
    for part in ("**Means.**", "**Look.**", "**Do.**"):
        assert part in section[1]


def test_the_runbook_speaks_of_no_alert_that_there_is_not():
    told = set(re.findall(r"^### (Sipbridge\w+)$", RUNBOOK.read_text(), re.MULTILINE))
    assert told == set(ALERTS)
