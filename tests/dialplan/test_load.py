"""Dialplan files to a plan: what is understood, and one clear message for every mistake."""

import copy
import gc
import random
import time
import wave

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.dialplan import load as loading
from bridge.dialplan.compile_steps import prompt_id
from bridge.dialplan.plan import (
    AgentStep,
    CallFacts,
    Condition,
    HangUpStep,
    Plan,
    PlayStep,
    RejectStep,
    RingStep,
    SayStep,
)
from bridge.errors import DialplanError

GOOD = """\
version: 1
language: de
agents:
  desk:
    instructions: Hello {{ caller.number }}
    greeting: Hi
    provider: main
    model: m
    voice: marin
    speed: 1.2
    audio: {format: pcmu}
    turn_detection: {type: semantic_vad, eagerness: low}
    noise_reduction: far_field
    transcription: {model: gpt-transcribe, keywords: [x]}
    max_output_tokens: inf
    truncation: {type: retention_ratio, retention_ratio: 0.8}
    tool_choice: {type: function, name: f}
    reasoning: {effort: low}
    barge_in: false
    recording: false
    limits: {max_call_s: 60, idle_s: 30}
  plain: {instructions: x, greeting: y, turn_detection: semantic_vad, truncation: auto, tool_choice: required}
routes:
  - name: one
    when: {to: ["100", "+4930*"], from: /^01/, headers: {X-Foo: bar}}
    do:
      - ring: {ms: 500}
      - play: hello.wav
      - say: Guten Tag
      - say: {text: Good day, language: en}
      - agent: desk
        or_else:
          - agent: plain
            or_else: [{say: Guten Tag}, {hang_up: {status: 503}}]
  - name: two
    when: {to: "150"}
    do: [{reject: {status: 603}}]
  - name: hidden
    when: {headers: {Privacy: id}}
    do: [{hang_up: {}}]
  - name: three
    do: [{hang_up: {status: 499, reason: No}}]
"""


def write_wav(path, rate_hz=8000, channels=1, width=2):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(bytes(800 * channels * width))


@pytest.fixture
def folder(tmp_path):
    write_wav(tmp_path / "hello.wav")
    return tmp_path


@pytest.fixture
def load(folder):
    def load(text, **more):
        path = folder / "p.yaml"
        path.write_text(text)
        return loading.load(path, **more)

    return load


def mistakes(load, text, **more):
    with pytest.raises(DialplanError) as caught:
        load(text, **more)
    return caught.value.problems


def test_a_whole_plan_is_understood(load, folder):
    plan = load(GOOD, providers=["main"])
    one, two, hidden, three = plan.routes
    assert hidden.conditions == (Condition("header:privacy", ("id",)),)
    assert one.conditions == (
        Condition("to", ("100", "+4930*")),
        Condition("from", ("/^01/",)),
        Condition("header:x-foo", ("bar",)),
    )
    ring, play, say, english, agent = one.steps
    assert ring == RingStep(500)
    assert isinstance(play, PlayStep)
    assert play.path == str(folder / "hello.wav")
    assert (say.text, say.language, english.language) == ("Guten Tag", "de", "en")
    assert isinstance(agent, AgentStep)
    assert isinstance(agent.or_else[0], AgentStep)
    assert agent.or_else[0].or_else == (say, HangUpStep(503, "Service Unavailable"))
    assert two.steps == (RejectStep(603, "Decline"),)
    assert three.steps == (HangUpStep(499, "No"),)
    assert (three.line, three.conditions) == (41, ())


