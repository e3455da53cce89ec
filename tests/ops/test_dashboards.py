"""The shipped Grafana dashboards: valid, drawn from code, and of metrics that a real control has."""

import importlib.util
import json
import re

import httpx
import pytest
import yaml

from bridge.records.ending import KINDS
from tests.ops.promtool import ROOT, RULES, promtool
from tests.test_control import control, folder

__all__ = ["folder"]

GRAFANA = ROOT / "ops" / "grafana"
FILES = sorted(GRAFANA.glob("*.json"))
SUFFIXES = ("_bucket", "_count", "_sum", "_total")
METRIC = re.compile(r"\bsipbridge(?:_[a-z0-9]+)+\b")
RECORDED = re.compile(r"\bsipbridge:[a-z0-9_]+:[a-z0-9_]+\b")


def build():
    spec = importlib.util.spec_from_file_location("build", GRAFANA / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def panels(path):
    return json.loads(path.read_text())["panels"]


def expressions():
    for path in FILES:
        for panel in panels(path):
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']}", target["expr"]


def rules():
    for name in ("rules.yml", "alerts.yml"):
        for group in yaml.safe_load((RULES / name).read_text())["groups"]:
            for rule in group["rules"]:
                yield rule.get("alert") or rule["record"], rule["expr"]


def plain(expr):
    """As Grafana would send it."""
    return expr.replace("$__rate_interval", "5m").replace("$instance", ".*")


def test_the_files_are_what_the_code_beside_them_makes():
    module = build()
    assert {path.stem for path in FILES} == set(module.DASHBOARDS)
    for path in FILES:
        assert path.read_text() == module.text(path.stem), "run: python ops/grafana/build.py"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dashboard_can_be_imported(path):
    """What Grafana's importer looks at: uid, title, schema version, unique panel ids, places that do not overlap."""
    board = json.loads(path.read_text())
    assert board["uid"] == f"sipbridge-{path.stem}"
    assert board["title"]
    assert board["schemaVersion"] >= 36
    assert {variable["name"] for variable in board["templating"]["list"]} == {"datasource", "instance"}
    taken = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
        assert panel["type"] in {"timeseries", "stat", "heatmap"}
        assert panel["targets"]
        assert [target["refId"] for target in panel["targets"]] == sorted(
            {t["refId"] for t in panel["targets"]}
        )
        assert panel["fieldConfig"]["defaults"]["unit"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_prometheus_understands_every_expression(tmp_path):
    records = [
        {"record": f"x:{number}", "expr": plain(expr)} for number, (_, expr) in enumerate(expressions())
    ]
    path = tmp_path / "panels.json"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": records}]}))
    status, output = promtool("check", "rules", path)
    assert status == 0, output
    assert f"{len(records)} rules found" in output


def test_every_recorded_series_that_is_asked_for_is_recorded():
    recorded = {name for name, _ in rules() if ":" in name}
    for where, expr in [*expressions(), *rules()]:
        assert set(RECORDED.findall(expr)) <= recorded, where


async def test_dashboards_and_rules_ask_only_for_metrics_that_a_real_control_has(folder):
    with (folder / "settings.yaml").open("a") as settings:
        settings.write("tracing: {enabled: true}\n")
    async with control(folder) as running, httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{running.health_port}/metrics")).text
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    pages = [(page, (ROOT / "ops" / page).read_text()) for page in ("observe.md", "runbook.md")]
    for where, expr in [*expressions(), *rules(), *pages]:
        for name in METRIC.findall(RECORDED.sub("", expr)):
            assert name in names(kinds) | set(kinds), f"{where}: there is no {name}"


def names(kinds):
    return {
        name
        for family, kind in kinds.items()
        for name in (
            [family + one for one in ("_bucket", "_count", "_sum")] if kind == "histogram" else [family]
        )
    }


async def test_promtool_has_nothing_against_the_metrics_of_a_real_control(folder):
    """Its lint: help texts, names, units. What has a history keeps its name."""
    async with control(folder) as running, httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{running.health_port}/metrics")).text
    _, output = promtool("check", "metrics", stdin=text)
    complaints = {line.split()[0] for line in output.splitlines() if line.startswith("sipbridge")}
    assert complaints <= {"sipbridge_worker_clock_max_late_ms"}


def test_the_page_has_every_cause_with_its_class():
    page = (ROOT / "ops" / "observe.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| (\w+) \| \S", page, re.MULTILINE))
    assert told == dict(KINDS)
