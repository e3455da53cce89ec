"""Constants in texts, once; and secrets, which have no place in a plan."""

import pytest

from bridge.dialplan import load as loading
from bridge.dialplan.textvars import Expander, suspicious
from bridge.errors import DialplanError
from bridge.yamlfile import parse


def expanded(text):
    document = parse("p.yaml", text.encode(), DialplanError)
    expander = Expander([document], whole=True)
    return expander.expanded(document).data, [str(problem) for problem in expander.problems]


def test_a_constant_stands_in_any_text_but_not_in_keys():
    data, problems = expanded("vars: {a: Acme, n: 5}\nx: ['Hello ${a}', {y: '${a}${n}', '${a}': k}]\n")
    assert problems == []
    assert data["x"] == ["Hello Acme", {"y": "Acme5", "${a}": "k"}]


def test_a_constant_alone_keeps_its_type():
    data, _ = expanded(
        "vars: {n: 5, f: 0.5, b: true, s: '7'}\nx: ['${n}', '${f}', '${b}', '${s}', 'a ${b}']\n"
    )
    assert data["x"] == [5, 0.5, True, "7", "a true"]


def test_what_a_constant_holds_is_not_looked_at_again():
    data, problems = expanded("vars: {a: '$', b: '{c}', c: x}\nx: '${a}${b}'\n")
    assert (data["x"], problems) == ("${c}", [])


def test_two_dollars_are_the_text_itself():
    assert expanded("vars: {a: x}\nx: '$${a} costs $5 {a}'\n") == (
        {"vars": {"a": "x"}, "x": "${a} costs $5 {a}"},
        [],
    )


def test_each_unknown_constant_is_told_where_it_stands():
    _, problems = expanded("vars: {company: x}\nx:\n  y: ${compani} and ${zzz}\n")
    assert problems == [
        "p.yaml:3:6: x.y: there is no constant compani (did you mean company?)",
        "p.yaml:3:6: x.y: there is no constant zzz (allowed: company)",
    ]


def test_an_anchored_text_is_expanded_wherever_it_stands():
    data, _ = expanded("vars: {a: 1}\nx: &x {t: 'n ${a}'}\ny: *x\n")
    assert data["y"] == data["x"] == {"t": "n 1"}


def found(text):
    """How many texts are secrets, and how many may be."""
    sure, unsure = suspicious(parse("p.yaml", text.encode(), DialplanError))
    return len(sure), len(unsure)


@pytest.mark.parametrize(
    "text",
    [
        "a: sk-proj-abcdefghijklmnop",
        "a: [{b: 'key sk-abcdefghijklmnop1234'}]",
        "a: sip:100:hunter2@pbx.example",
        'a: "-----BEGIN RSA PRIVATE KEY-----"',
        "a: ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    ],
)
def test_what_surely_is_a_secret_is_a_mistake(text):
    assert found(text) == (1, 0)


@pytest.mark.parametrize(
    "text", ["a: sip:100@pbx.example:5060", "a: ask-me-anything-about-our-offers", "a: sk-1"]
)
def test_other_texts_are_no_secrets(text):
    assert found(text) == (0, 0)


def test_a_long_token_is_warned_of_and_a_long_word_is_not():
    assert found("a: token 0123456789abcdef0123456789abcdef") == (0, 1)
    assert found("a: Donaudampfschifffahrtsgesellschaftskapitaenswitwe") == (0, 0)
    assert found("a: sip:0123456@a.very.long.name.of.a.host.example.com:5060") == (0, 0)


def test_the_secret_itself_is_never_repeated(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("version: 1\nroutes: [{name: r, do: [{say: sk-abcdefghijklmnop1234}, {hang_up: {}}]}]\n")
    with pytest.raises(DialplanError) as caught:
        loading.load(path)
    assert "abcdefgh" not in str(caught.value)
