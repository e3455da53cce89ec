from typer.testing import CliRunner

from bridge.cli.edge import app
from bridge.errors import EdgeError

RUN = CliRunner()


def run(folder, text, *words):
    (folder / "bridge.yaml").write_text(f"state_dir: state\n{text}")
    return RUN.invoke(app, [*words, "--config", str(folder / "bridge.yaml")])


def test_render_prints_what_would_run_without_a_secret_and_writes_nothing(tmp_path):
    tls = "edge: {enabled: true, tls: {certificate: a.pem, key: b.pem}}\n"
    result = run(tmp_path, tls, "render")
    assert result.exit_code == 0
    for part in ("#!KAMAILIO", "listen=udp:127.0.0.1:5060", "[rtpengine]", "method = TLSv1.2+"):
        assert part in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["bridge.yaml"]


def test_without_an_edge_there_is_nothing_to_ask(tmp_path):
    result = run(tmp_path, "", "status")
    assert isinstance(result.exception, EdgeError)
    assert "edge.enabled" in str(result.exception)


def test_an_edge_that_never_ran_is_told(tmp_path):
    result = run(tmp_path, "edge: {enabled: true}\n", "ban", "list")
    assert "does not run here" in str(result.exception)


def test_what_is_no_address_is_refused(tmp_path):
    (tmp_path / "state" / "edge").mkdir(parents=True)
    result = run(tmp_path, "edge: {enabled: true}\n", "ban", "add", "example.org")
    assert "no IP address" in str(result.exception)
