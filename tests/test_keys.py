import pytest

from bridge.errors import StoreError
from bridge.keys import decision_key, key_print
from bridge.settings import load


def settings(folder, node="{}"):
    (folder / "settings.yaml").write_text(f"state_dir: state\nnode: {node}\n")
    return load(folder / "settings.yaml", {})


def test_a_node_alone_makes_its_own_key_once(tmp_path):
    chosen = settings(tmp_path)
    assert decision_key(chosen, {}) == decision_key(chosen, {})
    assert len(decision_key(chosen, {})) == 32


def test_a_key_for_all_nodes_comes_from_the_environment_or_a_file(tmp_path):
    chosen = settings(tmp_path, "{decision_key_env: SEAL}")
    (tmp_path / "seal").write_text("AB" * 32 + "\n")
    assert decision_key(chosen, {"SEAL": "ab" * 32}) == decision_key(
        chosen, {"SEAL_FILE": str(tmp_path / "seal")}
    )
    assert not (tmp_path / "state" / "keys").exists()


@pytest.mark.parametrize(
    ("environ", "says"),
    [({}, "SEAL"), ({"SEAL": "ab"}, "64 hexadecimal digits"), ({"SEAL": "z" * 64}, "no key")],
)
def test_a_key_that_is_none_says_what_to_do(tmp_path, environ, says):
    with pytest.raises(StoreError, match=says):
        decision_key(settings(tmp_path, "{decision_key_env: SEAL}"), environ)


def test_the_print_of_a_key_tells_keys_apart_and_is_not_the_key():
    one, two = bytes(32), bytes(31) + b"\1"
    assert key_print(one) != key_print(two)
    assert one.hex()[:16] != key_print(one)
