"""Files that make up a plan: what is included, in which order, and how far it may reach."""

import pytest

from bridge.dialplan import load as loading
from bridge.dialplan.files import MAX_DEPTH
from bridge.errors import DialplanError


def route(name, when=""):
    return f"- {{name: {name}, {when}do: [{{hang_up: {{}}}}]}}\n"


@pytest.fixture
def write(tmp_path):
    def write(**files):
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"version: 1\n{text}")
        return tmp_path

    return write


def names(path):
    return [one.name for one in loading.load(path).routes]


def mistakes(path):
    with pytest.raises(DialplanError) as caught:
        loading.load(path)
    return [str(one) for one in caught.value.problems]


def test_included_files_come_before_the_one_that_includes_them(write):
    root = write(
        main=f"include: [z.yaml, 'parts/*.yaml']\nroutes:\n{route('last')}",
        parts__b=f"routes:\n{route('b', 'when: {to: b}, ')}",
        parts__a=f"include: [../x.yaml]\nroutes:\n{route('a', 'when: {to: a}, ')}".replace(
            "include: [../x.yaml]\n", ""
        ),
        z=f"routes:\n{route('z', 'when: {to: z}, ')}",
    )
    assert names(root / "main.yaml") == ["z", "a", "b", "last"]


def test_each_file_is_read_once(write):
    root = write(
        a="include: [parts/x.yaml, parts/x.yaml]",
        b=f"include: [a.yaml, 'parts/*.yaml']\nroutes:\n{route('b')}",
        parts__x=f"routes:\n{route('x', 'when: {to: x}, ')}",
    )
    assert names(root) == ["x", "b"]


def test_names_of_one_file_are_known_in_the_others(write):
    root = write(
        main="include: [agents.yaml]\nroutes:\n- {name: r, do: [{agent: desk}]}\n",
        agents="vars: {who: Ann}\nagents: {desk: {instructions: 'I am ${who}'}}\n",
    )
    assert loading.load(root / "main.yaml").agent("desk").instructions == "I am Ann"


def test_a_link_out_of_the_folder_is_refused(write, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "x.yaml"
    outside.write_text("version: 1\n")
    root = write(main=f"include: [x.yaml]\nroutes:\n{route('r')}")
    (root / "x.yaml").symlink_to(outside)
    (message,) = mistakes(root / "main.yaml")
    assert "x.yaml is a link out of the plan's folder" in message


@pytest.mark.parametrize("entry", ["../x.yaml", "/etc/passwd", "a/../../x.yaml", "../*.yaml"])
def test_a_path_out_of_the_folder_is_refused(write, entry):
    (message,) = mistakes(write(main=f"include: ['{entry}']\nroutes:\n{route('r')}"))
    assert "leaves the plan's folder" in message


def test_files_may_be_so_deep_and_no_deeper(write):
    files = {f"f{n}": f"include: [f{n + 1}.yaml]\n" for n in range(MAX_DEPTH - 1)}
    root = write(**files, **{f"f{MAX_DEPTH - 1}": f"routes:\n{route('r')}"})
    assert names(root / "f0.yaml") == ["r"]
    root = write(
        **{f"f{MAX_DEPTH - 1}": f"include: [f{MAX_DEPTH}.yaml]\nroutes:\n{route('r')}"},
        **{f"f{MAX_DEPTH}": ""},
    )
    (message,) = mistakes(root / "f0.yaml")
    assert f"more than {MAX_DEPTH} files deep" in message


def test_a_file_that_includes_itself_is_told(write):
    (message,) = mistakes(write(main=f"include: [main.yaml]\nroutes:\n{route('r')}"))
    assert "main.yaml includes main.yaml" in message


@pytest.mark.parametrize("entry", ["x.txt", "**x", "no.yaml", "\\x00", "", "a" * 5000])
def test_whatever_is_included_wrongly_is_a_mistake_and_nothing_else(write, entry):
    root = write(main=f'include: ["{entry}"]\nroutes:\n{route("r")}')
    (root / "x.txt").write_text("version: 1\n")
    assert mistakes(root / "main.yaml")


def test_overlays_are_no_part_of_the_folder(write):
    assert names(write(main=f"routes:\n{route('r')}", overlays__production="routes: 5")) == ["r"]