def test_an_agent_keeps_what_is_given_and_nothing_else(load):
    plan = load(GOOD)
    desk, plain = plan.agent("desk"), plan.agent("plain")
    assert desk.turn_detection == {"type": "semantic_vad", "eagerness": "low"}
    assert desk.noise_reduction == {"type": "far_field"}
    assert desk.transcription == {"model": "gpt-transcribe", "keywords": ["x"]}
    assert (desk.max_output_tokens, desk.audio_format, desk.reasoning_effort) == ("inf", "pcmu", "low")
    assert desk.truncation == {"type": "retention_ratio", "retention_ratio": 0.8}
    assert desk.tool_choice == {"type": "function", "name": "f"}
    assert (desk.barge_in, desk.recording, desk.max_call_s, desk.language) == (False, False, 60, "de")
    assert desk.idle_s == 30
    assert (plain.turn_detection, plain.truncation, plain.tool_choice) == (
        {"type": "semantic_vad"},
        "auto",
        "required",
    )
    assert (plain.model, plain.speed, plain.max_call_s, plain.noise_reduction) == (None, None, None, None)


def test_server_vad_is_the_default_turn_detection(load):
    plan = load("version: 1\nagents: {a: {instructions: x}}\nroutes: [{name: r, do: [{agent: a}]}]")
    assert plan.agent("a").turn_detection == {"type": "server_vad"}


def test_each_text_is_spoken_once_a_language(load):
    plan = load(GOOD)
    prompts = loading.prompts(plan)
    assert [(prompt.text, prompt.language) for prompt in prompts] == [("Guten Tag", "de"), ("Good day", "en")]
    assert prompts[0].prompt_id == prompt_id("Guten Tag", "de")
    assert {step.prompt_id for step in plan.steps() if isinstance(step, SayStep)} == {
        p.prompt_id for p in prompts
    }


