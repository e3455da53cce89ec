import pytest

from bridge.errors import SettingsError
from bridge.settings import load, rtp_range, slots, worker_config


def settings(folder, text):
    (folder / "bridge.yaml").write_text(text)
    return load(folder / "bridge.yaml", {})


def refused(folder, text):
    with pytest.raises(SettingsError) as error:
        settings(folder, text)
    return str(error.value)


def test_a_public_address_is_refused_without_the_edge_and_the_text_says_what_to_do(tmp_path):
    said = refused(tmp_path, "sip: {bind: 203.0.113.5}\n".replace("203.0.113.5", "8.8.8.8"))
    assert "bridge.yaml:1" in said
    assert "public address" in said
    assert "edge.enabled: true" in said
    assert settings(tmp_path, "sip: {bind: 8.8.8.8}\nedge: {enabled: true}\n").sip.bind == "8.8.8.8"


def test_behind_the_edge_a_worker_has_an_inner_port_and_hears_the_edge(tmp_path):
    chosen = settings(tmp_path, "workers: 2\nsip: {public_address: 192.0.2.1}\nedge: {enabled: true}\n")
    sip = worker_config(chosen, 1).sip
    assert (sip.bind, sip.port, sip.edge, sip.public_address) == (
        "127.0.0.1",
        15061,
        ("127.0.0.1:5090",),
        None,
    )
    assert slots(chosen) == 3
    assert 40000 <= rtp_range(chosen, 1)[0] < rtp_range(chosen, 1)[1] <= 47999


def test_a_node_of_another_hosts_edge_hears_that_one(tmp_path):
    text = "edge: {at: ['10.0.0.5:5090'], workers_bind: 10.0.0.7}\n"
    sip = worker_config(settings(tmp_path, text), 0).sip
    assert (sip.bind, sip.port, sip.edge) == ("10.0.0.7", 15060, ("10.0.0.5:5090",))


def test_without_an_edge_everything_is_as_it_was(tmp_path):
    sip = worker_config(settings(tmp_path, "sip: {bind: 10.0.0.7}\n"), 0).sip
    assert (sip.bind, sip.port, sip.edge) == ("10.0.0.7", 5060, ())


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("workers: 0\n", "without workers only an edge makes sense"),
        ("sip: {bind: 0.0.0.0}\nedge: {enabled: true}\n", "must know its own address"),
        ("edge: {enabled: true, websocket: {}}\n", "wss needs a certificate"),
        ("edge: {enabled: true, srtp: required}\n", "over TLS only"),
        ("sip: {port: 5090}\nedge: {enabled: true}\n", "5090 is sip.port too"),
        ("edge: {enabled: true, workers_rtp_ports: 40000-40009}\n", "too few"),
        ("edge: {at: ['8.8.8.8:5090']}\n", "a private address and a port"),
        ("edge: {enabled: true, overflow: 'tel:1'}\n", "SIP address without parameters"),
        ("edge: {enabled: true, overflow: 'sip:q@10.0.0.9\\'}\n", "SIP address without parameters"),
        ("edge: {enabled: true, workers_bind: 8.8.8.8}\n", "public address"),
    ],
)
def test_what_cannot_work_is_refused_in_words(tmp_path, text, word):
    assert word in refused(tmp_path, text)


def test_with_an_edge_elsewhere_its_ports_are_free_for_browsers_here(tmp_path):
    chosen = settings(tmp_path, "edge: {at: ['10.0.0.5:5090']}\nconsole: {audio: {ports: 20000-20099}}\n")
    assert chosen.console.audio.port_range == (20000, 20099)
    said = refused(tmp_path, "edge: {enabled: true}\nconsole: {audio: {ports: 20000-20099}}\n")
    assert "overlaps sip.rtp_ports" in said
    said = refused(
        tmp_path, "edge: {enabled: true, inner_port: 30001}\nconsole: {audio: {ports: 30000-30099}}\n"
    )
    assert "overlaps edge.inner_port (30001)" in said
