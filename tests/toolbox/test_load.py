from pathlib import Path

from bridge.toolbox.load import helper, load

GOOD = """from bridge.toolbox.spec import tool

@tool("Say hello.", risk="read")
def hello(name: str) -> str:
    return name
"""


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return load(folder)


def test_a_bad_file_is_named_with_its_line_and_the_others_go_on(tmp_path):
    toolbox = write(
        tmp_path,
        good=GOOD,
        syntax="x = 1\ndef (:\n",
        raises="x = 1\n\n\nraise RuntimeError('no database')\n",
        untyped=GOOD.replace("name: str", "name").replace("def hello", "def untyped"),
    )
    assert list(toolbox.tools) == ["hello"]
    found = {(Path(problem.file).stem, problem.line) for problem in toolbox.problems}
    assert found == {("syntax", 2), ("raises", 4), ("untyped", 3)}


def test_two_tools_of_one_name_are_a_mistake(tmp_path):
    toolbox = write(tmp_path, a=GOOD, b=GOOD)
    (problem,) = toolbox.problems
    assert Path(problem.file).stem == "b"
    assert "a.py:" in toolbox.tools["hello"].where


def test_helpers_are_no_tools_and_imported_tools_are_not_doubled(tmp_path):
    use = (
        "from bridge.toolbox.load import helper\nhello = helper(__file__, '_lib').hello\n"
        "assert helper(__file__, '_lib').hello is hello\n"
    )
    toolbox = write(tmp_path, _lib=GOOD, use=use)
    assert (toolbox.tools, toolbox.problems) == ({}, ())
    assert helper(str(tmp_path / "use.py"), "_lib").hello("x") == "x"


def test_a_folder_that_is_not_there_is_an_empty_one(tmp_path):
    assert load(tmp_path / "none").tools == {}


def test_the_delivered_tools_load():
    toolbox = load(Path(__file__).parents[2] / "tools")
    assert set(toolbox.tools) == {
        *("opening_hours", "order_status", "refund"),
        *("free_appointments", "book_appointment", "find_appointment", "cancel_appointment"),
        *(
            "take_message",
            "send_text",
            "send_email",
            "hand_off",
            "recording",
            "hang_up",
            "transfer",
            "collect_digits",
            "verify_caller",
        ),
    }
    assert toolbox.problems == ()