def test_a_played_files_content_is_part_of_the_version(load, folder):
    before = load(GOOD).version
    write_wav(folder / "hello.wav", rate_hz=8000)
    assert load(GOOD).version == before
    with wave.open(str(folder / "hello.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\1\0" * 80)
    assert load(GOOD).version != before


def test_comments_and_places_make_no_new_version(load):
    assert load("# hello\n" + GOOD).version == load(GOOD).version


def test_a_plan_crosses_the_link_as_it_was(load):
    plan = load(GOOD)
    assert Plan.from_json(plan.to_json()) == plan


def test_a_folder_is_joined_in_the_order_of_names(tmp_path):
    (tmp_path / "20.yaml").write_text("version: 1\nroutes: [{name: last, do: [{hang_up: {}}]}]")
    (tmp_path / "10.yml").write_text("version: 1\nroutes: [{name: first, when: {to: '1'}, do: [{agent: a}]}]")
    (tmp_path / "30.yaml").write_text("version: 1\nagents: {a: {instructions: x}}")
    (tmp_path / ".#10.yaml").write_text("{")
    (tmp_path / "note.txt").write_text("{")
    plan = loading.load(tmp_path)
    assert [route.name for route in plan.routes] == ["first", "last"]
    assert plan.route(CallFacts("1")).name == "first"


def test_mistakes_of_all_files_are_told_at_once(tmp_path):
    (tmp_path / "a.yaml").write_text("version: 2")
    (tmp_path / "b.yaml").write_text("version: 1\nroutes: {}")
    with pytest.raises(DialplanError) as caught:
        loading.load(tmp_path)
    assert [problem.key for problem in caught.value.problems] == ["version", "routes"]


HALF_RIGHT = """\
version: 1
agents:
  front: {voice: marin, speling: x}
  other: {instructions: x, provider: nowhere}
routes:
  - name: one
    do: [{agent: fromt}]
  - name: two
    when: {too: "1"}
    do: [{agent: nobody}]
  - name: three
    do: [{agent: front}]
"""


def test_a_mistake_of_form_hides_no_mistake_of_what_is_right(tmp_path):
    (tmp_path / "a.yaml").write_text(HALF_RIGHT)
    (tmp_path / "b.yaml").write_text(
        "version: 1\nroutes: [{name: four, do: [{agent: other}, {ring: {ms: 100}}]}]\n"
    )
    with pytest.raises(DialplanError) as caught:
        loading.load(tmp_path, ["main"])
    found = [(problem.line, problem.key) for problem in caught.value.problems]
    assert found == [
        (3, "agents.front.speling"),
        (4, "agents.other.provider"),
        (7, "routes[0].do[0].agent"),
        (9, "routes[1].when.too"),
        (11, "routes[2]"),  # never reached: the first route takes every call
        (2, "routes[0]"),
        (2, "routes[0].do[1]"),
    ]


@pytest.mark.parametrize(
    "text", ["version: 1\nagents: [", "version: 1\nagents: []\n", "5", "version: 1\nroutes: 5"]
)
def test_where_not_even_the_names_can_be_read_none_is_said_to_be_missing(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    (tmp_path / "b.yaml").write_text("version: 1\nroutes: [{name: b, do: [{agent: there}]}]\n")
    with pytest.raises(DialplanError) as caught:
        loading.load(tmp_path, [])
    (problem,) = caught.value.problems
    assert problem.file.endswith("a.yaml")


def test_an_empty_folder_and_a_missing_path_are_mistakes(tmp_path):
    for path in (tmp_path, tmp_path / "no"):
        with pytest.raises(DialplanError, match="dialplans"):
            loading.load(path)


HEAD = "version: 1\nagents: {a: {instructions: x}}\nroutes:\n"
LAST = "- {name: z, do: [{agent: a}]}\n"


def route(do, when="to: '1'"):
    return f"{HEAD}- {{name: r, when: {{{when}}}, do: [{do}]}}\n{LAST}"


BAD_FILES = [
    ("routes: []", "1:1", "version", "needed"),
    ("version: 2\nroutes: []", "1:10", "version", "allowed: 1"),
    ("version: 1", "1:1", "routes", "there is no route"),
    ("version: 1\nroute: []", "2:1", "route", "did you mean routes?"),
    ("version: 1\nlanguage: English\nroutes: []", "2:11", "language", "is no language"),
    ("version: 1\nroutes: {a: 1}", "2:9", "routes", "a list is needed"),
    ("version: 1\nagents: {a b: {instructions: x}}\n", "2:10", "agents.a b", "is no name"),
    ("version: 1\nagents: {a: {}}\n", "2:10", "agents.a.instructions", "needed"),
    ("version: 1\nagents: {a: {instructions: ''}}\n", "2:28", "agents.a.instructions", "empty"),
    (f"{HEAD}- {{do: [{{agent: a}}]}}", "4:3", "routes[0].name", "needed"),
    (f"{HEAD}- {{name: 7, do: [{{agent: a}}]}}", "4:10", "routes[0].name", '"7" in quotes'),
    (f"{HEAD}- {{name: r, do: []}}", "4:17", "routes[0].do", "at least 1"),
    (f"{HEAD}- {{name: r, do: hang_up}}", "4:17", "routes[0].do", "a list is needed"),
    (f"{HEAD}- {{name: r, do: [hang_up]}}", "4:18", "routes[0].do[0]", "a mapping"),
    (route("{agent: b}"), "4:43", "routes[0].do[0].agent", "no agent is called b"),
    (route("{agnet: a}"), "4:36", "routes[0].do[0].agnet", "did you mean agent?"),
    (route("{agent: a, say: x}"), "4:35", "routes[0].do[0]", "2 actions in one step: say, agent"),
    (route("{or_else: [{hang_up: {}}]}"), "4:35", "routes[0].do[0]", "0 actions"),
    (
        route("{say: x, or_else: [{hang_up: {}}]}, {hang_up: {}}"),
        "4:44",
        "routes[0].do[0].or_else",
        "would never run",
    ),
    (route("{say: x}"), "4:35", "routes[0].do[0]", "what happens then?"),
    (route("{agent: a}, {say: x}"), "4:47", "routes[0].do[1]", "nothing happens after agent"),
    (route("{hang_up: {}}, {say: x}"), "4:50", "routes[0].do[1]", "nothing happens after hang_up"),
    (route("{say: x}, {reject: {status: 486}}"), "4:46", "routes[0].do[1].reject", "use hang_up"),
    (route("{say: x}, {ring: {ms: 1}}, {agent: a}"), "4:46", "routes[0].do[1].ring", "ring first"),
    (
        route("{agent: a, or_else: [{reject: {status: 486}}]}"),
        "4:57",
        "routes[0].do[0].or_else[0].reject",
        "may be answered already",
    ),
    (route("{agent: a, or_else: [{say: x}]}"), "4:56", "routes[0].do[0].or_else[0]", "what happens then?"),
    (route("{reject: {}}"), "4:36", "routes[0].do[0].reject.status", "needed"),
    (route("{reject: {status: 200}}"), "4:53", "routes[0].do[0].reject.status", "at least 300"),
    (route("{hang_up: {status: busy}}"), "4:54", "routes[0].do[0].hang_up.status", "whole number"),
    (route("{ring: {ms: -1}}"), "4:47", "routes[0].do[0].ring.ms", "at least 0"),
    (route("{say: 5}, {hang_up: {}}"), "4:41", "routes[0].do[0].say", "text is needed"),
    (
        route("{say: 'Hi {{ caler.name }}'}, {hang_up: {}}"),
        "4:41",
        "routes[0].do[0].say",
        "no such variable: caler.name (did you mean caller.name?)",
    ),
    (route("{play: no.wav}, {hang_up: {}}"), "4:42", "routes[0].do[0].play", "No such file"),
    (route("{play: p.yaml}, {hang_up: {}}"), "4:42", "routes[0].do[0].play", "not a WAV file"),
    (route("{play: wide.wav}, {hang_up: {}}"), "4:42", "routes[0].do[0].play", "this has 16000 Hz"),
    (route("{play: .}, {hang_up: {}}"), "4:42", "routes[0].do[0].play", "directory"),
    (route("{agent: a}", "too: '1'"), "4:20", "routes[0].when.too", "did you mean to?"),
    (route("{agent: a}", "to: 100"), "4:24", "routes[0].when.to", '"100" in quotes'),
    (route("{agent: a}", "to: +4930123"), "4:24", "routes[0].when.to", '"+4930123" in quotes'),
    (route("{agent: a}", "to: ['1', 2]"), "4:30", "routes[0].when.to[1]", '"2" in quotes'),
    (route("{agent: a}", "to: []"), "4:24", "routes[0].when.to", "at least 1"),
    (route("{agent: a}", "to: ''"), "4:24", "routes[0].when.to", "empty"),
    (route("{agent: a}", "to: '1*2'"), "4:24", "routes[0].when.to", "only stand at the end"),
    (route("{agent: a}", "to: /1"), "4:24", "routes[0].when.to", "ends with a slash"),
    (route("{agent: a}", "to: '/(/'"), "4:24", "routes[0].when.to", "not a regular expression"),
    (route("{agent: a}", "to: /(1+)+$/"), "4:24", "routes[0].when.to", "may take forever"),
    (route("{agent: a}", "to: +49 30 1"), "4:24", "routes[0].when.to", "no spaces"),
    (route("{agent: a}", "headers: {}"), "4:29", "routes[0].when.headers", "at least 1"),
    (
        route("{agent: a}", "headers: {'a b': x}"),
        "4:30",
        "routes[0].when.headers.a b",
        "no name of a SIP header",
    ),
    (route("{agent: a}", "headers: {A: x, a: y}"), "4:36", "routes[0].when.headers.a", "ignore case"),
    (route("{agent: a}", ""), "4:13", "routes[0].when", "no condition"),
    (f"{HEAD}{LAST}{LAST}", "5:10", "routes[1].name", "used twice"),
    (f"{HEAD}- {{name: y, do: [{{agent: a}}]}}\n{LAST}", "5:3", "routes[1]", "y takes them all"),
    (route("{agent: a}") + "- {name: q, do: [{agent: a}]}", "6:3", "routes[2]", "z takes them all"),
]


@pytest.mark.parametrize(("text", "place", "key", "words"), BAD_FILES)
def test_a_wrong_file_gives_one_clear_message(load, folder, text, place, key, words):
    write_wav(folder / "wide.wav", rate_hz=16000)
    problems = mistakes(load, text)
    told = [str(problem) for problem in problems if problem.key == key]
    assert len(told) == 1, [str(problem) for problem in problems]
    assert told[0].startswith(f"{folder}/p.yaml:{place}: {key}")
    assert words in told[0]
    assert len(problems) <= 2


AGENT = "version: 1\nagents: {a: {instructions: x, %s}}\nroutes:\n" + LAST
BAD_AGENTS = [
    ("instruction: y", "instruction", "did you mean instructions?"),
    ("greeting: 'Hi {{ caller.nmae }}'", "greeting", "did you mean caller.name?"),
    ("greeting: 'Hi {{ caller.name }'", "greeting", "belong to no variable"),
    ("provider: mian", "provider", "did you mean main?"),
    ("speed: 2", "speed", "at most 1.5"),
    ("speed: fast", "speed", "a number is needed"),
    ("audio: {format: g711}", "audio.format", "allowed: pcm24, pcmu, pcma"),
    ("turn_detection: none", "turn_detection", "allowed: server_vad, semantic_vad"),
    ("turn_detection: {type: server_vad, create_response: false}", "turn_detection.create_response", ""),
    ("turn_detection: vad", "turn_detection", "allowed: server_vad, semantic_vad"),
    ("turn_detection: {threshold: 1}", "turn_detection", "the key type is needed"),
    ("turn_detection: {type: server_vad, treshold: 1}", "turn_detection.treshold", "did you mean threshold?"),
    ("turn_detection: {type: server_vad, threshold: 2}", "turn_detection.threshold", "at most 1"),
    ("turn_detection: {type: server_vad, eagerness: low}", "turn_detection.eagerness", "unknown key"),
    (
        "turn_detection: {type: server_vad, idle_timeout_ms: 100}",
        "turn_detection.idle_timeout_ms",
        "at least 5000",
    ),
    (
        "turn_detection: {type: semantic_vad, eagerness: hi}",
        "turn_detection.eagerness",
        "allowed: low, medium",
    ),
    ("noise_reduction: near", "noise_reduction", "allowed: near_field, far_field"),
    ("transcription: gpt-transcribe", "transcription", "a mapping"),
    ("transcription: {language: en}", "transcription.model", "needed"),
    ("max_output_tokens: 5000", "max_output_tokens", "1 to 4096, or inf"),
    ("truncation: never", "truncation", "allowed: auto, disabled"),
    ("truncation: {type: retention_ratio, retention_ratio: 2}", "truncation.retention_ratio", "at most 1"),
    ("tool_choice: {type: function}", "tool_choice.name", "needed for type function"),
    ("tool_choice: {type: mcp}", "tool_choice.server_label", "needed for type mcp"),
    ("tool_choice: {type: tool}", "tool_choice.type", "allowed: function, mcp"),
    ("reasoning: {effort: max}", "reasoning.effort", "allowed: minimal"),
    ("barge_in: yes", "barge_in", "true or false"),
    ("limits: {max_call_s: 5}", "limits.max_call_s", "at least 10"),
    ("voice: ''", "voice", "empty"),
    ("language: EN", "language", "is no language"),
]


@pytest.mark.parametrize(("text", "key", "words"), BAD_AGENTS)
def test_a_wrong_agent_gives_one_clear_message(load, text, key, words):
    (problem,) = mistakes(load, AGENT % text, providers=["main", "local"])
    assert problem.key == f"agents.a.{key}"
    assert words in str(problem)
    assert problem.line == 2
    assert problem.column > 9


def test_an_agent_in_two_files_is_a_mistake(tmp_path):
    (tmp_path / "a.yaml").write_text(f"{HEAD}{LAST}")
    (tmp_path / "b.yaml").write_text("version: 1\nagents: {a: {instructions: x}}")
    with pytest.raises(DialplanError, match=r"b\.yaml:2:10: agents\.a: this agent is also in .*a\.yaml"):
        loading.load(tmp_path)


def test_a_huge_wav_is_refused(load, folder):
    with (folder / "big.wav").open("wb") as file:
        file.truncate(10_000_000)
    (problem,) = mistakes(load, route("{play: big.wav}, {hang_up: {}}"))
    assert "ten minutes" in problem.message


def test_odd_things_are_warned_of(folder):
    path = folder / "w.yaml"
    path.write_text(f"{HEAD}- {{name: r, when: {{to: '1'}}, do: [{{hang_up: {{}}}}]}}\n")
    warned = [str(warning).partition(": ")[2] for warning in loading.inspect(path).warnings]
    assert [warning.partition(" (")[0] for warning in warned] == [
        "agents.a: no route uses this agent",
        "agents.a: no greeting",
        "routes[0]: the last route does not fit every call",
    ]


def test_an_agent_without_fallback_is_warned_of(folder):
    path = folder / "w.yaml"
    path.write_text(f"{HEAD}- {{name: z, do: [{{agent: a, or_else: [{{agent: a}}]}}]}}\n")
    assert [warning.key for warning in loading.inspect(path).warnings] == ["agents.a"]
    path.write_text(f"{HEAD}{LAST}")
    assert [warning.key for warning in loading.inspect(path).warnings] == [
        "routes[0].do[0].agent",
        "agents.a",
    ]


def test_the_good_plan_has_no_warning(folder):
    path = folder / "g.yaml"
    path.write_text(GOOD)
    assert loading.inspect(path).warnings == ()


def mutate(rng, data):
    """One random change somewhere in a tree of dicts and lists."""
    spots = []
    waiting = [data]
    while waiting:
        node = waiting.pop()
        keys = node.keys() if isinstance(node, dict) else range(len(node))
        for key in keys:
            spots.append((node, key))
            if isinstance(node[key], (dict, list)):
                waiting.append(node[key])
    if not spots:
        return
    node, key = rng.choice(spots)
    other, other_key = rng.choice(spots)
    junk = [
        None,
        True,
        -1,
        1e9,
        "",
        "x",
        "/(a+)+/",
        "{{ x }}",
        [],
        {},
        [None],
        {"type": "x"},
        copy.deepcopy(other[other_key]),
    ]
    action = rng.randrange(3)
    if action == 0:
        node[key] = rng.choice(junk)
    elif action == 1 and isinstance(node, dict):
        node[rng.choice(["agent", "or_else", "when", "do", "type", "bogus", 7])] = rng.choice(junk)
    else:
        del node[key]


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(seed=st.integers(0, 2**32), changes=st.integers(1, 6))
def test_no_mutated_plan_raises_anything_but_dialplan_errors(folder, seed, changes):
    rng = random.Random(seed)
    data = yaml.safe_load(GOOD)
    for _ in range(changes):
        mutate(rng, data)
    path = folder / "m.yaml"
    path.write_text(yaml.safe_dump(data))
    try:
        plan = loading.load(path, providers=["main"])
    except DialplanError:
        return
    assert Plan.from_json(plan.to_json()) == plan


TRANSFER = """version: 1
transfers: {sales: "sip:42@pbx.example"}
routes:
- name: r
  do:
  - transfer: sales
    or_else: [{say: Nobody is there.}, {hang_up: {}}]
"""


def test_a_transfer_names_its_target_and_what_happens_else(tmp_path):
    (tmp_path / "p.yaml").write_text(TRANSFER)
    plan = loading.load(tmp_path / "p.yaml")
    (step,) = plan.routes[0].steps
    assert (step.target, plan.transfers[step.target]) == ("sales", "sip:42@pbx.example")
    assert [type(one).__name__ for one in plan.steps()] == ["TransferStep", "SayStep", "HangUpStep"]
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("transfer: sales", "transfer: slaes", "transfers has no slaes (did you mean sales?)"),
        ("sip:42@pbx.example", "sip:42@pbx.example;user=phone?Replaces=x", "transfers.sales"),
        ("sip:42@pbx.example", "+4930123", "transfers.sales"),
        ("sip:42@pbx.example", "sip:42@pbx.example>,<sip:evil@x", "transfers.sales"),
        (
            "    or_else: [{say: Nobody is there.}, {hang_up: {}}]",
            "  - {hang_up: {}}",
            "nothing happens after transfer",
        ),
    ],
)
def test_a_mistake_in_a_transfer_is_named(tmp_path, old, new, words):
    (tmp_path / "p.yaml").write_text(TRANSFER.replace(old, new))
    with pytest.raises(DialplanError) as caught:
        loading.load(tmp_path / "p.yaml")
    assert words in str(caught.value)


