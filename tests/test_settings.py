"""Settings: the file, the overrides, the embedded default, and what a worker is told."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bridge import settings
from bridge.config import WorkerConfig
from bridge.errors import SettingsError


@pytest.fixture
def load(tmp_path):
    def load(text, environ=None):
        path = tmp_path / "s.yaml"
        path.write_text(text)
        return settings.load(path, environ or {})

    return load


def test_the_embedded_default_is_complete(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loaded = settings.load(None, {})
    assert (loaded.sip.bind, loaded.sip.port, loaded.workers) == ("127.0.0.1", 5060, 1)
    assert (loaded.default_provider, loaded.providers["local"].kind) == ("local", "local")
    assert loaded.store == f"sqlite:///{tmp_path}/var/sipbridge.db"
    assert loaded.recording.folder == tmp_path / "var/recordings"


def test_the_embedded_default_uses_the_shipped_dialplan_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (settings.load(None, {}).dialplans / "default.yaml").exists()


def test_the_embedded_default_prefers_the_dialplans_at_hand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dialplans").mkdir()
    assert settings.load(None, {}).dialplans == tmp_path / "dialplans"


def test_an_openai_key_connects_the_embedded_default_to_openai():
    loaded = settings.load(None, {"OPENAI_API_KEY": "sk-x"})
    provider = loaded.providers[str(loaded.default_provider)]
    assert (provider.kind, provider.url) == ("openai", "wss://api.openai.com/v1/realtime")
    assert (provider.api_key_env, provider.model) == ("OPENAI_API_KEY", "gpt-realtime-2.1")


def test_a_file_without_providers_has_the_local_engine_whatever_the_environment(load):
    assert list(load("workers: 1", {"OPENAI_API_KEY": "sk-x"}).providers) == ["local"]


def test_the_first_provider_is_the_default_one(load):
    text = "providers: {main: {kind: openai}, other: {kind: local}}"
    assert load(text).default_provider == "main"


def test_paths_are_relative_to_the_file(load, tmp_path):
    loaded = load("dialplans: plans\nstate_dir: /srv/x\nrecording: {folder: rec}\nstore: sqlite:///a.db")
    assert loaded.dialplans == tmp_path / "plans"
    assert loaded.state_dir == Path("/srv/x")
    assert loaded.recording.folder == tmp_path / "rec"
    assert loaded.store == f"sqlite:///{tmp_path}/a.db"


def test_a_scenario_is_relative_to_the_file(load, tmp_path):
    loaded = load("providers: {l: {kind: local, scenario: a.yaml}}")
    assert loaded.providers["l"].scenario == tmp_path / "a.yaml"


def test_the_environment_overrides_the_file(load):
    environ = {"SIPBRIDGE_SIP__PORT": "5070", "SIPBRIDGE_SIP__CODECS": "[PCMA]", "SIPBRIDGE_WORKERS": "2"}
    loaded = load("sip: {port: 5062}", environ)
    assert (loaded.sip.port, loaded.sip.codecs, loaded.workers) == (5070, ["PCMA"], 2)


def test_a_provider_can_come_from_the_environment_alone(load):
    environ = {
        "SIPBRIDGE_PROVIDERS__LAB__KIND": "compatible",
        "SIPBRIDGE_PROVIDERS__LAB__URL": "ws://lab:1/v1",
    }
    assert load("workers: 1", environ).providers["lab"].url == "ws://lab:1/v1"


def test_the_variable_of_the_settings_path_is_no_override(load):
    assert load("workers: 3", {"SIPBRIDGE_CONFIG": "x.yaml"}).workers == 3


def test_a_store_password_may_come_from_the_environment(load):
    url = "postgresql://u:secret@db/calls"
    assert load("workers: 1", {"SIPBRIDGE_STORE": url}).store == url


BAD_FILES = [
    ("[]", "1:1", "", "must hold keys"),
    ("sip: {prot: 1}", "1:7", "sip.prot", "did you mean port?"),
    ("sips: {}", "1:1", "sips", "did you mean sip?"),
    ("sip:\n  port: high", "2:9", "sip.port", "whole number"),
    ("sip:\n  port: 0", "2:9", "sip.port", "at least 1"),
    ("sip: {port: 70000}", "1:13", "sip.port", "at most 65535"),
    ("sip: {port: 5060.5}", "1:13", "sip.port", "whole number"),
    ("sip: 5060", "1:6", "sip", "mapping"),
    ("sip: {bind: 8.8.8.8}", "1:13", "sip.bind", "a public address; a worker must not face strangers"),
    ("sip: {bind: 0.0.0.0}", "1:13", "sip.bind", "edge"),
    ("sip: {bind: '::'}", "1:13", "sip.bind", "every network"),
    ("sip: {bind: localhost}", "1:13", "sip.bind", "for example 127.0.0.1"),
    ("sip: {rtp_ports: 20000}", "1:18", "sip.rtp_ports", '"20000" in quotes'),
    ("sip: {rtp_ports: 20000 to 21000}", "1:18", "sip.rtp_ports", "20000-20999"),
    ("sip: {rtp_ports: 21000-20000}", "1:18", "sip.rtp_ports", "must rise"),
    ("sip: {rtp_ports: 20001-20999}", "1:18", "sip.rtp_ports", "20002-20999"),
    ("sip: {rtp_ports: 20000-20009}", "1:18", "sip.rtp_ports", "for example 20000-20015"),
    ("workers: 8\nsip: {rtp_ports: 65500-65535}", "2:18", "sip.rtp_ports", "begin lower"),
    ("sip: {port: 20500}", "1:6", "sip.rtp_ports", "inside the RTP ports"),
    ("workers: 4\nsip: {port: 65533}", "2:13", "sip.port", "too high"),
    ("console: {audio: {ports: 20900-21100}}", "1:26", "console.audio.ports", "overlaps sip.rtp_ports"),
    ("console: {audio: {ports: 30000-30003}}", "1:26", "console.audio.ports", "too few for 8 seats"),
    ("console: {audio: {ports: 5000-5099}}", "1:26", "console.audio.ports", "sip.port (5060)"),
    (
        "edge: {at: ['10.0.0.5:5090']}\nconsole: {audio: {ports: 47000-48999}}",
        "2:26",
        "console.audio.ports",
        "overlaps edge.workers_rtp_ports (40000-47999)",
    ),
    ("sip: {codecs: [G729]}", "1:16", "sip.codecs[0]", "allowed: PCMU, PCMA, G722"),
    ("sip: {codecs: [PCMA, PCMA]}", "1:15", "sip.codecs", "twice"),
    ("sip: {codecs: [G722]}", "1:15", "sip.codecs", "add PCMU or PCMA"),
    ("sip: {codecs: [PCMA, G722]}", "1:15", "sip.codecs", "set pool.wide_workers"),
    ("sip: {codecs: []}", "1:15", "sip.codecs", "at least 1"),
    ("sip: {codecs: PCMU}", "1:15", "sip.codecs", "a list is needed"),
    ('sip: {user_agent: "a\\nb"}', "1:19", "sip.user_agent", "must match"),
    ("recording: {enabled: yes}", "1:22", "recording.enabled", "true or false"),
    ("calls_per_worker: 5", "1:19", "calls_per_worker", "at most 4"),
    ("dialplans: ''", "1:12", "dialplans", "a path is needed"),
    ("tools: 5", "1:8", "tools", "a path is needed"),
    ("tools: ~nobody-here/x", "1:8", "tools", "no such user"),
    (f"state_dir: /{'x' * 120}", "1:12", "state_dir", "choose a shorter one"),
    ("store: mysql://x/y", "1:8", "store", "sqlite:///var/sipbridge.db"),
    ("store: sqlite://x", "1:8", "store", "three slashes"),
    ("store: postgresql://u:secret@h/n", "1:8", "store", "SIPBRIDGE_STORE"),
    ("providers: {X: {kind: local}}", "1:13", "providers.X", "must match"),
    ("providers: {x: {}}", "1:13", "providers.x.kind", "needed"),
    ("providers: {x: {kind: openia}}", "1:23", "providers.x.kind", "did you mean openai?"),
    ("providers: {x: {kind: compatible}}", "1:13", "providers.x.url", "needed for kind compatible"),
    ("providers: {x: {kind: local, url: 'http://h'}}", "1:35", "providers.x.url", "ws:// or wss://"),
    ("providers: {x: {kind: local, url: 'ws://h:x'}}", "1:35", "providers.x.url", "not a URL"),
    ("providers: {x: {kind: local, url: 'ws://u:p@h'}}", "1:35", "providers.x.url", "name or password"),
    ("providers: {x: {kind: openai, url: 'ws://h/v1'}}", "1:36", "providers.x.url", "in the clear"),
    ("providers: {x: {kind: openai, url: 'ws://9.9.9.9'}}", "1:36", "providers.x.url", "in the clear"),
    ("providers: {x: {kind: azure, url: 'wss://h/v1'}}", "1:13", "providers.x.model", "deployment"),
    ("providers: {x: {kind: openai, scenario: a}}", "1:41", "providers.x.scenario", "only for kind local"),
    (
        "providers: {x: {kind: openai, api_key_env: my-key}}",
        "1:44",
        "providers.x.api_key_env",
        "OPENAI_API_KEY",
    ),
    (
        "providers: {x: {kind: openai, api_key: K}}",
        "1:31",
        "providers.x.api_key",
        "did you mean api_key_env?",
    ),
    ("default_provider: main", "1:19", "default_provider", "allowed: local"),
    ("limits: {max_call_s: 1}", "1:22", "limits.max_call_s", "at least 10"),
    ("deadlines: {send_s: 0}", "1:21", "deadlines.send_s", "more than 0"),
    ("deadlines: {send_s: 1e400}", "1:21", "deadlines.send_s", ""),
    ("log: {level: warn}", "1:14", "log.level", "did you mean warning?"),
    ("log: {format: text}", "1:15", "log.format", "allowed: json, console"),
    ("media: {model_format: opus}", "1:23", "media.model_format", "allowed: pcm24, pcmu, pcma"),
    ("workers: 1\nworkers: 2", "2:1", "workers", "given twice"),
]


@pytest.mark.parametrize(("text", "place", "key", "words"), BAD_FILES)
def test_a_wrong_file_gives_one_clear_message(load, tmp_path, text, place, key, words):
    with pytest.raises(SettingsError) as caught:
        load(text)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"{tmp_path}/s.yaml:{place}: {key}")
    assert problem.key == key
    assert words in str(problem)


@pytest.mark.parametrize("secret", ["sk-proj-abcdefghijklmnop", "a" * 40, "eyJhbGciOiJIUzI1NiIsInR5cCI6"])
def test_a_pasted_secret_is_refused_and_never_printed(load, secret):
    with pytest.raises(SettingsError, match="looks like a secret") as caught:
        load(f"providers: {{x: {{kind: openai, api_key_env: {secret}}}}}")
    assert secret not in str(caught.value)


def test_a_store_password_is_never_printed(load):
    with pytest.raises(SettingsError) as caught:
        load("store: postgresql://u:hunter2@h/n")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "key"),
    [
        ("SIPBRIDGE_SIP__PORT", "high", "sip.port"),
        ("SIPBRIDGE_SIP__PORT", "", "sip.port"),
        ("SIPBRIDGE_SIP__PROT", "5", "sip.prot"),
        ("SIPBRIDGE_SPI__PORT", "5", "spi"),
        ("SIPBRIDGE_SIP", "5", "sip"),
        ("SIPBRIDGE_SIP__PORT__X", "5", "sip.port"),
        ("SIPBRIDGE_SIP__BIND", "0.0.0.0", "sip.bind"),
        ("SIPBRIDGE_SIP__CODECS", "[PCMU", "sip.codecs"),
        ("SIPBRIDGE_WORKERS", "[", "workers"),
        ("SIPBRIDGE_", "1", ""),
    ],
)
def test_a_wrong_override_names_its_variable(load, variable, value, key):
    with pytest.raises(SettingsError) as caught:
        load("workers: 1", {variable: value})
    (problem,) = caught.value.problems
    assert problem.file == f"environment variable {variable}"
    assert problem.key == key


def test_an_override_that_is_no_yaml_is_told_without_positions_and_without_its_text(load):
    with pytest.raises(SettingsError) as caught:
        load("workers: 1", {"SIPBRIDGE_STORE": "'postgresql://u:hunter2@h/n"})
    assert str(caught.value) == (
        "environment variable SIPBRIDGE_STORE: store: the value is not YAML "
        "(check quotes and brackets; quote it if it is text)"
    )


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"no\.yaml: cannot be read"):
        settings.load(tmp_path / "no.yaml", {})


def test_a_secret_that_is_not_in_the_environment_is_named(load):
    loaded = load("providers: {x: {kind: openai, headers_env: {X-Org: ORG}}, y: {kind: local}}")
    missing = settings.missing_secrets(loaded, {"ORG": "1"})
    (problem,) = missing
    assert problem.message.startswith("the environment variable OPENAI_API_KEY is not set, neither is")
    assert settings.missing_secrets(loaded, {"ORG": "1", "OPENAI_API_KEY": "k"}) == []


def test_workers_share_the_ports(load):
    loaded = load("workers: 3\nsip: {rtp_ports: 20000-20999}")
    ranges = [settings.rtp_range(loaded, index) for index in range(3)]
    assert ranges == [(20000, 20331), (20332, 20663), (20664, 20995)]
    configs = [settings.worker_config(loaded, index) for index in range(3)]
    assert [one.sip.port for one in configs] == [5060, 5061, 5062]
    assert [(one.sip.rtp_first, one.sip.rtp_last) for one in configs] == ranges


def test_a_worker_is_told_what_the_settings_say(load, tmp_path):
    text = "state_dir: v\nmedia: {model_format: pcmu}\nproviders: {a: {kind: local}, b: {kind: openai}}"
    told = settings.worker_config(load(text), 0, sip_port=5080, local_url="ws://127.0.0.1:9/v1/realtime")
    assert WorkerConfig.from_json(told.to_json()) == told
    assert (told.sip.port, told.media.model_format) == (5080, "pcmu")
    assert told.paths.link_socket == f"{tmp_path}/v/link.sock"
    assert [provider.url for provider in told.providers] == [
        "ws://127.0.0.1:9/v1/realtime",
        "wss://api.openai.com/v1/realtime",
    ]


def test_local_addresses_may_be_plain(load):
    for host in ("localhost", "127.0.0.1", "[::1]"):
        text = f"providers: {{x: {{kind: openai, url: 'ws://{host}:9/v1'}}}}"
        assert load(text).providers["x"].url == f"ws://{host}:9/v1"


WORDS = st.sampled_from(
    [
        "sip",
        "port",
        "bind",
        "workers",
        "providers",
        "x",
        "kind",
        "local",
        "url",
        "store",
        "state_dir",
        "rtp_ports",
    ]
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=8,
)


@hypothesis_settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    data=st.dictionaries(WORDS, VALUES, max_size=4), variable=st.text(max_size=10), value=st.text(max_size=10)
)
def test_no_file_and_no_variable_raises_anything_else(tmp_path, data, variable, value):
    path = tmp_path / "s.yaml"
    path.write_text(json.dumps(data))
    with contextlib.suppress(SettingsError):
        settings.load(path, {f"SIPBRIDGE_{variable}": value})


@pytest.mark.parametrize(
    ("named", "narrow", "wide"),
    [
        ("[PCMU, PCMA]", ("PCMU", "PCMA"), ("G722", "PCMU", "PCMA")),
        ("[PCMA, G722]", ("PCMA",), ("PCMA", "G722")),
    ],
)
def test_wide_workers_alone_have_g722_and_16_khz(load, named, narrow, wide):
    loaded = load(f"workers: 2\npool: {{wide_workers: 1}}\nsip: {{codecs: {named}}}")
    first, second = settings.worker_config(loaded, 0), settings.worker_config(loaded, 1)
    assert (first.pool, first.sip.codecs, first.media.rate_hz) == ("narrow", narrow, 8000)
    assert (second.pool, second.sip.codecs, second.media.rate_hz) == ("wide", wide, 16000)
    moved = settings.worker_config(loaded, 0, pool="wide")
    assert (moved.sip.codecs, moved.media.rate_hz) == (wide, 16000)
