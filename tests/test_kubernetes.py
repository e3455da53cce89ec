"""The manifests of ops/kubernetes against Kubernetes' own schemas, offline; and what has to fit together in them.

No cluster and no kubectl are here: nothing was applied. kustomize's joining of the files is not run either; each file
is looked at by itself.
"""

import stat
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from bridge.dialplan.load import load as load_plan
from bridge.settings import load

BASE = Path(__file__).parents[1] / "ops" / "kubernetes" / "base"
VERSIONS = ("1.30", "1.33")


def documents():
    for path in sorted(BASE.glob("*.yaml")):
        if path.name != "kustomization.yaml":
            for document in yaml.safe_load_all(path.read_text()):
                yield pytest.param(document, id=f"{document['kind']}-{document['metadata']['name']}")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", list(documents()))
def test_a_manifest_fits_kubernetes_own_schema(document, version):
    assert kubernetes_validate.validate(document, version, strict=True)


def test_every_file_is_in_the_kustomization_and_the_overlay_leads_to_it():
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(
        path.name for path in BASE.glob("*.yaml") if path.name != "kustomization.yaml"
    )
    overlay = BASE.parent / "example" / "kustomization.yaml"
    (resource,) = yaml.safe_load(overlay.read_text())["resources"]
    assert (overlay.parent / resource).resolve() == BASE


def named(kind, name):
    return next(one.values[0] for one in documents() if one.id == f"{kind}-{name}")


def pods():
    nodes, edge = named("StatefulSet", "sipbridge-node"), named("DaemonSet", "sipbridge-edge")
    return {"nodes": nodes["spec"]["template"]["spec"], "edge": edge["spec"]["template"]["spec"]}


@pytest.mark.parametrize("name", ["nodes", "edge"])
def test_a_pod_has_no_rights_and_its_calls_have_time_to_end(name):
    pod = pods()[name]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    context = container["securityContext"]
    assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert "cpu" not in container["resources"]["limits"]
    settings = named("ConfigMap", "sipbridge-settings")["data"]
    for text in settings.values():
        assert pod["terminationGracePeriodSeconds"] > yaml.safe_load(text)["deadlines"]["drain_s"] + 60


@pytest.mark.parametrize(("name", "file"), [("nodes", "bridge.yaml"), ("edge", "edge.yaml")])
def test_the_settings_load_with_the_environment_of_the_pod(tmp_path, name, file):
    (tmp_path / file).write_text(named("ConfigMap", "sipbridge-settings")["data"][file])
    fields = {"status.podIP": "10.0.0.7", "status.hostIP": "10.0.0.5", "metadata.name": "sipbridge-node-0",
              "spec.nodeName": "host-1"}  # fmt: skip
    environ = {}
    for one in pods()[name]["containers"][0]["env"]:
        if "valueFrom" in one:
            environ[one["name"]] = fields[one["valueFrom"]["fieldRef"]["fieldPath"]]
        else:
            value = one["value"]
            for known, text in environ.items():
                value = value.replace(f"$({known})", text)
            environ[one["name"]] = value
    secret = tmp_path / "store"
    secret.write_text("postgresql://sipbridge:hush@db.example/sipbridge")
    environ["SIPBRIDGE_STORE_FILE"] = str(secret)
    settings = load(tmp_path / file, environ)
    assert settings.node.called in {"sipbridge-node-0", "host-1"}
    assert str(settings.store).endswith("@db.example/sipbridge")
    assert (settings.edge.enabled, settings.workers > 0) == (name == "edge", name == "nodes")


def test_the_example_s_dialplan_loads(tmp_path):
    (tmp_path / "plan.yaml").write_text(named("ConfigMap", "sipbridge-dialplans")["data"]["plan.yaml"])
    assert load_plan(tmp_path / "plan.yaml").routes


def test_probes_ask_for_pages_that_are_there():
    page = (BASE.parents[2] / "bridge" / "control_pages.py").read_text()
    for pod in pods().values():
        (container,) = pod["containers"]
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            if probe in container:
                assert f'"{container[probe]["httpGet"]["path"]}"' in page


def test_nothing_in_the_manifests_is_a_secret():
    text = "".join(path.read_text() for path in BASE.parent.rglob("*.yaml"))
    assert "kind: Secret" not in text
    assert "sk-" not in text
    assert not any(stat.S_IMODE(path.stat().st_mode) & 0o111 for path in BASE.rglob("*.yaml"))