def test_loading_leaves_the_garbage_collector_as_it_was(load):
    load(GOOD)
    assert gc.isenabled()
    mistakes(load, "version: 2")
    assert gc.isenabled()


def test_a_plan_with_ten_times_the_routes_takes_ten_times_as_long_not_a_hundred(load):
    """In the time of this process, side by side: how fast the machine is does not matter."""
    steps = "[{say: Sorry}, {hang_up: {}}]"

    def took(count):
        routes = "".join(
            f"- {{name: r{n}, when: {{to: '+4930{n:06d}'}}, do: [{{agent: a, or_else: {steps}}}]}}\n"
            for n in range(count)
        )
        before = time.process_time()
        assert len(load(f"{HEAD}{routes}{LAST}").routes) == count + 1
        return time.process_time() - before

    few = min(took(500), took(500))
    assert took(5000) < 30 * few


def trunk_plan(transfers="", outbound=""):
    return (
        "version: 1\n"
        "trunks:\n  pbx: {host: pbx.example.com, target: 'tel:{number}'}\n  carrier: {addresses: [192.0.2.0/24]}\n"
        f"{transfers}{outbound}routes:\n  - {{name: all, do: [{{hang_up: {{}}}}]}}\n"
    )


def test_a_number_over_a_trunk_becomes_the_trunks_address(load):
    plan = load(trunk_plan("transfers: {mobile: {number: '+491701234567', trunk: pbx}, desk: 'sip:7@x'}\n"))
    assert dict(plan.transfers) == {"mobile": "tel:+491701234567", "desk": "sip:7@x"}
    assert dict(plan.over) == {"mobile": "pbx"}
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("{number: '+49170', trunk: pxb}", "no trunk is called pxb (did you mean pbx?)"),
        ("{number: '+49170', trunk: carrier}", "no call goes to trunk carrier"),
        ("{number: '+49 170', trunk: pbx}", "this is no number to dial"),
        ("{number: '+49170;x=y', trunk: pbx}", "this is no number to dial"),
        ("{number: '+49170'}", "transfers.mobile.trunk"),
    ],
)
def test_a_target_that_cannot_be_dialled_is_a_mistake(load, target, said):
    with pytest.raises(DialplanError) as caught:
        load(trunk_plan(f"transfers: {{mobile: {target}}}\n"))
    assert said in str(caught.value)


def test_outbound_calls_go_over_a_trunk(load):
    section = (
        "outbound: {allow: ['+49'], caller_id: '+4930123', trunk: pbx, do: [{say: Hi}, {hang_up: {}}]}\n"
    )
    rules = load(trunk_plan(outbound=section)).outbound
    assert (rules.trunk, rules.uri("+4930123456")) == ("pbx", "tel:+4930123456")
