"""Any tree of steps is either refused in clear words, or a plan in which every step is found and that survives the
way to a worker."""

import json
from collections import Counter

import pytest
import yaml
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from bridge.dialplan import load as loading
from bridge.dialplan.plan import Plan
from bridge.dialplan.schema_steps import CAN_FAIL, LAST_VERBS, VERBS
from bridge.dialplan.steps import STEP_TYPES
from bridge.errors import DialplanError
from tests.dialplan.test_load import write_wav

AROUND = {
    "version": 1,
    "agents": {"desk": {"instructions": "Help.", "greeting": "Hello."}},
    "transfers": {"sales": "sip:sales@pbx.example.com", "boss": "sip:boss@pbx.example.com"},
    "queues": {"office": {"members": ["sales", "boss"]}},
}
TEXTS = st.sampled_from(
    ["Hello.", "{{ vars.a }}", "{{ caller.number }}", "{% if vars.a %}x{% endif %}", "a: b # c"]
)
TARGETS = st.sampled_from(["sales", "boss"])
PROMPT = st.fixed_dictionaries({}, optional={"say": TEXTS, "play": st.just("hello.wav")})
MUSIC = {"music": st.just("hello.wav")}
JUNK = st.sampled_from(
    [
        None,
        "",
        0,
        -1,
        10**12,
        1.5,
        True,
        "x",
        "{{ x }}",
        "{{",
        [],
        {},
        [None],
        {"x": 1},
        {"say": "x"},
        ["say"],
    ]
)


def with_prompt(**more):
    return st.builds(lambda prompt, rest: {**prompt, **rest}, PROMPT, st.fixed_dictionaries(more))


PLAIN = {
    "ring": st.fixed_dictionaries({"ms": st.integers(0, 60_000)}),
    "early_media": TEXTS,
    "answer": st.just({}),
    "say": TEXTS,
    "play": st.just("hello.wav"),
    "hold": st.fixed_dictionaries({"s": st.integers(1, 60)}, optional=MUSIC),
    "agent": st.just("desk"),
    "collect": with_prompt(into=st.sampled_from("ab"), digits=st.integers(1, 8)),
    "set": st.dictionaries(st.sampled_from("abc"), TEXTS, min_size=1),
    "go": st.sampled_from(["one", "two"]),
    "tool": st.fixed_dictionaries(
        {"name": st.just("look_up"), "arguments": st.dictionaries(st.text("xy", min_size=1), TEXTS)},
        optional={"into": st.just("a"), **MUSIC},
    ),
    "voicemail": with_prompt(mailbox=st.just("desk"), silence_s=st.sampled_from([2, 2.5])),
    "transfer": st.one_of(TARGETS, st.fixed_dictionaries({"to": TARGETS, "headers": st.just({"X-A": "b"})})),
    "dial": st.one_of(TARGETS, st.lists(TARGETS, min_size=1, max_size=3)),
    "warm_transfer": st.fixed_dictionaries({"to": TARGETS, "summary": TEXTS}, optional=MUSIC),
    "conference": st.fixed_dictionaries({"invite": TARGETS}, optional={"agent": st.just("desk")}),
    "queue": st.just("office"),
    "park": st.one_of(TEXTS, st.fixed_dictionaries({"slot": TEXTS}, optional=MUSIC)),
    "pick_up": TEXTS,
    "callback": st.fixed_dictionaries({"number": TEXTS}),
    "hang_up": st.fixed_dictionaries({}, optional={"status": st.integers(300, 699)}),
    "reject": st.fixed_dictionaries({"status": st.integers(300, 699)}),
}
EARLY = {"ring", "early_media"}
ENDS = st.sampled_from([{"hang_up": {}}, {"go": "closed"}, {"transfer": "sales"}])


@st.composite
def trees(draw, depth=3):
    """A list of steps as a person may write them: most of it right, ended as it should be."""
    steps = [draw(one_step(depth)) for _ in range(draw(st.integers(0, 2)))]
    return [*steps, draw(ENDS)] if draw(st.integers(0, 19)) != 7 else steps or [draw(one_step(depth))]


