"""The demo, but for the call itself: tests/system/test_demo.py makes that."""

from bridge.cli.demo import SCRIPT, environment, said_address
from bridge.sim.phonefile import load


def test_it_is_the_embedded_default_whatever_the_person_has_set(tmp_path):
    own = {"PATH": "/bin", "OPENAI_API_KEY": "k", "SIPBRIDGE_CONFIG": "x.yaml", "SIPBRIDGE_SIP__PORT": "1"}

    assert environment(tmp_path, own) == {"PATH": "/bin", "SIPBRIDGE_STATE_DIR": str(tmp_path)}


def test_it_dials_the_port_the_bridge_really_took(tmp_path):
    output = tmp_path / "serve.log"
    output.write_text(
        "ready worker-0: SIP on 127.0.0.1:5063/udp\n"
        "sipbridge: SIP on 127.0.0.1:5063/udp (worker 0)\n"
        "sipbridge: port 5060 was taken, so SIP moved to 5063\n"
    )

    assert said_address(output) == "127.0.0.1:5063"


def test_a_worker_that_is_ready_is_not_yet_a_bridge_that_is(tmp_path):
    output = tmp_path / "serve.log"
    output.write_text("ready worker-0: SIP on 127.0.0.1:5063/udp\n")

    assert said_address(output) is None


def test_its_caller_speaks_interrupts_and_presses_a_key():
    steps = [step.model_dump(exclude_none=True) for step in load(SCRIPT).steps]
    kinds = [next(iter(step)) for step in steps]

    assert kinds.count("say") == 4
    assert kinds[kinds.index("during_agent_ms") + 1] == "say"
    assert "dtmf" in kinds
