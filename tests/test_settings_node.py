import re

import pytest

from bridge.errors import SettingsError
from bridge.settings import load
from bridge.settings_node import Node


def test_a_node_is_called_as_its_machine_unless_it_has_a_name():
    assert Node(name="node-a").called == "node-a"
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", Node().called)


@pytest.mark.parametrize("name", ["", "a b", "-a", "ä", "a" * 64, "a\\n"])
def test_a_name_that_would_be_hard_to_type_is_a_mistake(tmp_path, name):
    (tmp_path / "s.yaml").write_text(f'node: {{name: "{name}"}}\n')
    with pytest.raises(SettingsError, match="node"):
        load(tmp_path / "s.yaml", {})