@st.composite
def one_step(draw, depth):
    inner = st.deferred(lambda: trees(depth - 1))
    verbs = PLAIN if draw(st.integers(0, 19)) == 7 else PLAIN.keys() - LAST_VERBS - EARLY
    verb = draw(st.sampled_from([*sorted(verbs), "menu", "switch"] if depth else sorted(verbs)))
    if verb == "menu":
        option = st.one_of(inner, st.fixed_dictionaries({"words": st.just(["sales"]), "do": inner}))
        options = draw(st.dictionaries(st.sampled_from("123*#"), option, min_size=1, max_size=2))
        value = {"say": draw(TEXTS), "options": options}
    elif verb == "switch":
        cases = st.dictionaries(st.sampled_from(["a", "b", "c d"]), inner, min_size=1, max_size=2)
        value = {"value": draw(TEXTS), "cases": draw(cases)}
    else:
        value = draw(PLAIN[verb])
    fails = verb in CAN_FAIL and draw(st.booleans())
    return {verb: value, "or_else": draw(inner) if depth else [{"hang_up": {}}]} if fails else {verb: value}


def spots(node):
    """Every place in a tree of dicts and lists, as (container, key)."""
    keys = list(node) if isinstance(node, dict) else range(len(node))
    for key in keys:
        yield node, key
        if isinstance(node[key], dict | list):
            yield from spots(node[key])


def written(node):
    """The actions in a tree of steps; what is said or played first counts as well."""
    if isinstance(node, list):
        return sum((written(one) for one in node), Counter())
    found = Counter()
    for key, value in node.items() if isinstance(node, dict) else ():
        if key == "early_media" and isinstance(value, str):
            found["say"] += 1
        if key in VERBS:
            found[key] += 1
        if key not in {"arguments", "headers", "set", "conference"}:
            found += written(value)
    return found


@pytest.fixture
def folder(tmp_path):
    write_wav(tmp_path / "hello.wav")
    return tmp_path


def plan_of(do, one, two):
    flows = {"one": one, "two": two, "closed": [{"hang_up": {}}]}
    return {**AROUND, "flows": flows, "routes": [{"name": "all", "do": do}]}


FEW = settings(max_examples=200, suppress_health_check=list(HealthCheck), deadline=None)


@FEW
@given(do=trees(), one=trees(1), two=trees(1))
def test_a_tree_of_steps_is_refused_in_clear_words_or_comes_to_the_worker_whole(folder, do, one, two):
    data = plan_of(do, one, two)
    text = yaml.safe_dump(data, sort_keys=False)
    note(text)
    (folder / "p.yaml").write_text(text)
    try:
        plan = loading.load(folder / "p.yaml")
    except DialplanError as error:
        assert_clear(error, folder)
        return
    assert Plan.from_json(plan.to_json()) == plan
    assert Counter(step.TAG for step in plan.steps()) == written([do, one, two]) + Counter(["hang_up"])


@FEW
@given(do=trees(), junk=JUNK, data=st.data())
def test_junk_anywhere_in_it_is_told_where_it_is(folder, do, junk, data):
    whole = json.loads(json.dumps([do]))  # nothing in it is shared
    node, key = data.draw(st.sampled_from(list(spots(whole))))
    node[key] = junk
    end = [{"hang_up": {}}]
    text = yaml.safe_dump(plan_of(whole[0], end, end))
    note(text)
    (folder / "p.yaml").write_text(text)
    try:
        plan = loading.load(folder / "p.yaml")
    except DialplanError as error:
        assert_clear(error, folder)
    else:
        assert Plan.from_json(plan.to_json()) == plan


def assert_clear(error, folder):
    for problem in error.problems:
        assert problem.file == str(folder / "p.yaml")
        assert problem.line
        assert problem.column
        assert problem.key
        assert problem.message
        assert problem.hint, str(problem)
    places = [(one.line, one.column, one.message) for one in error.problems]
    assert len(places) == len(set(places))


def test_the_trees_hold_every_action():
    assert {*PLAIN, "menu", "switch"} == {*STEP_TYPES} == {*VERBS}
