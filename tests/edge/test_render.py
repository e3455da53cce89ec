"""The rendered configurations: one golden file, and Kamailio's own word on every variant."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bridge.edge.folder import EdgeFolder
from bridge.edge.prepare import write_first
from bridge.edge.render import Place, hidden_ip, host_port, kamailio_cfg, no_ha1, rtpengine_conf, tls_cfg
from bridge.settings import load

GOLDEN = Path(__file__).parents[1] / "data" / "edge"
PLACE = Place("/run/edge", 5060, "0123456789abcdef0123456789abcdef")
needs_kamailio = pytest.mark.skipif(
    shutil.which("kamailio", path="/usr/sbin:/usr/bin") is None, reason="kamailio is not installed"
)
FULL = """
sip: {bind: 198.51.100.7, public_address: 203.0.113.5}
workers: 4
pool: {wide_workers: 1}
edge:
  enabled: true
  strangers: reject
  srtp: required
  overflow: sip:queue@10.0.0.9
  deny: [192.0.2.0/24]
  tls: {certificate: cert.pem, key: key.pem}
  websocket: {origins: ["https://shop.example"]}
"""
SIMPLE = "edge: {enabled: true}\n"
VARIANTS = {
    "simple": SIMPLE,
    "quotes": "sip: {user_agent: 'a\"b\\'}\n" + SIMPLE,
    "full": FULL,
    "udp": "edge: {enabled: true, transports: [udp], strangers: accept, srtp: 'off'}\n",
    "ws": "edge: {enabled: true, websocket: {secure: false}}\n",
    "six": "sip: {bind: '::1'}\nedge: {enabled: true, inner: '::1', workers_bind: '::1'}\n",
    "host": "sip: {bind: 10.0.0.5}\nworkers: 0\nedge: {enabled: true, inner: 10.1.0.5}\n",
}


def settings(folder, text):
    (folder / "bridge.yaml").write_text(f"state_dir: state\n{text}")
    return load(folder / "bridge.yaml", {})


@pytest.mark.parametrize("name", ["simple", "full"])
def test_the_configuration_is_the_one_that_was_looked_at(tmp_path, name):
    """After a wanted change: UPDATE_GOLDEN=1, and read the difference."""
    chosen = settings(tmp_path, VARIANTS[name])
    text = kamailio_cfg(chosen, PLACE) + "\n#### rtpengine.conf\n" + rtpengine_conf(chosen)
    text += tls_cfg(chosen, PLACE)
    path = GOLDEN / f"{name}.cfg"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert path.read_text() == text


@needs_kamailio
@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_kamailio_accepts_every_variant(tmp_path, name):
    chosen = settings(tmp_path, VARIANTS[name].replace("198.51.100.7", "127.0.0.1"))
    chosen = chosen.model_copy(
        update={"sip": chosen.sip.model_copy(update={"bind": _local(chosen.sip.bind)})}
    )
    edge = chosen.edge.model_copy(update={"inner": _local(chosen.edge.inner)})
    chosen = chosen.model_copy(update={"edge": edge})
    folder = EdgeFolder(chosen, tmp_path / "edge")
    folder.make()
    write_first(chosen, folder)
    place = Place(str(folder.path), 5060, PLACE.secret)
    folder.write("kamailio.cfg", kamailio_cfg(chosen, place))
    if chosen.edge.tls:
        make_certificate(folder.path / "tls")
        folder.write("tls.cfg", tls_cfg(chosen, place))
    run = subprocess.run(
        ["/usr/sbin/kamailio", "-c", "-f", str(folder.path / "kamailio.cfg")],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "ERROR" not in run.stderr


def _local(address):
    return "::1" if ":" in address else "127.0.0.1"


def make_certificate(folder):
    """A certificate of its own for 127.0.0.1."""
    folder.mkdir(exist_ok=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key.pem"),
         "-out", str(folder / "cert.pem")],
        check=True, capture_output=True, timeout=50,
    )  # fmt: skip


def test_what_an_address_looks_like_in_a_configuration():
    assert host_port("10.0.0.1", 5060) == "10.0.0.1:5060"
    assert host_port("2001:db8::1", 5060) == "[2001:db8::1]:5060"
    assert hidden_ip("203.0.113.5") == "203.0.113.5"
    assert hidden_ip("127.0.0.1") == "127.0.0.8"
    assert hidden_ip("2001:db8::1") == "[2001:db8::1]"


def test_what_a_user_that_does_not_exist_is_compared_with_is_known_to_nobody():
    assert no_ha1("a" * 32) != no_ha1("b" * 32)
    assert re.fullmatch("[0-9a-f]{32}", no_ha1("a" * 32))
