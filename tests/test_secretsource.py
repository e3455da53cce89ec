"""Docker, Kubernetes and systemd each have their way to hand a secret over; all lead to the same value."""

import pytest

from bridge.errors import SettingsError
from bridge.secretsource import MAX_BYTES, Secrets
from bridge.settings import load, missing_secrets


@pytest.fixture
def place(tmp_path):
    """A file with a secret, as an editor leaves it, and a credentials' folder with another."""
    (tmp_path / "key").write_text("from-a-file\n")
    (tmp_path / "creds").mkdir()
    (tmp_path / "creds" / "KEY").write_text("from-systemd")
    (tmp_path / "key").chmod(0o600)
    return tmp_path


def test_the_environment_goes_before_a_file_and_a_file_before_a_credential(place):
    credentials = {"CREDENTIALS_DIRECTORY": str(place / "creds")}
    assert Secrets(credentials)["KEY"] == "from-systemd"
    named = {**credentials, "KEY_FILE": str(place / "key")}
    assert Secrets(named)["KEY"] == "from-a-file"
    assert Secrets({**credentials, "KEY": "here"})["KEY"] == "here"
    assert "KEY" in Secrets(named)
    assert Secrets(named).get("OTHER", "") == ""
    assert dict(Secrets({"A": "1"})) == {"A": "1"}
    assert len(Secrets(named)) == 2


def test_an_empty_variable_is_no_secret_but_stays_an_empty_variable(place):
    assert Secrets({"KEY": "", "KEY_FILE": str(place / "key")})["KEY"] == "from-a-file"
    assert Secrets({"KEY": ""})["KEY"] == ""


def test_a_changed_file_counts_from_the_next_use_on(place):
    secrets = Secrets({"KEY_FILE": str(place / "key")})
    assert secrets["KEY"] == "from-a-file"
    (place / "key").write_text("new")
    assert secrets["KEY"] == "new"


def test_what_is_missing_is_told_with_every_place_that_was_looked_at(place):
    assert Secrets({"KEY": "x"}).why_missing("KEY") == ""
    words = Secrets({}).why_missing("KEY")
    assert words == (
        "the environment variable KEY is not set, neither is KEY_FILE, and CREDENTIALS_DIRECTORY is not set"
    )
    folder = str(place / "creds")
    assert f"{folder} (CREDENTIALS_DIRECTORY) holds no MORE" in Secrets(
        {"CREDENTIALS_DIRECTORY": folder}
    ).why_missing("MORE")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "which cannot be read: No such file or directory"),
        (b"", "which is empty or too long"),
        (b"\xff\xfe", "which is empty or too long"),
        (b"x" * (MAX_BYTES + 1), "which is empty or too long"),
    ],
)
def test_a_file_that_holds_no_secret_is_named(tmp_path, content, words):
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    told = Secrets({"KEY_FILE": str(path)}).why_missing("KEY")
    assert told == f"KEY_FILE names {path}, {words}"


def test_a_secret_in_two_places_is_refused_without_showing_either(place):
    told = Secrets({"KEY": "one", "KEY_FILE": str(place / "key")}).why_missing("KEY")
    assert told == "KEY and KEY_FILE are both set: nobody can tell which one counts"


def test_a_file_that_every_account_can_read_is_named_once(place):
    secrets = Secrets({"KEY_FILE": str(place / "key")})
    assert secrets.too_open(["KEY", "KEY", "OTHER"]) == []
    (place / "key").chmod(0o644)
    path = place / "key"
    assert secrets.too_open(["KEY", "KEY"]) == [
        f"{path} (KEY) can be read by every account: chmod 600 {path}"
    ]
    assert Secrets({"KEY": "x", "KEY_FILE": str(path)}).too_open(["KEY"]) == []


def test_a_provider_s_key_may_lie_in_a_file(place):
    path = place / "bridge.yaml"
    path.write_text("providers: {live: {kind: openai, api_key_env: KEY}}\n")
    settings = load(path, {})
    assert missing_secrets(settings, {"KEY_FILE": str(place / "key")}) == []
    (problem,) = missing_secrets(settings, {"KEY_FILE": str(place / "gone")})
    assert problem.key == "providers.live"
    assert "gone" in problem.message


def test_without_settings_a_key_in_a_file_means_openai_as_one_in_the_environment(place):
    chosen = load(None, {"OPENAI_API_KEY_FILE": str(place / "key")})
    assert [spec.kind for spec in chosen.providers.values()] == ["openai"]


def test_the_store_s_url_may_lie_in_a_file(place):
    (place / "url").write_text("postgresql://me:hush@db/calls\n")
    settings = load(None, {"SIPBRIDGE_STORE_FILE": str(place / "url")})
    assert settings.store == "postgresql://me:hush@db/calls"
    (place / "creds" / "SIPBRIDGE_STORE").write_text("postgresql://other/calls\n")
    settings = load(None, {"CREDENTIALS_DIRECTORY": str(place / "creds")})
    assert settings.store == "postgresql://other/calls"


def test_a_store_s_url_that_cannot_be_read_stops_the_start_and_shows_no_url(place):
    with pytest.raises(SettingsError) as refused:
        load(None, {"SIPBRIDGE_STORE_FILE": str(place / "nowhere")})
    assert "SIPBRIDGE_STORE_FILE names" in str(refused.value)
    both = {"SIPBRIDGE_STORE": "postgresql://me:hush@db/x", "SIPBRIDGE_STORE_FILE": str(place / "key")}
    with pytest.raises(SettingsError) as refused:
        load(None, both)
    assert "hush" not in str(refused.value)
