from bridge.dialplan import load
from bridge.dialplan.around import Around

PLAN = """version: 1
agents: {{a: {{instructions: x, greeting: hi, tools: [{}]}}}}
routes: [{{name: r, do: [{{agent: a, or_else: [{{hang_up: {{}}}}]}}]}}]
"""
TOOLS = ["refund", "order_status", "git__log", "git__diff"]


def warned(tmp_path, tools, known=TOOLS):
    (tmp_path / "p.yaml").write_text(PLAN.format(tools))
    return [
        str(one).partition(":")[2] for one in load.inspect(tmp_path / "p.yaml", Around(tools=known)).warnings
    ]


def test_a_tool_that_nobody_has_is_odd(tmp_path):
    assert warned(tmp_path, "refund, order_state") == [
        "2:61: agents.a.tools[1]: there is no tool order_state (did you mean order_status?)"
    ]


def test_all_tools_of_a_server_are_named_by_a_star(tmp_path):
    assert warned(tmp_path, "git__*, refund") == []
    assert len(warned(tmp_path, "time__*")) == 1


def test_where_the_tools_are_not_known_nothing_is_said(tmp_path):
    assert warned(tmp_path, "nothing", known=None) == []
    assert "see sipbridge tools list" in warned(tmp_path, "nothing", known=[])[0]
