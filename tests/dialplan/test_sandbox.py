"""Templates with logic: what they can do, and what nobody can do with them, neither a caller nor a template."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.dialplan import sandbox
from bridge.dialplan.facts import CallFacts
from bridge.dialplan.templatecheck import mistakes
from bridge.dialplan.variables import NAMES, Scene, render, warm

NOW = datetime(2026, 11, 20, 9, 5, tzinfo=UTC)
VALUES = {"company": "Acme", "open": True, "days": ["Mon", "Tue"], "price": 12}
KNOWN = {**NAMES, **dict.fromkeys(VALUES)}


def rendered(template, name="Ann", notes=None, **variables):
    facts = CallFacts("100", "+4930", name, headers={"x-customer-id": "77"})
    note = (lambda _words: None) if notes is None else notes.append
    return render(template, Scene(facts, NOW, variables, note), "de", VALUES)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{% if open %}We are open.{% else %}We are closed.{% endif %}", "We are open."),
        ("{% if vars.age | int >= 18 %}adult{% else %}child{% endif %}", "adult"),
        ("{% if 1 < price < 20 and not vars.none %}yes{% endif %}", "yes"),
        (
            "{% for day in days %}{{ loop.index }} {{ day }}{% if not loop.last %}, {% endif %}{% endfor %}",
            "1 Mon, 2 Tue",
        ),
        ("{{ days }} {{ days | join(' and ') }} {{ days | length }}", "Mon, Tue Mon and Tue 2"),
        ("{% for n in range(3) %}{{ n }}{% endfor %}{% for n in range(2, 4) %}{{ n }}{% endfor %}", "01223"),
        ("{% set who = company | upper %}{{ who }} {{ price * 2 + 1 }} {{ -price }}", "ACME 25 -12"),
        ("{{ caller.name | default('unknown') }} {{ vars.none | default('none') }}", "Ann none"),
        ("{{ caller.number | digits }}", "+ 4 9 3 0"),
        ("{% if 'Acm' in company %}a{% endif %}{% if 'x' not in days %}b{% endif %}", "ab"),
        ("{{ 'a' if open else 'b' }}{# a comment #}", "a"),
        ("{{ headers.X_Customer_Id }} {{ weekday }} {{ language }}{% if 1 %}{% endif %}", "77 Friday de"),
        ("{{ company | replace('A', 'a') | title }} {{ vars.age | float + 0.5 }}", "Acme 20.5"),
        ("{% if vars.none is defined %}a{% else %}b{% endif %}", "b"),
    ],
)
def test_what_a_template_can_do(template, text):
    assert mistakes(template, KNOWN) == []
    assert rendered(template, age="20") == text


PAYLOADS = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ caller.__class__ }}", "{{ caller.name.__class__ }}",
    "{{ ().__class__.__bases__[0] }}", "{{ [].__class__ }}", "{{ caller['__class__'] }}",
    "{{ caller | attr('__class__') }}", "{{ ''|attr('__cl'~'ass__') }}", "{{ request }}", "{{ config }}",
    "{{ self }}", "{{ self.__init__.__globals__ }}", "{{ self._TemplateReference__context }}", "{{ cycler }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}", "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}", "{{ lipsum.__globals__['os'].popen('id').read() }}", "{{ lipsum(100000) }}",
    "{{ dict(a=1) }}", "{{ range.__class__ }}", "{{ range(10).__class__ }}", "{{ url_for.__globals__ }}",
    "{{ get_flashed_messages.__globals__ }}", "{{ '%s' % caller }}", "{{ '%1000000000d' % 1 }}",
    "{{ '{0.__class__}'.format(caller) }}", "{{ '{0.__class__}'.format_map({}) }}", "{{ 'a'.join(['b']) }}",
    "{{ [days, days] }}", "{{ 10 ** 10 ** 10 }}", "{{ 2 ** 100000000 }}",
    "{{ 'x' | center(1000000000) }}", "{{ 'x' | indent(1000000000) }}", "{{ days | map('attr', '__class__') }}",
    "{{ days | selectattr('__class__') }}", "{{ days | sum }}", "{{ days | random }}", "{{ caller | tojson }}",
    "{{ caller | pprint }}", "{{ 'a' | wordwrap(0) }}", "{% include '/etc/passwd' %}", "{% import 'os' as os %}",
    "{% from 'x' import y %}", "{% extends 'x' %}", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% call x() %}{% endcall %}", "{% filter upper %}x{% endfilter %}", "{% block a %}{{ self.a() }}{% endblock %}",
    "{% set x %}{{ 'a' * 9 }}{% endset %}", "{% for k, v in caller %}{% endfor %}", "{% set a, b = 'x' %}",
    "{% for x in days recursive %}{{ loop(days) }}{% endfor %}", "{{ loop }}", "{{ loop.__class__ }}",
    "{% for x in days %}{{ loop.cycle.__globals__ }}{% endfor %}", "{{ vars._data }}", "{{ vars.items() }}",
    "{{ headers.get('x') }}", "{{ headers.__init__ }}", "{{ caller.number.upper() }}", "{{ days[0] }}",
    "{{ days[::-1] }}",
    "{% set caller = 'x' %}", "{% set range = 1 %}", "{% set _x = 1 %}", "{{ {'a': 1} }}", "{{ 'a' ~ 'b' }}",
    "{{ 7 // 0 }}", "{{ 1 % 0 }}", "{% do days.append(1) %}", "{% autoescape false %}{% endautoescape %}",
    "{% with a = 1 %}{{ a }}{% endwith %}", "{{ 99999999999999999999999 }}", "{% raw %}{{ x }}{% endraw %}{{ y }}",
    "{{ x.y.z }}", "{{ caller.name.first }}", "{{ range(1, 2, 3) }}", "{{ range(*days) }}", "{{ company | join(a=1) }}",
    "{{ price is divisibleby 3 }}", "{{ open is callable }}", "{{ " + "(" * 3000 + ")" * 3000 + " }}",
    "{{ " + "not " * 500 + "open }}", "{% if open %}" * 60 + "{% endif %}" * 60, "{{ 1" + "+1" * 400 + " }}",
]  # fmt: skip


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_template_that_reaches_out_is_refused_with_its_line(payload):
    found = mistakes("first line\n" + payload, KNOWN)
    assert found
    line, what, _ = found[0]
    assert what
    assert line in {1, 2}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_even_unchecked_it_gets_nothing_out_and_ends_soon(payload):
    began_s = time.process_time()
    text = rendered(payload)
    assert time.process_time() - began_s < 1.0
    assert len(text) <= sandbox.MAX_OUTPUT_CHARS
    for leaked in ("<class", "<module", "<function", "<built-in", "root:", "uid=", " object at 0x", "__"):
        assert leaked not in text


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_caller_with_such_a_name_stays_a_name(payload):
    text = rendered("{% if open %}[{{ caller.name }}]{% endif %}", name=payload)
    assert text == rendered("[{{ caller.name }}]", name=payload)
    assert not set(text) & set('{}"')
    assert "49" not in rendered("{% if 1 %}{{ caller.name }}{% endif %}", name="{{ 7*7 }}")


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(100) %}" * 5 + "x" + "{% endfor %}" * 5,
        "{% for a in range(1000000000) %}{{ a }}{% endfor %}",
        "{% for a in range(100) %}" + "y" * 50_000 + "{% endfor %}",
        "{% set a = 'x' %}" + "{% set a = a + a %}" * 60 + "{{ a }}",
        "{% set a = 9 %}" + "{% set a = a * a %}" * 60 + "{{ a }}",
        "{% set a = 'aaaaaaaaaa' %}" + "{% set a = a | replace('a', 'aaaaaaaaaa') %}" * 30 + "{{ a }}",
        "{% set a = 'ab' %}" + "{% set a = a | join(a) %}" * 30 + "{{ a }}",
        "{{ 'x' * 1000000000 }}",
        "{{ [1] * 1000000000 }}",
    ],
)
def test_what_grows_is_cut(template):
    assert mistakes(template, KNOWN) == []
    began_s = time.process_time()
    assert len(rendered(template)) <= sandbox.MAX_OUTPUT_CHARS
    assert time.process_time() - began_s < 1.0


@pytest.mark.parametrize(
    "use", ["{{ a }}", "{{ a | string }}", "{{ a | join }}", "{{ a | length }}", "{{ a | lower }}"]
)
def test_lists_in_lists_are_refused_and_even_unchecked_do_not_blow_up(use):
    template = "{% set a = [1, 2] %}" + "{% set a = [a, a] %}" * 40 + use
    assert mistakes(template, KNOWN)
    began_s = time.process_time()
    rendered(template)
    assert time.process_time() - began_s < 1.0


def test_loops_share_one_allowance_and_the_note_says_when_it_is_used_up():
    notes = []
    text = rendered(
        "{% for a in range(100) %}{% for b in range(100) %}x{% endfor %}{% endfor %}", notes=notes
    )
    assert 900 <= len(text) <= sandbox.MAX_LOOPS
    assert "ended after" in notes[0]


@pytest.mark.parametrize(
    ("template", "text", "note"),
    [
        ("a{{ vars.none }}b{% if 1 %}{% endif %}", "ab", "none is missing"),
        ("{{ price / 0 }}.", ".", "/ is not possible"),
        ("{% if vars.age > 3 %}x{% endif %}.", ".", "cannot be compared"),
        ("{% if 'x' in price %}x{% endif %}.", ".", "needs a text or a list"),
        ("{{ vars.age + 1 }}.", ".", "+ is not possible"),
    ],
)
def test_what_goes_wrong_in_a_call_becomes_nothing_and_a_note(template, text, note):
    notes = []
    assert mistakes(template, KNOWN) == []
    assert rendered(template, notes=notes, age="20") == text
    assert any(note in one for one in notes)


NAME = st.sampled_from(
    ["caller.name", "vars.a", "company", "price", "days", "open", "'t'", "3", "range(4)", "vars.none"]
)
FILTER = st.sampled_from(sorted(name for name in sandbox.FILTERS if name != "replace"))
OPERATOR = st.sampled_from(["+", "-", "*", "/", "<", ">=", "==", "in", "not in", "and", "or"])
EXPRESSION = st.recursive(
    NAME,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, OPERATOR, inner),
        st.builds("({} | {})".format, inner, FILTER),
        st.builds("(not {})".format, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.just("['a', 2]"),
    ),
    max_leaves=6,
)
BLOCK = st.one_of(
    st.builds("{{{{ {} }}}}".format, EXPRESSION),
    st.builds("{{% if {} %}}a{{% else %}}{{{{ {} }}}}{{% endif %}}".format, EXPRESSION, EXPRESSION),
    st.builds("{{% for one in {} %}}{{{{ one }}}}{{% endfor %}}".format, EXPRESSION),
)


@settings(max_examples=200, deadline=None)
@given(template=st.lists(BLOCK, max_size=4).map("".join), value=st.text(max_size=60))
def test_whatever_may_be_written_renders_to_the_end(template, value):
    notes = []
    assert mistakes(template, KNOWN) == []
    rendered(template, name=value, notes=notes, a=value)
    assert not [note for note in notes if "ended early" in note]


def test_a_plans_templates_can_be_compiled_before_the_first_call_even_bad_ones():
    good, bad = "{% if open %}warm{% endif %}", "{% if %}"
    warm(["plain {{ caller.name }}", bad, good])
    hits = sandbox.compiled.cache_info().hits
    assert rendered(good) == "warm"
    assert sandbox.compiled.cache_info().hits == hits + 1
